"""Evaluation records for `backfire gate`, and its verdict as pytest's tests. One file; needs the standard library alone.

Write what a model made of each test example, a replicate (another seed of its training) at a time:

    from backfire_records import RecordWriter
    with RecordWriter("after/reader-seed3.jsonl.gz") as records:
        records.add("reader", seed=3, examples=names, losses={"error": wrong}, slices=where, clusters=drives)

A loss that is no mean over examples, as an average precision or an F1, comes with its value on each resample of them:

        records.add_resampled("reader", seed=3, name="f1", n=len(names), statistic=lambda i: f1(truth[i], said[i]))

As tests, one per vertex and loss:

    PYTHONPATH=.../services/python pytest -p backfire_records backfire-gate.yaml --backfire-before main --backfire-after pr
"""
import gzip
import json
import math
import os
import subprocess
import tempfile

try:
    import numpy
except ImportError:
    numpy = None

_MASK = 2**64 - 1


def _split_mix(x):
    z = (x + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def _split_mix_array(x):
    z = x + numpy.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return z ^ (z >> numpy.uint64(31))


def resample(seed, b, n):
    """Positions of the examples in resample b (from 0) of n, as `Bootstrap` in model_service.proto fixes them.

    An array with numpy, else a list. The gate numbers examples by their names: shorter ones first, then by their bytes.
    """
    key = _split_mix((seed + b) & _MASK)
    if numpy is None:
        return [_split_mix((key + i) & _MASK) * n >> 64 for i in range(n)]
    bits = _split_mix_array(numpy.uint64(key) + numpy.arange(n, dtype=numpy.uint64))
    count, half = numpy.uint64(n), numpy.uint64(32)
    low = (bits & numpy.uint64(2**32 - 1)) * count >> half  # The product has 96 bits: half by half.
    return (((bits >> half) * count + low) >> half).astype(int)


class RecordWriter:
    """Writes records to a file of JSON Lines, compressed if its name ends in .gz. Whole, or not at all.

    Use it in a `with`: what an exception interrupts is not there afterwards, so that no gate takes half of it for all.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        if not self.path.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
            raise ValueError(f"{self.path}: must end in .jsonl or .ndjson, or in one of these and .gz")
        folder = os.path.dirname(self.path) or "."
        os.makedirs(folder, exist_ok=True)
        # Hidden, which a gate passes over.
        handle, self._partial = tempfile.mkstemp(prefix=".backfire-", dir=folder)
        if self.path.endswith(".gz"):
            # Equal records are equal files: no time of writing in them.
            self._raw = os.fdopen(handle, "wb")
            self._file = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0)
        else:
            self._raw = None
            self._file = os.fdopen(handle, "wb")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self._file.close()
        if self._raw is not None:
            self._raw.close()
        if kind is not None:
            os.unlink(self._partial)
            return
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(self._partial, 0o666 & ~mask)
        os.replace(self._partial, self.path)

    def _write(self, row):
        self._file.write(json.dumps(row, allow_nan=False, separators=(",", ":")).encode() + b"\n")

    def add(self, vertex, seed, losses, examples=None, slices=None, clusters=None):
        """A row per example.

        losses: name of a column -> a number per example, all finite. examples: their names; left out: 0, 1, 2 ...
        slices: per example a name, a list of names, or None. clusters: per example the name of what it is drawn with.
        """
        columns = {name: [float(value) for value in values] for name, values in losses.items()}
        if not columns:
            raise ValueError("losses: must name at least one column")
        n = len(next(iter(columns.values())))
        names = [str(name) for name in (range(n) if examples is None else examples)]
        for what, values in [*columns.items(), ("examples", names), ("slices", slices), ("clusters", clusters)]:
            if values is not None and len(values) != n:
                raise ValueError(f"{what}: must have {n} entries, one per example: got {len(values)}")
        for name, values in columns.items():
            for i, value in enumerate(values):
                if not math.isfinite(value):
                    raise ValueError(f"vertex {vertex}, seed {seed}, example {names[i]}: {name} must be finite: got {value}")
        if len(set(names)) != n:
            raise ValueError("examples: a name is there twice")
        for i, name in enumerate(names):
            row = {"vertex": vertex, "seed": int(seed), "example": name}
            if slices is not None and slices[i]:
                row["slice"] = [slices[i]] if isinstance(slices[i], str) else list(slices[i])
            if clusters is not None:
                row["cluster"] = str(clusters[i])
            row.update((column, values[i]) for column, values in columns.items())
            self._write(row)

    def add_resampled(self, vertex, seed, name, n, statistic, slice=None, bears=None, clusters=None, bootstrap_seed=0,
                      resample_count=1000):
        """A loss as its value on all n examples and on each resample.

        statistic: called with positions (as `resample` returns them), returns a number; NaN where it is undefined.
        bears: per example whether the loss depends on it (in the slice, with an object of the class); left out: all do.
        clusters: per example the name of what it is drawn with; left out: each example is drawn by itself.
        bootstrap_seed, resample_count: as the policy's `bootstrap` has them.
        """
        bears = [True] * n if bears is None else [bool(one) for one in bears]
        members = {}  # In the order in which the examples have the clusters first, as the contract numbers them.
        for i, cluster in enumerate(range(n) if clusters is None else clusters):
            members.setdefault(cluster, []).append(i)
        members = list(members.values())
        if len(bears) != n or sum(map(len, members)) != n:
            raise ValueError(f"bears, clusters: must have {n} entries, one per example")

        def draw(b):
            drawn = resample(bootstrap_seed, b, len(members))
            if clusters is None:
                return drawn
            positions = [i for cluster in drawn for i in members[cluster]]
            return positions if numpy is None else numpy.array(positions, dtype=int)

        everything = range(n) if numpy is None else numpy.arange(n)

        def number(value):
            value = float(value)
            return value if math.isfinite(value) else None

        row = {"vertex": vertex, "seed": int(seed), "name": name, "value": number(statistic(everything)),
               "resampled": [number(statistic(draw(b))) for b in range(resample_count)],
               "examples": n}
        if slice is not None:
            row["slice"] = slice
        if not all(bears):
            row["bearing"] = sum(bears)
        if clusters is not None:
            row["cluster_sizes"] = [sum(bears[i] for i in cluster) for cluster in members]
        self._write(row)


class GateError(Exception):
    """The gate gave no verdict: wrong input, or a fault."""


def run_gate(policy, before, after, program=None, arguments=()):
    """Runs `backfire-gate`; returns its report (backfire.v1.GateReport as a dict). GateError: it gave none."""
    program = program or os.environ.get("BACKFIRE_GATE", "backfire-gate")
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        command = [program, "--policy", os.fspath(policy), "--before", os.fspath(before), "--after", os.fspath(after),
                   "--json", report, *arguments]
        try:
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        except OSError as error:
            raise GateError(f"{program}: {error.strerror}") from error
        if done.returncode not in (0, 1, 6) or not os.path.exists(report):
            raise GateError(done.stderr.strip() or f"{program} ended with {done.returncode}")
        with open(report, encoding="utf-8") as file:
            return json.load(file)


# pytest's hooks. pytest itself is imported by them alone, as writing records does without.

def pytest_addoption(parser):
    """Options of the plugin."""
    group = parser.getgroup("backfire")
    group.addoption("--backfire-before", help="Records of what is in use, for backfire-gate.yaml")
    group.addoption("--backfire-after", help="Records of the change")
    group.addoption("--backfire-gate", help="The program backfire-gate; default: $BACKFIRE_GATE, or as PATH has it")


def pytest_collect_file(file_path, parent):
    """A policy, `*backfire-gate.yaml`, is a file of tests."""
    if not file_path.name.endswith("backfire-gate.yaml"):
        return None
    import pytest

    class GateItem(pytest.Item):
        """A vertex's loss, or the gate's whole answer."""

        def __init__(self, *, failure=None, skip=None, **rest):
            super().__init__(**rest)
            self.failure, self.skip = failure, skip

        def runtest(self):
            """Passes, skips or fails as the gate has it."""
            if self.skip:
                pytest.skip(self.skip)
            if self.failure:
                raise GateError(self.failure)

        def repr_failure(self, excinfo, style=None):
            """The numbers, without a trace."""
            return str(excinfo.value) if isinstance(excinfo.value, GateError) else super().repr_failure(excinfo, style)

        def reportinfo(self):
            """Where it is, and its name."""
            return self.path, None, self.name

    class GateFile(pytest.File):
        """A policy with the records of two sides."""

        def collect(self):
            """Runs the gate once; an item per result."""
            option = self.config.getoption
            before, after = option("--backfire-before"), option("--backfire-after")
            if not before or not after:
                raise self.CollectError(f"{self.path}: give --backfire-before and --backfire-after")
            try:
                report = run_gate(self.path, before, after, option("--backfire-gate"))
            except GateError as error:
                raise self.CollectError(str(error)) from error
            for result, one in zip(report["results"], report["verdict"]["comparisons"]):
                status = result["status"]
                name = " ".join(filter(None, [result["vertex"], result["loss"], result["slice"]]))
                text = (f"{status}: worse by {one['difference']} [{one['interval_low']}, {one['interval_high']}] "
                        f"{one['unit']}, margin {one['margin']}")
                if status in ("BLOCKS", "OPEN"):
                    yield GateItem.from_parent(self, name=name, failure=f"{text} {result['would_decide']}".strip())
                elif status in ("WAIVED", "ADVISORY"):
                    yield GateItem.from_parent(self, name=name, skip=f"{text} {result['waived_because']}".strip())
                else:
                    yield GateItem.from_parent(self, name=name)
            refused = report["outcome"] != "PASSED"
            yield GateItem.from_parent(self, name="gate",
                                       failure=f"{report['outcome']}: {report['reason']}" if refused else None)

    return GateFile.from_parent(parent, path=file_path)
