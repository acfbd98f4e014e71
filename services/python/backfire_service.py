"""What any model service in Python needs: checks of requests, parents' outputs, resamples, a server; and of backfire_store
jobs and versions."""
import argparse
import math
import os
import queue
import re
import signal
import sys
import threading
import time
from concurrent import futures

import backfire_metrics
import backfire_replica
import backfire_roots
import backfire_security
import backfire_standard
import grpc
import numpy
from backfire_commitments import Commitments, OutputsHasher
from backfire_requests import Refusal, check, check_version_name, log, sha256  # noqa: F401
from backfire_store import STOPPING, Store, VersionMethods  # noqa: F401

# The stubs' folder is in the path since backfire_requests.
from backfire.v1 import model_service_pb2 as pb, model_service_pb2_grpc as rpc
from inference import open_inference_pb2 as v2, open_inference_pb2_grpc as v2_rpc  # noqa: F401

MOST_EXAMPLES, MOST_OUTPUTS, MOST_PULLED_BYTES = 1_000_000, 1000, 4 << 30  # Of what a parent gives on a split.
GRACE_SECONDS = 10  # How long calls and jobs may go on after SIGTERM, as in the services in C++.
WORKERS = 64  # Threads for calls.
PATIENCE_SECONDS = 300  # For a parent that is lost, since it last sent something new.
DESCRIBE_SECONDS, OUTPUTS_SECONDS = 30, 6 * 3600  # A parent that has to predict a whole split first says nothing for long.
TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED,
             grpc.StatusCode.CANCELLED)  # CANCELLED: by the other side, which ends.
