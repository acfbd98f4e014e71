#pragma once

#include <string>
#include <vector>

#include "backfire/v1/flips.pb.h"
#include "backfire/v1/gate.pb.h"

namespace backfire::page {

/// A report, and what the reader is told beside it.
struct PageEntry {
  std::string title;  ///< Of this report among others: a system's name; empty: the candidate's.
  v1::GateReport report;
  std::string command;  ///< That makes it again; empty: nobody says.
  /// What releases see of test frames; without frames: nobody asked them.
  v1::ExampleFlips flips = {};
};

/// One self-contained HTML document of one report, or of several, which a table leads to. It has no
/// script and no address but its own fragments. At most 2 MB at 200 descendants: what does not fit
/// is said to be in the JSON report.
/// @param entries  At least one.
std::string HtmlPage(const std::vector<PageEntry>& entries);

}  // namespace backfire::page
