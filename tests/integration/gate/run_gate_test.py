"""deploy/ci/run-gate: reports, summary, comment, and the gate's own exit code whatever becomes of the comment."""
import json
import os
import subprocess

import gate_kit
from gate_kit import GATE, SOURCE, GateTest, write_side


class RunGate(GateTest):
    """A CI job's step."""

    def run_gate(self, *arguments, **changed):
        base = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB", "CI_", "GATE_"))}
        return subprocess.run([f"{SOURCE}/deploy/ci/run-gate", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60,
                              check=False, env={**base, "GATE_PROGRAM": GATE, **changed})

    def test_reports_and_exit_codes(self):
        done = self.run_gate("--before", "before", "--after", "after")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(self.read("backfire-gate-report/report.json"))["outcome"], "PASSED")
        write_side(f"{self.folder}/after", mse=-0.1, error=0.2)
        github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": f"{self.folder}/summary", "GITHUB_OUTPUT": f"{self.folder}/output"}
        done = self.run_gate("--before", "before", "--after", "after", **github)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("::error title=reader error", done.stderr)
        self.assertEqual(self.read("output"), "exit-code=1\n")
        self.assertEqual(self.read("summary"), self.read("backfire-gate-report/comment.md"))
        self.assertIn('failures="1"', self.read("backfire-gate-report/junit.xml"))

    def test_no_verdict_replaces_an_earlier_one(self):
        self.run_gate("--before", "before", "--after", "after")
        os.unlink(f"{self.folder}/after/seed2.jsonl")
        done = self.run_gate("--before", "before", "--after", "after")
        self.assertEqual(done.returncode, 2)
        comment = self.read("backfire-gate-report/comment.md")
        self.assertTrue(comment.startswith("<!-- backfire gate -->\n### \u26a0\ufe0f backfire gate: no verdict, exit code 2\n"), comment)
        self.assertIn("    vertex encoder, seed 2: in before and not in after", comment.replace("backfire gate: vertex", "vertex"))
        self.assertFalse(os.path.exists(f"{self.folder}/backfire-gate-report/report.json"))

    def test_a_comment_that_fails_keeps_the_verdicts_exit_code(self):
        for harm, code in ((0, 0), (0.2, 1)):
            write_side(f"{self.folder}/after", mse=-0.1, error=harm)
            done = self.run_gate("--before", "before", "--after", "after", GATE_COMMENT="true", GATE_GITLAB_TOKEN="x",
                                 CI_API_V4_URL="http://127.0.0.1:1", CI_PROJECT_ID="1", CI_MERGE_REQUEST_IID="1")
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn("there is no comment, and the exit code is the verdict's all the same", done.stderr)

    def test_a_gate_that_is_not_there_is_no_verdict(self):
        done = self.run_gate("--before", "before", "--after", "after", GATE_PROGRAM="/none")
        self.assertNotIn(done.returncode, (0, 1))


if __name__ == "__main__":
    gate_kit.main()