PULLING_CALLS = threading.BoundedSemaphore(WORKERS // 2)  # The other workers are for health and ModelInfer, whatever hangs.
JOBS_CHANNELS = set()  # To parents; a drain closes them, which ends the calls of jobs.

# gRPC's own limit of 4 MiB breaks on images. A message of an error is metadata, and may be long.
OPTIONS = [("grpc.max_receive_message_length", 256 << 20), ("grpc.max_send_message_length", 256 << 20),
           ("grpc.max_metadata_size", 1 << 20)]
# A dead host is noticed; a restarted service is found at once; proxies of the environment are not for services of a mesh.
CHANNEL_OPTIONS = OPTIONS + [("grpc.keepalive_time_ms", 20000), ("grpc.keepalive_timeout_ms", 10000),
                             ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000),
                             ("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0),
                             ("grpc.use_local_subchannel_pool", 1)]
# Clients' keepalive comes more often than gRPC tolerates by default, and a port that is taken is an error.
SERVER_OPTIONS = OPTIONS + [("grpc.http2.min_ping_interval_without_data_ms", 10000),
                            ("grpc.keepalive_permit_without_calls", 1), ("grpc.so_reuseport", 0)]

NUMBERS = {"BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
           **{f"{kind}{8 * size}": f"<{kind[0].lower()}{size}" for kind in ("UINT", "INT") for size in (1, 2, 4, 8)}}


def check_lineage(context, field, parents, inputs):
    """Refuses parents that don't feed exactly these inputs, or are malformed; `field` says where they were."""
    fed = sorted(parent.input for parent in parents)
    check(context, fed == sorted(inputs), "INVALID_ARGUMENT", f"{field} must feed each of {sorted(inputs)} once: got {fed}")
    for i, parent in enumerate(parents):
        check_version_name(context, f"{field}[{i}].version", parent.version)
        check(context, parent.output, "INVALID_ARGUMENT", f"{field}[{i}].output must not be empty")
        check(context, re.fullmatch("[0-9a-f]{64}", parent.digest), "INVALID_ARGUMENT",
              f"{field}[{i}].digest must have 64 lower-case hexadecimal digits: got {parent.digest!r}")


def check_split(context, split):
    """Refuses a split that no dataset has."""
    check(context, split in ("train", "validation", "test"), "INVALID_ARGUMENT",
          f"split must be train, validation or test: got {split!r}")


def check_evaluation(context, request, inputs):
    """Refuses an EvaluateRequest that is wrong whatever the model is; parents feed these of its inputs."""
    check_split(context, request.split)
    check(context, request.dataset.uri, "INVALID_ARGUMENT", "dataset.uri must not be empty")
    check(context, 0 <= request.bootstrap.resample_count <= 10000, "INVALID_ARGUMENT",
          f"bootstrap.resample_count must be 0 to 10000: got {request.bootstrap.resample_count}")
    if request.swapped_parents:
        check_lineage(context, "swapped_parents", request.swapped_parents, inputs)


# The field of InferTensorContents that has a datatype's elements. FP16 has none.
TYPED = {"BOOL": "bool", "UINT64": "uint64", "INT64": "int64", "FP32": "fp32", "FP64": "fp64",
         **{f"{kind}{size}": field for kind, field in (("UINT", "uint"), ("INT", "int")) for size in (8, 16, 32)}}


def read_typed(context, where, tensor, number, count):
    """The elements of a tensor whose datatype and shape are known to be right, from its typed contents."""
    field = TYPED.get(tensor.datatype)
    check(context, field, "INVALID_ARGUMENT", f"{where}: {tensor.datatype} has no typed contents: send raw ones")
    elements, listed = getattr(tensor.contents, f"{field}_contents"), sum(len(each) for _, each in tensor.contents.ListFields())
    check(context, len(elements) == listed == count, "INVALID_ARGUMENT",
          f"{where}: contents must have {count} elements in {field}_contents: got {len(elements)}, and {listed} in all fields")
    if number.kind in "iu" and elements:
        low, high = numpy.iinfo(number).min, numpy.iinfo(number).max
        check(context, low <= min(elements) and max(elements) <= high, "INVALID_ARGUMENT",
              f"{where}: contents must be {low} to {high}, as {tensor.datatype} is: got {min(elements)} to {max(elements)}")
    return numpy.array(elements, number)


def read_inputs(context, request, signatures, optional=()):
    """Arrays by name of a ModelInferRequest, raw or typed; refuses what isn't as the model's `inputs` say."""
    raw, known, arrays = request.raw_input_contents, {signature.name: signature for signature in signatures}, {}
    check(context, len(raw) in (0, len(request.inputs)), "INVALID_ARGUMENT",
          f"raw_input_contents must have an entry for each of the {len(request.inputs)} inputs: got {len(raw)}")
    # Nothing that a parameter could ask for is done here.
    for asked in (request, *request.inputs, *request.outputs):
        check(context, not asked.parameters, "INVALID_ARGUMENT",
              f"parameters: there is no parameter {min(asked.parameters, default='')!r}: none is known here")
    for i, tensor in enumerate(request.inputs):
        where, shape, wanted = f'inputs[{i}] "{tensor.name}"', list(tensor.shape), known.get(tensor.name)
        check(context, wanted, "INVALID_ARGUMENT", f"{where}: there is no such input; there are {sorted(known)}")
        check(context, tensor.name not in arrays, "INVALID_ARGUMENT", f"{where}: is there twice")
        check(context, tensor.datatype == wanted.datatype, "INVALID_ARGUMENT",
              f"{where}: datatype must be {wanted.datatype}: got {tensor.datatype!r}")
        fits = len(shape) == len(wanted.shape) and all(got >= 0 and size in (-1, got)
                                                       for got, size in zip(shape, wanted.shape))
        check(context, fits, "INVALID_ARGUMENT",
              f"{where}: shape must be {list(wanted.shape)} (-1: any size): got {shape}")
        number, count = numpy.dtype(NUMBERS[tensor.datatype]), math.prod(shape)
        check(context, not (raw and tensor.HasField("contents")), "INVALID_ARGUMENT",
              f"{where}: has typed contents although raw_input_contents is used")
        if raw:
            check(context, len(raw[i]) == count * number.itemsize, "INVALID_ARGUMENT",
                  f"{where}: raw contents must have {count * number.itemsize} bytes: got {len(raw[i])}")
        elements = numpy.frombuffer(raw[i], number) if raw else read_typed(context, where, tensor, number, count)
        arrays[tensor.name] = elements.reshape(shape)
    missing = sorted(set(known) - set(arrays) - set(optional))
    check(context, not missing, "INVALID_ARGUMENT", f"inputs: {missing} are missing")
    return arrays


class Resampling:
    """The resamples of a split, bit for bit as model_service.proto has them: examples of one cluster are drawn together.

    `clusters` has a name for each example, as `pull` returns them; one whose name is empty is a cluster by itself.
    """

    def __init__(self, bootstrap, clusters):
        self.bootstrap, self.named, numbers = bootstrap, any(clusters), {}
        self.cluster_of = numpy.array([numbers.setdefault(name or i, len(numbers)) for i, name in enumerate(clusters)])
        self.drawn = len(numbers)

    def counts(self):
        """Of each resample in turn: how often each example is in it."""
        for b in range(self.bootstrap.resample_count):
            yield numpy.bincount(draw(self.bootstrap.seed + b, self.drawn), minlength=self.drawn)[self.cluster_of]

    def add_loss(self, evaluation, loss, values, weights=None, **fields):
        """Adds a judged loss to an Evaluation: the mean of the examples' `values`, and its resamples.

        With `weights` the mean is weighted, and examples of weight 0 don't bear upon the loss: give them any finite value.
        """
        weights = numpy.ones(len(values)) if weights is None else numpy.asarray(weights, float)

        def mean(weights):
            return float(weights @ values / weights.sum()) if weights.any() else math.nan

        estimate = evaluation.losses.add(loss=loss, value=mean(weights), judged=True,
                                         resampled=[mean(counts * weights) for counts in self.counts()],
                                         example_count=int((weights != 0).sum()), **fields)
        evaluation.example_count = len(values)
        if self.named:
            sizes = numpy.bincount(self.cluster_of, weights=weights != 0, minlength=self.drawn)
            evaluation.cluster_count, estimate.cluster_count = self.drawn, int((sizes > 0).sum())
            if sizes.any():
                estimate.effective_cluster_count = (sizes**2).sum() ** 2 / (sizes**4).sum()


def draw(seed, n):
    """Draws n < 2^31 of n with replacement: the contract's index(b, 0) to index(b, n - 1), where `seed` is seed + b."""

    def split_mix(x):
        z = x + numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return z ^ (z >> numpy.uint64(31))

    key = split_mix(numpy.array([seed % 2**64], dtype=numpy.uint64))
    bits, count, half = split_mix(key + numpy.arange(n, dtype=numpy.uint64)), numpy.uint64(n), numpy.uint64(32)
    low = (bits & numpy.uint64(2**32 - 1)) * count >> half  # The product has 96 bits: half by half.
    return (((bits >> half) * count + low) >> half).astype(int)


def pull(parent, request, split, context=None, datatype="FP64", observed=None):
    """An array of [examples, ...] from the service of a parent; its dataset's digest; and the examples' clusters. Examples
    must have one shape.

    What the parent gives is held to the request's commitments; `observed`, a list, gets what a training read that its parent's
    service committed to on other splits alone (Commitments.hold). A parent that is lost is asked again for PATIENCE_SECONDS. Give
    the `context` of a call that pulls, other than a job's: the pull ends with it.
    """
    model = parent.version.partition("/versions/")[0]
    target = request.endpoints.by_model.get(model)
    held = Commitments(context, request.commitments)
    check(context, target, "FAILED_PRECONDITION", f"endpoints.by_model has no entry for {model}, whose outputs are needed")
    check(context, context is None or PULLING_CALLS.acquire(blocking=False), "RESOURCE_EXHAUSTED",
          "too many calls wait for parents; try again later")
    channel = backfire_metrics.Channel(backfire_security.open_channel(target, CHANNEL_OPTIONS))
    if context is None:
        JOBS_CHANNELS.add(channel)
    try:
        check(context, not STOPPING.is_set(), "UNAVAILABLE", "the service is shutting down")
        rows, shapes, digest, clusters, outputs_digest = pull_patiently(rpc.ModelServiceStub(channel), parent, request, split,
                                                                        context, target, datatype, held.on_split(split))
    finally:
        channel.close()
        if context is None:
            JOBS_CHANNELS.discard(channel)
        else:
            PULLING_CALLS.release()
    held.hold(context, parent, split, target, digest, outputs_digest, len(clusters), observed)
    what = f'{split} of output "{parent.output}" of {parent.version} at {target}, for input "{parent.input}",'
    check(context, rows, "INVALID_ARGUMENT", f"{what} has no examples; is there such an output?")
    number = numpy.dtype(NUMBERS[datatype])
    check(context, len(set(shapes)) == 1, "INVALID_ARGUMENT", f"{what} must have examples of one shape: got {set(shapes)}")
    check(context, {len(row) for row in rows} == {math.prod(shapes[0]) * number.itemsize}, "INVALID_ARGUMENT",
          f"{what} must have as many bytes as {datatype} of shape {list(shapes[0])} has")
    return numpy.array([numpy.frombuffer(row, number).reshape(shapes[0]) for row in rows]), digest, clusters


class PulledExamples:
    """Examples as their pieces arrive: the wanted output of each, and the digest of all outputs."""

    def __init__(self, context, parent, target, datatype):
        self.context, self.parent, self.target, self.datatype = context, parent, target, datatype
        self.rows, self.shapes, self.clusters, self.hasher = [], [], [], OutputsHasher()
        self.names, self.outputs, self.ended = None, {}, set()  # Of the example that arrives.
        self.bytes = 0  # Of all.

    def add(self, piece):
        if self.names is None or piece.example == len(self.clusters) + 1:
            self.end_example()
            self.names = (piece.example_id, piece.cluster)
        check(self.context, piece.example == len(self.clusters), "INTERNAL", f"{self.parent.version} at {self.target}: example "
              f"{len(self.clusters)} must come next: got {piece.example}")
        check(self.context, piece.data or piece.last_piece, "INTERNAL",
              f"{self.parent.version} at {self.target}: example {len(self.clusters)} has a piece without bytes that is not its last")
        output = self.outputs.setdefault(piece.output, (piece.datatype, list(piece.shape), []))
        self.bytes += len(piece.data) + len(piece.output)
        # One that never ends would fill the memory.
        check(self.context, len(self.clusters) < MOST_EXAMPLES and len(self.outputs) <= MOST_OUTPUTS and self.bytes <= MOST_PULLED_BYTES,
              "INTERNAL", f"{self.parent.version} at {self.target} has more than {MOST_EXAMPLES} examples, {MOST_OUTPUTS} outputs of one, or "
              f"{MOST_PULLED_BYTES >> 20} MiB")
        check(self.context, piece.output != self.parent.output or output[0] == self.datatype, "INTERNAL",
              f'output "{self.parent.output}" of {self.parent.version} must be {self.datatype} for input '
              f'"{self.parent.input}": got {output[0]!r}')
        output[2].append(piece.data)
        if piece.last_piece:
            self.ended.add(piece.output)

    def end_example(self):
        if self.names is None:
            return
        check(self.context, self.ended == set(self.outputs), "INTERNAL",
              f"{self.parent.version} at {self.target}: example {len(self.clusters)} has no end")
        outputs = {name: (datatype, shape, b"".join(data)) for name, (datatype, shape, data) in self.outputs.items()}
        self.hasher.add(*self.names, outputs)
        if self.parent.output in outputs:
            _, shape, data = outputs[self.parent.output]
            self.rows.append(data)
            self.shapes.append(tuple(shape))
        self.clusters.append(self.names[1])
        self.names, self.outputs, self.ended = None, {}, set()


def pull_patiently(stub, parent, request, split, context, target, datatype, commitments):
    """Bytes and shape of each example, the dataset's digest, the clusters, and the digest of all outputs; asks again as long as
    a parent may come back."""
    pause, most, lost_since = 0.1, 0, None
    while True:
        pulled = PulledExamples(context, parent, target, datatype)
        try:
            digest = stub.GetVersion(pb.GetVersionRequest(name=parent.version),
                                     timeout=seconds_left(context, DESCRIBE_SECONDS)).dataset.digest
            call = stub.Materialize(pb.MaterializeRequest(version=parent.version, digest=parent.digest,
                                                          dataset=request.dataset, split=split,
                                                          endpoints=request.endpoints, commitments=commitments),
                                    timeout=seconds_left(context, OUTPUTS_SECONDS))
            if context is not None and not context.add_callback(call.cancel):
                call.cancel()  # Whom it was for has gone already.
            for piece in call:
                pulled.add(piece)
                if len(pulled.rows) > most:  # Only what is new shows that it gets on: one that dies again and again is given up.
                    pause, most, lost_since = 0.1, len(pulled.rows), None
            pulled.end_example()
            return pulled.rows, pulled.shapes, digest, pulled.clusters, pulled.hasher.finish()
        except grpc.RpcError as error:
            code, details = error.code(), f"{parent.version} at {target}: {error.details()}"
        check(context, context is None or context.is_active(), "CANCELLED", "the caller has gone")
        lost_since = lost_since or time.monotonic()
        away = time.monotonic() - lost_since
        check(context, code in TRANSIENT, code.name, details)  # What a parent refuses, the child can't do.
        check(context, away < PATIENCE_SECONDS, code.name, f"{details} (it is away for {away:.0f} s)")
        log(f'parent state={code.name} retry_seconds={pause} error="{details}"')
        check(context, not STOPPING.wait(pause), "UNAVAILABLE", "the service is shutting down")
        pause = min(2 * pause, 5)


def seconds_left(context, most):
    """A deadline for an outgoing call: never beyond that of the call it is made for."""
    left = context.time_remaining() if context is not None else None
    return most if left is None else min(most, left)


class Refusals(grpc.ServerInterceptor):
    """Ends a call that raises Refusal with its status."""

    def intercept_service(self, continuation, handler_call_details):
        handler = continuation(handler_call_details)
        if handler is None or (handler.request_streaming and handler.response_streaming):
            return handler

        def one(request, context):  # A request, or a stream of them.
            try:
                return (handler.stream_unary or handler.unary_unary)(request, context)
            except Refusal as refusal:
                return context.abort(getattr(grpc.StatusCode, refusal.code), str(refusal))

        def stream(request, context):
            try:
                yield from handler.unary_stream(request, context)
            except Refusal as refusal:
                context.abort(getattr(grpc.StatusCode, refusal.code), str(refusal))

        make, answer = ((grpc.unary_stream_rpc_method_handler, stream) if handler.response_streaming else
                        (grpc.stream_unary_rpc_method_handler, one) if handler.request_streaming else
                        (grpc.unary_unary_rpc_method_handler, one))
        return make(answer, handler.request_deserializer, handler.response_serializer)


def serve(make_service, description):
    """A main: serves what `make_service` makes of a store until SIGTERM or SIGINT, then drains."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--listen", required=True, help="HOST:PORT or unix:PATH")
    parser.add_argument("--data-dir", required=True, help="where versions and jobs are kept")
    parser.add_argument("--replica-of", metavar="TARGET", help="serve copies of that service's versions, and do nothing else; "
                        "--data-dir is then empty, or this replica's")
    parser.add_argument("--dataset-root", metavar="DIRECTORY", action="append", help="where files of datasets must be that requests "
                        "name, links followed; repeated, or separated by colons. None: anywhere if only this mesh's owner can ask (a unix "
                        "socket, or a loopback port with a token), else nowhere")
    parser.add_argument("--metrics-listen", help="HOST:PORT of Prometheus' page /metrics; default: none")
    options = parser.parse_args()
    signals = queue.SimpleQueue()  # Of all that threads wait on, only this may be used in a signal's handler.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: signals.put(number))
    try:
        store = Store(options.data_dir, is_replica=bool(options.replica_of))
    except (OSError, ValueError) as error:
        sys.exit(f"--data-dir {options.data_dir}: can't be used: {error}")
    try:
        backfire_roots.restrict(options.dataset_root or [os.environ.get("BACKFIRE_DATASET_ROOT", "")],
                                backfire_security.is_owners(options.listen))
    except ValueError as error:
        sys.exit(f"--dataset-root: {error}")
    service = make_service(store)
    metrics = backfire_metrics.Metrics(os.path.basename(sys.argv[0]), store)
    doors = [metrics, backfire_security.Door(options.listen), Refusals()]
    if options.replica_of:
        doors.append(backfire_replica.Replica(options.replica_of, store, CHANNEL_OPTIONS))
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS), interceptors=doors, options=SERVER_OPTIONS)
    rpc.add_ModelServiceServicer_to_server(service, server)
    v2_rpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    served = (pb.DESCRIPTOR.services_by_name["ModelService"], v2.DESCRIPTOR.services_by_name["GRPCInferenceService"])
    backfire_standard.Standard([one.full_name for one in served], is_ready=lambda: not options.replica_of or store.loaded(),
                               models=lambda: [service.GetModel(pb.GetModelRequest(), None).name.partition("/")[2]]).add_to(server)
    try:
        port = backfire_security.add_port(server, options.listen)
    except RuntimeError:  # As newer versions of gRPC say it.
        port = 0
    if port == 0:
        sys.exit(f"--listen: cannot listen on {options.listen}")
    if options.metrics_listen:
        try:
            port = backfire_metrics.serve(metrics, options.metrics_listen)
        except (OSError, ValueError) as error:
            sys.exit(f"--metrics-listen: cannot listen on {options.metrics_listen}: {error}")
        log(f"server state=LISTENING metrics={options.metrics_listen.rpartition(':')[0]}:{port}")
    server.start()
    signals.get()
    store.stop()
    give_up = time.monotonic() + GRACE_SECONDS
    for channel in list(JOBS_CHANNELS):
        channel.close()
    server.stop(GRACE_SECONDS).wait()
    with store.lock:
        threads = [thread for _, _, thread in store.running.values()]
    for thread in threads:
        thread.join(max(0, give_up - time.monotonic()))
    # Python would wait for threads that still work. What they did is not kept, and done again when it is asked for again.
    sys.stdout.flush()
    os._exit(0)
