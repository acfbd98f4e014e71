#pragma once

#include <string>
#include <vector>

#include "backfire/v1/gate.pb.h"

namespace backfire::gate {

/// A report for the terminal: what the gate does and why in the first line, then each loss, worst
/// first, with before and after as the user's own direction has them; then what would decide.
std::string GateText(const v1::GateReport& report);

/// `embedding mse`, `car error [night]`.
std::string ResultTitle(const v1::GateResult& result);

/// How a comparison stands, in one or two words: `worse`, `worse (waived)`, `open`, `ok`.
std::string StatusWord(const v1::GateResult& result, const v1::LossComparison& one);

/// One sentence with the numbers: `12.3 -> 13.1 percent, worse by 0.8 [0.5, 1.1], margin 0.5`.
std::string NumbersOf(const v1::GateResult& result, const v1::LossComparison& one);

/// Positions of the results, worst first: what blocks, what is open, what is waived, the rest;
/// within each as the verdict has them.
std::vector<int> WorstFirst(const v1::GateReport& report);

}  // namespace backfire::gate
