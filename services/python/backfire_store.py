"""Jobs and versions of a service in Python, kept on disk."""
import collections
import hashlib
import os
import re
import sqlite3
import threading
import time
import traceback

import backfire_metrics
import grpc
from backfire_database import DAMAGED, Database
from backfire_requests import Refusal, check, check_version_name, log, number_of, pb, sha256
from google.protobuf import struct_pb2

STOPPING = threading.Event()  # Set once the process drains: nothing new is begun, and nobody waits for a lost parent.
WATCHES = threading.BoundedSemaphore(24)  # Each holds one of the threads for calls.
RUNNING_JOBS = 64  # Jobs have threads of their own, as one may wait for long.
ANSWER_SECONDS = 1  # A job that takes no longer has ended when its call returns.


def kind_of(request):
    """The kind of job that a request asks for."""
    kinds = {pb.TrainRequest: "training", pb.EvaluateRequest: "evaluation", pb.CommitOutputsRequest: "commitment"}
    return kinds[type(request)]


def compute_input_key(model, version):
    """The digest of all that decides a version's result: what it says of itself, but for its name, its weights and what they cost. It is
    computed anew whenever a version is read, so that a store can't say of weights that they are of another recipe, seed or parent."""
    origin = ("imported", version.imported_digest) if version.imported_digest else ("trained", version.dataset.digest, version.seed)
    return sha256(*origin, model, version.recipe.name, plain(version.recipe.parameters), version.build_fingerprint,
                  [(held.version_digest, held.split, held.outputs_digest) for held in version.trained_on],
                  [(parent.input, parent.output, parent.digest) for parent in version.lineage])


def plain(value):
    """A recipe's parameters as JSON can hold them."""
    if isinstance(value, struct_pb2.Struct):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, struct_pb2.ListValue) else value


