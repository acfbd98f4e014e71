#!/usr/bin/python3
"""`backfire conformance` finds every sabotage of tests/support/sabotaged_service.py, says what is wrong, and finds nothing
wrong with honest services; nor does it blame a service for what its user asked for.

Arguments: the folder of backfire's binaries, the folder of backfire_stock.py, the folder of the sources, the toy service, and
where not all tests are to run, their names. Exits 77 (skipped) without Debian's packages for Python services.
"""
import concurrent.futures
import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import unittest

BIN, PYTHON, SOURCE, TOY = sys.argv[1:5]
BACKFIRE = os.path.join(BIN, "backfire")
SABOTAGED = [sys.executable, os.path.join(SOURCE, "tests/support/sabotaged_service.py"), "--python", PYTHON]
NEAREST = os.path.join(BIN, "nearest-neighbour-service")
HONEST = os.path.join(SOURCE, "tests/support/honest_services.py")
SECONDS = 900  # For a run that takes ten on a machine that does nothing else.
AT_ONCE = 2  # Services on trial: as many as the least machine has processors.

try:
    import grpc  # noqa: F401
    import google.protobuf  # noqa: F401
    import numpy
    import prometheus_client  # noqa: F401
except ImportError:
    sys.exit(77)
if not os.path.exists(NEAREST):
    sys.exit(77)


@contextlib.contextmanager
def served(program):
    """A service while the block lasts; its target."""
    with tempfile.TemporaryDirectory() as directory:
        target = f"unix:{directory}/service"
        with open(f"{directory}/log", "w+", encoding="utf-8") as log, subprocess.Popen(
                [*program, "--listen", target, "--data-dir", f"{directory}/data"], stdout=log, stderr=log) as process:
            try:
                yield target
            finally:
                process.kill()


def conformance(target, *arguments):
    """Exit code, and what it printed. It waits by itself until a service is there, for seconds."""
    for _ in range(20):  # A service that imports NumPy on a loaded machine takes longer.
        ended = subprocess.run([BACKFIRE, "conformance", target, *arguments], capture_output=True, text=True, timeout=SECONDS,
                               check=False)
        if ended.returncode != 3:
            break
    return ended.returncode, ended.stdout + ended.stderr


