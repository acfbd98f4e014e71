"""Exit codes of backfire-gate, what it prints, and that no order or number of threads changes a verdict."""
import gzip
import json
import os
import random
import shutil
import subprocess
import xml.etree.ElementTree as xml

import gate_kit
from gate_kit import GATE, GateTest, write_side

WAIVER = "waivers:\n- {vertex: reader, loss: error, owner: ann, reason: known, expires: 2026-06-15}\n"


class ExitCodes(GateTest):
    """One table for the whole command line: README.md."""

    def test_safe_is_0(self):
        done = self.check(0)
        self.assertTrue(done.stdout.startswith("PASSED (SAFE): "), done.stdout)
        self.assertEqual(done.stderr, "")

    def test_harm_is_1_and_fail_on_may_say_otherwise(self):
        write_side(f"{self.folder}/after", mse=-0.1, error=0.2)
        done = self.check(1)
        self.assertTrue(done.stdout.startswith("REFUSED (SELF_DEFEATING): reader error is worse"), done.stdout)
        self.check(0, "--fail-on", "none")

    def test_the_candidates_own_harm_is_1(self):
        write_side(f"{self.folder}/after", mse=0.2)
        self.check(1)

    def test_a_first_look_and_noise_are_6(self):
        for side in ("before", "after"):
            write_side(f"{self.folder}/{side}", noise=0.3)
        done = self.check(6)
        self.assertIn("What would decide:", done.stdout)
        self.check(1, "--fail-on", "worse", "--fail-on", "unresolved")
        for side in ("before", "after"):
            shutil.rmtree(f"{self.folder}/{side}")
            write_side(f"{self.folder}/{side}", seeds=4)
        self.assertIn("a first look can't decide: 4 seeds", self.check(6).stdout)

    def test_waivers(self):
        write_side(f"{self.folder}/after", mse=-0.1, error=0.2)
        self.write("backfire-gate.yaml", gate_kit.POLICY + WAIVER)
        done = self.check(0, "--today", "2026-06-15")
        self.assertTrue(done.stdout.startswith("PASSED (SELF_DEFEATING): only by waivers: reader error"), done.stdout)
        self.check(1, "--today", "2026-06-16")
        write_side(f"{self.folder}/after", mse=-0.1)
        self.assertIn("expired", self.check(6, "--today", "2026-06-16").stdout)

    def test_wrong_usage_is_2(self):
        for arguments in (["--fail-on", "bad"], ["--today", "2026-6-1"], ["--threads", "0"], ["--unknown"], ["--policy", "none.yaml"],
                          ["--candidate", "nobody"], ["--format", "xml"]):
            done = self.check(2, *arguments)
            self.assertEqual(done.stdout, "", arguments)
            self.assertTrue(done.stderr.startswith("backfire gate: "), done.stderr)
        self.check(2, sides=())
        self.check(2, sides=("--before", "before"))
        self.check(2, sides=("--before", "before", "--after", "none"))
        self.check(2, sides=("--before", "before", "--evidence", "x"))
        self.check(0, "--help", sides=())

    def test_faults_of_records_are_2_with_file_and_line(self):
        row = json.loads(self.read("after/seed3.jsonl").splitlines()[7])
        lines = self.read("after/seed3.jsonl").splitlines(keepends=True)

        def fault(name, text, expected, binary=None):
            path = f"{self.folder}/after/{name}"
            with open(path, "wb") as file:
                file.write(binary if binary is not None else text.encode())
            done = self.check(2)
            self.assertEqual(done.stdout, "")
            self.assertIn(expected, done.stderr)

        place = f"vertex encoder, seed 3, example {row['example']}"
        whole = "".join(lines)
        fault("seed3.jsonl", "".join(lines[:7] + lines[8:]), f"after: {place}: mse is missing")
        fault("seed3.jsonl", whole + lines[7], f"after/seed3.jsonl:121: {place}: mse: an earlier row")
        fault("seed3.jsonl", whole.replace('"mse":', '"mse":NaN,"x":', 1), "after/seed3.jsonl:1: vertex encoder, seed 3")
        fault("seed3.jsonl", whole.replace("\n", "\r\n"), "after/seed3.jsonl:1: ends in CR LF")
        fault("seed3.jsonl", "\ufeff" + whole, "after/seed3.jsonl:1: begins with a byte order mark")
        fault("seed3.jsonl", "", "after/seed3.jsonl:1: has no record")
        fault("seed3.jsonl", whole.replace('"seed":3', '"seed":9'), "vertex encoder, seed 3: in before and not in after")
        fault("seed3.jsonl", whole.replace('"example":"9"', '"example":"99"'), "example 99")
        fault("seed3.jsonl", whole.replace("reader", "raeder"), "vertex raeder, seed 3, example 0: vertex: the policy has")
        fault("seed3.jsonl", whole[:-20], "after/seed3.jsonl:120: ")
        os.unlink(f"{self.folder}/after/seed3.jsonl")
        fault("seed3.jsonl.gz", "", "the gzip stream is cut off", gzip.compress(whole.encode())[:-9])
        fault("seed3.jsonl.gz", "", "the gzip stream is damaged", gzip.compress(whole.encode())[:-8] + bytes(8))
        with gzip.open(f"{self.folder}/after/seed3.jsonl.gz", "wt") as file:
            file.write(whole)
        self.check(0)

    def test_a_full_disk_is_no_verdict(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([GATE, "--before", "before", "--after", "after"], cwd=self.folder, stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("No space left", done.stderr)
        self.assertIn("/proc/none", self.check(2, "--json", "/proc/none/r.json").stderr)


class Monorepo(GateTest):
    """Which vertex changed, by git."""

    def git(self, *arguments):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments], cwd=self.folder, check=True,
                       capture_output=True)

    def test_the_candidate_is_what_was_touched(self):
        policy = gate_kit.POLICY.replace("- name: encoder\n", "- name: encoder\n  paths: [models/encoder/**]\n")
        policy = policy.replace("- name: reader\n", "- name: reader\n  paths: [models/reader/**]\n")
        policy = policy.replace("- name: bystander\n", "- name: bystander\n  paths: ['*.md']\n").replace("candidate: encoder\n", "")
        self.write("backfire-gate.yaml", policy)
        for name in ("models/encoder/deep", "models/reader"):
            os.makedirs(f"{self.folder}/{name}")
        self.git("init", "-q")
        for name in ("models/encoder/deep/a.py", "models/reader/b.py", "other.py", "notes.md"):
            self.write(name, "1\n")
        self.git("add", "models", "other.py", "notes.md")
        self.git("commit", "-q", "-m", "first")
        since = ("--changed-since", "HEAD", "--format", "json", "--junit", "r.xml")
        self.write("other.py", "2\n")
        report = json.loads(self.check(0, *since).stdout)
        self.assertIn("no vertex's paths were touched since HEAD", report["reason"])
        self.assertEqual(xml.fromstring(self.read("r.xml")).get("failures"), "0")
        self.write("models/reader/b.py", "2\n")
        # The reader's own records are what they were, but for noise.
        self.assertEqual(json.loads(self.check(0, *since).stdout)["candidate"], "reader")
        self.write("models/encoder/deep/a.py", "2\n")
        self.assertEqual(json.loads(self.check(0, *since).stdout)["candidate"], "encoder")
        self.write("notes.md", "2\n")
        self.assertIn("touches encoder, reader, bystander, which do not all descend from one", self.check(2, *since).stderr)
        self.assertIn("git diff ended with 128", self.check(2, "--changed-since", "nowhere").stderr)
        self.check(2, "--changed-since", "HEAD", "--candidate", "reader")


