#include "services/planar/kind.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

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
    if (!absl::SimpleAtod(line, &numbers.emplace_back())) {
      return absl::DataLossError("weights are not numbers");
    }
  }
  return numbers;
}

}  // namespace backfire::planar
