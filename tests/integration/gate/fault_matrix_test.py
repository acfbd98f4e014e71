"""An outage is never a verdict: 200 runs that are killed, paused, starved, cut off or given a full disk."""
import json
import os
import random
import resource
import signal
import subprocess
import time

import gate_kit
from gate_kit import GATE, GateTest, write_side

FAULTS = 200


def limit(which, value):
    """For a child: at most so much of a resource."""
    return lambda: resource.setrlimit(which, (value, value))


class FaultMatrix(GateTest):
    """Each fault with a change that is refused and with one that passes."""

    def setUp(self):
        super().setUp()
        write_side(f"{self.folder}/harm", mse=-0.1, error=0.2)
        self.expected = {"after": 0, "harm": 1}
        begun = time.monotonic()
        for after, code in self.expected.items():
            self.check(code, sides=("--before", "before", "--after", after))
        self.usual = (time.monotonic() - begun) / 2
        self.draw = random.Random(5)

    def run_fault(self, kind, after):
        """Returns the exit code, and whether the run may have been whole."""
        command = [GATE, "--before", "before", "--after", after, "--json", "r.json", "--junit", "r.xml", "--markdown", "r.md"]
        output, prepare = subprocess.PIPE, None
        if kind == "no memory":
            prepare = limit(resource.RLIMIT_AS, self.draw.randrange(20, 80) << 20)
        elif kind == "file size":
            prepare = limit(resource.RLIMIT_FSIZE, self.draw.randrange(1, 2500))
        elif kind == "no descriptors":
            prepare = limit(resource.RLIMIT_NOFILE, self.draw.randrange(3, 6))
        elif kind == "full output":
            output = os.open("/dev/full", os.O_WRONLY)
        elif kind == "closed output":
            reader, output = os.pipe()
            os.close(reader)
        elif kind == "cut file":
            self.cut(after)
        elif kind == "no folder":
            command[command.index("r.json")] = "backfire-gate.yaml/r.json"
        child = subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=subprocess.PIPE, preexec_fn=prepare)
        if output is not subprocess.PIPE:
            os.close(output)
        if kind in ("killed", "paused", "terminated"):
            time.sleep(self.draw.random() * self.usual)
            if kind == "paused":
                child.send_signal(signal.SIGSTOP)
                # The end of a job's patience.
                child.send_signal(signal.SIGKILL)
            else:
                child.send_signal(signal.SIGKILL if kind == "killed" else signal.SIGTERM)
        child.communicate(timeout=60)
        return child.returncode

    def cut(self, after):
        """A file of records loses its end."""
        path = f"{self.folder}/{after}/seed{self.draw.randrange(5)}.jsonl"
        os.truncate(path, self.draw.randrange(os.path.getsize(path)))

    def test_no_fault_is_a_verdict(self):
        kinds = ("killed", "no memory", "paused", "file size", "no descriptors", "full output", "closed output", "cut file",
                 "terminated", "no folder")
        seen = {kind: set() for kind in kinds}
        for i in range(FAULTS):
            kind, after = kinds[i % len(kinds)], ("after", "harm")[i // len(kinds) % 2]
            code = self.run_fault(kind, after)
            seen[kind].add(code)
            if kind == "cut file":
                self.assertEqual(code, 2, kind)
                write_side(f"{self.folder}/after", mse=-0.1)
                write_side(f"{self.folder}/harm", mse=-0.1, error=0.2)
            elif code in (0, 1):
                # It had all that it needed, or it ended before it was hit.
                self.assertEqual(code, self.expected[after], kind)
                self.assertIn(kind, ("killed", "paused", "terminated", "no memory", "file size", "no descriptors"))
            elif code == 127:
                self.assertIn(kind, ("no memory", "no descriptors"))  # Its libraries can't be loaded: it never began.
            elif code >= 0:
                self.assertIn(code, {"no folder": (2, 5)}.get(kind, (3, 5)), kind)
            else:
                self.assertIn(kind, ("killed", "paused", "terminated"), code)
            # What was written is whole, and nothing half-written is left.
            for name in os.listdir(self.folder):
                if name == "r.json":
                    with open(f"{self.folder}/{name}", encoding="utf-8") as file:
                        self.assertEqual(json.load(file)["exit_code"], self.expected[after], kind)
                    os.unlink(f"{self.folder}/{name}")
        # The faults did strike.
        for kind in ("full output", "closed output", "no folder"):
            self.assertFalse(seen[kind] & {0, 1}, f"{kind}: {seen[kind]}")
        for kind in ("no memory", "file size", "no descriptors"):
            self.assertTrue(seen[kind] - {0, 1}, f"{kind}: {seen[kind]}")


if __name__ == "__main__":
    gate_kit.main()
