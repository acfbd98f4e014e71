#include "services/rpc/rpc_status.h"

#include <gtest/gtest.h>

namespace backfire::runtime {
namespace {

// A message of another program's ends in fields of Protobuf's, and in stores, where a text that is
// no UTF-8 could be written and never be read.
TEST(RpcStatusTest, WhatIsSaidIsUtf8OnBothWays) {
  const absl::Status heard =
      FromGrpcStatus(grpc::Status(grpc::StatusCode::INTERNAL, "K\xF6ln: no such file"));
  EXPECT_EQ(heard, absl::InternalError("K\xEF\xBF\xBDln: no such file"));
  EXPECT_EQ(ToGrpcStatus(absl::InternalError("K\xF6ln")).error_message(), "K\xEF\xBF\xBDln");
}

}  // namespace
}  // namespace backfire::runtime
