#include "orchestrator/conformance/outputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::conformance {
namespace {

using ::testing::HasSubstr;

v1::Model OneOutput() {
  v1::Model model;
  v1::TensorSignature& output = *model.add_outputs();
  output.set_name("y");
  output.set_datatype("FP32");
  output.add_shape(-1);
  return model;
}

v1::MaterializeResponse Piece(int64_t example, const std::string& data, bool last = true) {
  v1::MaterializeResponse piece;
  piece.set_example(example);
  piece.set_output("y");
  piece.set_datatype("FP32");
  piece.add_shape(2);
  piece.set_data(data);
  piece.set_last_piece(last);
  return piece;
}

std::string Fault(const std::vector<v1::MaterializeResponse>& pieces,
                  const std::vector<int64_t>& asked = {}) {
  return std::string(Assemble(OneOutput(), pieces, asked).status().message());
}

TEST(OutputsTest, PiecesArePutTogether) {
  const auto outputs =
      Assemble(OneOutput(), {Piece(0, "abc", false), Piece(0, "defgh"), Piece(1, "ABCDEFGH")}, {});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ASSERT_EQ(outputs->size(), 2u);
  EXPECT_EQ((*outputs)[0].tensors[0].second.bytes, "abcdefgh");
  EXPECT_TRUE(SameOutputs(*outputs, *outputs));
}

TEST(OutputsTest, WhatBreaksTheContractIsSaid) {
  const std::string whole(8, 'x');
  EXPECT_THAT(Fault({Piece(0, "four")}), HasSubstr("must have 8 bytes: got 4"));
  EXPECT_THAT(Fault({Piece(1, whole)}), HasSubstr("example 0 must come next: got 1"));
  EXPECT_THAT(Fault({Piece(0, "ab", false)}), HasSubstr("no last_piece"));
  EXPECT_THAT(Fault({Piece(0, "ab", false), Piece(1, whole)}), HasSubstr("comes before example 0"));
  EXPECT_THAT(Fault({Piece(3, whole)}, {3, 1}), HasSubstr("2 examples were asked for: got 1"));
  v1::MaterializeResponse other = Piece(0, whole);
  other.set_datatype("FP64");
  EXPECT_THAT(Fault({other}), HasSubstr("must have datatype FP32"));
  other = Piece(0, whole);
  other.set_output("z");
  EXPECT_THAT(Fault({other}), HasSubstr("output \"y\" must come next: got \"z\""));
}

TEST(OutputsTest, LastBitsOfFloatsMayDiffer) {
  const auto tensor = [](float value) {
    return TensorData{"FP32", {1}, std::string(reinterpret_cast<const char*>(&value), 4)};
  };
  EXPECT_TRUE(SaySame(tensor(1), tensor(1 + 1e-6f)));
  EXPECT_FALSE(SaySame(tensor(1), tensor(1.001f)));
  const auto half = [](const std::string& type, const char* bits) {
    return TensorData{type, {1}, std::string(bits, 2)};
  };
  EXPECT_TRUE(SaySame(half("FP16", "\0\x3C"), half("FP16", "\2\x3C")));  // 1 and 1.002.
  EXPECT_FALSE(SaySame(half("FP16", "\0\x3C"), half("FP16", "\x10\x3C")));
  EXPECT_TRUE(SaySame(half("BF16", "\x80\x3F"), half("BF16", "\x82\x3F")));  // 1 and 1.016.
  EXPECT_FALSE(SaySame(half("BF16", "\x80\x3F"), half("BF16", "\xA0\x3F")));
  EXPECT_TRUE(SaySame(Outputs{{0, "0", "", {{"y", tensor(1)}}}},
                      Outputs{{0, "0", "", {{"y", tensor(1 + 1e-6f)}}}}));
  EXPECT_FALSE(SaySame(Outputs{{0, "0", "", {{"y", tensor(1)}}}}, Outputs{}));
  TensorData whole{"INT32", {1}, std::string("\1\0\0\0", 4)};
  TensorData next{"INT32", {1}, std::string("\2\0\0\0", 4)};
  EXPECT_FALSE(SaySame(whole, next));
}

}  // namespace
}  // namespace backfire::conformance
