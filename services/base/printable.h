#pragma once

#include <ostream>
#include <streambuf>
#include <string>
#include <string_view>

// Text of others can neither end its line nor steer a terminal: what it says of itself in a log, a
// table or an error is read as text.
namespace backfire {

/// Which control characters stay as they are.
enum class Keep { kNothing, kLines };

/// Appends text with control characters as `\u001b`, those of Unicode's second block (U+0080 to
/// U+009F, of two bytes in UTF-8) as well. With kLines, line ends and tabs stay.
void AppendPrintable(std::string_view text, Keep keep, std::string& out);
std::string Printable(std::string_view text, Keep keep = Keep::kNothing);

/// What goes through it arrives as Printable(kLines) has it. One thread.
class PrintableBuffer final : public std::streambuf {
 public:
  /// @param to  Borrowed.
  explicit PrintableBuffer(std::streambuf& to) : to_(to) {}

 protected:
  int_type overflow(int_type c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override;

 private:
  // Of a character of several bytes all come with one call, but for a byte that stands alone.
  bool Put(std::string_view text);
  friend std::ostream& operator<<(std::ostream& out, const struct TerminalCode& code);
  std::streambuf& to_;
};

/// A control sequence of our own, which goes through a PrintableBuffer as it is.
struct TerminalCode {
  std::string sequence;
};
std::ostream& operator<<(std::ostream& out, const TerminalCode& code);

}  // namespace backfire
