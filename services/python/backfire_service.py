"""What any model service in Python needs: jobs and versions on disk, parents' outputs, resamples, a server."""
import argparse
import hashlib
import json
import os
import sys
import threading
from concurrent import futures

import grpc
import numpy
from google.protobuf import json_format

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "stubs"))
from backfire.v1 import model_service_pb2 as pb, model_service_pb2_grpc as rpc  # noqa: E402
from inference import open_inference_pb2 as v2, open_inference_pb2_grpc as v2_rpc  # noqa: E402,F401


def sha256(*fields):
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def check(context, holds, code, message):
    """Ends the call with a status unless something holds."""
    if not holds:
        context.abort(getattr(grpc.StatusCode, code), message)


def resample(bootstrap, b, n):
    """Indices of resample b of n < 2^31 examples, bit for bit as model_service.proto fixes them."""

    def split_mix(x):
        z = x + numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return z ^ (z >> numpy.uint64(31))

    key = split_mix(numpy.array([(bootstrap.seed + b) % 2**64], dtype=numpy.uint64))
    bits, count, half = split_mix(key + numpy.arange(n, dtype=numpy.uint64)), numpy.uint64(n), numpy.uint64(32)
    low = (bits & numpy.uint64(2**32 - 1)) * count >> half  # The product has 96 bits: half by half.
    return (((bits >> half) * count + low) >> half).astype(int)


def pull(parent, request, split):
    """FP64 rows, one per example, from the service of a parent, and its dataset's digest."""
    with grpc.insecure_channel(request.endpoints.by_model[parent.version.partition("/versions/")[0]]) as channel:
        stub, rows = rpc.ModelServiceStub(channel), {}
        digest = stub.GetVersion(pb.GetVersionRequest(name=parent.version)).dataset.digest
        wanted = pb.MaterializeRequest(version=parent.version, digest=parent.digest, dataset=request.dataset,
                                       split=split, endpoints=request.endpoints)
        for piece in stub.Materialize(wanted):
            if piece.output == parent.output:
                rows[piece.example] = rows.get(piece.example, b"") + piece.data
    return numpy.array([numpy.frombuffer(data, "<f8") for data in rows.values()]), digest


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
    """Jobs by request_id and versions by number, in one file that is replaced whole. Thread-safe."""

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.path, self.lock = os.path.join(directory, "state.json"), threading.RLock()
        self.state = {"jobs": {}, "versions": []}
        if os.path.exists(self.path):
            with open(self.path) as file:
                self.state = json.load(file)

    def run(self, request, context, work):
        """Does a job's work within the call, or returns what came of it before, also before a restart."""
        check(context, 0 < len(request.request_id) <= 128, "INVALID_ARGUMENT", "request_id must have 1 to 128 characters")
        asked = json_format.MessageToDict(request)
        asked.pop("endpoints", None)  # A service that moved is the same service.
        with self.lock:
            kept = self.state["jobs"].get(request.request_id)
            if kept is None:
                job = pb.Job(name=f"jobs/{request.request_id}", state=pb.Job.SUCCEEDED)
                try:
                    work(job)
                except grpc.RpcError as error:  # What a parent refuses, the child can't do.
                    context.abort(error.code(), error.details())
                kept = self.state["jobs"][request.request_id] = {"asked": asked, "job": json_format.MessageToDict(job)}
                self.save()
        check(context, kept["asked"] == asked, "ALREADY_EXISTS", f"jobs/{request.request_id} has other arguments")
        return json_format.ParseDict(kept["job"], pb.Job())

    def job(self, name, context):
        kept = self.state["jobs"].get(name.partition("/")[2])
        check(context, kept is not None, "NOT_FOUND", f"there is no {name}")
        return json_format.ParseDict(kept["job"], pb.Job())

    def add(self, model, version, weights):
        """Names a version, and keeps it with its weights (JSON); the same input_key is the same version."""
        version.digest, version.weights_bytes = sha256(version.input_key, weights), len(json.dumps(weights))
        with self.lock:
            keys = [kept["version"]["inputKey"] for kept in self.state["versions"]]
            if version.input_key not in keys:
                version.name = f"{model}/versions/{len(keys) + 1}"
                self.state["versions"].append({"version": json_format.MessageToDict(version), "weights": weights})
                self.save()
            else:
                kept = self.state["versions"][keys.index(version.input_key)]
                version.CopyFrom(json_format.ParseDict(kept["version"], pb.Version()))

    def version(self, name, context):
        kept = next((kept for kept in self.state["versions"] if kept["version"]["name"] == name), None)
        check(context, kept is not None, "NOT_FOUND", f"there is no version {name}")
        return json_format.ParseDict(kept["version"], pb.Version()), kept["weights"]

    def save(self):
        write_whole(self.path, json.dumps(self.state))


class VersionMethods:
    """GetVersion and ListVersions over `self.store`: what children and `backfire version` ask a service for."""

    def GetVersion(self, request, context):
        return self.store.version(request.name, context)[0]

    def ListVersions(self, request, context):
        first = int(request.page_token or 0)
        kept = [json_format.ParseDict(kept["version"], pb.Version()) for kept in self.store.state["versions"]]
        page = kept[first:first + (request.page_size or 100)]
        more = str(first + len(page)) if first + len(page) < len(kept) else ""
        return pb.ListVersionsResponse(versions=page, next_page_token=more)


def serve(make_service, description):
    """A main: serves what `make_service` makes of a store, until the process is ended."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--listen", required=True, help="HOST:PORT or unix:PATH")
    parser.add_argument("--data-dir", required=True, help="where versions and jobs are kept")
    parser.add_argument("--metrics-listen", help="ignored: `backfire up` gives it, and there are no metrics here")
    options = parser.parse_args()
    server = grpc.server(futures.ThreadPoolExecutor(8))
    service = make_service(Store(options.data_dir))
    rpc.add_ModelServiceServicer_to_server(service, server)
    v2_rpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    serving = b"\x08\x01"  # HealthCheckResponse(status=SERVING) as bytes: Debian has no stubs of gRPC's health service.
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
        "Check": grpc.unary_unary_rpc_method_handler(lambda request, context: serving),
        "Watch": grpc.unary_stream_rpc_method_handler(lambda request, context: iter([serving]))})])
    server.add_insecure_port(options.listen)
    server.start()
    server.wait_for_termination()
