"""What tools may ask any gRPC server, whatever it serves: its health, and its services and messages (reflection).

Debian packages neither for Python. Their protos are in protos/grpc; as `grpc` is a package already, stubs leave that part of their names out.
"""
import grpc
from backfire_requests import Refusal
from backfire_store import STOPPING
from google.protobuf import descriptor_pool

# The stubs' folder is in the path since backfire_requests.
from health.v1 import health_pb2 as health
from reflection.v1 import reflection_pb2 as reflection
from reflection.v1alpha import reflection_pb2 as reflection_alpha

HEALTH = "grpc.health.v1.Health"
# Newer tools ask for v1, older ones for v1alpha; their messages have the same fields.
REFLECTIONS = {f"{messages.DESCRIPTOR.package}.ServerReflection": messages for messages in (reflection, reflection_alpha)}


class Standard:
    """Health and reflection of a server.

    `services` are full names of what else it serves. `is_ready()` says whether requests should be sent there, `models()` which models it has.
    """

    def __init__(self, services, models, is_ready):
        self.services, self.models, self.is_ready = sorted({*services, HEALTH, *REFLECTIONS}), models, is_ready

    def status(self, name):
        """A HealthCheckResponse.ServingStatus; None: nothing here has this name."""
        if name == "readiness":
            serves = not STOPPING.is_set() and self.is_ready()
        elif name in ("", "liveness", *self.models()):
            serves = not STOPPING.is_set()
        else:
            return None
        return health.HealthCheckResponse.SERVING if serves else health.HealthCheckResponse.NOT_SERVING

    def check(self, request, context):
        status = self.status(request.service)
        if status is None:
            raise Refusal("NOT_FOUND", f"nothing here is called {request.service!r}")
        return health.HealthCheckResponse(status=status)

    def watch(self, request, context):  # `backfire up` waits by it. It ends at once: a watch would hold a thread.
        status = self.status(request.service)
        yield health.HealthCheckResponse(status=health.HealthCheckResponse.SERVICE_UNKNOWN if status is None else status)

    def reflect(self, messages, requests):
        """Answers by the messages of one of REFLECTIONS."""
        for request in requests:
            response = messages.ServerReflectionResponse(valid_host=request.host, original_request=request)
            question, pool = request.WhichOneof("message_request"), descriptor_pool.Default()
            try:
                if question == "list_services":
                    for name in self.services:
                        response.list_services_response.service.add(name=name)
                elif question == "file_by_filename":
                    add_file(pool.FindFileByName(request.file_by_filename), response.file_descriptor_response)
                elif question == "file_containing_symbol":
                    add_file(pool.FindFileContainingSymbol(request.file_containing_symbol), response.file_descriptor_response)
                elif question == "all_extension_numbers_of_type":
                    pool.FindMessageTypeByName(request.all_extension_numbers_of_type)
                    response.all_extension_numbers_response.base_type_name = request.all_extension_numbers_of_type
                else:
                    raise KeyError(question)
            except KeyError:
                response.error_response.error_code = grpc.StatusCode.NOT_FOUND.value[0]
                response.error_response.error_message = f"there is no such {(question or 'question').replace('_', ' ')} here"
            yield response

    def add_to(self, server):
        """Has a grpc.Server answer them."""
        def parsed(make, answer, request, response):
            return make(answer, request.FromString, response.SerializeToString)
        asked = (health.HealthCheckRequest, health.HealthCheckResponse)
        server.add_generic_rpc_handlers([
            grpc.method_handlers_generic_handler(HEALTH, {
                "Check": parsed(grpc.unary_unary_rpc_method_handler, self.check, *asked),
                "Watch": parsed(grpc.unary_stream_rpc_method_handler, self.watch, *asked)}),
            *(grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": parsed(
                grpc.stream_stream_rpc_method_handler,
                lambda requests, context, messages=messages: self.reflect(messages, requests),
                messages.ServerReflectionRequest, messages.ServerReflectionResponse)}) for name, messages in REFLECTIONS.items())])


def add_file(file, response):
    """A file's description, and those of all that it imports."""
    files, left = {}, [file]
    while left:
        one = left.pop(0)
        if one.name not in files:
            files[one.name] = one
            left += one.dependencies
    response.file_descriptor_proto.extend(one.serialized_pb for one in files.values())
