"""What a process with --replica-of is: it serves copies of its primary's versions, and does nothing else."""
import hashlib

import backfire_metrics
import backfire_security
import grpc
from backfire_requests import Refusal, check, check_version_name, log, pb, sha256
from backfire_store import compute_input_key

# The stubs' folder is in the path since backfire_requests.
from backfire.v1 import model_service_pb2_grpc as rpc

ANSWER_SECONDS, FETCH_SECONDS = 5, 600
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
PRIMARYS = ("Train", "Evaluate", "CommitOutputs", "Materialize", "ImportVersion", "DeleteVersion")


class Replica(grpc.ServerInterceptor):
    """Stands before a model service and has its versions be the primary's: copied when they are to be loaded, deleted when they are
    unloaded. What only the primary does is refused. Thread-safe."""

    def __init__(self, primary, store, options):
        self.primary, self.store = primary, store
        self.stub = rpc.ModelServiceStub(backfire_metrics.Channel(backfire_security.open_channel(primary, options)))

    def intercept_service(self, continuation, handler_call_details):
        handler = continuation(handler_call_details)
        _, service, method = handler_call_details.method.split("/")
        if handler is None or service != "backfire.v1.ModelService":
            return handler
        if method == "LoadVersion":
            def answer(request, context):
                self.copy(request.name, request.digest, context)
                return handler.unary_unary(request, context)
        elif method == "UnloadVersion":
            def answer(request, context):
                response = handler.unary_unary(request, context)
                self.store.delete(request.name)  # It can be had again; kept copies would fill the disk.
                return response
        elif method in PRIMARYS:
            def answer(request, context):
                raise Refusal("FAILED_PRECONDITION", f"this process is a replica and only serves requests: ask {self.primary}")
        else:
            return handler
        make = (grpc.unary_stream_rpc_method_handler if handler.response_streaming else
                grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler)
        return make(answer, handler.request_deserializer, handler.response_serializer)

    def copy(self, name, digest, context):
        """Makes sure that the store has what the primary has by this name. What is here already serves while the primary is away."""
        check_version_name(context, "name", name)
        kept = self.store.find_by_name(name)
        if kept and digest == kept.digest:
            return
        try:
            theirs = self.stub.GetVersion(pb.GetVersionRequest(name=name), timeout=ANSWER_SECONDS)
            if kept and kept.digest == theirs.digest:
                return
            version, weights = self.fetch(name)
        except grpc.RpcError as error:
            if kept and not digest and error.code() in AWAY:
                return
            raise Refusal(error.code().name, f"{self.primary}: {error.details()}") from error
        check(context, digest in ("", version.digest), "DATA_LOSS",
              f"the primary's copy: {name} has digest {version.digest}: the caller expects {digest}")
        self.store.adopt(version, weights)
        log(f"version state=COPIED version={name} digest={version.digest}")

    def fetch(self, name):
        """The primary's version of this name, with its weights."""
        version, file_digest, data = pb.Version(), "", bytearray()
        for piece in self.stub.ExportVersion(pb.ExportVersionRequest(name=name, as_stored=True), timeout=FETCH_SECONDS):
            if not version.name:
                version.CopyFrom(piece.version)
                file_digest = piece.file_digest
            data += piece.data
        weights = bytes(data)
        found = hashlib.sha256(weights).hexdigest()
        input_key = compute_input_key(name.partition("/versions/")[0], version)
        if version.name != name or found != file_digest or version.input_key != input_key or sha256(input_key, found) != version.digest:
            raise Refusal("DATA_LOSS", f"{self.primary}: what came as {name} is not what it says it is")
        return version, weights
