"""What a stranger copies does what its text says: the five minutes of docs/gate.md, and the example of deploy/ci."""
import os
import re
import shutil
import subprocess
import sys

import gate_kit
from gate_kit import GATE, SOURCE, GateTest

ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{SOURCE}/services/python", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
               "PATH": f"{os.path.dirname(GATE)}:/usr/bin:/bin"}


class FiveMinutes(GateTest):
    """docs/gate.md, word for word but for the folder and the build."""

    def test_the_commands_give_the_answer_that_is_shown(self):
        with open(f"{SOURCE}/docs/gate.md", encoding="utf-8") as file:
            text = file.read().partition("## Records")[0]
        build, *blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        self.assertIn("./dev build gate", build)
        self.assertEqual(len(blocks), 2)
        script = "".join(blocks).replace("/tmp/gate", f"{self.folder}/path")
        done = subprocess.run(["bash", "-uc", script], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)
        answer = re.search(r"```\n(REFUSED.*?\n)```", text)[1]
        self.assertTrue(done.stdout.startswith(answer), done.stdout + done.stderr)
        self.assertTrue(done.stdout.endswith("exit code 1\n"), done.stdout)
        # A first reader sees a policy that can decide, and no complaint to wonder at.
        self.assertIn("\nSelf-test on these records: ", done.stdout)
        self.assertNotIn("complain", done.stdout)


class Example(GateTest):
    """A pipeline of scikit-learn's digits, whose encoder is replaced by one that reconstructs better."""

    def test_the_change_is_refused_and_none_passes(self):
        if subprocess.run(["/usr/bin/python3", "-c", "import sklearn"], capture_output=True, check=False).returncode:
            print("SKIPPED: no python3-sklearn, so the example of deploy/ci did not run", file=sys.stderr)
            self.skipTest("no python3-sklearn")
        for name in ("pipeline.py", "backfire-gate.yaml"):
            shutil.copy(f"{SOURCE}/deploy/ci/example/{name}", self.folder)
        shutil.rmtree(f"{self.folder}/before")
        shutil.rmtree(f"{self.folder}/after")
        for encoder, out in (("lda", "before"), ("pca", "after")):
            subprocess.run(["/usr/bin/python3", "pipeline.py", "--encoder", encoder, "--out", out], cwd=self.folder, env=ENVIRONMENT,
                           check=True, timeout=100)
        done = self.check(1)
        self.assertRegex(done.stdout, r"^REFUSED \(SELF_DEFEATING\): ")
        self.assertRegex(done.stdout, r"\n  encoder \*  reconstruction_mse .* better")
        self.assertRegex(done.stdout, r"\n  parity     error .* WORSE")
        # What is equal is no harm, however large its noise.
        self.check(0, sides=("--before", "before", "--after", "before"))


if __name__ == "__main__":
    gate_kit.main()
