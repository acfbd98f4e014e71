#pragma once

#include <torch/nn/module.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace backfire::parity {

/// One line of a `.state_dict.tsv`.
struct StateDictRow {
  std::string name;
  std::vector<int64_t> shape;
  std::string rule;  ///< Of the weight formula: weight, bnweight, bias, mean, var, tracked, fixed.
  double fan_in = 0, gain = 0;          ///< For the rule `weight`.
  double sum = 0, first = 0, last = 0;  ///< Of the tensor that the formula gives.
};

/// DATA_LOSS names the line that is malformed.
absl::StatusOr<std::vector<StateDictRow>> ReadStateDictTable(const std::filesystem::path& path);

/// Checks that a network has just these tensors, in names, shapes and order, and fills them by the
/// formula. `prefix` goes before the names that are hashed; the formula's numbers are checked
/// against the table's, with and without it. FAILED_PRECONDITION: says what differs first.
absl::Status FillByFormula(const std::vector<StateDictRow>& rows, const std::string& prefix,
                           torch::nn::Module& network);

}  // namespace backfire::parity
