#include "orchestrator/cli/watch_view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <ostream>
#include <string>

namespace backfire::cli {
namespace {

/// Lines that stay tell of a running step this often.
constexpr double kPaceSeconds = 10;

}  // namespace

WatchView::WatchView(std::ostream& out, int columns)
    : out_(out), columns_(columns), log_(kPaceSeconds) {}

WatchView::~WatchView() { Erase(); }

void WatchView::Erase() {
  // Up to the first of our lines, and clear from there.
  if (drawn_lines_ > 0) out_ << "\x1b[" << drawn_lines_ << "A\x1b[J" << std::flush;
  drawn_lines_ = 0;
}

void WatchView::Show(const v1::Update& update, double now_seconds,
                     std::optional<double> seconds_left) {
  const std::vector<report::News> news = log_.Next(update, now_seconds, seconds_left);
  Erase();
  for (const report::News& entry : news) {
    // On a terminal, what still runs is in the part that is redrawn.
    if (columns_ == 0 || entry.final) out_ << entry.line << "\n";
  }
  if (columns_ > 0) {
    for (std::string line : report::ProgressLines(update, seconds_left)) {
      // A line that wraps would count as one and be two.
      if (static_cast<int>(line.size()) >= columns_) line.resize(static_cast<size_t>(columns_) - 1);
      out_ << line << "\n";
      ++drawn_lines_;
    }
  }
  out_ << std::flush;
}

int TerminalColumns() {
  const char* terminal = std::getenv("TERM");
  if (::isatty(STDERR_FILENO) == 0 || terminal == nullptr || std::string(terminal) == "dumb") {
    return 0;
  }
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

}  // namespace backfire::cli
