#include "tests/parity/state_dict_table.h"

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/learning/state_dict.h"
#include "tests/parity/formula.h"

namespace backfire::parity {
namespace {

absl::StatusOr<StateDictRow> ParseRow(absl::string_view line) {
  const std::vector<std::string> cells = absl::StrSplit(line, '\t');
  if (cells.size() != 11) {
    return absl::DataLossError(absl::StrCat("must have 11 columns: got ", cells.size()));
  }
  StateDictRow row;
  row.name = cells[1];
  row.rule = cells[5];
  if (cells[2] != "scalar") {
    for (const auto& size : absl::StrSplit(cells[2], 'x')) {
      if (!absl::SimpleAtoi(size, &row.shape.emplace_back())) {
        return absl::DataLossError(absl::StrCat("shape must be like 32x3x3x3: got ", cells[2]));
      }
    }
  }
  const bool is_weight = row.rule == "weight";
  for (const auto& [cell, value, needed] :
       {std::tuple(6, &row.fan_in, is_weight), std::tuple(7, &row.gain, is_weight),
        std::tuple(8, &row.sum, true), std::tuple(9, &row.first, true),
        std::tuple(10, &row.last, true)}) {
    const std::string& text = cells[static_cast<size_t>(cell)];
    if (needed && !absl::SimpleAtod(text, value)) {
      return absl::DataLossError(absl::StrCat("column ", cell, " must be a number: got ", text));
    }
  }
  return row;
}

absl::StatusOr<torch::Tensor> FormulaWeight(const StateDictRow& row, const std::string& prefix) {
  const auto v = [&] { return FormulaV(prefix + row.name, row.shape); };
  if (row.rule == "weight") return v() * (std::sqrt(3.0) * std::sqrt(row.gain / row.fan_in));
  if (row.rule == "bnweight") return 1 + 0.1 * v();
  if (row.rule == "bias" || row.rule == "mean") return 0.1 * v();
  if (row.rule == "var") return 1 + 0.1 * v().abs();
  if (row.rule == "tracked") return torch::zeros(row.shape, torch::kFloat64);
  if (row.rule == "fixed") {
    // Constants: the table has the first and the last of them; two values at most are needed.
    torch::Tensor values = torch::full(row.shape, row.first, torch::kFloat64);
    if (values.numel() > 1) values.reshape({-1})[-1] = row.last;
    return values;
  }
  return absl::DataLossError(absl::StrCat(row.name, ": no such rule: ", row.rule));
}

// Whether the formula's tensor is the table's, as far as the table says.
bool FitsTable(const StateDictRow& row, const torch::Tensor& values) {
  const torch::Tensor flat = values.to(torch::kFloat32).to(torch::kFloat64).reshape({-1});
  const auto near = [](double got, double expected, double scale) {
    return std::abs(got - expected) <= 1e-6 * (std::abs(expected) + scale);
  };
  return near(flat[0].item<double>(), row.first, 1e-3) &&
         near(flat[-1].item<double>(), row.last, 1e-3) &&
         near(flat.sum().item<double>(), row.sum, flat.abs().sum().item<double>());
}

}  // namespace

absl::StatusOr<std::vector<StateDictRow>> ReadStateDictTable(const std::filesystem::path& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  std::vector<StateDictRow> rows;
  int64_t number = 0;
  for (const absl::string_view line : absl::StrSplit(content, '\n')) {
    ++number;
    if (number == 1 || line.empty()) continue;
    absl::StatusOr<StateDictRow> row = ParseRow(line);
    BACKFIRE_RETURN_IF_ERROR(Annotate(row.status(), absl::StrCat(path.string(), ":", number)));
    rows.push_back(*std::move(row));
  }
  if (rows.empty()) return absl::DataLossError(absl::StrCat(path.string(), ": no tensor in it"));
  return rows;
}

absl::Status FillByFormula(const std::vector<StateDictRow>& rows, const std::string& prefix,
                           torch::nn::Module& network) {
  const at::NoGradGuard no_gradient;
  const auto tensors = learning::StateDict(network);
  for (size_t i = 0; i < std::min(rows.size(), tensors.size()); ++i) {
    const auto& [name, tensor] = tensors[i];
    if (name != rows[i].name || tensor.sizes() != torch::IntArrayRef(rows[i].shape)) {
      return absl::FailedPreconditionError(
          absl::StrCat("state_dict entry ", i, " must be ", rows[i].name, " [",
                       absl::StrJoin(rows[i].shape, ", "), "]: the network has ", name, " [",
                       absl::StrJoin(tensor.sizes(), ", "), "]"));
    }
  }
  if (rows.size() != tensors.size()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "state_dict must have ", rows.size(), " entries: the network has ", tensors.size()));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    BACKFIRE_ASSIGN_OR_RETURN(torch::Tensor values, FormulaWeight(rows[i], ""));
    if (!FitsTable(rows[i], values)) {
      BACKFIRE_ASSIGN_OR_RETURN(values, FormulaWeight(rows[i], prefix));
      if (!FitsTable(rows[i], values)) {
        return absl::FailedPreconditionError(
            absl::StrCat(rows[i].name,
                         ": the formula gives another sum, first or last element "
                         "than the table has"));
      }
    }
    torch::Tensor target = tensors[i].second;
    target.copy_(values);
  }
  return absl::OkStatus();
}

}  // namespace backfire::parity
