"""What the tests of services in Python stand on: the example as a process, and a parent that misbehaves on request.

Their first argument is the folder of backfire's binaries. They exit 77 (skipped) without Debian's python3-grpcio, python3-protobuf,
python3-numpy and python3-prometheus-client, or without gRPC's plugin for Python when it was built.
"""
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent import futures

PROGRAM = os.path.join(sys.argv[1], "nearest-neighbour-service")
sys.path.insert(0, os.path.dirname(os.path.realpath(PROGRAM)))
try:
    import backfire_stock  # noqa: F401, that all is there
    import grpc
    from backfire_service import pb, rpc, v2, v2_rpc
    from backfire_standard import health
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


class ServiceCase(unittest.TestCase):
    """A test of the example, nearest_neighbour.py, which runs while the test does."""

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

    def assert_refused(self, code, words, method, request):
        with self.assertRaises(grpc.RpcError) as refused:
            reply = method(request, timeout=SECONDS)
            list(reply if isinstance(reply, grpc.Call) else [])  # A stream is refused when it is read.
        self.assertEqual(refused.exception.code(), code, refused.exception.details())
        self.assertIn(words, refused.exception.details())
