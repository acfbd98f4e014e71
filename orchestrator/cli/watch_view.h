#pragma once

#include <iosfwd>
#include <optional>

#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/report/progress_report.h"

namespace backfire::cli {

/// Shows a running update. On a terminal: what is final in lines that stay, and below them what
/// runs, redrawn in place. Elsewhere: few lines, as for a log. One thread.
class WatchView {
 public:
  /// @param out         Borrowed for the view's life.
  /// @param columns     Of the terminal; 0: it is none.
  explicit WatchView(std::ostream& out, int columns);
  /// Removes what is drawn, so that a report can follow.
  ~WatchView();
  WatchView(const WatchView&) = delete;
  WatchView& operator=(const WatchView&) = delete;

  /// @param now_seconds   Of any steady clock.
  /// @param seconds_left  Of the whole update, where that can be foretold: `report::Forecast`.
  void Show(const v1::Update& update, double now_seconds,
            std::optional<double> seconds_left = std::nullopt);

 private:
  void Erase();

  std::ostream& out_;
  const int columns_;
  int drawn_lines_ = 0;
  report::ProgressLog log_;
  report::PacedLog paced_log_;
};

/// How wide tables on standard output may be: COLUMNS, where somebody exported it, else the width
/// of the terminal that it is; 0: neither.
/// @param columns  That variable; null if unset.
int OutputColumns(const char* columns);

/// Width of the terminal that standard error is; 0: it is none.
int TerminalColumns();

}  // namespace backfire::cli
