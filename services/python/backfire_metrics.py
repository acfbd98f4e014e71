"""What a service in Python shows on /metrics for Prometheus: docs/metrics.md, "Every process"."""
import bisect
import http.server
import os
import platform
import resource
import threading
import time

import grpc

VERSION = "0.1.0"  # Of the project: its CMakeLists.txt.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TYPES = {(False, False): "unary", (False, True): "server_stream", (True, False): "client_stream", (True, True): "bidi_stream"}
# As grpc_code has them in services in C++: `OK`, `InvalidArgument`.
CODES = {code: "OK" if code == grpc.StatusCode.OK else
         "Canceled" if code == grpc.StatusCode.CANCELLED else
         "".join(word.capitalize() for word in code.name.split("_")) for code in grpc.StatusCode}


def escaped(value):
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def sample(name, labels, value):
    inner = ",".join(f'{label}="{escaped(text)}"' for label, text in labels)
    return f"{name}{{{inner}}} {value}\n" if inner else f"{name} {value}\n"


def family(name, kind, meaning, samples):
    return f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n" + "".join(samples)


class Metrics(grpc.ServerInterceptor):
    """Counts and times the calls of a server: give it as the first of its interceptors. Calls of methods that there are
    not never get here, so that nobody can make labels up. Thread-safe."""

    def __init__(self, program):
        self.program = program
        self.lock = threading.Lock()
        self.started, self.handled, self.seconds = {}, {}, {}

    def intercept_service(self, continuation, handler_call_details):
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        service, method = handler_call_details.method.lstrip("/").rsplit("/", 1)
        labels = (("grpc_method", method), ("grpc_service", service),
                  ("grpc_type", TYPES[handler.request_streaming, handler.response_streaming]))

        def one(call):
            def answer(request, context):
                start = self.begin(labels)
                try:
                    return call(request, context)
                except BaseException:
                    self.end(labels, start, context, failed=True)
                    start = None
                    raise
                finally:
                    if start is not None:
                        self.end(labels, start, context)
            return answer

        def many(call):
            def answer(request, context):
                start, failed = self.begin(labels), True
                try:
                    yield from call(request, context)
                    failed = False
                finally:
                    self.end(labels, start, context, failed)
            return answer

        kinds = {(False, False): (grpc.unary_unary_rpc_method_handler, one, handler.unary_unary),
                 (False, True): (grpc.unary_stream_rpc_method_handler, many, handler.unary_stream),
                 (True, False): (grpc.stream_unary_rpc_method_handler, one, handler.stream_unary),
                 (True, True): (grpc.stream_stream_rpc_method_handler, many, handler.stream_stream)}
        make, wrap, call = kinds[handler.request_streaming, handler.response_streaming]
        return make(wrap(call), handler.request_deserializer, handler.response_serializer)

    def begin(self, labels):
        with self.lock:
            self.started[labels] = self.started.get(labels, 0) + 1
        return time.monotonic()

    def end(self, labels, start, context, failed=False):
        elapsed = time.monotonic() - start
        code = context.code()
        if code is None:
            code = grpc.StatusCode.UNKNOWN if failed else grpc.StatusCode.OK
        ended = (("grpc_code", CODES.get(code, "Unknown")),) + labels
        with self.lock:
            self.handled[ended] = self.handled.get(ended, 0) + 1
            counts, total = self.seconds.get(labels, ((0,) * (len(BUCKETS) + 1), 0.0))
            counts = list(counts)
            counts[bisect.bisect_left(BUCKETS, elapsed)] += 1
            self.seconds[labels] = (tuple(counts), total + elapsed)

    def page(self):
        """The whole page, in Prometheus' text format."""
        with self.lock:
            started, handled, seconds = dict(self.started), dict(self.handled), dict(self.seconds)
        times = []
        for labels, (counts, total) in sorted(seconds.items()):
            below = 0
            for bound, count in zip(BUCKETS + ("+Inf",), counts):
                below += count
                times.append(sample("grpc_server_handling_seconds_bucket", labels + (("le", bound),), below))
            times.append(sample("grpc_server_handling_seconds_sum", labels, total))
            times.append(sample("grpc_server_handling_seconds_count", labels, below))
        return "".join([
            family("grpc_server_started_total", "counter", "Calls that arrived.",
                   [sample("grpc_server_started_total", *item) for item in sorted(started.items())]),
            family("grpc_server_handled_total", "counter", "Calls that ended, by status code.",
                   [sample("grpc_server_handled_total", *item) for item in sorted(handled.items())]),
            family("grpc_server_handling_seconds", "histogram", "Time from a call's arrival to its status.", times),
            family("backfire_build_info", "gauge", "1, with what runs: program, version, compiler.",
                   [sample("backfire_build_info", (("compiler", f"Python {platform.python_version()}"),
                                                   ("program", self.program), ("version", VERSION)), 1)]),
            *(family(name, kind, meaning, [sample(name, (), value)]) for name, kind, meaning, value in process())])


def process():
    """What this process uses, as Prometheus' own clients name it."""
    with open("/proc/self/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()  # From the third on, as proc(5) counts.
    with open("/proc/stat", encoding="utf-8") as file:
        boot = next(float(line.split()[1]) for line in file if line.startswith("btime "))
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGESIZE")
    return [
        ("process_cpu_seconds_total", "counter", "Time spent on a CPU, in user and kernel.", (int(fields[11]) + int(fields[12])) / ticks),
        ("process_max_fds", "gauge", "File descriptors that may be open.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        # One of them is the listing's own.
        ("process_open_fds", "gauge", "Open file descriptors.", len(os.listdir("/proc/self/fd")) - 1),
        ("process_resident_memory_bytes", "gauge", "Memory that is in RAM.", int(fields[21]) * page),
        ("process_start_time_seconds", "gauge", "Start of the process, since 1970.", boot + int(fields[19]) / ticks),
        ("process_threads", "gauge", "Threads.", int(fields[17])),
        ("process_virtual_memory_bytes", "gauge", "Virtual memory.", int(fields[20]))]


def serve(metrics, listen):
    """Serves the page over HTTP at `HOST:PORT`, in the background. Returns the port. OSError: it is taken."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802: the name is the library's.
            found = self.path.split("?")[0] == "/metrics"
            text = metrics.page().encode() if found else b"the page is /metrics\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments):
            pass  # A line for each scrape would drown the others.

    host, _, port = listen.rpartition(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Page)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