class SelfTest(GateTest):
    """What a gate on a baseline's records can show."""

    def test_it_says_whether_this_gate_can_decide(self):
        for seed in range(5):
            # No trend along the examples, which looks like clusters.
            draw = random.Random(seed)
            with gate_kit.RecordWriter(f"{self.folder}/flat/seed{seed}.jsonl") as records:
                for vertex, column in (("encoder", "mse"), ("reader", "error")):
                    records.add(vertex, seed, {column: [1 + 0.01 * draw.gauss(0, 1) for _ in range(60)]})
        done = self.check(0, "--self-test", sides=("--before", "flat"))
        self.assertTrue(done.stdout.startswith("The gate can decide on these records.\n"), done.stdout)
        report = json.loads(self.check(0, "--self-test", "--format", "json", sides=("--before", "flat")).stdout)
        self.assertLessEqual(report["false_alarms"], 0.05 + 4 * report["false_alarms_error"])
        self.assertEqual([one["vertex"] for one in report["losses"]], ["encoder", "reader"])
        # Neighbours that are alike.
        done = self.check(6, "--self-test", sides=("--before", "before"))
        self.assertIn("vertex reader, error: neighbouring examples are alike", done.stdout)
        self.write("backfire-gate.yaml", gate_kit.POLICY.replace("margin: 0.02", "margin: 0.0001"))
        self.assertIn("rarely lets a change that does no harm pass", self.check(6, "--self-test", sides=("--before", "flat")).stdout)
        self.check(2, "--self-test", sides=("--after", "flat"))


