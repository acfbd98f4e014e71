#!/usr/bin/python3
"""What services/python promises of a service: seen from outside, on the example, with parents that misbehave.

Argument: the folder of backfire's binaries. Exits 77 (skipped) without Debian's python3-grpcio, python3-protobuf,
python3-numpy and python3-prometheus-client, or without gRPC's plugin for Python when it was built.
"""
import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from concurrent import futures

PROGRAM = os.path.join(sys.argv[1], "nearest-neighbour-service")
try:
    sys.path.insert(0, os.path.dirname(os.path.realpath(PROGRAM)))
    import backfire_roots
    import backfire_security
    import grpc
    import numpy
    from backfire_commitments import OutputsHasher
    from backfire_service import NUMBERS, Refusal, Resampling, pb, read_inputs, rpc, v2, v2_rpc
    from backfire_standard import health, reflection
    from backfire_store import row_checksum
    from backfire_stock import StockModel, StockService
    from google.protobuf import descriptor_pb2
except ImportError:
    sys.exit(77)

SECONDS = 20  # For anything that must come at once; much more than it needs, as machines may be busy.
GRACE_SECONDS = 10  # That a service has to end after SIGTERM.
DIGEST = "0" * 64


class FakeParent(rpc.ModelServiceServicer):
    """Has three examples of two numbers for each input. `failures`: codes by which the next calls end after one example."""

    def __init__(self, endpoint):
        self.failures, self.pulls = [], 0
        self.width, self.datatype, self.counts = 2, "FP64", {}
        self.hollow, self.others = False, 0  # Whether it sends pieces without bytes, for ever; and how many outputs nobody wants.
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        rpc.add_ModelServiceServicer_to_server(self, self.server)
        self.server.add_insecure_port(endpoint)
        self.server.start()

    def GetVersion(self, request, context):
        version = pb.Version(name=request.name)
        version.dataset.digest = DIGEST
        return version

    def Materialize(self, request, context):
        self.pulls += 1
        self.may_answer.wait(SECONDS)
        for example in range(self.counts.get(request.version, 3)):
            if example == 1 and self.failures:
                context.abort(self.failures.pop(0), "on request")
            while self.hollow and context.is_active():
                yield pb.MaterializeResponse(example=example, output="y", datatype=self.datatype, shape=[self.width])
            for i in range(self.others):
                yield pb.MaterializeResponse(example=example, output=f"other{i}", datatype="BOOL", shape=[1], data=b"a", last_piece=True)
            yield pb.MaterializeResponse(example=example, output="y", datatype=self.datatype, shape=[self.width],
                                         cluster="ab"[example % 2],
                                         data=struct.pack(f"<{self.width}d", *[example] * self.width), last_piece=True)


class PythonServiceTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.parent = FakeParent(f"unix:{self.directory}/parent")
        self.addCleanup(self.parent.server.stop, None)
        self.hung = socket.create_server(("localhost", 0))  # Takes connections, and never says a word.
        self.hung.settimeout(SECONDS)
        self.addCleanup(self.hung.close)
        self.start()

    def start(self):
        self.process = subprocess.Popen([PROGRAM, "--listen", f"unix:{self.directory}/service",
                                         "--data-dir", f"{self.directory}/data"])
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.channel = grpc.insecure_channel(f"unix:{self.directory}/service",
                                             [("grpc.initial_reconnect_backoff_ms", 100),
                                              ("grpc.max_reconnect_backoff_ms", 100)])
        self.addCleanup(self.channel.close)
        grpc.channel_ready_future(self.channel).result(SECONDS)
        self.stub, self.inference = rpc.ModelServiceStub(self.channel), v2_rpc.GRPCInferenceServiceStub(self.channel)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.assertEqual(self.process.wait(GRACE_SECONDS + SECONDS), 0)

    def train_request(self, request_id, endpoint=None, version=1):
        request = pb.TrainRequest(request_id=request_id, model="models/nearest")
        request.recipe.name, request.dataset.uri = "nearest", "made-up"
        request.recipe.parameters["k"] = 1
        for name in ("feature", "teacher"):
            request.lineage.add(input=name, version=f"models/{name}/versions/{version}", output="y", digest=DIGEST)
            request.endpoints.by_model[f"models/{name}"] = endpoint or f"unix:{self.directory}/parent"
        return request

    def hung_endpoint(self):
        return f"localhost:{self.hung.getsockname()[1]}"

    def ended(self, method, request):
        """The job once it has ended; each call waits for a while by itself."""
        give_up = time.monotonic() + SECONDS
        job = method(request, timeout=SECONDS)
        while job.state == pb.Job.RUNNING and time.monotonic() < give_up:
            job = method(request, timeout=SECONDS)
        return job

    def trained(self):
        job = self.ended(self.stub.Train, self.train_request("train"))
        self.assertEqual(job.state, pb.Job.SUCCEEDED, job.error_message)
        return job.version

    def loaded(self):
        """A version that serves."""
        version = self.trained()
        self.stub.LoadVersion(pb.LoadVersionRequest(name=version.name), timeout=SECONDS)
        return version

    def evaluate_request(self, version):
        request = pb.EvaluateRequest(request_id="evaluate", version=version.name, split="test")
        request.dataset.uri = "made-up"
        request.endpoints.CopyFrom(self.train_request("").endpoints)
        return request

    def infer_request(self, numbers):
        request = v2.ModelInferRequest(model_name="nearest",
                                       raw_input_contents=[struct.pack(f"<{len(numbers)}d", *numbers)])
        request.inputs.add(name="feature", datatype="FP64", shape=[len(numbers)])
        return request

    def health(self, name=""):
        """Whether it says SERVING, by both methods."""
        statuses, request = health.HealthCheckResponse, health.HealthCheckRequest(service=name)
        codec = (health.HealthCheckRequest.SerializeToString, statuses.FromString)
        once = self.channel.unary_unary("/grpc.health.v1.Health/Check", *codec)(request, timeout=SECONDS)
        watched = next(self.channel.unary_stream("/grpc.health.v1.Health/Watch", *codec)(request, timeout=SECONDS))
        self.assertEqual(once, watched)
        self.assertIn(once.status, (statuses.SERVING, statuses.NOT_SERVING))
        return once.status == statuses.SERVING

    def reflect(self, **question):
        """The answer to one question, which is the same by both names of reflection."""
        answers = []
        for name in ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"):
            call = self.channel.stream_stream(f"/{name}/ServerReflectionInfo", reflection.ServerReflectionRequest.SerializeToString,
                                              reflection.ServerReflectionResponse.FromString)
            answers += call(iter([reflection.ServerReflectionRequest(**question)]), timeout=SECONDS)
        self.assertEqual(*answers)
        return answers[0]

    def assert_refused(self, code, words, method, request):
        with self.assertRaises(grpc.RpcError) as refused:
            reply = method(request, timeout=SECONDS)
            list(reply if isinstance(reply, grpc.Call) else [])  # A stream is refused when it is read.
        self.assertEqual(refused.exception.code(), code, refused.exception.details())
        self.assertIn(words, refused.exception.details())

    def test_a_hung_parent_holds_up_nothing_else(self):
        version = self.loaded()
        jobs = [self.stub.Train.future(self.train_request(f"hung/{i}", self.hung_endpoint(), 2), timeout=SECONDS)
                for i in range(16)]
        materialize = pb.MaterializeRequest(version=version.name, split="test")
        materialize.endpoints.by_model["models/feature"] = self.hung_endpoint()
        calls = [self.stub.Materialize(materialize) for _ in range(80)]  # More than it has threads.
        connection, _ = self.hung.accept()
        self.addCleanup(connection.close)
        self.assertEqual({job.result().state for job in jobs}, {pb.Job.RUNNING})
        self.assertTrue(self.health())
        response = self.inference.ModelInfer(self.infer_request([1, 1]), timeout=SECONDS)
        self.assertEqual(struct.unpack("<2d", response.raw_output_contents[0]), (1, 1))
        self.assertEqual(self.stub.GetJob(pb.GetJobRequest(name="jobs/hung/0"), timeout=SECONDS).state, pb.Job.RUNNING)
        for call in calls:
            call.cancel()

        begin = time.monotonic()
        self.stop()
        self.assertLess(time.monotonic() - begin, GRACE_SECONDS)  # Nobody waits for them.
        self.start()
        self.assertEqual(self.trained().digest, version.digest)
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "jobs/hung/0", self.stub.GetJob,
                            pb.GetJobRequest(name="jobs/hung/0"))
        again = self.ended(self.stub.Train, self.train_request("hung/0", version=2))  # It is done anew.
        self.assertEqual((again.version.name, again.version.digest), (version.name, version.digest))  # Of other numbers of parents' versions, but with the same digests.

    def test_a_call_that_waits_for_a_parent_ends_with_the_grace(self):
        request = pb.MaterializeRequest(version=self.trained().name, split="test")
        request.endpoints.by_model["models/feature"] = self.hung_endpoint()
        call = self.stub.Materialize(request, timeout=2 * SECONDS)
        connection, _ = self.hung.accept()
        self.addCleanup(connection.close)
        self.stop(signal.SIGINT)
        self.assertIn(call.code(), (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE))

    def test_the_same_request_is_the_same_job_while_it_runs(self):
        self.parent.may_answer.clear()
        both = [self.stub.Train.future(self.train_request("train"), timeout=SECONDS) for _ in range(2)]
        self.assertEqual([job.result().state for job in both], [pb.Job.RUNNING] * 2)
        other = self.train_request("train")
        other.seed = 1
        self.assert_refused(grpc.StatusCode.ALREADY_EXISTS, "jobs/train", self.stub.Train, other)
        self.parent.may_answer.set()
        self.trained()
        self.assertEqual(self.parent.pulls, 2)  # Of its two inputs.

    def test_a_parent_that_is_lost_is_asked_again(self):
        self.parent.failures = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                                grpc.StatusCode.RESOURCE_EXHAUSTED]
        self.trained()
        self.assertEqual(self.parent.pulls, 5)

    def commitments(self, split):
        """What FakeParent gives for each input, as its service would state it."""
        hasher = OutputsHasher()
        for example in range(3):
            hasher.add("", "ab"[example % 2], {"y": ("FP64", [2], struct.pack("<2d", example, example))})
        # FakeParent's versions have one digest, as their outputs are the same.
        return [pb.OutputsCommitment(version="models/feature/versions/1", version_digest=DIGEST, dataset_digest=DIGEST,
                                     split=split, example_count=3, outputs_digest=hasher.finish())]

    def test_the_digest_of_outputs_is_the_documented_one(self):
        hasher = OutputsHasher()
        hasher.add("a", "", {"y": ("FP64", [1], struct.pack("<d", 2))})
        self.assertEqual(hasher.finish(), "3ca93367f7b5ba319cbbaa4078b7f5898ab5cfb0e97b698a78d2104c35602d1d")

    def test_what_is_pulled_is_held_to_what_was_committed_to(self):
        free = self.trained()
        self.assertEqual(len(free.trained_on), 0)
        request = self.train_request("held")
        request.commitments.extend(self.commitments("train") + self.commitments("validation") + self.commitments("test"))
        job = self.ended(self.stub.Train, request)
        self.assertEqual(job.state, pb.Job.SUCCEEDED, job.error_message)
        self.assertEqual([held.split for held in job.version.trained_on], ["train", "validation"])
        self.assertNotEqual(job.version.input_key, free.input_key)

        evaluate = self.evaluate_request(job.version)
        evaluate.commitments.extend(self.commitments("test"))
        evaluated = self.ended(self.stub.Evaluate, evaluate)
        self.assertEqual(list(evaluated.evaluation.commitments), self.commitments("test"))

        # Other outputs than their service gives: by another process, or another machine.
        for split, other in (("train", "outputs_digest"), ("train", "dataset_digest"), ("validation", "outputs_digest"),
                             ("validation", "dataset_digest"), ("population", "outputs_digest"), ("test", "outputs_digest")):
            request = self.train_request(f"other-{split}-{other}")
            wrong = self.commitments(split)
            setattr(wrong[0], other, "1" * 64)
            request.commitments.extend(wrong)
            job = self.ended(self.stub.Train, request)
            if split == "test":
                self.assertEqual(job.state, pb.Job.SUCCEEDED, "a training does not read it")
                # The service commits, and not to what was read: what came is written down.
                (read,), (known,) = job.version.trained_on, self.commitments("train")
                self.assertEqual(read, known)
                continue
            self.assertEqual(job.state, pb.Job.FAILED)
            code = grpc.StatusCode.DATA_LOSS if other == "outputs_digest" else grpc.StatusCode.FAILED_PRECONDITION
            self.assertEqual(job.error_code, code.value[0])
            self.assertIn("models/feature/versions/1", job.error_message)

        evaluate.request_id, evaluate.split = "uncommitted", "validation"
        uncommitted = self.ended(self.stub.Evaluate, evaluate)
        self.assertEqual(uncommitted.error_code, grpc.StatusCode.FAILED_PRECONDITION.value[0], uncommitted)
        self.assertIn("on split validation, as they have of its other splits", uncommitted.error_message)

        request = self.train_request("malformed")
        request.commitments.extend(self.commitments("train"))
        request.commitments[0].outputs_digest = "1"
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "commitments[0].outputs_digest", self.stub.Train, request)

    def test_files_of_datasets_are_read_from_the_roots_alone(self):
        honest = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../support/honest_services.py")

        def at(*names):
            return os.path.join(self.directory, *names)

        def write(name):
            os.makedirs(at(name))
            for split in ("train", "validation", "test"):
                numpy.savez(at(name, split), feature=numpy.eye(2), label=numpy.ones((2, 1)))

        def resolve(uri, *flags):
            """The code and the message of what a service that is started with these flags says of a recipe with this dataset."""
            with tempfile.TemporaryDirectory() as here:
                process = subprocess.Popen([sys.executable, honest, os.path.dirname(os.path.realpath(PROGRAM)), "labels", "--listen",
                                            f"unix:{here}/service", "--data-dir", f"{here}/data", *flags])
                try:
                    with grpc.insecure_channel(f"unix:{here}/service", [("grpc.max_reconnect_backoff_ms", 100)]) as channel:
                        grpc.channel_ready_future(channel).result(SECONDS)
                        request = pb.ResolveRecipeRequest(model="models/labels", dataset=pb.Dataset(uri=uri))
                        request.recipe.name = "ridge"
                        rpc.ModelServiceStub(channel).ResolveRecipe(request)
                        return grpc.StatusCode.OK, ""
                except grpc.RpcError as error:
                    return error.code(), error.details()
                finally:
                    process.kill()
                    process.wait()

        write("data/inside")
        write("outside")
        write("data/links")
        os.symlink("data", at("root"))
        os.symlink(at("outside"), at("data/away"))
        os.remove(at("data/links/test.npz"))
        os.symlink(at("outside/test.npz"), at("data/links/test.npz"))
        self.assertEqual(resolve(f"arrays:{at('outside')}"), (grpc.StatusCode.OK, ""))  # By a socket the owner asks.
        for root in (at("data"), at("root"), f"{at('outside')}:{at('data')}"):
            self.assertEqual(resolve(f"arrays:{at('data/inside')}", "--dataset-root", root), (grpc.StatusCode.OK, ""))
        for name in ("outside", "data/../outside", "data/away", "root/away", "data/links", "nothing", "data/away/nothing"):
            code, details = resolve(f"arrays:{at(name)}", "--dataset-root", at("root"))
            self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED, f"{name}: {details}")
            self.assertIn(f"({at('root')}): put it there, or start the service with --dataset-root", details)
        wrong = subprocess.run([PROGRAM, "--listen", f"unix:{at('other')}", "--data-dir", at("other-data"), "--dataset-root",
                                at("nothing")], capture_output=True, text=True, check=False)
        self.assertEqual((wrong.returncode, wrong.stderr), (1, f"--dataset-root: {at('nothing')}: no such directory\n"))

    def test_without_roots_a_port_without_a_token_reads_no_file(self):
        for restricted in ("localhost:7000", "0.0.0.0:7000", "127.0.0.1:0"):
            self.assertFalse(backfire_security.is_owners(restricted), restricted)
        self.assertTrue(backfire_security.is_owners("unix:/a/socket"))
        self.addCleanup(backfire_roots.restrict, [], True)
        backfire_roots.restrict([""], False)
        with self.assertRaisesRegex(Refusal, "was given no folder for datasets") as refused:
            backfire_roots.check_dataset_uri(f"arrays:{self.directory}")
        self.assertEqual(refused.exception.code, "PERMISSION_DENIED")
        for pathless in ("toy:8", "made-up", "rendered:tiny?frames=8&seed=1", "arrays:", ""):
            backfire_roots.check_dataset_uri(pathless)
        for named in ("a:b/c", "a:..", "a:b?labels=/etc/passwd", "a:b?x=1&labels=../c"):
            with self.assertRaises(Refusal, msg=named):
                backfire_roots.check_dataset_uri(named)

    def test_a_data_directory_is_one_process_and_what_is_in_it_is_verified(self):
        other = subprocess.run([PROGRAM, "--listen", f"unix:{self.directory}/other", "--data-dir", f"{self.directory}/data"],
                               capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual((other.returncode, other.stderr), (1, f"--data-dir {self.directory}/data: can't be used: another process uses "
                                                               "the data directory\n"))
        version = self.trained()
        self.stub.LoadVersion(pb.LoadVersionRequest(name=version.name, digest=version.digest))
        self.stop()
        database = sqlite3.connect(f"{self.directory}/data/state.db")
        (weights,), = database.execute("SELECT weights FROM weights").fetchall()
        middle = len(weights) // 2
        damaged = weights[:middle] + bytes([weights[middle] ^ 1]) + weights[middle + 1:]
        database.execute("UPDATE weights SET weights = ?", (damaged,))
        database.commit()
        self.start()
        for call, request in ((self.stub.LoadVersion, pb.LoadVersionRequest(name=version.name)),
                              (self.stub.Evaluate, self.evaluate_request(version)),
                              (self.stub.ExportVersion, pb.ExportVersionRequest(name=version.name)),
                              (self.inference.ModelInfer, self.infer_request([1, 1]))):
            self.assert_refused(grpc.StatusCode.DATA_LOSS, f"{version.name} in {self.directory}/data/state.db does not match its digest",
                                call, request)
        database.execute("UPDATE weights SET weights = ?", (weights,))
        database.commit()
        database.close()
        self.stub.LoadVersion(pb.LoadVersionRequest(name=version.name))
        self.inference.ModelInfer(self.infer_request([1, 1]))

    def damage(self, statement, *values):
        """Writes to the store what no service would."""
        with contextlib.closing(sqlite3.connect(f"{self.directory}/data/state.db", isolation_level=None)) as database:
            return database.execute(statement, values).fetchall()

    def test_whatever_is_kept_is_what_was_written(self):
        version, request = self.loaded(), self.train_request("train")
        (kept,), = self.damage("SELECT version FROM versions")
        (job,), = self.damage("SELECT job FROM jobs")
        self.stop()
        other = pb.Version.FromString(kept)
        other.recipe.parameters["k"] = 7
        for column, value, fault in (("version", other.SerializeToString(), "does not match its checksum"), ("loaded", 0, "checksum"),
                                     ("input_key", "1" * 64, "checksum"), ("version", None, "")):
            if value is None:  # With a checksum that is right.
                self.damage("UPDATE versions SET version = ?, checksum = ?", other.SerializeToString(),
                            row_checksum("versions", 1, version.input_key, other.SerializeToString(), 1))
                fault = "has the input_key of another content"
            else:
                self.damage(f"UPDATE versions SET {column} = ?", value)
            self.start()
            for call, asked in ((self.stub.GetVersion, pb.GetVersionRequest(name=version.name)),
                                (self.stub.LoadVersion, pb.LoadVersionRequest(name=version.name)),
                                (self.stub.Evaluate, self.evaluate_request(version))):
                self.assert_refused(grpc.StatusCode.DATA_LOSS, fault, call, asked)
            self.assertEqual(list(self.stub.ListVersions(pb.ListVersionsRequest(model="models/nearest")).versions), [])
            self.stop()
            self.damage("UPDATE versions SET version = ?, loaded = 1, input_key = ?, checksum = ?", kept, version.input_key,
                        row_checksum("versions", 1, version.input_key, kept, 1))
        # A job is done anew, to the same result.
        self.damage("UPDATE jobs SET job = ?", job[:-1] + bytes([job[-1] ^ 1]))
        self.start()
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "jobs/train", self.stub.GetJob, pb.GetJobRequest(name="jobs/train"))
        again = self.ended(self.stub.Train, request)
        self.assertEqual((again.state, again.version.digest), (pb.Job.SUCCEEDED, version.digest))
        self.inference.ModelInfer(self.infer_request([1, 1]), timeout=SECONDS)
        # What is damaged can be deleted, and trained again.
        self.damage("UPDATE versions SET loaded = 0")
        self.stub.DeleteVersion(pb.DeleteVersionRequest(name=version.name), timeout=SECONDS)
        request.request_id = "again"
        self.assertEqual(self.ended(self.stub.Train, request).version.name, "models/nearest/versions/2")

    def test_fsck_reads_what_it_keeps(self):
        program = os.path.join(sys.argv[1], "backfire")
        if not os.path.exists(program):
            self.skipTest("there is no backfire")
        version = self.loaded()

        def fsck():
            return subprocess.run([program, "fsck", self.directory], capture_output=True, text=True, timeout=SECONDS, check=False)
        for end in (None, self.stop):
            if end:
                end()
            self.assertEqual(fsck().stdout, "1 store: sound\n")
        with open(f"{self.directory}/data/state.db", "rb") as file:
            content = file.read()
        for what in (version.digest.encode(), b"jobs/train", b"made-up"):
            at = content.index(what)
            with open(f"{self.directory}/data/state.db", "wb") as file:
                file.write(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
            self.assertNotEqual(fsck().returncode, 0)

    def test_a_store_of_another_program_is_refused(self):
        self.stop()
        for statement, words in (("PRAGMA user_version = 9", "a newer program made it"), ("PRAGMA user_version = 0", "an older program")):
            self.damage(statement)
            refused = subprocess.run([PROGRAM, "--listen", f"unix:{self.directory}/x", "--data-dir", f"{self.directory}/data"],
                                     capture_output=True, text=True, timeout=SECONDS, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn(words, refused.stderr)

    def test_numbers_are_of_the_own_models_versions(self):
        version = self.loaded()
        for method, message in ((self.stub.DeleteVersion, pb.DeleteVersionRequest), (self.stub.UnloadVersion, pb.UnloadVersionRequest)):
            self.assert_refused(grpc.StatusCode.NOT_FOUND, "models/other", method, message(name="models/other/versions/1"))
        self.assertTrue(self.stub.GetVersion(pb.GetVersionRequest(name=version.name), timeout=SECONDS).loaded)

    def test_typed_inputs_are_those_of_their_datatype(self):
        def read(datatype, shape, **fields):
            request = v2.ModelInferRequest()
            request.inputs.add(name="x", datatype=datatype, shape=shape, contents=v2.InferTensorContents(**fields))
            return read_inputs(None, request, [pb.TensorSignature(name="x", datatype=datatype, shape=shape)])["x"]

        for datatype, field, values in (("BOOL", "bool", [True, False]), ("INT8", "int", [-128, 127]), ("INT16", "int", [-32768, 32767]),
                                        ("INT32", "int", [-2**31, 2**31 - 1]), ("INT64", "int64", [-2**63, 2**63 - 1]),
                                        ("UINT8", "uint", [0, 255]), ("UINT16", "uint", [0, 65535]), ("UINT32", "uint", [0, 2**32 - 1]),
                                        ("UINT64", "uint64", [0, 2**64 - 1]), ("FP32", "fp32", [0.5, -2]), ("FP64", "fp64", [0.1, 2])):
            array = read(datatype, [2, 1], **{f"{field}_contents": values})
            self.assertEqual((array.dtype, array[:, 0].tolist()), (numpy.dtype(NUMBERS[datatype]), values))
            self.assertEqual(read(datatype, [0, 3]).shape, (0, 3))
        for datatype, fields, words in (("INT8", {"int_contents": [128]}, "-128 to 127"), ("UINT16", {"uint_contents": [65536]}, "0 to 65535"),
                                        ("INT16", {"int_contents": [-40000]}, "-32768 to"), ("FP16", {}, "has no typed contents"),
                                        ("INT8", {"bytes_contents": [b"a"]}, "must have 1 elements in int_contents: got 0, and 1")):
            with self.assertRaisesRegex(Refusal, words):
                read(datatype, [1], **fields)

    def test_outputs_are_committed_to(self):
        version = self.trained()
        request = pb.CommitOutputsRequest(request_id="commit", version=version.name, digest=version.digest, split="test",
                                          dataset=pb.Dataset(uri="made-up"), commitments=self.commitments("test"))
        request.endpoints.CopyFrom(self.train_request("").endpoints)
        job = self.ended(self.stub.CommitOutputs, request)
        self.assertEqual(job.state, pb.Job.SUCCEEDED, job.error_message)
        hasher = OutputsHasher()
        for piece in self.stub.Materialize(pb.MaterializeRequest(
                version=version.name, split="test", dataset=request.dataset, endpoints=request.endpoints), timeout=SECONDS):
            self.assertTrue(piece.last_piece)
            hasher.add(piece.example_id, piece.cluster, {piece.output: (piece.datatype, list(piece.shape), piece.data)})
        self.assertEqual(job.commitment, pb.OutputsCommitment(
            version=version.name, version_digest=version.digest, dataset_digest=DIGEST, split="test", example_count=3,
            outputs_digest=hasher.finish()))
        # What its parents gave is what it computes on.
        request.request_id, request.commitments[0].outputs_digest = "commit-on-others", "1" * 64
        self.assertEqual(self.ended(self.stub.CommitOutputs, request).error_code, grpc.StatusCode.DATA_LOSS.value[0])

    def test_what_a_parent_refuses_fails_the_job(self):
        self.parent.failures = [grpc.StatusCode.DATA_LOSS]
        job = self.ended(self.stub.Train, self.train_request("train"))
        self.assertEqual((job.state, job.error_code), (pb.Job.FAILED, grpc.StatusCode.DATA_LOSS.value[0]))
        self.stop()
        self.start()
        self.assertEqual(self.stub.Train(self.train_request("train"), timeout=SECONDS), job)

    def test_outputs_that_do_not_fit_fail_the_job(self):
        version = self.trained()
        for what, change, words in (
                ("datatype", {"datatype": "FP32"}, "must be FP64"),
                ("no examples", {"counts": {"models/feature/versions/2": 0}}, "has no examples"),
                ("other counts", {"counts": {"models/feature/versions/2": 2}}, "feature has 2 examples and teacher 3")):
            with self.subTest(what):
                self.parent.datatype, self.parent.counts = "FP64", {}
                vars(self.parent).update(change)
                job = self.ended(self.stub.Train, self.train_request(what.replace(" ", "-"), version=2))
                self.assertEqual(job.state, pb.Job.FAILED)
                self.assertIn(words, job.error_message)
        for change, words in (({"hollow": True}, "a piece without bytes that is not its last"), ({"others": 1001}, "1000 outputs of one")):
            vars(self.parent).update({"hollow": False, "others": 0, "datatype": "FP64", "counts": {}, **change})
            job = self.ended(self.stub.Train, self.train_request("-".join(change), version=2))
            self.assertEqual((job.state, words in job.error_message), (pb.Job.FAILED, True), job.error_message)
        self.parent.hollow, self.parent.others = False, 0
        self.parent.width = 1  # It would be stretched to two.
        self.parent.datatype, self.parent.counts = "FP64", {}
        job = self.ended(self.stub.Evaluate, self.evaluate_request(version))
        self.assertEqual(job.state, pb.Job.FAILED)
        self.assertIn("feature must have shape [2]", job.error_message)

    def test_examples_of_a_cluster_are_drawn_together(self):
        request = self.evaluate_request(self.trained())
        request.bootstrap.resample_count = 5
        evaluation = self.ended(self.stub.Evaluate, request).evaluation
        loss = evaluation.losses[0]
        self.assertEqual((evaluation.example_count, evaluation.cluster_count), (3, 2))  # Clusters a, b, a.
        self.assertEqual((loss.example_count, loss.cluster_count, len(loss.resampled)), (3, 2, 5))
        self.assertAlmostEqual(loss.effective_cluster_count, (4 + 1)**2 / (16 + 1))

        # Resample 3 of seed 7 draws clusters 0 6 2 6 1 2 6 3 of eight, by exact integers outside of this program.
        names = [*"abcdefgh", "g", ""]
        resampling = Resampling(pb.Bootstrap(seed=7, resample_count=4), names[:-1])
        self.assertEqual(list(resampling.counts())[3].tolist(), [1, 1, 2, 1, 0, 0, 3, 0, 3])
        evaluation, values = pb.Evaluation(), [1.0, 2, 3, 4, 5, 6, 7, 8, 9]
        resampling.add_loss(evaluation, "mae", values, weights=[1, 1, 1, 1, 1, 1, 2, 1, 0])
        loss = evaluation.losses[0]
        self.assertAlmostEqual(loss.resampled[3], (1 + 2 + 6 + 4 + 3 * 2 * 7) / (5 + 6))
        self.assertEqual((loss.example_count, loss.cluster_count, loss.effective_cluster_count), (8, 8, 8))
        self.assertEqual(evaluation.cluster_count, 8)
        alone = Resampling(pb.Bootstrap(resample_count=1), ["", "", "a", ""])
        self.assertEqual((alone.drawn, alone.named), (4, True))
        self.assertFalse(Resampling(pb.Bootstrap(), ["", ""]).named)

    def test_large_messages_pass(self):
        self.loaded()
        # The refusal is the model's own: gRPC let 10 MB pass.
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "feature must have shape [2]", self.inference.ModelInfer,
                            self.infer_request([0.0] * (10 << 17)))

    def test_bad_requests_are_refused(self):
        invalid, not_found = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
        self.assert_refused(not_found, "there is no such version", self.inference.ModelInfer, self.infer_request([1, 1]))
        version = self.loaded()

        def train(**changes):
            request = self.train_request("bad")
            for path, value in changes.items():
                *names, last = path.split("__")
                target = request
                for name in names:
                    target = target[int(name)] if name.isdigit() else getattr(target, name)
                setattr(target, last, value)
            return request

        no_endpoint = self.train_request("no-endpoint")
        del no_endpoint.endpoints.by_model["models/feature"]
        job = self.ended(self.stub.Train, no_endpoint)
        self.assertEqual(job.error_code, grpc.StatusCode.FAILED_PRECONDITION.value[0])
        self.assertIn("endpoints.by_model", job.error_message)

        twice, nan = train(), train()
        twice.lineage.add().CopyFrom(twice.lineage[0])
        nan.recipe.parameters["k"] = float("nan")
        for words, request in (("request_id", train(request_id="")), ("request_id", train(request_id="a b")),
                               ("lineage[0].version", train(lineage__0__version="models/feature")),
                               ("lineage[1].output", train(lineage__1__output="")),
                               ("lineage[1].digest", train(lineage__1__digest="0")), ("lineage", twice),
                               ("recipe.parameters.k", nan), ("seed", train(seed=-1)),
                               ("dataset.uri", train(dataset__uri=""))):
            with self.subTest(words):
                self.assert_refused(invalid, words, self.stub.Train, request)
        self.assert_refused(not_found, "models/other", self.stub.Train, train(model="models/other"))

        for words, change in (("split", {"split": "all"}), ("resample_count", {"bootstrap": {"resample_count": 10001}}),
                              ("resample_count", {"bootstrap": {"resample_count": -1}}),
                              ("swapped_parents", {"swapped_parents": [{"input": "feature"}]}),
                              ("a version's name", {"version": "models/nearest/versions/one"})):
            with self.subTest(words):
                request = self.evaluate_request(version)
                for name, value in change.items():
                    request.ClearField(name)
                    request.MergeFrom(pb.EvaluateRequest(**{name: value}))
                self.assert_refused(invalid, words, self.stub.Evaluate, request)

        for words, method, request in (
                ("page_token", self.stub.ListVersions, pb.ListVersionsRequest(model="models/nearest", page_token="x")),
                ("page_size", self.stub.ListVersions, pb.ListVersionsRequest(model="models/nearest", page_size=-1)),
                ("a version's name", self.stub.GetVersion, pb.GetVersionRequest(name="1")),
                ("split", self.stub.Materialize, pb.MaterializeRequest(version=version.name, split="all"))):
            with self.subTest(words):
                self.assert_refused(invalid, words, method, request)
        self.assert_refused(not_found, "there is no job", self.stub.GetJob, pb.GetJobRequest(name="bad/train"))

        def infer(**changes):
            request = self.infer_request([1, 1])
            for name, value in changes.items():
                if name.startswith("input_"):
                    request.inputs[0].ClearField(name[6:])
                    request.inputs[0].MergeFrom(v2.ModelInferRequest.InferInputTensor(**{name[6:]: value}))
                else:
                    request.ClearField(name)
                    request.MergeFrom(v2.ModelInferRequest(**{name: value}))
            return request

        for words, request in (("['feature'] are missing", infer(inputs=[], raw_input_contents=[])),
                               ("there is no such input", infer(input_name="magic")),
                               ("datatype must be FP64", infer(input_datatype="FP32")),
                               ("shape must be [-1]", infer(input_shape=[1, 2])),
                               ("shape must be [-1]", infer(input_shape=[-1])),
                               ("raw contents must have 24 bytes", infer(input_shape=[3])),
                               ("must have 2 elements in fp64_contents: got 0", infer(raw_input_contents=[])),
                               ("raw_input_contents must have an entry for each", infer(raw_input_contents=[b"", b""])),
                               ("typed contents although raw", infer(input_contents={"fp64_contents": [1, 1]})),
                               ("no parameter 'priority'", infer(parameters={"priority": v2.InferParameter(int64_param=1)})),
                               ("outputs", infer(outputs=[{"name": "magic"}])),
                               ("a version's name", infer(model_version="one"))):
            with self.subTest(words):
                self.assert_refused(invalid, words, self.inference.ModelInfer, request)
        def typed(**fields):
            request = infer(input_contents=fields)
            request.ClearField("raw_input_contents")
            return request

        for words, fields in (("got 0, and 2 in all", {"fp32_contents": [1, 1]}), ("got 3, and 3", {"fp64_contents": [1, 1, 1]}),
                              ("got 2, and 4", {"fp64_contents": [1, 1], "int_contents": [1, 1]})):
            with self.subTest(words):
                self.assert_refused(invalid, words, self.inference.ModelInfer, typed(**fields))
        self.assertEqual(self.inference.ModelInfer(typed(fp64_contents=[1, 1])).raw_output_contents,
                         self.inference.ModelInfer(infer()).raw_output_contents)
        self.assert_refused(not_found, "models/other", self.inference.ModelInfer, infer(model_name="other"))
        self.assertTrue(self.health())

    def start_watched(self):
        """A service with /metrics, in place of the one that every test has. Returns where its page is."""
        watched = subprocess.Popen([PROGRAM, "--listen", f"unix:{self.directory}/watched", "--data-dir", f"{self.directory}/w",
                                    "--metrics-listen", "localhost:0"], stderr=subprocess.PIPE, text=True)
        self.addCleanup(watched.stderr.close)
        self.addCleanup(watched.wait)
        self.addCleanup(watched.kill)
        place = watched.stderr.readline().split("metrics=")[1].strip()
        self.channel = grpc.insecure_channel(f"unix:{self.directory}/watched")
        self.addCleanup(self.channel.close)
        self.stub, self.inference = rpc.ModelServiceStub(self.channel), v2_rpc.GRPCInferenceServiceStub(self.channel)
        self.stub.GetModel(pb.GetModelRequest(), timeout=SECONDS, wait_for_ready=True)
        return place

    @staticmethod
    def page(place):
        with urllib.request.urlopen(f"http://{place}/metrics", timeout=SECONDS) as answer:
            return answer.read().decode()

    def page_with(self, place, part):
        """The page once it has something: a call is counted once its answer is on its way."""
        give_up = time.monotonic() + SECONDS
        while part not in (text := self.page(place)) and time.monotonic() < give_up:
            pass  # Each look waits for the service.
        self.assertIn(part, text)
        return text

    def test_metrics_are_those_that_are_documented(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/metrics.md"), encoding="utf-8") as file:
            _, every, service, _ = re.split("\n## (?:Every process|Model services|Gateway)\n", file.read())
        documented = {}
        for line in (every + service).splitlines():
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) == 6 and cells[1].startswith("`"):
                documented[cells[1].strip("`")] = (cells[2], set(filter(None, cells[3].split(", "))))
        # What there is none of: a certificate, a listener of our own, kept outputs, batches, places to run, progress.
        for name in list(documented):
            if re.match("backfire_(tls|calls_refused|connections|outputs|training|inference_(batch|running|waiting))", name):
                del documented[name]
        place = self.start_watched()
        version = self.trained()
        self.stub.LoadVersion(pb.LoadVersionRequest(name=version.name), timeout=SECONDS)
        self.inference.ModelInfer(self.infer_request([1, 1]), timeout=SECONDS)
        job = self.ended(self.stub.Evaluate, self.evaluate_request(version))
        self.assertEqual(job.state, pb.Job.SUCCEEDED, job.error_message)
        with self.assertRaises(grpc.RpcError):
            self.stub.GetVersion(pb.GetVersionRequest(name="models/nearest/versions/9"), timeout=SECONDS)
        with self.assertRaises(grpc.RpcError):
            self.channel.unary_unary("/attack.Service/Guess")(b"", timeout=SECONDS)

        text, found = self.page_with(place, 'handled_total{grpc_code="NotFound"'), {}
        promtool = shutil.which("promtool")
        if promtool is not None:  # Of the package prometheus, which nothing else needs.
            lint = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=SECONDS, check=False)
            self.assertEqual((lint.returncode, lint.stdout + lint.stderr), (0, ""))
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                found[name] = (kind, set())
            elif not line.startswith("#"):
                name = line.split("{")[0].split(" ")[0]
                name = next(known for known in found if name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") == known
                            or name == known)
                found[name][1].update(set(re.findall(r'(\w+)="', line)) - {"le"})
        self.assertEqual(found, documented)
        for line in ('grpc_server_handled_total{grpc_code="NotFound",grpc_method="GetVersion",'
                     'grpc_service="backfire.v1.ModelService",grpc_type="unary"} 1.0',
                     'backfire_version_loaded{model="nearest",version="1"} 1.0',
                     'backfire_inference_seconds_count{model="nearest",version="1"} 1.0',
                     'backfire_jobs_ended_total{code="OK",kind="training",state="SUCCEEDED"} 1.0',
                     'backfire_jobs_ended_total{code="OK",kind="evaluation",state="SUCCEEDED"} 1.0',
                     'backfire_jobs_ended_total{code="Internal",kind="training",state="FAILED"} 0.0',
                     'backfire_jobs{kind="training",state="running"} 0.0'):
            self.assertIn(line + "\n", text)
        self.assertIn('backfire_version_loss{judged="true",loss="disagreement",model="nearest",slice="",version="1"}', text)
        self.assertNotIn("Guess", text)
        taken = subprocess.run([PROGRAM, "--listen", f"unix:{self.directory}/x", "--data-dir", f"{self.directory}/x.d",
                                "--metrics-listen", place], capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(taken.returncode, 1)
        self.assertIn("--metrics-listen: cannot listen on", taken.stderr)

    def test_metrics_count_calls_of_both_sides(self):
        place = self.start_watched()
        self.parent.failures = [grpc.StatusCode.UNAVAILABLE]
        request = self.train_request("train")
        self.assertEqual(self.ended(self.stub.Train, request).state, pb.Job.SUCCEEDED)
        labels = 'grpc_method="{}",grpc_service="backfire.v1.ModelService",grpc_type="{}"}}'.format
        text = self.page_with(place, "grpc_server_handling_seconds_count{" + labels("Train", "unary"))

        def value(series):
            return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(series + " ")), None)
        # Two inputs, one of which was asked for twice.
        self.assertEqual(value("grpc_client_started_total{" + labels("Materialize", "server_stream")), 3)
        self.assertEqual(value('grpc_client_handled_total{grpc_code="OK",' + labels("Materialize", "server_stream")), 2)
        self.assertEqual(value('grpc_client_handled_total{grpc_code="Unavailable",' + labels("Materialize", "server_stream")), 1)
        self.assertEqual(value("grpc_client_in_flight{" + labels("Materialize", "server_stream")), 0)
        self.assertEqual(value('grpc_client_handled_total{grpc_code="OK",' + labels("GetVersion", "unary")), 3)
        self.assertGreater(value("grpc_client_msg_received_bytes_total{" + labels("Materialize", "server_stream")), 7 * 16)
        self.assertGreater(value("grpc_client_msg_sent_bytes_total{" + labels("GetVersion", "unary")), 0)
        calls = value("grpc_server_started_total{" + labels("Train", "unary"))
        self.assertEqual(value("grpc_server_msg_received_bytes_total{" + labels("Train", "unary")), calls * request.ByteSize())

    def test_a_version_that_is_unloaded_has_no_series(self):
        place = self.start_watched()
        name = self.trained().name
        for loaded in (True, True, False, False):
            method, request = ((self.stub.LoadVersion, pb.LoadVersionRequest) if loaded else
                               (self.stub.UnloadVersion, pb.UnloadVersionRequest))
            method(request(name=name), timeout=SECONDS)
            self.assertEqual(self.stub.GetVersion(pb.GetVersionRequest(name=name), timeout=SECONDS).loaded, loaded)
            request = self.infer_request([1, 1])
            request.model_version = "1"
            if loaded:
                self.inference.ModelInfer(request, timeout=SECONDS)
            else:
                self.assert_refused(grpc.StatusCode.UNAVAILABLE, "is not loaded", self.inference.ModelInfer, request)
            for series in ("backfire_version_loaded{", "backfire_inference_seconds_count{"):
                self.assertEqual(series + 'model="nearest",version="1"}' in self.page(place), loaded)


    def test_versions_are_exported_imported_and_deleted(self):
        version = self.loaded()
        pieces = list(self.stub.ExportVersion(pb.ExportVersionRequest(name=version.name), timeout=SECONDS))
        file = b"".join(piece.data for piece in pieces)
        self.assertEqual((pieces[0].file_bytes, pieces[0].version.digest), (len(file), version.digest))

        def imported(data, **changes):
            request = pb.ImportVersionRequest(model="models/nearest", recipe=version.recipe, lineage=version.lineage,
                                              file_bytes=len(data), data=data[:100])
            for name, value in changes.items():
                setattr(request, name, value)
            return self.stub.ImportVersion(iter([request, pb.ImportVersionRequest(data=data[100:])]), timeout=SECONDS)

        taken = imported(file)
        self.assertNotEqual((taken.name, taken.input_key), (version.name, version.input_key))
        self.assertEqual(imported(file).name, taken.name)
        for code, words, data, changes in (
                (grpc.StatusCode.INVALID_ARGUMENT, "must be a .npz file", b"root:x:0:0:root:/root:/bin/bash", {}),
                (grpc.StatusCode.INVALID_ARGUMENT, "must be a .npz file", file[:200], {}),
                (grpc.StatusCode.DATA_LOSS, "send it again", file, {"file_bytes": len(file) + 1}),
                (grpc.StatusCode.DATA_LOSS, "send it again", file, {"file_digest": DIGEST}),
                (grpc.StatusCode.NOT_FOUND, "models/other", file, {"model": "models/other"})):
            with self.assertRaises(grpc.RpcError) as refused:
                imported(data, **changes)
            self.assertEqual((refused.exception.code(), words in refused.exception.details()), (code, True), words)

        delete = pb.DeleteVersionRequest(name=version.name)
        self.assert_refused(grpc.StatusCode.FAILED_PRECONDITION, "is loaded", self.stub.DeleteVersion, delete)
        self.stub.UnloadVersion(pb.UnloadVersionRequest(name=version.name), timeout=SECONDS)
        for _ in range(2):
            self.stub.DeleteVersion(delete, timeout=SECONDS)
        self.assert_refused(grpc.StatusCode.NOT_FOUND, version.name, self.stub.GetVersion, pb.GetVersionRequest(name=version.name))
        again = self.ended(self.stub.Train, self.train_request("again"))
        self.assertEqual((again.version.name, again.version.digest), ("models/nearest/versions/3", version.digest))
        self.assertGreater(again.compute_seconds, 0)
        self.assertGreater(again.compute_seconds, again.version.training_seconds)
        known = self.ended(self.stub.Train, self.train_request("known"))
        self.assertEqual((known.compute_seconds, known.saved_seconds), (0, again.version.training_seconds))

    def test_jobs_are_watched_until_they_end(self):
        self.parent.may_answer.clear()
        self.assertEqual(self.stub.Train(self.train_request("train"), timeout=SECONDS).state, pb.Job.RUNNING)
        request = pb.WatchJobRequest(name="jobs/train")
        left = [self.stub.WatchJob(request) for _ in range(24)]  # As many as may watch.
        for one in left:
            self.assertEqual(next(one).state, pb.Job.RUNNING)
        self.assert_refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "GetJob", self.stub.WatchJob, request)
        for one in left:
            one.cancel()
        watch, give_up = None, time.monotonic() + SECONDS
        while watch is None:  # Those who have gone hold no place, once the service has heard of it.
            try:
                watch = self.stub.WatchJob(request, timeout=SECONDS)
                self.assertEqual(next(watch).state, pb.Job.RUNNING)
            except grpc.RpcError as error:
                self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
                self.assertLess(time.monotonic(), give_up)
                watch = None
        self.parent.may_answer.set()
        (ended,) = watch
        self.assertEqual((ended.state, ended.version.name), (pb.Job.SUCCEEDED, "models/nearest/versions/1"))
        self.assertEqual(list(self.stub.WatchJob(request, timeout=SECONDS)), [ended])
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "jobs/none", self.stub.WatchJob, pb.WatchJobRequest(name="jobs/none"))

    def test_a_watch_does_not_hold_up_the_end(self):
        self.stub.Train(self.train_request("hung", self.hung_endpoint()), timeout=SECONDS)
        watch = self.stub.WatchJob(pb.WatchJobRequest(name="jobs/hung"))
        self.assertEqual(next(watch).state, pb.Job.RUNNING)
        begin = time.monotonic()
        self.stop()
        self.assertLess(time.monotonic() - begin, GRACE_SECONDS)
        with self.assertRaises(grpc.RpcError) as ended:
            next(watch)
        self.assertEqual(ended.exception.code(), grpc.StatusCode.UNAVAILABLE)

    def test_tools_find_what_it_serves(self):
        names = [one.name for one in self.reflect(list_services="").list_services_response.service]
        self.assertEqual(names, ["backfire.v1.ModelService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                                 "grpc.reflection.v1alpha.ServerReflection",
                                 "inference.GRPCInferenceService"])
        for name in names:
            answer = self.reflect(file_containing_symbol=name)
            files = [descriptor_pb2.FileDescriptorProto.FromString(one) for one in answer.file_descriptor_response.file_descriptor_proto]
            self.assertIn(name, [f"{files[0].package}.{service.name}" for service in files[0].service])
            self.assertLessEqual({one for file in files for one in file.dependency}, {file.name for file in files})
            self.assertEqual(self.reflect(file_by_filename=files[0].name).file_descriptor_response, answer.file_descriptor_response)
        self.assertEqual(self.reflect(all_extension_numbers_of_type="backfire.v1.Job").all_extension_numbers_response.base_type_name,
                         "backfire.v1.Job")
        for question in ({"file_containing_symbol": "no.Such"}, {"file_by_filename": "../../etc/passwd"},
                         {"file_containing_extension": {"containing_type": "backfire.v1.Job"}}, {}):
            self.assertEqual(self.reflect(**question).error_response.error_code, grpc.StatusCode.NOT_FOUND.value[0], question)

    def test_clients_of_the_open_inference_protocol_find_their_way(self):
        self.assertTrue(self.inference.ServerLive(v2.ServerLiveRequest(), timeout=SECONDS).live)
        self.assertTrue(self.inference.ServerReady(v2.ServerReadyRequest(), timeout=SECONDS).ready)
        self.assertEqual(self.inference.ServerMetadata(v2.ServerMetadataRequest(), timeout=SECONDS).name, "nearest-neighbour-service")
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "none is loaded", self.inference.ModelReady, v2.ModelReadyRequest(name="nearest"))
        self.trained()
        one = v2.ModelReadyRequest(name="nearest", version="1")
        self.assert_refused(grpc.StatusCode.UNAVAILABLE, "is not loaded", self.inference.ModelReady, one)
        self.loaded()
        for request in (one, v2.ModelReadyRequest(name="nearest")):
            self.assertTrue(self.inference.ModelReady(request, timeout=SECONDS).ready)
        for code, words, request in ((grpc.StatusCode.NOT_FOUND, "models/other", {"name": "other"}),
                                     (grpc.StatusCode.NOT_FOUND, "versions/9", {"name": "nearest", "version": "9"}),
                                     (grpc.StatusCode.INVALID_ARGUMENT, "a version's name", {"name": "nearest", "version": "one"})):
            self.assert_refused(code, words, self.inference.ModelReady, v2.ModelReadyRequest(**request))
            self.assert_refused(code, words, self.inference.ModelMetadata, v2.ModelMetadataRequest(**request))
        metadata = self.inference.ModelMetadata(v2.ModelMetadataRequest(name="nearest"), timeout=SECONDS)
        self.assertEqual((list(metadata.versions), [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in metadata.inputs],
                          [tensor.name for tensor in metadata.outputs]), (["1"], [("feature", "FP64", [-1])], ["y"]))

    def test_health_goes_by_name(self):
        for name in ("", "liveness", "readiness", "nearest"):
            self.assertTrue(self.health(name), name)
        with self.assertRaises(grpc.RpcError) as refused:
            self.health("nobody")
        self.assertEqual(refused.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_a_replica_serves_copies_and_nothing_else(self):
        version, first = self.loaded(), self.infer_request([1, 1])
        expected = self.inference.ModelInfer(first, timeout=SECONDS).raw_output_contents
        primary, directory = self.stub, f"{self.directory}/replica.d"
        load = pb.LoadVersionRequest(name=version.name, digest=version.digest)
        self.become_replica(directory)
        self.assertTrue(self.health() and self.health("liveness"))
        self.assertFalse(self.health("readiness"))
        self.assert_refused(grpc.StatusCode.DATA_LOSS, "has digest", self.stub.LoadVersion,
                            pb.LoadVersionRequest(name=version.name, digest=DIGEST))
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "versions/9", self.stub.LoadVersion,
                            pb.LoadVersionRequest(name="models/nearest/versions/9"))
        for _ in range(2):
            self.stub.LoadVersion(load, timeout=SECONDS)
        self.assertTrue(self.health("readiness"))
        version.loaded = True
        self.assertEqual(self.stub.GetVersion(pb.GetVersionRequest(name=version.name), timeout=SECONDS), version)
        self.assertEqual(self.inference.ModelInfer(first, timeout=SECONDS).raw_output_contents, expected)
        for method, request in ((self.stub.Train, self.train_request("replica")), (self.stub.Evaluate, self.evaluate_request(version)),
                                (self.stub.Materialize, pb.MaterializeRequest(version=version.name, split="test")),
                                (self.stub.DeleteVersion, pb.DeleteVersionRequest(name=version.name))):
            self.assert_refused(grpc.StatusCode.FAILED_PRECONDITION, f"is a replica and only serves requests: ask unix:{self.directory}/service",
                                method, request)

        # Without its primary it serves on, also after a restart; and what it unloads it has no longer.
        primary.UnloadVersion(pb.UnloadVersionRequest(name=version.name), timeout=SECONDS)
        self.primary.send_signal(signal.SIGKILL)
        self.primary.wait()
        self.stop()
        self.become_replica(directory)
        self.assertEqual(self.inference.ModelInfer(first, timeout=SECONDS).raw_output_contents, expected)
        for digest in (version.digest, ""):
            self.stub.LoadVersion(pb.LoadVersionRequest(name=version.name, digest=digest), timeout=SECONDS)
        self.stub.UnloadVersion(pb.UnloadVersionRequest(name=version.name), timeout=SECONDS)
        self.assertFalse(self.health("readiness"))
        self.assertEqual(list(self.stub.ListVersions(pb.ListVersionsRequest(model="models/nearest"), timeout=SECONDS).versions), [])
        self.assert_refused(grpc.StatusCode.UNAVAILABLE, f"unix:{self.directory}/service", self.stub.LoadVersion, load)

        for place, arguments, words in ((f"{self.directory}/data", ["--replica-of", "unix:x"], "versions that were trained there"),
                                        (directory, [], "--replica-of")):
            refused = subprocess.run([PROGRAM, "--listen", f"unix:{self.directory}/x", "--data-dir", place, *arguments],
                                     capture_output=True, text=True, timeout=SECONDS, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn(words, refused.stderr)

    def become_replica(self, directory):
        """Starts a replica of the service that every test has, and talks to it from now on."""
        if "replica" not in self.__dict__:
            self.primary = self.process
        self.replica = self.process = subprocess.Popen([PROGRAM, "--listen", f"unix:{self.directory}/replica", "--data-dir", directory,
                                                        "--replica-of", f"unix:{self.directory}/service"])
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.channel = grpc.insecure_channel(f"unix:{self.directory}/replica", [("grpc.max_reconnect_backoff_ms", 100)])
        self.addCleanup(self.channel.close)
        grpc.channel_ready_future(self.channel).result(SECONDS)
        self.stub, self.inference = rpc.ModelServiceStub(self.channel), v2_rpc.GRPCInferenceServiceStub(self.channel)

    def test_what_is_kept_grows_by_what_is_added(self):
        version = self.trained()
        request = self.evaluate_request(version)
        written = []
        for i in range(20):
            request.request_id = f"evaluate/{i}"
            before = self.written()
            self.assertEqual(self.ended(self.stub.Evaluate, request).state, pb.Job.SUCCEEDED)
            written.append(self.written() - before)
        self.assertLess(sum(written[10:]), 2 * sum(written[:10]))  # The whole state would be more each time.

    def written(self):
        """Bytes that the service has written so far."""
        with open(f"/proc/{self.process.pid}/io", encoding="ascii") as file:
            return int(dict(line.split(": ") for line in file.read().splitlines())["wchar"])

    def test_values_are_checked_before_anything_runs(self):
        request = pb.ResolveRecipeRequest(model="models/nearest", recipe=pb.Recipe(name="nearest"))
        self.assertEqual(dict(self.stub.ResolveRecipe(request, timeout=SECONDS).recipe.parameters), {"k": 3})
        for k in (0, 1001, 2.5, "three", True):
            request.recipe.parameters["k"] = k
            self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "recipe.parameters.k must be", self.stub.ResolveRecipe, request)


class ShapesTest(unittest.TestCase):
    """What a model's functions return is held against its description, before it can be stretched."""

    class Flat(StockModel):
        """Says what it is fed, without its last axis."""
        name, inputs, outputs = "flat", {"x": ("FP64", [-1])}, {"y": ("FP64", [-1])}
        targets = ["x"]

        def predict(self, weights, data, parameters):
            return {"y": data["x"][:, 0]}

    def test_an_output_or_a_loss_of_another_shape_is_refused(self):
        service, data = StockService(self.Flat(), None), {"x": numpy.ones((3, 1))}
        with self.assertRaisesRegex(Refusal, r"y of shape \[3, -1\], a row for each example .*: got \[3\]"):
            service.predict(None, {"input.x": [1]}, data, None)
        self.assertEqual(list(service.losses({"y": numpy.zeros((3, 1))}, data, 3)["loss"]), [1, 1, 1])
        with self.assertRaisesRegex(Refusal, r"each of the 3 examples: loss has shape \[4\]"):
            service.losses({"y": numpy.zeros((4, 1))}, {"x": numpy.zeros((4, 1))}, 3)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
