#pragma once

#include <string>
#include <vector>

#include "backfire/v1/gate.pb.h"

namespace backfire::gate {

/// What the gate does, about which verdict, and why: `REFUSED (SELF_DEFEATING): car ap is worse`.
std::string GateHeadline(const v1::GateReport& report);

/// `embedding mse`, `car error [night]`.
std::string ResultTitle(const v1::GateResult& result);

/// How a comparison stands, in one or two words: `WORSE`, `WORSE, waived`, `can't decide`.
std::string StatusWord(const v1::GateResult& result, const v1::LossComparison& one);

/// One sentence with the numbers: `12.3 -> 13.1 percent, worse by 0.8 [0.5, 1.1], margin 0.5`.
std::string NumbersOf(const v1::GateResult& result, const v1::LossComparison& one);

/// The bounds of a difference, `[+0.5, +1.1]`, or `-` where there are none.
std::string BoundsOf(const v1::LossComparison& one);

/// A loss with the sign that its owner gives it, who may want it to be high.
double OwnSign(const v1::GateResult& result, double value);

/// Where results stand in a report: what blocks, what is open, what is waived, the rest, what
/// decides nothing.
int Rank(v1::GateResult::Status status);

/// Positions of the results, worst first by Rank; within each as the verdict has them.
std::vector<int> WorstFirst(const v1::GateReport& report);

/// What a gate on these records can show, in a sentence: how often it would be wrong, and how often
/// it lets pass what does no harm.
std::string SelfTestLine(const v1::GateSelfTest& test);

}  // namespace backfire::gate
