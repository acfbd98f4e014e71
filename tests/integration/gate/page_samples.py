"""What reports are made of in tests: a small system with everything that a page can show, a large one, and a mesh's evidence."""
import json
import os
import random

import gate_kit  # noqa: F401  (sets the path of backfire_records)
from backfire_records import RecordWriter

POLICY = """candidate: encoder
vertices:
- name: camera
- name: encoder
  parents: [camera]
  losses:
  - {name: mse, margin: 0.02}
- name: classifier
  parents: [encoder]
  losses:
  - {name: error, unit: fraction, margin: 0.03}
  - {name: calibration, role: advisory}
  required_slices: [night]
  slices: [rain]
- name: tracker
  parents: [encoder, camera]
  losses:
  - {name: precision, unit: percent, direction: higher, margin: 2}
- name: planner
  parents: [classifier, tracker]
  losses:
  - {name: cost, margin: 0.05}
waivers:
- {vertex: planner, owner: ada, reason: 'retuned <next> week & tested', expires: 2999-12-31}
"""
EXAMPLES = 240


def _write(folder, seed, values, slices, clusters=None):
    with RecordWriter(f"{folder}/seed{seed}.jsonl") as records:
        for vertex, losses in values.items():
            records.add(vertex, seed, losses, slices=slices if vertex == "classifier" else None, clusters=clusters)


def small(folder, harm=1.0, seeds=5):
    """A policy and records of before, after and swapped: an encoder that improves and a classifier that suffers at night."""
    with open(f"{folder}/backfire-gate.yaml", "w", encoding="utf-8") as file:
        file.write(POLICY)
    slices = [[name for name, every in (("night", 4), ("rain", 30)) if i % every == 0] for i in range(EXAMPLES)]
    night = [i % 4 == 0 for i in range(EXAMPLES)]
    for side, share in (("before", 0.0), ("after", 1.0), ("swapped", 1.6)):
        for seed in range(seeds):
            draw = random.Random(f"{side} {seed}")
            hard = [random.Random(f"example {i}").random() for i in range(EXAMPLES)]
            lift = share * harm
            values = {
                "encoder": {"mse": [1 + h - 0.2 * share + 0.05 * draw.gauss(0, 1) for h in hard]},
                "classifier": {"error": [float(draw.random() < 0.08 + (0.34 * lift if at_night else 0.01 * lift)) for at_night in night],
                               "calibration": [0.2 + 0.05 * draw.random() + 0.02 * lift for _ in hard]},
                "tracker": {"precision": [80 + 10 * h + 3 * draw.gauss(0, 1) - 0.6 * lift for h in hard]},
                "planner": {"cost": [2 + h + 0.12 * lift + 0.05 * draw.gauss(0, 1) for h in hard]},
            }
            if side == "swapped":
                del values["encoder"]
            _write(f"{folder}/{side}", seed, values, slices)


def large(folder, descendants=200, seeds=5, examples=60):
    """As many descendants in three layers, of two losses and a slice each; a few of them are harmed."""
    with open(f"{folder}/backfire-gate.yaml", "w", encoding="utf-8") as file:
        file.write("candidate: root\nvertices:\n- name: root\n  losses: [{name: mse, margin: 0.05}]\n")
        for v in range(descendants):
            parent = "root" if v < 20 else f"reader-with-a-rather-long-name-{v % 20}"
            file.write(f"- name: reader-with-a-rather-long-name-{v}\n  parents: [{parent}]\n  losses:\n"
                       "  - {name: error, unit: fraction, margin: 0.05}\n  - {name: latency_ms, unit: ms, margin: 0.5, role: advisory}\n"
                       "  required_slices: [night]\n")
    slices = ["night" if i % 3 == 0 else None for i in range(examples)]
    for side in ("before", "after"):
        for seed in range(seeds):
            with RecordWriter(f"{folder}/{side}/seed{seed}.jsonl") as records:
                draw = random.Random(f"{side} {seed}")
                records.add("root", seed, {"mse": [1 + 0.02 * draw.gauss(0, 1) - 0.1 * (side == "after") for _ in range(examples)]})
                for v in range(descendants):
                    harm = 0.2 if side == "after" and v % 23 == 5 else 0
                    records.add(f"reader-with-a-rather-long-name-{v}", seed,
                                {"error": [0.3 + harm + 0.1 * draw.gauss(0, 1) for _ in range(examples)],
                                 "latency_ms": [5 + draw.random() for _ in range(examples)]}, slices=slices)


def mesh(path, name="<script>alert('x')</script>", seeds=5, resamples=200):
    """A mesh's evidence with what its update was: a diagnosis, versions, costs and curves. `name` is a vertex's."""
    draw = random.Random("mesh")
    losses = [("disparity", "mae", "px", True, 1.02, -0.15, 0.01), (name, "ap_3d", "percent", False, -39.1, 6.2, 1),
              ("pedestrian", "ap_3d", "percent", False, -14.6, 0.4, 1)]
    terms = {"loss": 0.3, "bayes_loss": 0.05, "upstream": 0.1, "approximation": 0.08, "estimation": 0.07}
    vertices = [{"name": "disparity", "parents": []}, {"name": "pointcloud", "parents": ["disparity"]},
                {"name": name, "parents": ["pointcloud"]}, {"name": "pedestrian", "parents": ["pointcloud"]}]
    for vertex in vertices:
        vertex.update(versions=[f"models/m/versions/{k + 6}" for k in range(seeds)], digests=["ab" * 32] * seeds, seeds=list(range(seeds)))
    header = {
        "backfire_evidence": 1, "update": "updates/7", "alpha": 0.05, "look": 1, "candidates_judged": 3, "replicates": seeds,
        "losses": [{"vertex": v, "loss": loss, "unit": unit, "candidate": candidate, "judged": True, "margin": margin,
                    "example_count": 100, "bearing_count": 90} for v, loss, unit, candidate, _, _, margin in losses],
        "context": {"name": "updates/7", "vertex": "disparity", "change": "psmnet (steps=800)", "actor": "ada@<laptop>",
                    "reason": "lower error", "create_time": "2026-11-30T10:00:00Z", "decide_time": "2026-11-30T10:40:00Z",
                    "baseline_release": "releases/1", "release": "releases/2", "vertices": vertices,
                    "compute_seconds": 812.5, "saved_seconds": 300,
                    "diagnoses": [{"vertex": name, "loss": "ap_3d", "before": terms, "cause": "upstream",
                                   "after": {**terms, "loss": 0.42, "upstream": 0.2, "estimation": 0.09}}],
                    "curves": [{"vertex": v, "replicate": k, "steps": list(range(10, 410, 10)),
                                "losses": [2.5 / (1 + s / 9) + 0.3 + 0.05 * draw.random() for s in range(40)]}
                               for v in ("disparity", name) for k in range(seeds)]},
    }
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        for number, (_, _, _, candidate, value, effect, margin) in enumerate(losses):
            shared = [draw.gauss(0, margin) for _ in range(resamples)]
            for when in ("before", "after"):
                for k in range(seeds):
                    at = value + (effect if when == "after" else 0) + 0.3 * margin * draw.gauss(0, 1)
                    file.write(json.dumps({"when": when, "loss": number, "replicate": k, "value": at,
                                           "resampled": [at + s + 0.2 * margin * draw.gauss(0, 1) for s in shared]}) + "\n")
            if not candidate:
                for k in range(seeds):
                    file.write(json.dumps({"when": "swapped", "loss": number, "replicate": k, "value": value + 1.4 * effect}) + "\n")