class ConformanceTest(unittest.TestCase):
    maxDiff = None

    def assert_honest(self, program, *arguments):
        with served(program) as target:
            code, printed = conformance(target, *arguments)
        self.assertEqual(code, 0, printed)
        self.assertIn(" 0 broken", printed)
        return printed

    def assert_asked_wrongly(self, program, words, *arguments):
        with served(program) as target:
            code, printed = conformance(target, *arguments)
        self.assertEqual(code, 2, printed)
        self.assertIn(words, printed)
        self.assertNotIn("BROKEN", printed)

    def test_every_sabotage_is_found(self):
        kinds = subprocess.run([*SABOTAGED, "--list"], capture_output=True, text=True, check=True).stdout.split()
        self.assertGreater(len(kinds), 40)

        def found(kind):
            with served([*SABOTAGED, "--sabotage", kind]) as target:
                return kind, *conformance(target, "--feed-all", "--fail-fast")
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for kind, code, printed in pool.map(found, kinds):
                with self.subTest(kind):
                    self.assertEqual(code, 5, printed)
                    broken = [line for line in printed.splitlines() if line.startswith("BROKEN")]
                    self.assertTrue(broken, printed)
                    if kind != "infer-raises":  # A sabotage that does not run finds itself.
                        self.assertNotRegex(broken[0], r"\b[A-Z]\w+Error: ")
                    print(kind, "|", broken[0], file=sys.stderr)

    def test_honest_services_pass(self):
        printed = self.assert_honest(SABOTAGED, "--feed-all")
        self.assertNotIn("not tried ModelInfer", printed)
        self.assert_honest([NEAREST], "--feed-all")
        self.assert_honest([TOY], "--model", "first", "--dataset", "toy:20", "--inert", "seconds_of_work", "--inert", "fail")

    def test_a_service_that_is_fed_and_reads_a_dataset_passes_with_any_split(self):
        self.assert_honest([TOY], "--model", "second", "--feed-all", "--dataset", "toy:33", "--inert", "seconds_of_work",
                           "--inert", "fail")
        for sizes in ({"train": 50, "validation": 5, "test": 9}, {"train": 12, "validation": 3, "test": 31}):
            with tempfile.TemporaryDirectory() as directory:
                dataset = self.arrays(directory, sizes)
                self.assert_honest(self.honest("labels"), *dataset)
                self.assert_honest(self.honest("labels-fed"), "--feed", "hint", *dataset)
                counts = [f"--examples={split}={size}" for split, size in sizes.items()]
                self.assert_honest(self.honest("labels-fed"), "--feed", "hint", *dataset, *counts)
        self.assert_honest(self.honest("median"), "--feed-all")

    def honest(self, name):
        return [sys.executable, HONEST, PYTHON, name]

    def arrays(self, directory, sizes, seed=None):
        """The arguments of a dataset of so many examples by split; of one seed all splits begin alike."""
        for split, size in sizes.items():
            random = numpy.random.default_rng(size if seed is None else seed)
            numpy.savez(os.path.join(directory, split), feature=random.normal(size=(size, 2)),
                        label=random.normal(size=(size, 1)), cluster=[f"c{i // 2}" for i in range(size)])
        return "--dataset", f"arrays:{directory}"

    def test_services_of_other_kinds_pass(self):
        for name in ("no-parameters", "large", "halves", "worst"):
            with self.subTest(name):
                self.assert_honest(self.honest(name), "--feed-all")
        with self.subTest("what it needs is more than numbers of any kind"):
            self.assert_asked_wrongly(self.honest("classes"), "--shape NAME=", "--feed-all")
            image = ("--feed-all", "--shape", "image=8,9,3", "--range", "image=0,1")
            self.assert_asked_wrongly(self.honest("classes"), "--range NAME=", *image)
            self.assert_honest(self.honest("classes"), *image, "--range", "teacher=0,9")
        for name, fed, size in (("labels-fed", "hint", 1), ("distilled", "teacher", 20)):
            with self.subTest(f"{name}, whose splits are the same"), tempfile.TemporaryDirectory() as directory:
                sizes = {"train": size, "validation": size, "test": size}
                self.assert_honest(self.honest(name), "--feed", fed, *self.arrays(directory, sizes, seed=1))

    def assert_blamed(self, program, words, *arguments):
        """Of one thing first of all, in these words."""
        with served(program) as target:
            code, printed = conformance(target, "--fail-fast", *arguments)
        self.assertEqual(code, 5, printed)
        broken = [line for line in printed.splitlines() if line.startswith("BROKEN")]
        self.assertIn(words, (broken or [printed])[0])

    def test_what_is_right_for_a_model_is_said_by_its_user(self):
        """What looks like a fault is named with the flag by which it is none."""
        for name, flag in (("rule", "--learns-without-parents"), ("idle", "--inert label_noise"), ("unrepeatable", "--unrepeatable")):
            with self.subTest(name):
                self.assert_blamed(self.honest(name), flag, "--feed-all")
                self.assert_honest(self.honest(name), "--feed-all", *flag.split())
        self.assert_honest(self.honest("sure"), "--feed-all", "--learns-without-parents")
        self.assert_honest(self.honest("constant"), "--feed-all", "--ignores-parents")

    def test_what_is_said_of_a_model_and_not_so_is_found(self):
        for name, flags in (("median", "--inert sign"), ("median", "--learns-without-parents"), ("rule", "--ignores-parents")):
            with self.subTest(name=name, flags=flags):
                self.assert_blamed(self.honest(name), f"leave out {flags}", "--feed-all", *flags.split())

    def test_what_the_user_asked_for_is_not_the_services_fault(self):
        nearest = [NEAREST]
        self.assert_asked_wrongly(nearest, "--feed-all")
        self.assert_asked_wrongly(nearest, "--feed-all", "--feed", "feature")
        self.assert_asked_wrongly(nearest, 'has no input "magic"; it has feature, teacher', "--feed", "magic")
        self.assert_asked_wrongly(nearest, 'has no recipe "magic"; it has nearest', "--feed-all", "--recipe", "magic")
        self.assert_asked_wrongly(nearest, 'has no parameter "magic"; it has k', "--feed-all", "--set", "magic=1")
        self.assert_asked_wrongly(nearest, "recipe.parameters.k must be 1 to 1000", "--feed-all", "--set", "k=0")
        self.assert_asked_wrongly(nearest, "--model", "--feed-all", "--model", "magic")
        self.assert_asked_wrongly(nearest, "--examples", "--feed-all", "--examples", "tests=3")
        self.assert_asked_wrongly(nearest, "INPUT=SIZE,SIZE", "--feed-all", "--shape", "feature")
        self.assert_asked_wrongly(nearest, "[-1], where -1 is any size: got [2, 2]", "--feed-all", "--shape", "feature=2,2")
        self.assert_asked_wrongly(nearest, 'no input "label"', "--feed-all", "--range", "label=0,1")
        self.assert_asked_wrongly(nearest, "INPUT=LOW,HIGH", "--feed-all", "--range", "feature=1,0")
        self.assert_asked_wrongly([TOY], "--dataset", "--model", "first")

    def test_the_example_of_the_page_is_a_service(self):
        self.assert_page_is_honest("example")

    def test_the_forest_of_the_page_is_a_service(self):
        if importlib.util.find_spec("sklearn") is None:
            print("SKIPPED: no python3-sklearn, so the forest of docs/own-models.md was not tried", file=sys.stderr)
            self.skipTest("no python3-sklearn")
        self.assert_page_is_honest("scikit-learn")

    def assert_page_is_honest(self, mark):
        with open(os.path.join(SOURCE, "docs/own-models.md"), encoding="utf-8") as file:
            code = re.search(rf"<!-- {mark}: begin -->\n```python\n(.*?)```\n<!-- {mark}: end -->", file.read(), re.DOTALL)[1]
        self.assertLessEqual(len(code.splitlines()), 30)
        with tempfile.TemporaryDirectory() as directory:
            program = os.path.join(directory, "service.py")
            with open(program, "w", encoding="utf-8") as file:
                file.write(code)
            self.assert_honest(["env", f"PYTHONPATH={PYTHON}", sys.executable, program], "--feed-all")

    def test_the_examples_of_the_help_work(self):
        printed = subprocess.run([BACKFIRE, "conformance", "--help"], capture_output=True, text=True, check=True).stdout
        examples = re.findall(r"backfire conformance (localhost:7102) (.*)", printed)
        self.assertEqual(len(examples), 2, printed)
        for _, arguments in examples:
            self.assert_honest([NEAREST], *arguments.split())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[5:]], verbosity=2)