class Store:
    """Jobs by request_id and versions by number, in a SQLite database: what is added is all that is written. Thread-safe.

    Numbers of versions that were deleted are not used again. `lock` is for the database and for `running`; no work is done
    under it. `news` tells of jobs that ended. What the disk has changed is DATA_LOSS, and costs the job or version that it is about.
    """

    def __init__(self, directory, is_replica=False):
        os.makedirs(directory, exist_ok=True)
        claim(directory, is_replica)
        if os.path.exists(os.path.join(directory, "state.json")):
            raise ValueError("state.json is of an older program, whose versions can't be read: take another directory")
        self.database = Database(directory)
        self.path, self.lock = self.database.path, self.database.lock
        self.news = threading.Condition(self.lock)
        self.running = {}  # (what was asked, kind, thread) by request_id.
        self.unreadable = set()  # Numbers of versions that were told of.
        self.verified = set()  # Digests of versions whose weights were found to be theirs.
        self.test_losses = {}  # By a version's name, since the start; replaced, never changed.
        self.ended = collections.Counter()  # Jobs since the start, by kind, state and code.

    def kept_job(self, request_id):
        """What was asked, and what came of it; None if it is not kept. One that is damaged is forgotten, as is one that a restart
        interrupts: whoever asks for it again starts it anew, and its result is the same."""
        for (_, asked, job), whole in self.database.sealed("jobs", "WHERE request_id = ?", request_id):
            if whole:
                return asked, job
            log(f'job state=FORGOTTEN job=jobs/{request_id} error="its row in {self.path} does not match its checksum: {DAMAGED}"')
            self.database.rows("DELETE FROM jobs WHERE request_id = ?", request_id)
        return None

    def shown(self, row, whole):
        """A version as it is kept, with its number and whether it serves; or what is wrong with it, a Refusal."""
        number, input_key, kept, loaded = row
        fault, version = "does not match its checksum", pb.Version()
        if whole:
            version.ParseFromString(kept)
            fault = "has the input_key of another content"
        if not whole or not version.input_key == input_key == compute_input_key(version.name, version):
            return Refusal("DATA_LOSS", f"version {number} in {self.path} {fault}: {DAMAGED}; restore it from a backup, or delete the "
                           "version and train it again")
        version.name, version.loaded = f"{version.name}/versions/{number}", bool(loaded)
        return version

    def readable(self, where="", *values):
        """Versions that are whole. The others are told of, once each."""
        found = []
        for row, whole in self.database.sealed("versions", where, *values):
            version = self.shown(row, whole)
            if not isinstance(version, Refusal):
                found.append(version)
            elif row[0] not in self.unreadable:
                self.unreadable.add(row[0])
                log(f'version state=UNREADABLE error="{version}"')
        return found

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
            kept = self.kept_job(request_id)
            known, _, thread = (kept[0], None, None) if kept else self.running.get(request_id, (asked, None, None))
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
              self.database.rows("SELECT 1 FROM jobs WHERE request_id = ?", request_id), "UNAVAILABLE", "the service is shutting down")
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
                    self.database.rows("INSERT INTO jobs (request_id, asked, job) VALUES (?, ?, ?)", request_id, asked, job.SerializeToString())
                except (Refusal, sqlite3.Error) as error:  # Whoever asks again starts it anew.
                    log(f'job state=UNSAVED job={job.name} error="{error}"')
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
        kept = self.kept_job(request_id) if request_id is not None else None
        check(context, kept, "NOT_FOUND", f"there is no job {name!r}")
        return pb.Job.FromString(kept[1])

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
        """The version with this input_key, or None. One that is damaged is refused: another could not have the input_key."""
        for row, whole in self.database.sealed("versions", "WHERE input_key = ?", input_key):
            return refuse_damage(self.shown(row, whole))
        return None

    def add(self, model, version, weights):
        """Names a version, and keeps it with its weights (bytes). Returns whether its input_key (compute_input_key) was there already: it is
        that version then."""
        version.input_key = compute_input_key(model, version)
        version.digest = sha256(version.input_key, hashlib.sha256(weights).hexdigest())
        version.weights_bytes = len(weights)
        version.name = model  # Until it has a number.
        with self.lock:
            known = self.find(version.input_key)
            if known is None:
                with self.database.whole():
                    self.database.rows("INSERT INTO versions (input_key, version) VALUES (?, ?)", version.input_key, version.SerializeToString())
                    self.database.rows("INSERT INTO weights SELECT number, ? FROM versions WHERE input_key = ?", weights, version.input_key)
            version.CopyFrom(known or self.find(version.input_key))
            return known is not None

    def version(self, name, context, digest=""):
        """A version by its name, and its weights; refuses another content than its own digest says, or than a caller's `digest`, if that
        isn't empty."""
        version = self.describe(name, context)
        weights = b"".join(row[0] for row in self.database.rows("SELECT weights FROM weights WHERE number = ?", number_of(name)))
        if version.digest not in self.verified:  # Once for each that is read from the disk: a request is not to hash it again.
            check(context, version.digest == sha256(version.input_key, hashlib.sha256(weights).hexdigest()), "DATA_LOSS",
                  f"{name} in {self.path} does not match its digest {version.digest}: {DAMAGED}; "
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
        for row, whole in self.database.sealed("versions", "WHERE number = ?", number_of(name)):
            version = refuse_damage(self.shown(row, whole))
            return version if version.name == name else None
        return None

    def adopt(self, version, weights):
        """Keeps another service's version by the name that it has there, in place of what there was. It is not loaded."""
        kept = pb.Version()
        kept.CopyFrom(version)
        kept.name, kept.loaded = version.name.rpartition("/versions/")[0], False
        number = number_of(version.name)
        with self.lock, self.database.whole():
            self.forget(number)
            self.database.rows("DELETE FROM versions WHERE input_key = ?", version.input_key)
            self.database.rows("INSERT INTO versions (number, input_key, version) VALUES (?, ?, ?)", number, version.input_key, kept.SerializeToString())
            self.database.rows("INSERT INTO weights VALUES (?, ?)", number, weights)

    def list(self, after, most):
        """Up to `most` versions with numbers above `after`, lowest first."""
        return self.readable("WHERE number > ? ORDER BY number LIMIT ?", after, most)

    def loaded(self):
        """Names of the versions that serve."""
        return [version.name for version in self.readable("WHERE loaded ORDER BY number")]

    def load(self, name, loaded):
        """Has a version serve, or serve no more; remembers it for the next start."""
        if self.find_by_name(name):
            self.database.rows("UPDATE versions SET loaded = ? WHERE number = ?", int(loaded), number_of(name))

    def delete(self, name):
        """Forgets a version with its weights, also one that is damaged."""
        with self.lock, self.database.whole():
            self.forget(number_of(name))

    def forget(self, number):
        self.database.rows("DELETE FROM versions WHERE number = ?", number)
        self.database.rows("DELETE FROM weights WHERE number = ?", number)
        self.unreadable.discard(number)

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


def refuse_damage(version):
    """What Store.shown gave, if it is a version."""
    if isinstance(version, Refusal):
        raise version
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
        self.check_own(request.name, context)
        self.store.load(request.name, False)
        return pb.UnloadVersionResponse()

    def DeleteVersion(self, request, context):
        self.check_own(request.name, context)
        check(context, request.name not in self.store.loaded(), "FAILED_PRECONDITION", f"{request.name} is loaded; unload it")
        self.store.delete(request.name)
        return pb.DeleteVersionResponse()

    def check_own(self, name, context):
        """Refuses the name of another model's version: numbers alone are the store's."""
        check_version_name(context, "name", name)
        self.GetModel(pb.GetModelRequest(name=name.partition("/versions/")[0]), context)

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
