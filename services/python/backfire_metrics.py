"""What a service in Python shows on /metrics for Prometheus: docs/metrics.md."""
import http.server
import os
import platform
import threading
import time

import grpc

os.environ.setdefault("PROMETHEUS_DISABLE_CREATED_SERIES", "true")  # Asked when it is imported.
import prometheus_client  # noqa: E402
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: E402

VERSION = "0.1.0"  # Of the project: its CMakeLists.txt.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
TYPES = {(False, False): "unary", (False, True): "server_stream", (True, False): "client_stream", (True, True): "bidi_stream"}
METHOD = ("grpc_method", "grpc_service", "grpc_type")
# As grpc_code has them in services in C++: `OK`, `InvalidArgument`.
CODES = {code: "OK" if code == grpc.StatusCode.OK else
         "Canceled" if code == grpc.StatusCode.CANCELLED else
         "".join(word.capitalize() for word in code.name.split("_")) for code in grpc.StatusCode}
KINDS = ("training", "evaluation", "commitment")  # Of jobs.
# Ends of jobs that are shown from 0 on: of a counter that appears with its first event, increase() misses that event.
ENDS = (("SUCCEEDED", "OK"), ("FAILED", "FailedPrecondition"), ("FAILED", "Internal"), ("FAILED", "ResourceExhausted"))


def sized(counter, convert):
    """A (de)serialiser that counts the bytes of each message; without one, messages are not Protobuf's."""
    if convert is None:
        return None

    def count(message):
        converted = convert(message)
        counter.inc(len(converted if isinstance(converted, bytes) else message))
        return converted
    return count


class Calls:
    """Counts and times the calls of one side, `server` or `client`. Thread-safe."""

    def __init__(self, side, registry):
        def family(kind, name, meaning, labels=METHOD, **more):
            return kind(f"grpc_{side}_{name}", meaning, labels, registry=registry, **more)
        self.started = family(prometheus_client.Counter, "started_total", "Calls that began.")
        self.handled = family(prometheus_client.Counter, "handled_total", "Calls that ended, by status code.",
                              ("grpc_code",) + METHOD)
        self.seconds = family(prometheus_client.Histogram, "handling_seconds", "Time from a call's beginning to its status.",
                              buckets=BUCKETS)
        self.in_flight = family(prometheus_client.Gauge, "in_flight", "Calls that have begun and not ended.")
        self.received = family(prometheus_client.Counter, "msg_received_bytes_total", "Bytes of messages that came.")
        self.sent = family(prometheus_client.Counter, "msg_sent_bytes_total", "Bytes of messages that went.")

    @staticmethod
    def labels(path, is_stream, streams):
        service, method = path.lstrip("/").rsplit("/", 1)
        return method, service, TYPES[is_stream, streams]

    def begin(self, labels):
        self.started.labels(*labels).inc()
        self.in_flight.labels(*labels).inc()
        return time.monotonic()

    def end(self, labels, start, code):
        self.handled.labels(CODES.get(code, "Unknown"), *labels).inc()
        self.seconds.labels(*labels).observe(time.monotonic() - start)
        self.in_flight.labels(*labels).dec()


CLIENT_REGISTRY = prometheus_client.CollectorRegistry()
CLIENT = Calls("client", CLIENT_REGISTRY)  # One for all: a call to another process is the process's own.


class Channel:
    """A channel whose calls are counted, as far as this library makes calls: of one request."""

    def __init__(self, channel):
        self.channel = channel

    def __getattr__(self, name):
        return getattr(self.channel, name)

    def unary_unary(self, path, request_serializer=None, response_deserializer=None, **more):
        labels = CLIENT.labels(path, False, False)
        call = self.channel.unary_unary(path, sized(CLIENT.sent.labels(*labels), request_serializer),
                                        sized(CLIENT.received.labels(*labels), response_deserializer), **more)

        def counted(request, **options):
            start, code = CLIENT.begin(labels), grpc.StatusCode.OK
            try:
                return call(request, **options)
            except grpc.RpcError as error:
                code = error.code()
                raise
            finally:
                CLIENT.end(labels, start, code)
        return counted

    def unary_stream(self, path, request_serializer=None, response_deserializer=None, **more):
        labels = CLIENT.labels(path, False, True)
        call = self.channel.unary_stream(path, sized(CLIENT.sent.labels(*labels), request_serializer),
                                         sized(CLIENT.received.labels(*labels), response_deserializer), **more)

        def counted(request, **options):
            start, stream = CLIENT.begin(labels), call(request, **options)
            stream.add_done_callback(lambda ended: CLIENT.end(labels, start, ended.code()))
            return stream
        return counted


