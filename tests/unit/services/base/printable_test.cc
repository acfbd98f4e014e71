#include "services/base/printable.h"

#include <gtest/gtest.h>

#include <sstream>

#include "services/base/utf8.h"

namespace backfire {
namespace {

constexpr char kHostile[] = "a\x1b[31mb\r\n\tc\x7f\xC2\x9B\xC3\xA9";

TEST(PrintableTest, ControlCharactersAreSpelledOut) {
  EXPECT_EQ(Printable(kHostile), "a\\u001b[31mb\\u000d\\u000a\\u0009c\\u007f\\u009b\xC3\xA9");
  EXPECT_EQ(Printable(kHostile, Keep::kLines), "a\\u001b[31mb\\u000d\n\tc\\u007f\\u009b\xC3\xA9");
  EXPECT_EQ(Printable(std::string_view("\0", 1)), "\\u0000");
  EXPECT_EQ(Printable("K\xF6ln"), "K\\ufffdln") << "what is no UTF-8 would make JSON unreadable";
}

TEST(PrintableTest, AStreamLetsItsOwnersCodesThrough) {
  std::ostringstream terminal;
  PrintableBuffer buffer(*terminal.rdbuf());
  std::ostream out(&buffer);
  out << TerminalCode{"\x1b[1A"} << "said: \x1b[2J" << '\x1b' << 7 << std::endl;
  EXPECT_TRUE(out.good());
  EXPECT_EQ(terminal.str(), "\x1b[1Asaid: \\u001b[2J\\u001b7\n");
  std::ostringstream plain;
  plain << TerminalCode{"\x1b[1A"};
  EXPECT_EQ(plain.str(), "\x1b[1A");
}

TEST(ValidUtf8Test, EveryByteThatIsNoCharactersIsReplaced) {
  const std::string good = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n";
  EXPECT_EQ(ValidUtf8(good), good);
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(ValidUtf8("K\xF6ln"), "K" + bad + "ln");      // Latin-1.
  EXPECT_EQ(ValidUtf8("\xC0\x80"), bad + bad);            // NUL, longer than it is.
  EXPECT_EQ(ValidUtf8("\xED\xA0\x80"), bad + bad + bad);  // A half of a pair.
  EXPECT_EQ(ValidUtf8("\xF4\x90\x80\x80"), bad + bad + bad + bad);
  EXPECT_EQ(ValidUtf8("x\xE2\x82"), "x" + bad + bad) << "cut off";
}

}  // namespace
}  // namespace backfire
