// Precompiled for targets that see gRPC.
#include <grpcpp/grpcpp.h>

#include "backfire/v1/model_service.grpc.pb.h"
#include "backfire/v1/orchestrator.grpc.pb.h"
#include "cmake/precompiled/messages.h"
#include "inference/open_inference.grpc.pb.h"
