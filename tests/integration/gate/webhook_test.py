"""`on_verdict:` of a policy, against a server of this test: who is told what, and that nothing of it changes the exit code."""
import http.server
import json
import os
import shutil
import sys
import threading

import gate_kit
from gate_kit import POLICY, GateTest, write_side


class Fake(http.server.BaseHTTPRequestHandler):
    """Keeps what it is told; answers as the test says."""

    def do_POST(self):
        self.server.told.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        if self.server.silent:
            self.server.release.wait(60)
            return
        self.send_response(self.server.answer)
        if self.server.answer == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Says nothing."""


class Webhook(GateTest):
    """Each test has a server of its own."""

    def setUp(self):
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fake)
        self.server.daemon_threads = True
        self.server.told, self.server.answer, self.server.silent, self.server.release = [], 204, False, threading.Event()
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()

        def end():
            self.server.release.set()
            self.server.shutdown()
            thread.join()
            self.server.server_close()
        self.addCleanup(end)
        self.host = f"http://127.0.0.1:{self.server.server_port}"

    def policy(self, **fields):
        fields.setdefault("url", f"{self.host}/hook/s3cret?a=1")
        self.write("backfire-gate.yaml", POLICY + "on_verdict: " + json.dumps(fields) + "\n")

    def test_the_report_is_told(self):
        self.policy(token_variable="GATE_HOOK_TOKEN")
        write_side(f"{self.folder}/after", mse=-0.1, error=0.2)
        done = self.check(1, "--json", "report.json", env={**os.environ, "GATE_HOOK_TOKEN": 'a"b\\c'})
        (path, headers, body), = self.server.told
        self.assertEqual(path, "/hook/s3cret?a=1")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["Authorization"], 'Bearer a"b\\c')
        self.assertEqual(body.decode(), self.read("report.json"))
        self.assertEqual(json.loads(body)["outcome"], "REFUSED")
        self.assertEqual(done.stderr, "")

    def test_who_is_not_told_is_said_and_the_verdict_stands(self):
        self.policy()
        for answer in (404, 500, 302):
            self.server.told.clear()
            self.server.answer = answer
            for error, code in ((0, 0), (0.2, 1)):
                write_side(f"{self.folder}/after", mse=-0.1, error=error)
                done = self.check(code)
                if answer == 302:  # Followed, it would lead anywhere.
                    continue
                self.assertIn(f"on_verdict: {self.host} was not told of the verdict: curl ended with 22", done.stderr)
                # An address may be a secret.
                self.assertNotIn("s3cret", done.stderr + done.stdout)
            self.assertEqual({path for path, _, _ in self.server.told}, {"/hook/s3cret?a=1"})

    def test_silence_is_bounded(self):
        self.policy(timeout_seconds=1)
        self.server.silent = True
        done = self.check(0)
        self.assertIn("was not told of the verdict: curl ended with 28", done.stderr)
        self.assertEqual(len(self.server.told), 1)

    def test_nobody_there_and_no_https(self):
        self.policy(url="http://127.0.0.1:1/x")
        self.assertIn("http://127.0.0.1:1 was not told", self.check(0).stderr)
        # A server that does not prove who it is is told nothing.
        self.policy(url=f"https://127.0.0.1:{self.server.server_port}/x")
        self.assertIn("was not told of the verdict: curl ended with", self.check(0).stderr)
        self.assertEqual(self.server.told, [])

    def test_without_curl_or_token(self):
        self.policy()
        done = self.check(0, env={"PATH": "/none"})
        self.assertIn("(it is sent by the program curl)", done.stderr)
        self.policy(token_variable="GATE_NOT_SET")
        self.assertIn("the variable GATE_NOT_SET is not set", self.check(0).stderr)
        self.assertEqual(self.server.told, [])

    def test_faults_of_the_policy_have_their_line(self):
        line = POLICY.count("\n") + 1
        for fields, fault in (({"url": "ftp://x"}, "on_verdict.url: must begin with https:// or http://"),
                              ({"url": "http://"}, "on_verdict.url: must be an address"),
                              ({"url": "http://x y"}, "on_verdict.url: must be an address"),
                              ({"timeout_seconds": 999}, "on_verdict.timeout_seconds: must be 1 to 300"),
                              ({"token_variable": "a-b"}, "on_verdict.token_variable: must be the name")):
            self.policy(**fields)
            done = self.check(2)
            self.assertIn(f"backfire-gate.yaml:{line}: {fault}", done.stderr)

    def test_no_verdict_tells_nobody(self):
        self.policy()
        os.unlink(f"{self.folder}/after/seed2.jsonl")
        self.check(2)
        self.assertEqual(self.server.told, [])


if __name__ == "__main__":
    if shutil.which("curl") is None:
        print("skipped: curl is not installed, which tells others of a verdict")
        sys.exit(77)
    gate_kit.main()
