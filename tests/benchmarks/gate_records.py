"""The gate beside NumPy that resamples the same losses: seconds and memory, at any number of descendants.

Usage: /usr/bin/python3 tests/benchmarks/gate_records.py build/bin/backfire-gate [--descendants 200] [--seeds 5] [--examples 10000]

NumPy reads arrays, not text, and multiplies a matrix of counts: what it takes is no more than the arithmetic. Prints both and whether the
two have the same numbers.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../services/python"))
from backfire_records import resample  # noqa: E402

RESAMPLES = 1000


def losses_of(side, vertex, seed, examples):
    """The same each time; with four decimals, as text has them."""
    draw = numpy.random.RandomState(hash((side == "after", vertex, seed)) % 2**32)
    return numpy.round(draw.gamma(2.0, 0.5, examples), 4)


def write(folder, options):
    """CSV, a file per seed and side."""
    names = [f"d{v}" for v in range(options.descendants)]
    for side in ("before", "after"):
        os.makedirs(f"{folder}/{side}")
        for seed in range(options.seeds):
            with open(f"{folder}/{side}/{seed}.csv", "w", encoding="utf-8") as file:
                file.write("vertex,seed,example,loss\n")
                for v, name in enumerate(["root", *names]):
                    head = f"{name},{seed},"
                    values = losses_of(side, v, seed, options.examples)
                    file.write("".join(f"{head}{i},{value:.4f}\n" for i, value in enumerate(values.tolist())))
    with open(f"{folder}/policy.yaml", "w", encoding="utf-8") as file:
        file.write("candidate: root\nvertices:\n- {name: root, losses: [{name: loss, margin: 0.1}]}\n")
        file.writelines(f"- {{name: {name}, parents: [root], losses: [{{name: loss, margin: 0.1}}]}}\n" for name in names)


def with_numpy(options):
    """The example variance of each vertex's difference, by a matrix of counts."""
    counts = numpy.array([numpy.bincount(resample(0, b, options.examples), minlength=options.examples)
                          for b in range(RESAMPLES)], dtype=float)
    variances = []
    for v in range(options.descendants + 1):
        differences = numpy.array([losses_of("after", v, seed, options.examples) - losses_of("before", v, seed, options.examples)
                                   for seed in range(options.seeds)])
        resampled = counts @ differences.T / options.examples
        variances.append(resampled.mean(axis=1).var(ddof=1))
    return variances


def main():
    """Writes, judges, and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gate")
    parser.add_argument("--descendants", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=10000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(folder, options)
        size = sum(os.path.getsize(f"{root}/{name}") for root, _, files in os.walk(folder) for name in files)
        begun = time.monotonic()
        done = subprocess.run([options.gate, "--policy", f"{folder}/policy.yaml", "--before", f"{folder}/before", "--after",
                               f"{folder}/after", "--format", "json"], stdout=subprocess.PIPE, check=False)
        took = time.monotonic() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = json.loads(done.stdout)
        begun, processors = time.monotonic(), time.process_time()
        variances = with_numpy(options)
        numpy_took, processors = time.monotonic() - begun, time.process_time() - processors
    rows = 2 * options.seeds * (options.descendants + 1) * options.examples
    print(f"gate: {took:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of processors, {used.ru_maxrss / 1024:.0f} MiB, "
          f"{rows / 1e6:.1f} million rows of {size / 1e6:.0f} MB, with reading and verdict")
    print(f"NumPy: {numpy_took:.1f} s, {processors:.1f} s of processors, with arrays at hand")
    found = {one["vertex"]: one["example_variance"] + one["interaction_variance"] for one in report["verdict"]["comparisons"]}
    unbiased = options.examples / (options.examples - 1)
    worst = max(abs(found[name] / (variance * unbiased) - 1)
                for name, variance in zip(["root", *(f"d{v}" for v in range(options.descendants))], variances))
    print(f"largest relative difference of an example variance: {worst:.1e}")
    # Of a CI job's memory a gate takes a part.
    if used.ru_maxrss > 1024 * 1024:
        print("more than 1 GiB")
    return 0 if worst < 1e-9 and used.ru_maxrss <= 1024 * 1024 else 1


if __name__ == "__main__":
    sys.exit(main())
