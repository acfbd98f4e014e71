"""deploy/ci/comment against fakes of GitHub's and GitLab's APIs that check path, authorization and body."""
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
import unittest

import gate_kit
from gate_kit import SOURCE

BODY = "<!-- backfire gate -->\n### REFUSED: a \u2265 b\n"


class Fake(http.server.BaseHTTPRequestHandler):
    """One pull request's comments, of either API."""

    def log_message(self, *_):
        pass

    def answer(self, code, value, headers=()):
        data = json.dumps(value).encode()
        self.send_response(code)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_call(self):
        server, path = self.server, self.path.partition("?")[0]
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        server.calls.append((self.command, self.path, body))
        if server.fail and self.command == server.fail_on:
            return self.answer(*server.fail)
        if self.headers.get(server.authorization[0]) != server.authorization[1]:
            return self.answer(401, {"message": "Bad credentials"})
        if length and self.headers.get("Content-Type") != "application/json":
            return self.answer(415, {"message": "no JSON"})
        if path == server.list_path and self.command == "GET":
            page = int((re.search(r"[?&]page=(\d+)", self.path) or [0, "1"])[1])
            more = page * 2 < len(server.comments)
            address = f"http://{self.headers['Host']}{path}?per_page=100&page={page + 1}"
            return self.answer(200, server.comments[page * 2 - 2:page * 2], [("Link", f'<{address}>; rel="next"')] if more else [])
        if path == server.list_path and self.command == "POST":
            server.comments.append({"id": 100 + len(server.comments), **body})
            return self.answer(201, server.comments[-1])
        for comment in server.comments:
            if (self.command, path) == (server.update, f"{server.one_path}/{comment['id']}"):
                comment.update(body)
                return self.answer(200, comment)
        return self.answer(404, {"message": "Not Found"})

    do_GET = do_POST = do_PATCH = do_PUT = handle_call


class CommentTest:
    """The same of both."""

    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fake)
        self.server.calls, self.server.fail, self.server.fail_on = [], None, "POST"
        self.server.comments = [{"id": i, "body": f"another's {i}"} for i in range(3)]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = place.name
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.configure()

    def comment(self, *arguments, body=BODY, **changed):
        path = f"{self.folder}/gate.md"
        with open(path, "w", encoding="utf-8") as file:
            file.write(body)
        base = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB", "CI_", "GATE_"))}
        return subprocess.run(["/usr/bin/python3", f"{SOURCE}/deploy/ci/comment", "--markdown", path, *arguments],
                              env={**base, **self.environment, **changed}, capture_output=True, text=True, timeout=60, check=False)

    def methods(self):
        return [method for method, _, _ in self.server.calls]

    def test_creates_then_updates_in_place(self):
        done = self.comment()
        self.assertEqual((done.returncode, done.stdout), (0, "backfire comment: commented\n"), done.stderr)
        self.assertEqual(self.server.comments[-1]["body"], BODY)
        done = self.comment(body=BODY + "more\n")
        self.assertEqual((done.returncode, done.stdout), (0, "backfire comment: updated the comment\n"), done.stderr)
        self.assertEqual(len(self.server.comments), 4)
        self.assertEqual(self.server.comments[-1]["body"], BODY + "more\n")
        self.assertEqual(self.methods(), ["GET", "GET", "POST", "GET", "GET", self.server.update])

    def test_leaves_alone_what_says_the_same(self):
        self.comment()
        self.server.comments[-1]["body"] = BODY.replace("\n", "\r\n").strip()  # As the API gives it back.
        done = self.comment("--quiet-if-unchanged")
        self.assertEqual((done.returncode, done.stdout), (0, "backfire comment: nothing has changed\n"), done.stderr)
        self.assertEqual(self.methods()[-1], "GET")

    def test_says_what_is_in_the_way(self):
        for code, headers, expected, says in ((403, [], 2, "may not comment"), (404, [], 2, "404 no"), (422, [], 2, "422 no"),
                                              (429, [("Retry-After", "7")], 3, "try again in 7 s"),
                                              (403, [("X-RateLimit-Remaining", "0")], 3, "the rate is limited"),
                                              (500, [], 3, "500 no")):
            self.server.fail = (code, {"message": "no"}, headers)
            done = self.comment()
            self.assertEqual(done.returncode, expected, done.stderr)
            self.assertIn(says, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertEqual(len(self.server.comments), 3)

    def test_a_token_that_is_wrong_or_missing(self):
        done = self.comment(**{self.token: "wrong"})
        self.assertEqual(done.returncode, 2)
        self.assertIn("Bad credentials", done.stderr)
        self.assertIn(f"{self.token} is not set", self.comment(**{self.token: ""}).stderr)

    def test_an_api_that_is_away_is_3(self):
        done = self.comment(**{self.root: "http://127.0.0.1:1"})
        self.assertEqual(done.returncode, 3, done.stderr)

    def test_what_is_no_report_is_not_posted(self):
        self.assertEqual(self.comment(body="hello").returncode, 2)
        self.assertEqual(self.server.calls, [])


class GitHub(CommentTest, unittest.TestCase):
    """A pull request's issue comments."""

    def configure(self):
        self.server.list_path, self.server.one_path = "/repos/ada/engine/issues/7/comments", "/repos/ada/engine/issues/comments"
        self.server.update, self.server.authorization = "PATCH", ("Authorization", "Bearer secret")
        with open(f"{self.folder}/event.json", "w", encoding="utf-8") as file:
            json.dump({"pull_request": {"number": 7}}, file)
        self.token, self.root = "GITHUB_TOKEN", "GITHUB_API_URL"
        self.environment = {"GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "secret", "GITHUB_REPOSITORY": "ada/engine",
                            "GITHUB_API_URL": self.url, "GITHUB_EVENT_PATH": f"{self.folder}/event.json"}

    def test_an_event_without_a_pull_request(self):
        with open(f"{self.folder}/event.json", "w", encoding="utf-8") as file:
            json.dump({"ref": "refs/heads/main"}, file)
        done = self.comment()
        self.assertEqual(done.returncode, 2)
        self.assertIn("the event is of no pull request", done.stderr)


class GitLab(CommentTest, unittest.TestCase):
    """A merge request's notes."""

    def configure(self):
        self.server.list_path = self.server.one_path = "/api/v4/projects/42/merge_requests/7/notes"
        self.server.update, self.server.authorization = "PUT", ("PRIVATE-TOKEN", "secret")
        self.token, self.root = "GATE_GITLAB_TOKEN", "CI_API_V4_URL"
        self.environment = {"GATE_GITLAB_TOKEN": "secret", "CI_API_V4_URL": f"{self.url}/api/v4", "CI_PROJECT_ID": "42",
                            "CI_MERGE_REQUEST_IID": "7"}


if __name__ == "__main__":
    gate_kit.main()
