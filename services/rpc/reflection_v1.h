#pragma once

namespace backfire::runtime {

/// Has every server that is built from now on answer `grpc.reflection.v1.ServerReflection`, which
/// newer tools ask for: Debian's gRPC 1.51 has v1alpha alone. It says what v1alpha says: all
/// services of the server, and files of the messages that are linked into the program. Call it as
/// grpc::reflection::InitProtoReflectionServerBuilderPlugin; again does nothing.
void InitReflectionV1ServerBuilderPlugin();

}  // namespace backfire::runtime
