#pragma once

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "backfire/v1/gate.pb.h"

namespace CLI {
class App;
}  // namespace CLI

namespace backfire::gate {

/// Where a report goes.
struct GateOutputs {
  std::string format = "text";  ///< Of standard output: `text` or `json`.
  std::string json;             ///< Paths of files; empty: none.
  std::string junit;
  std::string markdown;
  std::string html;
  std::string flips;      ///< What `backfire vision flips` wrote, for the page; empty: nothing.
  std::string command;    ///< That makes the report again, which the page shows.
  bool annotate = false;  ///< Whether GitHub's annotations go to standard error.
};

/// Adds the options that set `outputs`.
void AddOutputOptions(CLI::App& app, GateOutputs& outputs);

/// Writes a report everywhere. RESOURCE_EXHAUSTED: a disk is full; otherwise as
/// WriteFileAtomically, or INTERNAL: standard output does not take it.
absl::Status WriteOutputs(const v1::GateReport& report, const GateOutputs& outputs,
                          std::ostream& out, std::ostream& err);

}  // namespace backfire::gate
