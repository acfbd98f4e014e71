"""The page of `--html`: well formed, alone in the world, with the numbers of the JSON report, small, and the same each time."""
import html.parser
import json
import math
import os

import gate_kit
import page_samples
from gate_kit import GateTest

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Document(html.parser.HTMLParser):
    """Checks nesting; keeps elements, texts and numbers."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text, self.faults, self.ids = [], [], [], [], []
        self.feed(text)
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if "id" in dict(attrs):
            self.ids.append(dict(attrs)["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if "id" in dict(attrs):
            self.ids.append(dict(attrs)["id"])

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    def values(self):
        return {float(attributes["value"]) for tag, attributes in self.elements if tag == "data"}


class Pages(GateTest):
    """Of a small system, a large one, and a mesh's update."""

    def page(self, *arguments, **more):
        done = self.gate("--html", "page.html", "--json", "report.json", *arguments, **more)
        self.assertIn(done.returncode, (0, 1, 6), done.stderr)
        text = self.read("page.html")
        document = Document(text)
        self.assertEqual(document.faults, [])
        self.assertEqual(len(document.ids), len(set(document.ids)))
        return text, document, json.loads(self.read("report.json")), done

    def check_alone(self, document):
        """No script, no handler, no address but fragments, each of which is there."""
        ids = set(document.ids)
        for tag, attributes in document.elements:
            self.assertNotIn(tag, ("script", "iframe", "object", "embed", "img", "base", "form"))
            for name, value in attributes.items():
                self.assertFalse(name.startswith("on"), (tag, name))
                if name in ("href", "src", "action", "xlink:href") and (tag, value) != ("link", "data:,"):
                    self.assertTrue(value.startswith("#") and value[1:] in ids, (tag, value))

    def check_numbers(self, document, report):
        """Every number of every comparison is on the page, to the bit."""
        shown = document.values()
        for result, one in zip(report["results"], report["verdict"]["comparisons"]):
            sign = -1 if result["higher_is_better"] else 1
            for name in ("before", "after", "difference", "interval_low", "interval_high"):
                value = float(one[name]) * (sign if name in ("before", "after") else 1)
                if math.isfinite(value):
                    self.assertIn(value, shown, (result["vertex"], name))
            if one["judged"]:
                self.assertIn(one["margin"], shown)

    def test_a_small_system_has_all_parts(self):
        page_samples.small(self.folder)
        text, document, report, done = self.page("--swapped", "swapped")
        self.assertEqual(done.returncode, 1)
        self.check_alone(document)
        self.check_numbers(document, report)
        words = " ".join("".join(document.text).split())
        self.assertIn("The new encoder is better by itself, and makes the system worse: 1 of the 3 models behind it gets worse than was "
                      "allowed, though retrained on it.", words)
        for section in ("system", "evidence", "slices", "swap", "examples", "diagnosis", "method", "next"):
            self.assertIn(section, document.ids)
        # Slices have their own examples, and one of 8 examples can't be decided.
        self.assertIn("60", words)
        error, = (one for one in report["results"] if (one["vertex"], one["loss"], one["slice"]) == ("classifier", "error", ""))
        self.assertGreater(error["examples_worse"], error["examples_better"])
        self.assertEqual(error["worst_examples"][0]["slices"][0], "night")
        self.assertIn(error["worst_examples"][0]["example"], words)
        # What a user typed stays text.
        self.assertIn("retuned <next> week & tested", words)
        self.assertNotIn("<next>", text)
        self.assertIn(report["policy_digest"], words)
        self.assertIn("backfire gate --policy backfire-gate.yaml --before before --after after --swapped swapped", words)
        # Seeds are points, and pairs are joined: five of each.
        self.assertEqual(sum(1 for tag, a in document.elements if a.get("class") == "seed"),
                         5 * len(report["results"]))
        self.assertIn("Self-test on these records: of ", done.stdout)

    def test_what_passes_and_what_is_open_say_so(self):
        page_samples.small(self.folder, harm=0.0)
        text, document, report, done = self.page()
        words = " ".join("".join(document.text).split())
        self.check_numbers(document, report)
        if report["outcome"] == "PASSED":
            self.assertIn("The new encoder can replace the one in use", words)
        else:
            self.assertIn("Nobody can tell yet", words)
        page_samples.small(self.folder, seeds=3)
        for name in ("before", "after"):
            for seed in (3, 4):
                os.unlink(f"{self.folder}/{name}/seed{seed}.jsonl")
        _, document, report, done = self.page()
        self.assertEqual(done.returncode, 6)
        self.assertIn("Nobody can tell yet: 3 trainings don't tell a change from chance.", " ".join("".join(document.text).split()))

    def test_a_report_without_a_verdict_is_a_page(self):
        self.write("backfire-gate.yaml", gate_kit.POLICY.split("- name: bystander")[0])
        sides = ("--baseline", "baseline.jsonl", "--after", "after")
        text, document, report, done = self.page(sides=sides)
        self.assertEqual(done.returncode, 6)
        self.check_alone(document)
        self.assertIn("There was no baseline", "".join(document.text))

    def test_two_hundred_descendants_are_two_megabytes_at_most(self):
        page_samples.large(self.folder)
        text, document, report, done = self.page(timeout=400)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.check_alone(document)
        self.assertEqual(report["verdict"]["family"], 401)
        self.assertLess(len(text.encode()), 2_000_000)
        # Whatever is worse is shown, and what is not shown is counted.
        words = " ".join("".join(document.text).split())
        for result in report["results"]:
            if result["status"] in ("BLOCKS", "OPEN"):
                self.assertIn(result["vertex"], words)
        self.assertIn("more comparisons, which stand no worse than those of the same model, are in the JSON report alone", words)

    def test_a_meshs_evidence_is_escaped_and_explained(self):
        page_samples.mesh(f"{self.folder}/evidence/stereo.jsonl")
        text, document, report, done = self.page("--evidence", "evidence/stereo.jsonl", sides=())
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertNotIn("<script", text)
        self.check_alone(document)
        self.check_numbers(document, report)
        words = " ".join("".join(document.text).split())
        self.assertIn("<script>alert('x')</script>", words)
        self.assertIn("What grew most: upstream.", words)
        self.assertIn("ada@<laptop>: lower error", words)
        self.assertIn("training", document.ids)
        self.assertIn("backfire update cancel 7", words)
        # It has no examples, and so sends nobody to look at them.
        self.assertNotIn("examples above", words)
        # The graph is the update's own, and nothing of it changes the verdict.
        self.assertEqual([vertex["name"] for vertex in report["vertices"]], ["disparity", "pointcloud", "<script>alert('x')</script>",
                                                                             "pedestrian"])
        lines = self.read("evidence/stereo.jsonl").splitlines(keepends=True)
        header = json.loads(lines[0])
        del header["context"]
        self.write("evidence/bare.jsonl", "".join([json.dumps(header) + "\n", *lines[1:]]))
        _, _, bare, _ = self.page("--evidence", "evidence/bare.jsonl", sides=())
        self.assertEqual(bare["verdict"], report["verdict"])

    def test_the_same_files_are_the_same_page(self):
        page_samples.small(self.folder)
        first, *_ = self.page("--threads", "1", "--today", "2026-06-01")
        names = sorted(os.listdir(f"{self.folder}/before"))
        text = [self.read(f"before/{name}").splitlines(keepends=True) for name in names]
        for name in names:
            os.unlink(f"{self.folder}/before/{name}")
        self.write("before/all.jsonl", "".join(line for lines in reversed(text) for line in reversed(lines)))
        second, *_ = self.page("--threads", "3", "--today", "2026-06-01")
        self.assertEqual(first, second)


if __name__ == "__main__":
    gate_kit.main()
