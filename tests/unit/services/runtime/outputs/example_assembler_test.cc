// Bounds of what a parent sends; that it is put together soundly is in parent_outputs_test.cc.
#include "services/runtime/outputs/example_assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;

class ExampleAssemblerTest : public ::testing::Test {
 protected:
  // A whole output of 8 bytes.
  static v1::MaterializeResponse Piece(const std::string& output, int64_t example = 0) {
    v1::MaterializeResponse piece;
    piece.set_example(example);
    piece.set_output(output);
    piece.set_datatype("FP64");
    piece.add_shape(1);
    piece.set_data("12345678");
    piece.set_last_piece(true);
    return piece;
  }
  absl::Status Add(v1::MaterializeResponse piece) { return assembler_.Add(piece); }

  const testing::TemporaryDirectory directory_;
  const std::unique_ptr<ExampleFileWriter> writer_ =
      *ExampleFileWriter::Create(directory_ / "outputs");
  OutputsHasher hasher_;
  ExampleAssembler assembler_{0, *writer_, hasher_, /*max_bytes=*/20};
};

TEST_F(ExampleAssemblerTest, OutputsOfOneExampleAreBoundedTogether) {
  ASSERT_TRUE(Add(Piece("a")).ok());
  ASSERT_TRUE(Add(Piece("b")).ok());
  const absl::Status third = Add(Piece("c"));
  EXPECT_TRUE(absl::IsInternal(third)) << third;
  EXPECT_THAT(third.message(), HasSubstr("makes the example larger than 20 bytes"));
}

TEST_F(ExampleAssemblerTest, ExamplesAreNot) {
  for (int64_t example = 0; example < 5; ++example) {
    ASSERT_TRUE(Add(Piece("a", example)).ok());
    ASSERT_TRUE(Add(Piece("b", example)).ok());
  }
  ASSERT_TRUE(assembler_.Finish().ok());
  EXPECT_EQ(assembler_.next_example(), 5);
}

TEST_F(ExampleAssemblerTest, ALongNameIsNotToldWhole) {
  v1::MaterializeResponse piece = Piece(std::string(1 << 20, 'n'));
  piece.set_last_piece(false);
  ASSERT_TRUE(Add(piece).ok());
  EXPECT_LT(Add(Piece("other")).message().size(), 1000U);
  EXPECT_LT(assembler_.Finish().message().size(), 1000U);
}

}  // namespace
}  // namespace backfire::runtime
