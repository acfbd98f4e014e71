#include "services/runtime/checked_tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/graph/datatypes.h"

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kTwoTo32 = int64_t{1} << 32;

std::string Fault(const std::string& datatype, std::vector<int64_t> shape) {
  const auto header = CheckHeader(datatype, std::move(shape));
  EXPECT_TRUE(absl::IsInvalidArgument(header.status())) << header.status();
  return std::string(header.status().message());
}

TEST(CheckedTensorTest, SystemsMayHaveTheDatatypesThatThereAre) {
  for (size_t i = 0; i < graph::kDatatypes.size(); ++i) {
    const auto datatype = ParseDatatype(graph::kDatatypes[i]);
    ASSERT_TRUE(datatype.ok()) << datatype.status();
    EXPECT_EQ(static_cast<size_t>(*datatype), i);
  }
  EXPECT_EQ(graph::kDatatypes.size(), static_cast<size_t>(Datatype::kFp64) + 1);
  EXPECT_FALSE(ParseDatatype("BYTES").ok() || graph::IsDatatype("BYTES"));
}

TEST(CheckedTensorTest, CountsBytesWithoutWrapping) {
  EXPECT_EQ(*TensorBytes(Datatype::kFp64, {}), 8);
  EXPECT_EQ(*TensorBytes(Datatype::kFp32, {2, 3}), 24);
  EXPECT_EQ(*TensorBytes(Datatype::kUint8, {kMaxTensorBytes}), kMaxTensorBytes);
  EXPECT_EQ(*TensorBytes(Datatype::kFp32, {0, 4}), 0);
  // 2^64 and (2^62 + 1) * 4 wrap to 0 and to 4.
  EXPECT_THAT(Fault("FP32", {kTwoTo32, kTwoTo32}), HasSubstr("[4294967296, 4294967296]"));
  EXPECT_THAT(Fault("UINT8", {(int64_t{1} << 62) + 1, 4}), HasSubstr("may have at most"));
  EXPECT_THAT(Fault("FP32", {kMaxTensorBytes / 4 + 1}), HasSubstr("may have at most"));
}

TEST(CheckedTensorTest, RefusesExtentsThatNoTensorHas) {
  EXPECT_THAT(Fault("FP32", {-1, -4}), HasSubstr("must be >= 0: got [-1, -4]"));
  EXPECT_THAT(Fault("FP32", {INT64_MIN, 0}), HasSubstr("must be >= 0"));
  EXPECT_THAT(Fault("FP32", std::vector<int64_t>(kMaxRank + 1, 1)), HasSubstr("at most 16"));
  EXPECT_THAT(Fault("BYTES", {1}), HasSubstr("datatype must be"));
  EXPECT_LT(Fault(std::string(1 << 20, 'x'), {1}).size(), 300u);
  EXPECT_LT(Fault("FP32", std::vector<int64_t>(1 << 20, -1)).size(), 300u);
}

// Loops over rows run through these, and no byte has to be sent for them.
TEST(CheckedTensorTest, AnEmptyTensorHasBoundedExtents) {
  EXPECT_TRUE(CheckHeader("FP32", {0, 1 << 20, 3}).ok());
  EXPECT_THAT(Fault("FP32", {0, int64_t{1} << 33}), HasSubstr("an empty tensor"));
  EXPECT_THAT(Fault("FP32", {kTwoTo32, 0, kTwoTo32}), HasSubstr("an empty tensor"));
}

TEST(CheckedTensorTest, BytesMustBeAsManyAsTheHeaderSays) {
  const auto header = CheckHeader("FP32", {2, 3});
  ASSERT_TRUE(header.ok());
  const auto tensor = MakeChecked(*header, std::string(24, 'x'));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape, (std::vector<int64_t>{2, 3}));
  for (const size_t size : {0u, 23u, 25u}) {
    EXPECT_TRUE(absl::IsInvalidArgument(MakeChecked(*header, std::string(size, 'x')).status()));
  }
}

TEST(CheckedTensorTest, HoldsTheSignature) {
  v1::TensorSignature signature;
  signature.set_datatype("FP32");
  signature.add_shape(-1);
  signature.add_shape(3);
  EXPECT_TRUE(CheckSignature(signature, "FP32", {0, 3}).ok());
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{}, {3}, {1, 4}, {-1, 3}, {1, 3, 1}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckSignature(signature, "FP32", shape)));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(CheckSignature(signature, "FP64", {1, 3})));
}

}  // namespace
}  // namespace backfire::runtime
