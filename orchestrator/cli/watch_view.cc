#include "orchestrator/cli/watch_view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <ostream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/base/printable.h"

namespace backfire::cli {
namespace {

/// Where there is no terminal, a line tells how far it is this often.
constexpr double kPaceSeconds = 10;

/// Of a terminal; 80 where it doesn't say.
int WidthOf(int terminal) {
  winsize size{};
  return ::ioctl(terminal, TIOCGWINSZ, &size) != 0 || size.ws_col < 20 ? 80 : size.ws_col;
}

}  // namespace

WatchView::WatchView(std::ostream& out, int columns)
    : out_(out), columns_(columns), paced_log_(kPaceSeconds) {}

WatchView::~WatchView() { Erase(); }

void WatchView::Erase() {
  // Up to the first of our lines, and clear from there.
  if (drawn_lines_ > 0)
    out_ << TerminalCode{absl::StrCat("\x1b[", drawn_lines_, "A\x1b[J")} << std::flush;
  drawn_lines_ = 0;
}

void WatchView::Show(const v1::Update& update, double now_seconds,
                     std::optional<double> seconds_left) {
  if (columns_ == 0) {
    for (const std::string& line : paced_log_.Next(update, now_seconds, seconds_left)) {
      out_ << line << "\n";
    }
    out_ << std::flush;
    return;
  }
  const std::vector<std::string> stay = log_.Next(update, seconds_left);
  Erase();
  for (const std::string& line : stay) out_ << line << "\n";
  for (std::string line : report::ProgressLines(update, seconds_left)) {
    // A line that wraps would count as one and be two.
    if (static_cast<int>(line.size()) >= columns_) line.resize(static_cast<size_t>(columns_) - 1);
    out_ << line << "\n";
    ++drawn_lines_;
  }
  out_ << std::flush;
}

int OutputColumns(const char* columns) {
  int width = 0;
  if (columns != nullptr && absl::SimpleAtoi(columns, &width) && width > 0) return width;
  return ::isatty(STDOUT_FILENO) == 0 ? 0 : WidthOf(STDOUT_FILENO);
}

int TerminalColumns() {
  const char* terminal = std::getenv("TERM");
  if (::isatty(STDERR_FILENO) == 0 || terminal == nullptr || std::string(terminal) == "dumb") {
    return 0;
  }
  return WidthOf(STDERR_FILENO);
}

}  // namespace backfire::cli
