#include "services/base/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

namespace backfire {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

// What a client sent as the id of its request, and what it would have the log say.
constexpr char kForged[] =
    "x\"\n2026-01-01T00:00:00.000 error gateway releases\x1b[2J\r\x7f\xC2\x9B"
    "31m \xC3\xA9";
constexpr char kEscaped[] =
    "\\u000a2026-01-01T00:00:00.000 error gateway releases\\u001b[2J\\u000d\\u007f\\u009b31m "
    "\xC3\xA9";

std::string Logged(const std::string& format) {
  EXPECT_TRUE(InitLogging({"info", format}, "process-" + format).ok());
  ::testing::internal::CaptureStderr();
  spdlog::info("infer id={}", kForged);
  return ::testing::internal::GetCapturedStderr();
}

TEST(LoggingTest, AMessageIsOneLineOfPrintableText) {
  const std::string text = Logged("text");
  EXPECT_THAT(text, HasSubstr(std::string("process-text infer id=x\"") + kEscaped));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_THAT(text, EndsWith("\n"));
}

TEST(LoggingTest, InJsonQuotesAreEscapedAsWell) {
  const std::string json = Logged("json");
  EXPECT_THAT(json, HasSubstr(std::string("\"message\":\"infer id=x\\\"") + kEscaped + "\"}"));
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 1);
}

TEST(LoggingTest, RefusesUnknownLevelsAndFormats) {
  EXPECT_TRUE(absl::IsInvalidArgument(InitLogging({"loud", "text"}, "p")));
  EXPECT_TRUE(absl::IsInvalidArgument(InitLogging({"info", "xml"}, "p")));
}

}  // namespace
}  // namespace backfire
