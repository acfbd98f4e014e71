#include "services/runtime/outputs/example_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "services/base/digest.h"
#include "services/base/file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

Tensor Floats(std::vector<int64_t> shape, float first) {
  Tensor tensor = MakeTensor(Datatype::kFp32, std::move(shape));
  for (int64_t i = 0; i < tensor.ElementCount(); ++i) {
    tensor.MutableAs<float>()[i] = first + static_cast<float>(i);
  }
  return tensor;
}

class ExampleFileTest : public ::testing::Test {
 protected:
  void WriteTwo() {
    const auto writer = ExampleFileWriter::Create(path_);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->Append({{"a", Floats({2, 3}, 1)}, {"b", Floats({0, 6}, 0)}}).ok());
    ASSERT_TRUE((*writer)->Append({{"a", Floats({1}, 7)}}).ok());
    ASSERT_TRUE((*writer)->Finish().ok());
  }
  backfire::testing::TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_ / "x.examples";
};

TEST_F(ExampleFileTest, GivesBackWhatWasWritten) {
  WriteTwo();
  const auto file = ExampleFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->size(), 2);
  const auto first = (*file)->Get(0);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->at("a").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(first->at("a").As<float>()[5], 6.0f);
  EXPECT_EQ(first->at("b").shape, (std::vector<int64_t>{0, 6}));
  EXPECT_EQ((*file)->Get(1)->at("a").As<float>()[0], 7.0f);
  EXPECT_FALSE((*file)->Get(2).ok());
  EXPECT_FALSE((*file)->Get(-1).ok());
}

TEST_F(ExampleFileTest, AnUnfinishedFileNeverAppears) {
  {
    const auto writer = ExampleFileWriter::Create(path_);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Append({{"a", Floats({4}, 1)}}).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

TEST_F(ExampleFileTest, AnyTruncationIsDataLoss) {
  WriteTwo();
  const std::string whole = *ReadFile(path_);
  for (size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(path_, std::ios::trunc | std::ios::binary) << whole.substr(0, length);
    ASSERT_TRUE(absl::IsDataLoss(ExampleFile::Open(path_).status())) << length;
  }
}

TEST_F(ExampleFileTest, AnyChangedByteIsDataLoss) {
  WriteTwo();
  const std::string whole = *ReadFile(path_);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    std::ofstream(path_, std::ios::trunc | std::ios::binary) << changed;
    ASSERT_TRUE(absl::IsDataLoss(ExampleFile::Open(path_).status())) << i;
  }
}

// Its checksum is that of what it says, which is of records of petabytes.
TEST_F(ExampleFileTest, ARecordThatEndsBehindTheFileIsNotReadFor) {
  WriteTwo();
  const std::string whole = *ReadFile(path_);
  const size_t trailer = 8 + 64 + std::string("backfire-examples-1\n").size();
  const size_t index = whole.size() - trailer - 3 * 8;
  const int64_t ends[] = {int64_t{1} << 60, int64_t{1} << 62};
  std::string body = whole.substr(0, whole.size() - trailer + 8);
  std::memcpy(body.data() + index + 8, ends, sizeof(ends));
  std::ofstream(path_, std::ios::trunc | std::ios::binary)
      << body << Sha256Hex(body) << "backfire-examples-1\n";
  EXPECT_TRUE(absl::IsDataLoss(ExampleFile::Open(path_).status()));
}

}  // namespace
}  // namespace backfire::runtime
