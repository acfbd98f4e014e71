#include "services/base/text_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "services/base/file.h"
#include "services/base/regular_file.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text_forms.h"

namespace backfire {
namespace {

using ::testing::HasSubstr;

TEST(TextFileTest, EveryFormOfATextIsTheSameText) {
  const std::string text = "Car 1 2\n\nVan 3\n";
  for (const std::string& form : TextForms(text)) {
    const auto decoded = DecodeText(form, "a.txt");
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_TRUE(*decoded == text || *decoded + "\n" == text) << *decoded;
  }
  EXPECT_EQ(*DecodeText("", "a.txt"), "");
  EXPECT_EQ(*DecodeText("\xEF\xBB\xBF", "a.txt"), "");
  EXPECT_EQ(*DecodeText("\r\r\n\n\r", "a.txt"), "\n\n\n\n");
  EXPECT_EQ(*DecodeText("a\xEF\xBB\xBF\n\xEF\xBB", "a.txt"), "a\xEF\xBB\xBF\n\xEF\xBB");
}

TEST(TextFileTest, OtherEncodingsAreNamedWithWhatToDo) {
  using namespace std::string_literals;
  for (const std::string& bytes : {"\xFF\xFE"
                                   "C\0a\0"s,
                                   "\xFE\xFF\0C\0a"s, "\xFF\xFE\0\0"s}) {
    const absl::Status status = DecodeText(bytes, "a.txt").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("a.txt:1: is UTF-16"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("save it as UTF-8"));
  }
  EXPECT_THAT(std::string(DecodeText("Car 1\r\nV\0n"s, "a.txt").status().message()),
              HasSubstr("a.txt:2: has a NUL byte"));
}

TEST(TextFileTest, ErrorsHaveThePath) {
  const testing::TemporaryDirectory directory;
  const auto path = directory.path() / "labels.txt";
  EXPECT_EQ(ReadTextFile(path).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileAtomically(path, std::string("a\n\0", 3)).ok());
  EXPECT_THAT(std::string(ReadTextFile(path).status().message()), HasSubstr("labels.txt:2: "));
}

// Somebody else names the files of a dataset: none of these may be waited for, or read without end.
TEST(TextFileTest, OnlyRegularFilesOfBoundedSizeAreRead) {
  const testing::TemporaryDirectory directory;
  const auto pipe = directory.path() / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const auto huge = directory.path() / "huge";
  ASSERT_TRUE(WriteFileAtomically(huge, "").ok());
  std::filesystem::resize_file(huge, uintmax_t{1} << 40);  // No block of it is on disk.
  for (const std::filesystem::path& path :
       {pipe, std::filesystem::path("/dev/zero"), directory.path(), huge}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadTextFile(path).status())) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(ReadRegularFile(path).status())) << path;
  }
  const auto text = directory.path() / "text";
  ASSERT_TRUE(WriteFileAtomically(text, "abc").ok());
  std::filesystem::create_symlink(text, directory.path() / "link");
  EXPECT_EQ(*ReadRegularFile(directory.path() / "link", 3), "abc");
  EXPECT_TRUE(absl::IsInvalidArgument(ReadRegularFile(text, 2).status()));
  std::filesystem::create_symlink("loop", directory.path() / "loop");
  // What is wrong with a path is the fault of whoever named it.
  for (const std::filesystem::path& path :
       {directory.path() / "loop", std::filesystem::path(std::string(5000, 'a')),
        std::filesystem::path(std::string(300, 'a'))}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadRegularFile(path).status())) << path;
  }
  EXPECT_TRUE(absl::IsNotFound(ReadRegularFile(text / "in-a-file").status()));
  // The system's own tell no size beforehand.
  EXPECT_TRUE(ReadRegularFile("/proc/self/status").ok());
}

}  // namespace
}  // namespace backfire
