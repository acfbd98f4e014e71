"""services/python/backfire_records.py: the contract's resamples, whole files, and the plugin under Debian's pytest."""
import importlib.util
import json
import math
import os
import random
import subprocess
import sys

import gate_kit
from gate_kit import GATE, SOURCE, GateTest, write_side

import backfire_records

RESAMPLED = """candidate: encoder
bootstrap: {seed: 4, resample_count: 50}
vertices:
- name: encoder
  losses: [{name: mse, margin: 0.02}]
- name: reader
  parents: [encoder]
  losses: [{name: f1, resampled: true, direction: higher, margin: 0.05}]
"""


def without_numpy():
    """The module as it is where there is no numpy."""
    hidden, sys.modules["numpy"] = sys.modules.get("numpy"), None
    try:
        spec = importlib.util.spec_from_file_location("plain_records", backfire_records.__file__)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        del sys.modules["numpy"]
        if hidden is not None:
            sys.modules["numpy"] = hidden
    assert module.numpy is None
    return module


class Resamples(GateTest):
    """Draws as the contract fixes them."""

    def test_they_are_the_contracts(self):
        # Computed from the contract with exact integers: the same as in bootstrap_test.cc.
        for module in (backfire_records, without_numpy()):
            self.assertEqual(list(module.resample(0, 0, 5)), [3, 0, 2, 4, 1])
            self.assertEqual(list(module.resample(7, 3, 8)), [0, 6, 2, 6, 1, 2, 6, 3])
            self.assertEqual(list(module.resample(2**64 - 1, 1, 4)), [2, 0, 2, 3])
            self.assertEqual(list(module.resample(5, 2, 1000)), list(backfire_records.resample(5, 2, 1000)))

    def test_a_mean_that_comes_resampled_is_the_gates_own(self):
        """The same loss by column and by resamples: one verdict, to the last digit."""
        by_column = RESAMPLED.replace("{name: f1, resampled: true,", "{name: f1,")
        for side, shift in (("before", 0), ("after", 0.01)):
            for seed in range(5):
                draw = random.Random(f"{side} {seed}")
                values = [shift + draw.random() for _ in range(40)]
                mse = {"mse": [draw.random() for _ in range(40)]}
                with backfire_records.RecordWriter(f"{self.folder}/column/{side}/{seed}.jsonl") as records:
                    records.add("encoder", seed, mse)
                    records.add("reader", seed, {"f1": values})
                with backfire_records.RecordWriter(f"{self.folder}/resampled/{side}/{seed}.jsonl.gz") as records:
                    records.add("encoder", seed, mse)
                    # In the order of the examples, as the gate adds them up.
                    def mean(positions):
                        counts = [0] * 40
                        for i in positions:
                            counts[i] += 1
                        total = 0.0
                        for count, value in zip(counts, values):
                            total += count * value
                        return total / 40
                    records.add_resampled("reader", seed, "f1", 40, mean, bootstrap_seed=4, resample_count=50)
        self.assertEqual(*self.verdicts(by_column, RESAMPLED))

    def test_clusters_are_drawn_as_the_gate_draws_them(self):
        by_column = RESAMPLED.replace("{name: f1, resampled: true,", "{name: f1,")
        drives = [f"drive-{(7 * i) % 11}" for i in range(40)]
        for side, shift in (("before", 0), ("after", 0.01)):
            for seed in range(5):
                draw = random.Random(f"{side} {seed}")
                # Whole numbers, whose sums are exact in any order.
                values = [float(draw.randrange(1000)) + shift * 1000 for _ in range(40)]
                mse = {"mse": [draw.random() for _ in range(40)]}
                with backfire_records.RecordWriter(f"{self.folder}/column/{side}/{seed}.jsonl") as records:
                    records.add("encoder", seed, mse)
                    records.add("reader", seed, {"f1": values}, clusters=drives)
                with backfire_records.RecordWriter(f"{self.folder}/resampled/{side}/{seed}.jsonl") as records:
                    records.add("encoder", seed, mse)
                    records.add_resampled("reader", seed, "f1", 40, lambda at: sum(values[i] for i in at) / len(at),
                                          clusters=drives, bootstrap_seed=4, resample_count=50)
        found = self.verdicts(by_column, RESAMPLED)
        self.assertEqual(*found)
        self.assertEqual([one["cluster_count"] for one in found[0]["comparisons"]], ["0", "11"])

    def verdicts(self, by_column, resampled):
        """Of the same losses, written in both ways."""
        found = []
        for kind, policy in (("column", by_column), ("resampled", resampled)):
            self.write("p.yaml", policy)
            done = self.gate("--policy", "p.yaml", "--format", "json",
                             sides=("--before", f"{kind}/before", "--after", f"{kind}/after"))
            found.append(json.loads(done.stdout)["verdict"])
        return found


class Writing(GateTest):
    """Files that are whole, and faults that are the writer's."""

    def test_what_is_interrupted_is_not_there(self):
        with self.assertRaises(KeyError):
            with backfire_records.RecordWriter(f"{self.folder}/new/x.jsonl") as records:
                records.add("reader", 0, {"error": [1, 2]})
                raise KeyError
        self.assertEqual(os.listdir(f"{self.folder}/new"), [])

    def test_equal_records_are_equal_files(self):
        for name in ("a", "b"):
            with backfire_records.RecordWriter(f"{self.folder}/{name}.jsonl.gz") as records:
                records.add("reader", 0, {"error": [1, 2]})
        with open(f"{self.folder}/a.jsonl.gz", "rb") as a, open(f"{self.folder}/b.jsonl.gz", "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_faults(self):
        with self.assertRaises(ValueError):
            backfire_records.RecordWriter(f"{self.folder}/x.json")
        with backfire_records.RecordWriter(f"{self.folder}/x.jsonl") as records:
            for arguments, message in (
                    (dict(losses={"error": [1, math.nan]}), "example 1: error must be finite"),
                    (dict(losses={"error": [1, 2]}, examples=["a"]), "examples: must have 2 entries"),
                    (dict(losses={"error": [1, 2]}, examples=["a", "a"]), "there twice"),
                    (dict(losses={}), "at least one column")):
                with self.assertRaisesRegex(ValueError, message):
                    records.add("reader", 0, **arguments)


class Plugin(GateTest):
    """A test per vertex and loss."""

    def pytest(self, *arguments):
        environment = {**os.environ, "PYTHONPATH": f"{SOURCE}/services/python", "BACKFIRE_GATE": GATE,
                       "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            ["/usr/bin/python3", "-m", "pytest", "-p", "backfire_records", "-p", "no:cacheprovider", "-v",
             "backfire-gate.yaml", "--backfire-before", "before", *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def setUp(self):
        super().setUp()
        if subprocess.run(["/usr/bin/python3", "-c", "import pytest"], capture_output=True, check=False).returncode:
            self.skipTest("no python3-pytest")

    def test_passes_fails_and_complains(self):
        done = self.pytest("--backfire-after", "after")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("::encoder mse PASSED", done.stdout)
        write_side(f"{self.folder}/after", mse=-0.1, error=0.2)
        done = self.pytest("--backfire-after", "after")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("::reader error FAILED", done.stdout)
        self.assertIn("BLOCKS: worse by 0.2", done.stdout)
        self.assertIn("2 failed, 1 passed", done.stdout)
        done = self.pytest("--backfire-after", "none")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("none: there is no such file or folder", done.stdout)
        done = self.pytest()
        self.assertIn("give --backfire-before and --backfire-after", done.stdout)


if __name__ == "__main__":
    gate_kit.main()
