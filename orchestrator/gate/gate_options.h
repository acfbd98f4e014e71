#pragma once

#include <CLI/CLI.hpp>

#include "orchestrator/gate/gate.h"
#include "orchestrator/gate/gate_outputs.h"

namespace backfire::gate {

/// What a gate is asked for on the command line.
struct GateOptions {
  GateRequest request;
  GateOutputs outputs;
  bool update_baseline = false;  ///< After a pass, --after becomes the baseline.
  bool self_test = false;        ///< Nothing is judged: the gate itself is.
};

/// Adds all options of `backfire-gate` to its command line, and what goes with what.
/// @param options  Borrowed while the command line is.
void AddGateOptions(CLI::App& app, GateOptions& options);

}  // namespace backfire::gate
