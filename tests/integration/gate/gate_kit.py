"""What tests of the gate's program share: a policy, records with a known effect, and runs of the program."""
import os
import random
import subprocess
import sys
import tempfile
import unittest

GATE, SOURCE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
sys.path.insert(0, f"{SOURCE}/services/python")
sys.dont_write_bytecode = True
from backfire_records import RecordWriter  # noqa: E402

POLICY = """candidate: encoder
vertices:
- name: encoder
  losses:
  - {name: mse, margin: 0.02}
- name: reader
  parents: [encoder]
  losses:
  - {name: error, margin: 0.02}
- name: bystander
  losses:
  - {name: error}
"""
EXAMPLES = 60


def write_side(folder, mse=0.0, error=0.0, seeds=5, noise=0.01, examples=EXAMPLES, **more):
    """A folder of records whose losses are shifted by so much; the same noise each time."""
    for seed in range(seeds):
        draw = random.Random(f"{folder.rsplit('/', 1)[-1]} {seed}")
        with RecordWriter(f"{folder}/seed{seed}.jsonl") as records:
            for vertex, column, shift in (("encoder", "mse", mse), ("reader", "error", error)):
                values = [1 + i / examples + shift + noise * draw.gauss(0, 1) for i in range(examples)]
                records.add(vertex, seed, {column: values}, **more)


class GateTest(unittest.TestCase):
    """Runs the program in a folder of its own, with a policy and two sides."""

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = place.name
        self.write("backfire-gate.yaml", POLICY)
        write_side(f"{self.folder}/before")
        write_side(f"{self.folder}/after", mse=-0.1)

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def read(self, name):
        with open(f"{self.folder}/{name}", encoding="utf-8", newline="") as file:
            return file.read()

    def gate(self, *arguments, sides=("--before", "before", "--after", "after"), timeout=60, **more):
        return subprocess.run([GATE, *sides, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=timeout,
                              check=False, **more)

    def check(self, code, *arguments, **more):
        done = self.gate(*arguments, **more)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done


def main():
    """Runs the tests of the calling file."""
    unittest.main(argv=sys.argv[:1])
