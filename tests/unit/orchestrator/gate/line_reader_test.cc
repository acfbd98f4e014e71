#include "orchestrator/gate/line_reader.h"

#include <gmock/gmock.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/unit/orchestrator/gate/gate_test_kit.h"

namespace backfire::gate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LineReaderTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return (directory_.path() / name).string(); }

  // Lines up to the end or the fault.
  std::vector<std::string> Lines(const std::string& path) {
    std::vector<std::string> lines;
    auto reader = LineReader::Open(path);
    EXPECT_TRUE(reader.ok()) << reader.status();
    absl::string_view line;
    while (reader.ok()) {
      const absl::StatusOr<bool> more = reader->Next(line);
      fault_ = more.status();
      if (!more.ok() || !*more) break;
      lines.emplace_back(line);
    }
    return lines;
  }

  void WriteGzip(const std::string& path, const std::string& text, const char* mode = "wb") {
    gzFile file = gzopen(path.c_str(), mode);
    ASSERT_NE(file, nullptr);
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
  }

  const TemporaryDirectory directory_;
  absl::Status fault_;
};

TEST_F(LineReaderTest, ReadsLinesWithAndWithoutALastLineEnd) {
  WriteText(Path("a"), "one\n\nthree\n");
  EXPECT_THAT(Lines(Path("a")), ElementsAre("one", "", "three"));
  WriteText(Path("b"), "one\ntwo");
  EXPECT_THAT(Lines(Path("b")), ElementsAre("one", "two"));
  WriteText(Path("c"), "");
  EXPECT_THAT(Lines(Path("c")), ElementsAre());
  EXPECT_TRUE(fault_.ok());
  EXPECT_EQ(LineReader::Open(Path("none")).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(LineReaderTest, LinesAreLongerThanABuffer) {
  const std::string line(3 << 20, 'x');
  WriteText(Path("a"), line + "\n" + line + "y");
  EXPECT_THAT(Lines(Path("a")), ElementsAre(line, line + "y"));
}

TEST_F(LineReaderTest, ReadsGzipOfSeveralMembers) {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += std::to_string(i) + "\n";
  WriteGzip(Path("a.gz"), text);
  WriteGzip(Path("a.gz"), "last", "ab");
  const auto lines = Lines(Path("a.gz"));
  ASSERT_TRUE(fault_.ok()) << fault_;
  ASSERT_EQ(lines.size(), 200001U);
  EXPECT_EQ(lines[199999], "199999");
  EXPECT_EQ(lines.back(), "last");
}

// Cut at any byte, the first member's or the second's: never a shorter file.
TEST_F(LineReaderTest, ACutGzipIsAFault) {
  WriteGzip(Path("a.gz"), "one\ntwo\n");
  const auto first = std::filesystem::file_size(Path("a.gz"));
  WriteGzip(Path("a.gz"), "three\n", "ab");
  std::string bytes;
  {
    std::ifstream file(Path("a.gz"), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  ASSERT_EQ(Lines(Path("a.gz")).size(), 3U);
  for (size_t size = 2; size < bytes.size(); ++size) {
    if (size == first) continue;  // A whole member: nothing shows that another followed.
    WriteText(Path("cut.gz"), bytes.substr(0, size));
    Lines(Path("cut.gz"));
    EXPECT_EQ(fault_.code(), absl::StatusCode::kInvalidArgument) << size;
    EXPECT_THAT(std::string(fault_.message()), HasSubstr("cut.gz:")) << size;
  }
  bytes[first / 2] = static_cast<char>(bytes[first / 2] ^ 0x55);
  WriteText(Path("damaged.gz"), bytes);
  Lines(Path("damaged.gz"));
  EXPECT_FALSE(fault_.ok());
  WriteText(Path("garbage.gz"), bytes.substr(0, 0) + "\x1f\x8b" + std::string(20, 'x'));
  Lines(Path("garbage.gz"));
  EXPECT_THAT(std::string(fault_.message()), HasSubstr("garbage.gz:1: the gzip stream is damaged"));
}

TEST_F(LineReaderTest, GarbageBehindGzipIsAFault) {
  WriteGzip(Path("a.gz"), "one\n");
  std::ofstream(Path("a.gz"), std::ios::binary | std::ios::app) << "garbage";
  Lines(Path("a.gz"));
  EXPECT_THAT(std::string(fault_.message()), HasSubstr("a.gz:2: the gzip stream is damaged"));
}

TEST_F(LineReaderTest, NamesTheLineOfWindowsHabits) {
  WriteText(Path("a"), "one\ntwo\r\n");
  EXPECT_THAT(Lines(Path("a")), ElementsAre("one"));
  EXPECT_THAT(std::string(fault_.message()), HasSubstr(":2: ends in CR LF"));
  WriteText(Path("b"), "\xEF\xBB\xBFone\n");
  Lines(Path("b"));
  EXPECT_THAT(std::string(fault_.message()), HasSubstr(":1: begins with a byte order mark"));
}

}  // namespace
}  // namespace backfire::gate
