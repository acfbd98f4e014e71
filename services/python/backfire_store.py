"""Jobs and versions of a service in Python, kept on disk; what refuses a request."""
import collections
import fcntl
import hashlib
import json
import os
import re
import sqlite3
import sys
import threading
import time
import traceback

import backfire_metrics
import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "stubs"))
from backfire.v1 import model_service_pb2 as pb  # noqa: E402

STOPPING = threading.Event()  # Set once the process drains: nothing new is begun, and nobody waits for a lost parent.
WATCHES = threading.BoundedSemaphore(24)  # Each holds one of the threads for calls.
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
    kinds = {pb.TrainRequest: "training", pb.EvaluateRequest: "evaluation", pb.CommitOutputsRequest: "commitment"}
    return kinds[type(request)]


SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (request_id TEXT PRIMARY KEY, asked BLOB NOT NULL, job BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS versions (number INTEGER PRIMARY KEY AUTOINCREMENT, input_key TEXT UNIQUE NOT NULL,
                                     version BLOB NOT NULL, weights BLOB NOT NULL, loaded INTEGER NOT NULL DEFAULT 0);
"""


class Store:
    """Jobs by request_id and versions by number, in a SQLite database: what is added is all that is written. Thread-safe.

    Numbers of versions that were deleted are not used again. `lock` is for the database and for `running`; no work is done
    under it. `news` tells of jobs that ended.
    """

    def __init__(self, directory, is_replica=False):
        os.makedirs(directory, exist_ok=True)
        claim(directory, is_replica)
        self.held = lock(directory)
        if os.path.exists(os.path.join(directory, "state.json")):
            raise ValueError("state.json is of an older program, whose versions can't be read: take another directory")
        self.path, self.lock = os.path.join(directory, "state.db"), threading.RLock()
        try:
            self.database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self.database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: {error}") from error
        self.news = threading.Condition(self.lock)
        self.running = {}  # (what was asked, kind, thread) by request_id.
        self.verified = set()  # Digests of versions whose weights were found to be theirs.
        self.test_losses = {}  # By a version's name, since the start; replaced, never changed.
        self.ended = collections.Counter()  # Jobs since the start, by kind, state and code.

    def rows(self, statement, *values):
        """What a statement gives; it is on disk when this returns."""
        with self.lock:
            return self.database.execute(statement, values).fetchall()

    def run(self, request, context, work):
        """Starts a job unless it is known, and returns it: ended if that takes a second, else RUNNING.

        `work(job)` fills in a pb.Job, on a thread of its own; what it raises is why the job FAILED. A job that a restart
        interrupts is forgotten: whoever asks for it again starts it anew, and its result is the same.
        """
        request_id = request.request_id
        check(context, re.fullmatch("[A-Za-z0-9._/-]{1,128}", request_id), "INVALID_ARGUMENT",
              f"request_id must have 1 to 128 characters of [A-Za-z0-9._/-]: got {request_id!r}")
        same = type(request)()
        same.CopyFrom(request)
        same.ClearField("endpoints")  # A service that moved is the same service.
        asked = same.SerializeToString(deterministic=True)
        with self.lock:
            kept = self.rows("SELECT asked FROM jobs WHERE request_id = ?", request_id)
            known, _, thread = (kept[0][0], None, None) if kept else self.running.get(request_id, (asked, None, None))
            check(context, known == asked, "ALREADY_EXISTS", f"jobs/{request_id} has other arguments")
            if not kept and thread is None:
                check(context, not STOPPING.is_set(), "UNAVAILABLE", "the service is shutting down")
                check(context, len(self.running) < RUNNING_JOBS, "RESOURCE_EXHAUSTED",
                      f"{RUNNING_JOBS} jobs run already; try again later")
                thread = threading.Thread(target=self.finish, args=(request_id, request, asked, work), daemon=True)
                thread.start()
                self.running[request_id] = (asked, kind_of(request), thread)
        if thread is not None:
            thread.join(ANSWER_SECONDS)
        check(context, thread is None or not STOPPING.is_set() or
              self.rows("SELECT 1 FROM jobs WHERE request_id = ?", request_id), "UNAVAILABLE", "the service is shutting down")
        return self.job(f"jobs/{request_id}", context)

    def finish(self, request_id, request, asked, work):
        """Does a job's work, and keeps what came of it. `work` returns whether its result was there already."""
        job, start = pb.Job(name=f"jobs/{request_id}", state=pb.Job.SUCCEEDED), time.monotonic()
        try:
            existed = work(job)
            job.compute_seconds = 0 if existed else time.monotonic() - start
        except Exception as error:  # A fault in a training must not end the service: other jobs go on.
            if isinstance(error, Refusal):
                code, message = error.code, str(error)
            elif isinstance(error, grpc.RpcError):
                code, message = error.code().name, error.details()
            else:
                traceback.print_exc()
                code, message = "INTERNAL", f"{type(error).__name__}: {error}"
            job = pb.Job(name=job.name, state=pb.Job.FAILED, error_code=getattr(grpc.StatusCode, code).value[0],
                         error_message=message, compute_seconds=time.monotonic() - start)
        with self.lock:
            if job.state == pb.Job.SUCCEEDED or not STOPPING.is_set():  # Else it may have failed by our end: forget it.
                try:
                    self.rows("INSERT INTO jobs VALUES (?, ?, ?)", request_id, asked, job.SerializeToString())
                except sqlite3.Error as error:  # Whoever asks again starts it anew.
                    print(f'job state=UNSAVED job={job.name} error="{error}"', file=sys.stderr, flush=True)
            code = next(code for code in grpc.StatusCode if code.value[0] == job.error_code)
            self.ended[kind_of(request), pb.Job.State.Name(job.state), backfire_metrics.CODES[code]] += 1
            if kind_of(request) == "evaluation" and job.state == pb.Job.SUCCEEDED and request.split == "test" and \
                    not request.swapped_parents:
                self.test_losses = {**self.test_losses, request.version: list(job.evaluation.losses)}
            del self.running[request_id]
            self.news.notify_all()

    def count_jobs(self):
        """How many run, by kind, and how many have ended since the start, by kind, state and code."""
        with self.lock:
            return collections.Counter(kind for _, kind, _ in self.running.values()), dict(self.ended)

    def job(self, name, context):
        """A job by its name, `jobs/{request_id}`."""
        request_id = name[len("jobs/"):] if name.startswith("jobs/") else None
        if request_id in self.running:  # Asked first: a job is kept before it leaves `running`.
            return pb.Job(name=name, state=pb.Job.RUNNING)
        kept = self.rows("SELECT job FROM jobs WHERE request_id = ?", request_id)
        check(context, kept, "NOT_FOUND", f"there is no job {name!r}")
        return pb.Job.FromString(kept[0][0])

    def watch(self, name, context):
        """A job at once, and again once it has ended, unless the caller or the service ends first."""
        def tell():
            with self.lock:
                self.news.notify_all()
        check(context, WATCHES.acquire(blocking=False), "RESOURCE_EXHAUSTED", "too many calls watch jobs; ask by GetJob")
        try:
            job = self.job(name, context)
            yield job
            if job.state != pb.Job.RUNNING:
                return
            context.add_callback(tell)
            with self.lock:
                while context.is_active() and not STOPPING.is_set() and name[len("jobs/"):] in self.running:
                    self.news.wait()
            check(context, not STOPPING.is_set(), "UNAVAILABLE", "the service is shutting down")
            yield self.job(name, context)
        finally:
            WATCHES.release()

    def stop(self):
        """Ends what waits for jobs; nothing new is begun."""
        STOPPING.set()
        with self.lock:
            self.news.notify_all()

    def find(self, input_key):
        """The version with this input_key, or None."""
        kept = self.rows("SELECT number, version, loaded FROM versions WHERE input_key = ?", input_key)
        return shown(*kept[0]) if kept else None

    def add(self, model, version, weights):
        """Names a version, and keeps it with its weights (bytes). Returns whether its input_key was there already: it is
        that version then."""
        version.digest = sha256(version.input_key, hashlib.sha256(weights).hexdigest())
        version.weights_bytes = len(weights)
        version.name = model  # Until it has a number.
        with self.lock:
            known = self.find(version.input_key)
            if known is None:
                self.rows("INSERT INTO versions (input_key, version, weights) VALUES (?, ?, ?)", version.input_key,
                          version.SerializeToString(), weights)
            version.CopyFrom(known or self.find(version.input_key))
            return known is not None

    def version(self, name, context, digest=""):
        """A version by its name, and its weights; refuses another content than its own digest says, or than a caller's `digest`, if that
        isn't empty."""
        version = self.describe(name, context)
        weights = self.rows("SELECT weights FROM versions WHERE number = ?", number_of(name))[0][0]
        if version.digest not in self.verified:  # Once for each that is read from the disk: a request is not to hash it again.
            check(context, version.digest == sha256(version.input_key, hashlib.sha256(weights).hexdigest()), "DATA_LOSS",
                  f"{name} in {self.path} does not match its digest {version.digest}: the disk is damaged, or the file was changed; "
                  "restore it from a backup, or delete the version and train it again")
            self.verified.add(version.digest)
        check(context, digest in ("", version.digest), "DATA_LOSS",
              f"{name} has digest {version.digest}: the caller expects {digest}; if this service's data directory was lost or "
              "replaced, restore it from a backup, or apply the system with another seed")
        return version, weights

    def describe(self, name, context):
        """A version by its name."""
        check_version_name(context, "a version's name", name)
        kept = self.find_by_name(name)
        check(context, kept, "NOT_FOUND", f"there is no version {name}")
        return kept

    def find_by_name(self, name):
        """The version of this name, or None."""
        kept = self.rows("SELECT number, version, loaded FROM versions WHERE number = ?", number_of(name))
        return shown(*kept[0]) if kept and shown(*kept[0]).name == name else None

    def adopt(self, version, weights):
        """Keeps another service's version by the name that it has there, in place of what there was. It is not loaded."""
        kept = pb.Version()
        kept.CopyFrom(version)
        kept.name, kept.loaded = version.name.rpartition("/versions/")[0], False
        self.rows("INSERT OR REPLACE INTO versions (number, input_key, version, weights) VALUES (?, ?, ?, ?)",
                  number_of(version.name), version.input_key, kept.SerializeToString(), weights)

    def list(self, after, most):
        """Up to `most` versions with numbers above `after`, lowest first."""
        return [shown(*kept) for kept in
                self.rows("SELECT number, version, loaded FROM versions WHERE number > ? ORDER BY number LIMIT ?", after, most)]

    def loaded(self):
        """Names of the versions that serve."""
        return [shown(*kept).name for kept in
                self.rows("SELECT number, version, loaded FROM versions WHERE loaded ORDER BY number")]

    def load(self, name, loaded):
        """Has a version serve, or serve no more; remembers it for the next start."""
        self.rows("UPDATE versions SET loaded = ? WHERE number = ?", int(loaded), number_of(name))

    def delete(self, name):
        """Forgets a version with its weights."""
        self.rows("DELETE FROM versions WHERE number = ?", number_of(name))


def lock(directory):
    """Holds a directory for as long as what is returned stays open: two services there would each forget what the other does."""
    held = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise ValueError("another process uses the data directory") from None
    return held


def claim(directory, is_replica):
    """Refuses a directory that is no replica's for a replica, which deletes what it unloads; and a replica's for another, as its copies have
    another's numbers."""
    mark = os.path.join(directory, "replica")
    if os.path.exists(mark) == is_replica:
        return
    if not is_replica:
        raise ValueError("it is a replica's: give --replica-of, or another directory")
    if os.path.exists(os.path.join(directory, "state.db")):
        raise ValueError("it holds versions that were trained there: a replica needs one of its own")
    with open(mark, "x", encoding="utf-8"):
        pass


def number_of(name):
    """The number in `models/{model}/versions/{number}`."""
    return int(name.rpartition("/")[2])


def shown(number, kept, loaded):
    """A version as it is kept, with its number and whether it serves."""
    version = pb.Version.FromString(kept)
    version.name, version.loaded = f"{version.name}/versions/{number}", bool(loaded)
    return version


class VersionMethods:
    """Everything about versions that no model needs to know, over `self.store`: what children, releases and
    `backfire version` ask a service for. What is on disk is as good as in memory, so that loading notes which serve."""

    VERSION_CAPABILITIES = [pb.WATCH_JOB, pb.LOAD_VERSION, pb.LIST_VERSIONS, pb.DELETE_VERSION]

    def GetJob(self, request, context):
        return self.store.job(request.name, context)

    def WatchJob(self, request, context):
        yield from self.store.watch(request.name, context)

    def GetVersion(self, request, context):
        return self.store.describe(request.name, context)

    def LoadVersion(self, request, context):
        self.store.load(self.store.version(request.name, context, request.digest)[0].name, True)
        return pb.LoadVersionResponse()

    def UnloadVersion(self, request, context):
        check_version_name(context, "name", request.name)
        self.store.load(request.name, False)
        return pb.UnloadVersionResponse()

    def DeleteVersion(self, request, context):
        check_version_name(context, "name", request.name)
        check(context, request.name not in self.store.loaded(), "FAILED_PRECONDITION", f"{request.name} is loaded; unload it")
        self.store.delete(request.name)
        return pb.DeleteVersionResponse()

    def ListVersions(self, request, context):
        self.GetModel(pb.GetModelRequest(name=request.model), context)  # Refuses a model that isn't here.
        check(context, re.fullmatch("[0-9]{0,18}", request.page_token), "INVALID_ARGUMENT",
              f"page_token must be empty or one that was returned: got {request.page_token!r}")
        check(context, 0 <= request.page_size <= 1000, "INVALID_ARGUMENT",
              f"page_size must be 0 to 1000: got {request.page_size}")
        most = request.page_size or 100
        page = self.store.list(int(request.page_token or 0), most + 1)
        more = str(number_of(page[most - 1].name)) if len(page) > most else ""
        return pb.ListVersionsResponse(versions=page[:most], next_page_token=more)
