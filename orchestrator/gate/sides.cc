#include "orchestrator/gate/sides.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::gate {
namespace {

constexpr size_t kMostNamed = 5;

// Adds what `one` has and `other` lacks, the first few by name.
template <typename T>
void AddLacking(const std::string& vertex, const char* what, const std::string& has,
                const std::set<T>& one, const std::string& lacks, const std::set<T>& other,
                FaultList& faults) {
  std::vector<T> lacking;
  std::set_difference(one.begin(), one.end(), other.begin(), other.end(),
                      std::back_inserter(lacking));
  if (lacking.empty()) return;
  const std::vector<T> named(
      lacking.begin(),
      lacking.begin() + static_cast<std::ptrdiff_t>(std::min(lacking.size(), kMostNamed)));
  faults.Add(absl::StrCat("vertex ", vertex, ", ", what, " ", absl::StrJoin(named, ", "),
                          lacking.size() > kMostNamed
                              ? absl::StrCat(" and ", lacking.size() - kMostNamed, " more")
                              : "",
                          ": in ", has, " and not in ", lacks));
}

}  // namespace

void FaultList::Add(std::string fault) {
  if (faults_.size() < kMostFaults) {
    faults_.push_back(std::move(fault));
  } else {
    more_ = true;
  }
}

absl::Status FaultList::ToStatus() const {
  if (faults_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(absl::StrJoin(faults_, "\n"), more_ ? "\nand more" : ""));
}

std::vector<int64_t> SeedsOf(const VertexRecords& records) {
  std::set<int64_t> seeds;
  for (const auto& [seed, values] : records.values) seeds.insert(seed);
  for (const auto& [key, record] : records.resampled) seeds.insert(std::get<0>(key));
  return {seeds.begin(), seeds.end()};
}

void Compare(const std::string& vertex, const NamedRecords& one, const NamedRecords& other,
             FaultList& faults) {
  const std::vector<int64_t> seeds = SeedsOf(one.records), other_seeds = SeedsOf(other.records);
  if (seeds != other_seeds) {
    const std::set<int64_t> here(seeds.begin(), seeds.end());
    const std::set<int64_t> there(other_seeds.begin(), other_seeds.end());
    AddLacking(vertex, "seed", one.side, here, other.side, there, faults);
    AddLacking(vertex, "seed", other.side, there, one.side, here, faults);
  }
  // Losses with columns have them of every seed, those with resamples too.
  if (one.records.values.size() != other.records.values.size() && seeds == other_seeds) {
    faults.Add(absl::StrCat("vertex ", vertex, ": ", one.side, " has losses per example of ",
                            one.records.values.size(), " seeds, ", other.side, " of ",
                            other.records.values.size()));
  }
  if (one.records.examples != other.records.examples) {
    const std::set<std::string> here(one.records.examples.begin(), one.records.examples.end());
    const std::set<std::string> there(other.records.examples.begin(), other.records.examples.end());
    AddLacking(vertex, "example", one.side, here, other.side, there, faults);
    AddLacking(vertex, "example", other.side, there, one.side, here, faults);
    return;
  }
  const auto cluster = [](const VertexRecords& records, size_t i) {
    return records.clusters.empty()
               ? std::string()
               : records.cluster_names[static_cast<size_t>(records.clusters[i])];
  };
  for (size_t i = 0; i < one.records.examples.size(); ++i) {
    const char* what = one.records.slices[i] != other.records.slices[i]       ? "slices"
                       : cluster(one.records, i) != cluster(other.records, i) ? "cluster"
                                                                              : nullptr;
    if (what == nullptr) continue;
    faults.Add(absl::StrCat("vertex ", vertex, ", example ", one.records.examples[i], ": ", what,
                            " in ", other.side, " are not those in ", one.side));
  }
}

}  // namespace backfire::gate