class Baselines(GateTest):
    """Records that are kept in git."""

    def setUp(self):
        super().setUp()
        self.write("backfire-gate.yaml", gate_kit.POLICY.replace("- name: bystander\n  losses:\n  - {name: error}\n", ""))

    def test_the_first_run_writes_it_and_the_next_ones_judge(self):
        for name in ("b.jsonl", "b.jsonl.gz"):
            sides = ("--baseline", name, "--after")
            done = self.check(6, "--junit", "r.xml", sides=(*sides, "before"))
            self.assertIn(f"{name} was written from --after", done.stdout)
            self.assertEqual(xml.fromstring(self.read("r.xml")).get("failures"), "1")
            # The very numbers: the report is that on the folder.
            expected = self.check(0, "--format", "json").stdout
            self.assertEqual(self.check(0, "--format", "json", sides=(*sides, "after")).stdout, expected)

    def test_it_is_replaced_after_a_pass_alone(self):
        sides = ("--baseline", "b.jsonl", "--after")
        self.check(6, sides=(*sides, "before"))
        first = self.read("b.jsonl")
        write_side(f"{self.folder}/after", mse=0.2)
        self.check(1, "--update-baseline", sides=(*sides, "after"))
        self.assertEqual(self.read("b.jsonl"), first)
        write_side(f"{self.folder}/after", mse=-0.1)
        self.assertIn("b.jsonl is now what --after was.", self.check(0, "--update-baseline", sides=(*sides, "after")).stdout)
        self.assertNotEqual(self.read("b.jsonl"), first)

    def test_it_has_every_vertex(self):
        self.write("backfire-gate.yaml", gate_kit.POLICY)
        self.assertIn("vertex bystander: has no record", self.check(2, sides=("--baseline", "b.jsonl", "--after", "before")).stderr)
        self.assertFalse(os.path.exists(f"{self.folder}/b.jsonl"))


class Outputs(GateTest):
    """Files beside the text."""

    def test_all_say_the_same(self):
        write_side(f"{self.folder}/after", mse=-0.1, error=0.2)
        done = self.check(1, "--json", "r.json", "--junit", "r.xml", "--markdown", "r.md", "--annotate", "--format", "json")
        report = json.loads(self.read("r.json"))
        self.assertEqual(json.loads(done.stdout), report)
        self.assertEqual((report["schema_version"], report["outcome"], report["exit_code"]), (1, "REFUSED", 1))
        self.assertEqual(report["verdict"]["outcome"], "SELF_DEFEATING")
        self.assertEqual(report["seeds"], ["0", "1", "2", "3", "4"])
        self.assertEqual(report["unaffected"], ["bystander"])
        suites = xml.fromstring(self.read("r.xml"))
        self.assertEqual((suites.get("tests"), suites.get("failures")), ("2", "1"))
        self.assertEqual(suites.find(".//failure").get("type"), "worse")
        self.assertTrue(self.read("r.md").startswith("<!-- backfire gate -->\n"))
        self.assertTrue(done.stderr.startswith("::error title=reader error%3A WORSE::"), done.stderr)

    def test_nothing_depends_on_order_threads_or_locale(self):
        expected = self.check(0, "--format", "json").stdout
        lines = []
        for seed in range(5):
            lines += self.read(f"after/seed{seed}.jsonl").splitlines(keepends=True)
        random.Random(1).shuffle(lines)
        os.makedirs(f"{self.folder}/shuffled/deep")
        for part in range(3):
            self.write(f"shuffled/{'deep/' if part == 1 else ''}{part}.jsonl", "".join(lines[part::3]))
        self.assertEqual(self.check(0, "--format", "json", sides=("--before", "before", "--after", "shuffled")).stdout, expected)
        # As CSV.
        rows = sorted(map(json.loads, lines), key=lambda row: row["example"])
        cells = [f"{row.get('error', '')},{row['vertex']},{row['example']},{row['seed']},{row.get('mse', '')}\n" for row in rows]
        self.write("all.csv", "error,vertex,example,seed,mse\n" + "".join(cells))
        self.assertEqual(self.check(0, "--format", "json", sides=("--before", "before", "--after", "all.csv")).stdout, expected)
        for threads in ("1", "7"):
            self.assertEqual(self.check(0, "--format", "json", "--threads", threads).stdout, expected)
        for locale in ("C", "de_DE.UTF-8", "tr_TR.UTF-8"):
            environment = {**os.environ, "LC_ALL": locale, "LANG": locale}
            self.assertEqual(self.check(0, "--format", "json", env=environment).stdout, expected)

    def test_it_links_neither_grpc_nor_libtorch_nor_opencv(self):
        needed = subprocess.run(["ldd", GATE], capture_output=True, text=True, check=True).stdout
        for library in ("grpc", "torch", "opencv"):
            self.assertNotIn(library, needed)


if __name__ == "__main__":
    gate_kit.main()