class Metrics(grpc.ServerInterceptor):
    """All that a service shows. As the first interceptor of a server it counts its calls; calls of methods that there are
    not never get here, so that nobody can make labels up. Thread-safe.

    `store` (backfire_service.Store) is asked at each scrape which jobs and versions there are.
    """

    def __init__(self, program, store):
        self.store = store
        self.registry = prometheus_client.CollectorRegistry()
        self.registry.register(CLIENT_REGISTRY)
        self.calls = Calls("server", self.registry)
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.Gauge("process_threads", "Threads.", registry=self.registry).set_function(
            lambda: len(os.listdir("/proc/self/task")))
        prometheus_client.Gauge(
            "backfire_build_info", "1, with what runs: program, version, compiler.", ("compiler", "program", "version"),
            registry=self.registry).labels(f"Python {platform.python_version()}", program, VERSION).set(1)
        self.lock, self.timed = threading.Lock(), set()  # (model, version) that have a series in `inference`.
        self.inference = prometheus_client.Histogram(
            "backfire_inference_seconds", "Time that a version took for a request.", ("model", "version"), buckets=BUCKETS,
            registry=None)
        self.registry.register(self)

    def intercept_service(self, continuation, handler_call_details):
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        calls = self.calls
        labels = calls.labels(handler_call_details.method, handler.request_streaming, handler.response_streaming)

        def code_of(context, failed):
            return context.code() or (grpc.StatusCode.UNKNOWN if failed else grpc.StatusCode.OK)

        def one(call):
            def answer(request, context):
                start, failed = calls.begin(labels), True
                try:
                    response = call(request, context)
                    failed = False
                    if labels[0] == "ModelInfer":
                        self.inferred(response, time.monotonic() - start)
                    return response
                finally:
                    calls.end(labels, start, code_of(context, failed))
            return answer

        def many(call):
            def answer(request, context):
                start, failed = calls.begin(labels), True
                try:
                    yield from call(request, context)
                    failed = False
                finally:
                    calls.end(labels, start, code_of(context, failed))
            return answer

        kinds = {(False, False): (grpc.unary_unary_rpc_method_handler, one, handler.unary_unary),
                 (False, True): (grpc.unary_stream_rpc_method_handler, many, handler.unary_stream),
                 (True, False): (grpc.stream_unary_rpc_method_handler, one, handler.stream_unary),
                 (True, True): (grpc.stream_stream_rpc_method_handler, many, handler.stream_stream)}
        make, wrap, call = kinds[handler.request_streaming, handler.response_streaming]
        return make(wrap(call), sized(calls.received.labels(*labels), handler.request_deserializer),
                    sized(calls.sent.labels(*labels), handler.response_serializer))

    def inferred(self, response, seconds):
        key = (response.model_name, response.model_version)
        with self.lock:
            if "models/%s/versions/%s" % key in self.store.loaded():
                self.timed.add(key)
                self.inference.labels(*key).observe(seconds)

    def collect(self):
        """What is as it is at the scrape."""
        loaded = {name: tuple(name.split("/")[1::2]) for name in self.store.loaded()}  # models/{model}/versions/{number}
        with self.lock:
            for key in self.timed - set(loaded.values()):
                self.inference.remove(*key)
                self.timed.remove(key)
        yield from self.inference.collect()
        serving = GaugeMetricFamily("backfire_version_loaded", "1 for each version that serves requests.",
                                    labels=("model", "version"))
        losses = GaugeMetricFamily("backfire_version_loss", "Loss of a version that serves on the test split, as its last "
                                   "evaluation since the start has it; lower is better.",
                                   labels=("model", "version", "loss", "slice", "judged"))
        for name, key in loaded.items():
            serving.add_metric(key, 1)
            for loss in self.store.test_losses.get(name, ()):
                if loss.value == loss.value:  # NaN: no example is in the slice.
                    losses.add_metric((*key, loss.loss, loss.slice, "true" if loss.judged else "false"), loss.value)
        yield from (serving, losses)
        jobs = GaugeMetricFamily("backfire_jobs", "Jobs that wait for a worker, or run.", labels=("kind", "state"))
        ended = CounterMetricFamily("backfire_jobs_ended", "Jobs that ended since the start, by the code of their error.",
                                    labels=("kind", "state", "code"))
        running, ends = self.store.count_jobs()
        for kind in KINDS:
            jobs.add_metric((kind, "waiting"), 0)  # Each has a thread of its own at once.
            jobs.add_metric((kind, "running"), running[kind])
        for key, count in {**{(kind, *end): 0 for kind in KINDS for end in ENDS}, **ends}.items():
            ended.add_metric(key, count)
        yield from (jobs, ended)
        disk = os.statvfs(os.path.dirname(self.store.path))
        yield GaugeMetricFamily("backfire_data_directory_free_bytes", "Room left on the disk of --data-dir.",
                                disk.f_bavail * disk.f_frsize)
        yield GaugeMetricFamily("backfire_data_directory_size_bytes", "Size of that disk.", disk.f_blocks * disk.f_frsize)


def serve(metrics, listen):
    """Serves the page over HTTP at `HOST:PORT`, in the background. Returns the port. OSError: it is taken."""
    host, _, port = listen.rpartition(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), prometheus_client.MetricsHandler.factory(metrics.registry))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
