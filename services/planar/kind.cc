#include "services/planar/kind.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "services/base/status.h"

namespace backfire::planar {
namespace {

// Filled before main: a function's static, so that no order of initialisation matters.
std::vector<std::unique_ptr<const Kind>>& Owned() {
  static auto* kinds = new std::vector<std::unique_ptr<const Kind>>();
  return *kinds;
}

std::vector<const Kind*> Sorted() {
  std::vector<const Kind*> kinds;
  for (const auto& kind : Owned()) kinds.push_back(kind.get());
  std::sort(kinds.begin(), kinds.end(), [](const Kind* a, const Kind* b) {
    return a->defaults().name() < b->defaults().name();
  });
  return kinds;
}

}  // namespace

bool RegisterKind(std::unique_ptr<const Kind> kind) {
  Owned().push_back(std::move(kind));
  return true;
}

const std::vector<const Kind*>& Kinds() {
  static const auto* kinds = new std::vector<const Kind*>(Sorted());
  return *kinds;
}

const Kind* FindKind(const std::string& name) {
  for (const Kind* kind : Kinds()) {
    if (kind->defaults().name() == name) return kind;
  }
  return nullptr;
}

std::string WriteNumbers(const std::vector<double>& numbers) {
  std::string text;
  for (const double number : numbers) absl::StrAppendFormat(&text, "%.17g\n", number);
  return text;
}

absl::StatusOr<std::vector<double>> ReadNumbers(const std::string& text) {
  std::vector<double> numbers;
  for (const auto& line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (!absl::SimpleAtod(line, &numbers.emplace_back()) || std::isnan(numbers.back())) {
      return absl::DataLossError("weights must be numbers, one a line");
    }
  }
  return numbers;
}

absl::StatusOr<std::vector<double>> ReadNumbers(const std::string& text, size_t count) {
  BACKFIRE_ASSIGN_OR_RETURN(std::vector<double> numbers, ReadNumbers(text));
  if (numbers.size() == count) return numbers;
  return absl::DataLossError(
      absl::StrCat("weights must be ", count, " numbers: got ", numbers.size()));
}

absl::StatusOr<std::vector<std::vector<double>>> ReadRows(const std::string& text,
                                                          size_t features) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<double> numbers, ReadNumbers(text));
  const size_t stride = features + 2;
  if (numbers.empty() || numbers.size() % stride != 0) {
    return absl::DataLossError(absl::StrCat("weights must be rows of ", stride, " numbers: got ",
                                            numbers.size(), " in all"));
  }
  std::vector<std::vector<double>> rows;
  for (size_t at = 0; at < numbers.size(); at += stride) {
    if (numbers[at] != static_cast<double>(features)) {
      return absl::DataLossError(
          absl::StrCat("weights must be of ", features, " features: got a row of ", numbers[at]));
    }
    const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(at) + 1;
    rows.emplace_back(first, first + static_cast<std::ptrdiff_t>(features) + 1);
  }
  return rows;
}

absl::Status CheckStated(const std::string& weights) {
  if (weights == kStated) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "the recipe states everything, so its weights are the word \"", kStated, "\" and no more"));
}

}  // namespace backfire::planar
