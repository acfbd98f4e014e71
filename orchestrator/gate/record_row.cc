#include "orchestrator/gate/record_row.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::gate {

int Columns::Add(const std::string& name) {
  const auto [at, is_new] = numbers_.emplace(name, size());
  if (is_new) names_.push_back(name);
  return at->second;
}

int Columns::Find(absl::string_view name) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? -1 : found->second;
}

std::string Columns::Listed() const { return absl::StrJoin(names_, ", "); }

void RecordRow::Clear() {
  has_vertex = has_seed = has_example = has_cluster = false;
  has_name = has_value = has_resampled = false;
  slices.clear();
  numbers.clear();
  resampled.clear();
  cluster_sizes.clear();
  examples = bearing = 0;
}

std::string RecordRow::Where() const {
  std::string where;
  const auto add = [&](bool has, auto... parts) {
    if (has) absl::StrAppend(&where, where.empty() ? "" : ", ", parts...);
  };
  add(has_vertex, "vertex ", vertex);
  add(has_seed, "seed ", seed);
  add(has_example, "example ", example);
  add(has_name, "loss ", name);
  return where;
}

namespace internal {
namespace {

absl::Status Fault(absl::string_view field, absl::string_view must, absl::string_view got) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": must be ", must, ": got ", got.substr(0, 80)));
}

// Canonical: "7" and "07" must not be two seeds.
absl::Status SetWhole(absl::string_view field, absl::string_view text, int64_t& number) {
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isdigit(c);
  });
  if (digits && (text.size() == 1 || text[0] != '0') && absl::SimpleAtoi(text, &number)) {
    return absl::OkStatus();
  }
  return Fault(field, "a whole number >= 0", text);
}

absl::Status SetName(absl::string_view field, absl::string_view text, std::string& to) {
  const bool printable =
      std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (text.empty() || !printable) return Fault(field, "text without control characters", text);
  to.assign(text.data(), text.size());
  return absl::OkStatus();
}

absl::StatusOr<double> Number(absl::string_view field, absl::string_view text) {
  double number = 0;
  // Writers of JSON have several words for what is no number.
  if (text.empty() || text == "-") return std::numeric_limits<double>::quiet_NaN();
  if (absl::SimpleAtod(text, &number)) return number;
  return Fault(field, "a number", text);
}

}  // namespace

absl::StatusOr<int> TargetOf(absl::string_view name, const Columns& columns) {
  static constexpr std::pair<absl::string_view, int> kKnown[] = {
      {"vertex", kVertex},
      {"seed", kSeed},
      {"example", kExample},
      {"slice", kSlice},
      {"cluster", kCluster},
      {"name", kName},
      {"value", kValue},
      {"resampled", kResampled},
      {"examples", kExamples},
      {"bearing", kBearing},
      {"cluster_sizes", kClusterSizes},
  };
  // A policy may call a loss `value`.
  if (const int column = columns.Find(name); column >= 0) return column;
  for (const auto& [known, target] : kKnown) {
    if (name == known) return target;
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown column \"", name.substr(0, 80),
                                                 "\"; the policy's losses have ",
                                                 columns.size() == 0 ? "none" : columns.Listed()));
}

absl::Status SetText(int target, absl::string_view text, bool is_number, const Columns& columns,
                     RecordRow& row) {
  switch (target) {
    case kVertex:
      row.has_vertex = true;
      return SetName("vertex", text, row.vertex);
    case kSeed: {
      const absl::Status set = SetWhole("seed", text, row.seed);
      row.has_seed = set.ok();
      return set;
    }
    case kExample: {
      const absl::Status set = SetName("example", text, row.example);
      row.has_example = set.ok();
      return set;
    }
    case kSlice:
      return SetName("slice", text, row.slices.emplace_back());
    case kCluster:
      row.has_cluster = true;
      return SetName("cluster", text, row.cluster);
    case kName:
      row.has_name = true;
      return SetName("name", text, row.name);
    case kExamples:
      return SetWhole("examples", text, row.examples);
    case kClusterSizes:
      return SetWhole("cluster_sizes", text, row.cluster_sizes.emplace_back());
    case kBearing:
      return SetWhole("bearing", text, row.bearing);
    default:
      break;
  }
  const absl::string_view field = target >= 0
                                      ? absl::string_view(columns.name(target))
                                      : absl::string_view(target == kValue ? "value" : "resampled");
  const absl::StatusOr<double> number = Number(field, text);
  if (!number.ok()) return number.status();
  // Resamples may be undefined, which JSON has no number for, and then `NaN` is a text.
  if (!is_number && std::isfinite(*number)) return Fault(field, "a number, not a text", text);
  if (target == kValue) {
    row.has_value = true;
    row.value = *number;
  } else if (target == kResampled) {
    row.resampled.push_back(*number);
  } else {
    row.numbers.push_back({target, *number});
  }
  return absl::OkStatus();
}

}  // namespace internal
}  // namespace backfire::gate
