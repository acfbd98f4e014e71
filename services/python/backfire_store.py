"""Jobs and versions of a service in Python, kept on disk; what refuses a request."""
import collections
import hashlib
import json
import os
import re
import sys
import threading
import traceback

import backfire_metrics
import grpc
from google.protobuf import json_format

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "stubs"))
from backfire.v1 import model_service_pb2 as pb  # noqa: E402

STOPPING = threading.Event()  # Set once the process drains: nothing new is begun, and nobody waits for a lost parent.
RUNNING_JOBS = 64  # Jobs have threads of their own, as one may wait for long.
ANSWER_SECONDS = 1  # A job that takes no longer has ended when its call returns.


class Refusal(Exception):
    """What ends a call with a status, or a job as FAILED: a code's name and a sentence."""

    def __init__(self, code, message):
        super().__init__(message[:4000])  # It may quote what came, which may be long.
        self.code = code


def sha256(*fields):
    """A digest of anything that JSON can hold: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def check(context, holds, code, message):
    """Refuses, in a call as in a job's work, unless something holds. `context` is the call's, which may have ended."""
    if not holds:
        raise Refusal(code, message)


def check_version_name(context, field, name):
    """Refuses what is no version's name; `field` says where it was."""
    check(context, re.fullmatch(r"models/[^/]+/versions/[1-9][0-9]{0,17}", name), "INVALID_ARGUMENT",
          f"{field} must be models/{{model}}/versions/{{number}}: got {name!r}")


def kind_of(request):
    """The kind of job that a request asks for."""
    return "training" if isinstance(request, pb.TrainRequest) else "evaluation"


def write_whole(path, text):
    """Replaces a file: whoever reads it, also after a power cut, finds the old text or the new one."""
    with open(path + ".tmp", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".tmp", path)
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # Else the new name may be lost, although its content isn't.
    finally:
        os.close(directory)


class Store:
    """Jobs by request_id and versions by number, in one file that is replaced whole. Thread-safe.

    `state` is never changed, only replaced, and only by what is on disk already: who reads it needs no lock. `lock` is for
    those who replace it, and for `running`; no work is done under it.
    """

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.path, self.lock = os.path.join(directory, "state.json"), threading.Lock()
        self.state, self.running = {"jobs": {}, "versions": []}, {}  # `running`: (what was asked, kind, thread) by request_id.
        self.test_losses = {}  # By a version's name, since the start; replaced, never changed.
        self.ended = collections.Counter()  # Jobs since the start, by kind, state and code.
        if os.path.exists(self.path):
            with open(self.path) as file:
                self.state = json.load(file)

    def run(self, request, context, work):
        """Starts a job unless it is known, and returns it: ended if that takes a second, else RUNNING.

        `work(job)` fills in a pb.Job, on a thread of its own; what it raises is why the job FAILED. A job that a restart
        interrupts is forgotten: whoever asks for it again starts it anew, and its result is the same.
        """
        request_id = request.request_id
        check(context, re.fullmatch("[A-Za-z0-9._/-]{1,128}", request_id), "INVALID_ARGUMENT",
              f"request_id must have 1 to 128 characters of [A-Za-z0-9._/-]: got {request_id!r}")
        try:
            asked = json_format.MessageToDict(request)
        except json_format.Error as error:  # JSON has no NaN.
            raise Refusal("INVALID_ARGUMENT", f"recipe.parameters must be finite: {error}") from error
        asked.pop("endpoints", None)  # A service that moved is the same service.
        with self.lock:
            kept = self.state["jobs"].get(request_id)
            known, _, thread = (kept["asked"], None, None) if kept else self.running.get(request_id, (asked, None, None))
            check(context, known == asked, "ALREADY_EXISTS", f"jobs/{request_id} has other arguments")
            if kept is None and thread is None:
                check(context, not STOPPING.is_set(), "UNAVAILABLE", "the service is shutting down")
                check(context, len(self.running) < RUNNING_JOBS, "RESOURCE_EXHAUSTED",
                      f"{RUNNING_JOBS} jobs run already; try again later")
                thread = threading.Thread(target=self.finish, args=(request_id, request, asked, work), daemon=True)
                thread.start()
                self.running[request_id] = (asked, kind_of(request), thread)
        if thread is not None:
            thread.join(ANSWER_SECONDS)
        check(context, thread is None or not STOPPING.is_set() or request_id in self.state["jobs"], "UNAVAILABLE",
              "the service is shutting down")
        return self.job(f"jobs/{request_id}", context)

    def finish(self, request_id, request, asked, work):
        """Does a job's work, and keeps what came of it."""
        job = pb.Job(name=f"jobs/{request_id}", state=pb.Job.SUCCEEDED)
        try:
            work(job)
        except Exception as error:  # A fault in a training must not end the service: other jobs go on.
            if isinstance(error, Refusal):
                code, message = error.code, str(error)
            elif isinstance(error, grpc.RpcError):
                code, message = error.code().name, error.details()
            else:
                traceback.print_exc()
                code, message = "INTERNAL", f"{type(error).__name__}: {error}"
            job = pb.Job(name=job.name, state=pb.Job.FAILED, error_code=getattr(grpc.StatusCode, code).value[0],
                         error_message=message)
        with self.lock:
            if job.state == pb.Job.SUCCEEDED or not STOPPING.is_set():  # Else it may have failed by our end: forget it.
                kept = {"asked": asked, "job": json_format.MessageToDict(job)}
                state = {**self.state, "jobs": {**self.state["jobs"], request_id: kept}}
                try:
                    self.replace(state)
                except OSError as error:  # After a restart it is done again.
                    print(f'job state=UNSAVED job={job.name} error="{error}"', file=sys.stderr, flush=True)
                    self.state = state
            code = next(code for code in grpc.StatusCode if code.value[0] == job.error_code)
            self.ended[kind_of(request), pb.Job.State.Name(job.state), backfire_metrics.CODES[code]] += 1
            if kind_of(request) == "evaluation" and job.state == pb.Job.SUCCEEDED and request.split == "test" and \
                    not request.swapped_parents:
                self.test_losses = {**self.test_losses, request.version: list(job.evaluation.losses)}
            del self.running[request_id]

    def count_jobs(self):
        """How many run, by kind, and how many have ended since the start, by kind, state and code."""
        with self.lock:
            return collections.Counter(kind for _, kind, _ in self.running.values()), dict(self.ended)

    def job(self, name, context):
        """A job by its name, `jobs/{request_id}`."""
        request_id = name[len("jobs/"):] if name.startswith("jobs/") else None
        if request_id in self.running:  # Asked first: a job is kept before it leaves `running`.
            return pb.Job(name=name, state=pb.Job.RUNNING)
        kept = self.state["jobs"].get(request_id)
        check(context, kept is not None, "NOT_FOUND", f"there is no job {name!r}")
        return json_format.ParseDict(kept["job"], pb.Job())

    def add(self, model, version, weights):
        """Names a version, and keeps it with its weights (JSON); the same input_key is the same version."""
        version.digest, version.weights_bytes = sha256(version.input_key, weights), len(json.dumps(weights))
        with self.lock:
            versions = self.state["versions"]
            known = next((kept for kept in versions if kept["version"]["inputKey"] == version.input_key), None)
            if known is None:
                version.name = f"{model}/versions/{len(versions) + 1}"
                added = {"version": json_format.MessageToDict(version), "weights": weights}
                self.replace({**self.state, "versions": versions + [added]})
            else:
                version.CopyFrom(json_format.ParseDict(known["version"], pb.Version()))

    def version(self, name, context, digest=""):
        """A version by its name, and its weights; refuses another content than a caller's `digest`, if that isn't empty."""
        check_version_name(context, "a version's name", name)
        kept = next((kept for kept in self.state["versions"] if kept["version"]["name"] == name), None)
        check(context, kept is not None, "NOT_FOUND", f"there is no version {name}")
        has = kept["version"].get("digest", "")
        check(context, digest in ("", has), "DATA_LOSS", f"{name} has digest {has}: the caller expects {digest}; if this service's "
              "data directory was lost or replaced, restore it from a backup, or apply the system with another seed")
        return self.shown(kept), kept["weights"]

    def shown(self, kept):
        """A version as it was kept, with whether it serves."""
        version = json_format.ParseDict(kept["version"], pb.Version())
        version.loaded = version.name in self.loaded()
        return version

    def loaded(self):
        """Names of the versions that serve."""
        return self.state.get("loaded", [])

    def load(self, name, loaded):
        """Has a version serve, or serve no more; remembers it for the next start."""
        with self.lock:
            if (name in self.loaded()) != loaded:
                others = [other for other in self.loaded() if other != name]
                self.replace({**self.state, "loaded": others + [name] if loaded else others})

    def replace(self, state):
        """Makes this the state, on disk and then here. Under `lock`."""
        write_whole(self.path, json.dumps(state))
        self.state = state


class VersionMethods:
    """GetVersion, ListVersions, LoadVersion and UnloadVersion over `self.store`: what children, releases and
    `backfire version` ask a service for. What is on disk is in memory already, so that loading only notes which serve."""

    def GetVersion(self, request, context):
        return self.store.version(request.name, context)[0]

    def LoadVersion(self, request, context):
        self.store.load(self.store.version(request.name, context, request.digest)[0].name, True)
        return pb.LoadVersionResponse()

    def UnloadVersion(self, request, context):
        check_version_name(context, "name", request.name)
        self.store.load(request.name, False)
        return pb.UnloadVersionResponse()

    def ListVersions(self, request, context):
        self.GetModel(pb.GetModelRequest(name=request.model), context)  # Refuses a model that isn't here.
        check(context, re.fullmatch("[0-9]{0,18}", request.page_token), "INVALID_ARGUMENT",
              f"page_token must be empty or one that was returned: got {request.page_token!r}")
        check(context, 0 <= request.page_size <= 1000, "INVALID_ARGUMENT",
              f"page_size must be 0 to 1000: got {request.page_size}")
        versions, first = self.store.state["versions"], int(request.page_token or 0)
        page = versions[first:first + (request.page_size or 100)]
        more = str(first + len(page)) if first + len(page) < len(versions) and page else ""
        return pb.ListVersionsResponse(versions=[self.store.shown(kept) for kept in page],
                                       next_page_token=more)
