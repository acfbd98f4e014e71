#include "orchestrator/gate/record_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/digest.h"
#include "services/base/status.h"

namespace backfire::gate {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool Before(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// Position of each place in the order of its name.
std::vector<int32_t> RanksOf(const std::vector<const std::string*>& names) {
  std::vector<int32_t> order(names.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return Before(*names[static_cast<size_t>(a)], *names[static_cast<size_t>(b)]);
  });
  std::vector<int32_t> ranks(names.size());
  for (size_t i = 0; i < order.size(); ++i) {
    ranks[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
  }
  return ranks;
}

template <typename T>
void Permute(const std::vector<int32_t>& ranks, std::vector<T>& values) {
  std::vector<T> ordered(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    ordered[static_cast<size_t>(ranks[i])] = std::move(values[i]);
  values = std::move(ordered);
}

}  // namespace

std::vector<std::string> SliceNames(const v1::GateVertex& vertex) {
  std::vector<std::string> names(vertex.required_slices().begin(), vertex.required_slices().end());
  names.insert(names.end(), vertex.slices().begin(), vertex.slices().end());
  return names;
}

std::vector<std::string> ColumnNames(const v1::GateVertex& vertex) {
  std::vector<std::string> names;
  for (const v1::GateLoss& loss : vertex.losses()) {
    for (const std::string* name : {&loss.column(), &loss.numerator(), &loss.denominator()}) {
      const bool is_new = std::find(names.begin(), names.end(), *name) == names.end();
      if (!name->empty() && is_new) names.push_back(*name);
    }
  }
  return names;
}

Columns AllColumns(const v1::GatePolicy& policy) {
  Columns columns;
  for (const v1::GateVertex& vertex : policy.vertices()) {
    for (const std::string& name : ColumnNames(vertex)) columns.Add(name);
  }
  return columns;
}

RecordTable::RecordTable(const v1::GatePolicy& policy, const Scope& scope, const Columns& columns)
    : policy_(&policy), columns_(&columns) {
  for (const v1::GateVertex* vertex : scope.vertices) {
    numbers_[vertex->name()] = static_cast<int>(vertices_.size());
    Building& building = vertices_.emplace_back();
    building.policy = vertex;
    building.column_of.assign(static_cast<size_t>(columns.size()), -1);
    int own = 0;
    for (const std::string& name : ColumnNames(*vertex)) {
      building.column_of[static_cast<size_t>(columns.Find(name))] = own++;
    }
    int bit = 0;
    for (const std::string& slice : SliceNames(*vertex)) building.slice_bits[slice] = bit++;
  }
  for (const std::string& name : scope.unaffected) numbers_[name] = -1;
}

absl::Status RecordTable::Add(const RecordRow& row) {
  if (!row.has_vertex) return absl::InvalidArgumentError("vertex: is missing");
  const auto found = numbers_.find(row.vertex);
  if (found == numbers_.end()) {
    return absl::InvalidArgumentError("vertex: the policy has no vertex of that name");
  }
  ++rows_;
  if (found->second < 0) {
    ++skipped_;
    return absl::OkStatus();
  }
  if (!row.has_seed) return absl::InvalidArgumentError("seed: is missing");
  Building& vertex = vertices_[static_cast<size_t>(found->second)];
  const bool brings_resamples = row.has_name || row.has_value || row.has_resampled;
  return brings_resamples ? AddResampled(row, vertex) : AddExample(row, vertex);
}

// The example's place in the vertex's columns; checks that it is in the same slices and cluster as
// before.
absl::StatusOr<size_t> RecordTable::Place(const RecordRow& row, Building& vertex) {
  uint64_t slices = 0;
  for (const std::string& slice : row.slices) {
    const auto bit = vertex.slice_bits.find(slice);
    if (bit == vertex.slice_bits.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("slice: the policy's vertex has no slice ", slice));
    }
    if ((slices >> bit->second & 1) != 0) {
      return absl::InvalidArgumentError(absl::StrCat("slice: ", slice, " is there twice"));
    }
    slices |= uint64_t{1} << bit->second;
  }
  // Nothing can fail from here on until the example has its place: rows are read on after a fault.
  const auto [name, is_new_name] =
      example_numbers_.emplace(row.example, static_cast<int32_t>(example_names_.size()));
  if (is_new_name) example_names_.push_back(row.example);
  const auto [at, is_new] =
      vertex.places.emplace(name->second, static_cast<int32_t>(vertex.example_of.size()));
  int32_t cluster = -1;
  if (row.has_cluster) {
    const auto [number, is_new_cluster] = vertex.cluster_numbers.emplace(
        row.cluster, static_cast<int32_t>(vertex.cluster_names.size()));
    if (is_new_cluster) vertex.cluster_names.push_back(row.cluster);
    cluster = number->second;
  }
  const auto place = static_cast<size_t>(at->second);
  if (is_new) {
    vertex.example_of.push_back(name->second);
    vertex.records.slices.push_back(slices);
    vertex.cluster_of.push_back(cluster);
  } else if (vertex.records.slices[place] != slices) {
    return absl::InvalidArgumentError("slice: other slices than in an earlier row of this example");
  } else if (vertex.cluster_of[place] != cluster) {
    return absl::InvalidArgumentError(
        "cluster: another one than in an earlier row of this example");
  }
  return place;
}

absl::Status RecordTable::AddExample(const RecordRow& row, Building& vertex) {
  if (!row.has_example) return absl::InvalidArgumentError("example: is missing");
  if (row.examples != 0 || row.bearing != 0 || !row.cluster_sizes.empty()) {
    return absl::InvalidArgumentError(
        "examples, bearing, cluster_sizes: belong to rows with resamples");
  }
  if (row.numbers.empty()) {
    return absl::InvalidArgumentError("has no loss");
  }
  BACKFIRE_ASSIGN_OR_RETURN(const size_t place, Place(row, vertex));
  std::vector<std::vector<double>>& columns = vertex.records.values[row.seed];
  if (columns.empty()) columns.resize(ColumnNames(*vertex.policy).size());
  for (const auto& [column, value] : row.numbers) {
    const int own = vertex.column_of[static_cast<size_t>(column)];
    const std::string& name = columns_->name(column);
    if (own < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": no loss of this vertex has such a column"));
    }
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": must be a finite number"));
    }
    std::vector<double>& values = columns[static_cast<size_t>(own)];
    if (values.size() <= place) {
      // Room for all that are known, as each is likely to come.
      values.reserve(std::max(values.capacity(), vertex.example_of.size()));
      values.resize(place + 1, kNan);
    }
    if (!std::isnan(values[place])) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": an earlier row has it already"));
    }
    values[place] = value;
  }
  return absl::OkStatus();
}

absl::Status RecordTable::AddResampled(const RecordRow& row, Building& vertex) {
  if (!row.has_name || !row.has_value || !row.has_resampled || row.examples == 0) {
    return absl::InvalidArgumentError(
        "a row with resamples must have vertex, seed, name, value, resampled and examples");
  }
  if (row.has_example || !row.numbers.empty() || row.has_cluster) {
    return absl::InvalidArgumentError("a row with resamples has no example, cluster or columns");
  }
  const auto& losses = vertex.policy->losses();
  const auto loss = std::find_if(losses.begin(), losses.end(),
                                 [&](const v1::GateLoss& one) { return one.name() == row.name; });
  if (loss == losses.end() || !loss->resampled()) {
    return absl::InvalidArgumentError("name: the policy has no such loss with `resampled: true`");
  }
  if (row.slices.size() > 1) return absl::InvalidArgumentError("slice: must be one, or none");
  const std::string slice = row.slices.empty() ? "" : row.slices[0];
  if (!slice.empty() && vertex.slice_bits.count(slice) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("slice: the policy's vertex has no slice ", slice));
  }
  const auto wanted = static_cast<size_t>(policy_->bootstrap().resample_count());
  if (row.resampled.size() != wanted) {
    return absl::InvalidArgumentError(absl::StrCat(
        "resampled: must have ", wanted, " numbers, one a resample: got ", row.resampled.size()));
  }
  if (row.bearing > row.examples) {
    return absl::InvalidArgumentError("bearing: must be at most examples");
  }
  const int64_t bearing = row.bearing == 0 ? row.examples : row.bearing;
  const std::vector<int64_t>& sizes = row.cluster_sizes;
  if (!sizes.empty() && std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) != bearing) {
    return absl::InvalidArgumentError("cluster_sizes: must sum to the examples that bear upon it");
  }
  const bool is_new = vertex.records.resampled
                          .emplace(std::make_tuple(row.seed, row.name, slice),
                                   ResampledRecord{row.value, row.resampled, row.examples, bearing,
                                                   row.cluster_sizes})
                          .second;
  return is_new ? absl::OkStatus() : absl::InvalidArgumentError("an earlier row has it already");
}

void RecordTable::CheckComplete(const Building& vertex, std::vector<std::string>& faults) const {
  const std::string& name = vertex.policy->name();
  const std::vector<std::string> columns = ColumnNames(*vertex.policy);
  const size_t examples = vertex.example_of.size();
  for (const auto& [seed, values] : vertex.records.values) {
    for (size_t c = 0; c < columns.size(); ++c) {
      for (size_t place = 0; place < examples && faults.size() <= kMostFaults; ++place) {
        if (place < values[c].size() && !std::isnan(values[c][place])) continue;
        const auto example = static_cast<size_t>(vertex.example_of[place]);
        faults.push_back(absl::StrCat("vertex ", name, ", seed ", seed, ", example ",
                                      example_names_[example], ": ", columns[c],
                                      " is missing, which others have"));
      }
    }
  }
  const bool any_cluster = !vertex.cluster_names.empty();
  for (size_t place = 0; any_cluster && place < examples && faults.size() <= kMostFaults; ++place) {
    if (vertex.cluster_of[place] >= 0) continue;
    const auto example = static_cast<size_t>(vertex.example_of[place]);
    faults.push_back(absl::StrCat("vertex ", name, ", example ", example_names_[example],
                                  ": cluster is missing, which others have"));
  }
}

void RecordTable::Order(Building& vertex) {
  VertexRecords& records = vertex.records;
  std::vector<const std::string*> names;
  for (const int32_t number : vertex.example_of) {
    names.push_back(&example_names_[static_cast<size_t>(number)]);
  }
  const std::vector<int32_t> ranks = RanksOf(names);
  for (const std::string* name : names) records.examples.push_back(*name);
  Permute(ranks, records.examples);
  Permute(ranks, records.slices);
  for (auto& [seed, columns] : records.values) {
    for (std::vector<double>& values : columns) Permute(ranks, values);
  }
  if (!vertex.cluster_names.empty()) {
    // Numbered in the order in which the examples have them first, as v1.Bootstrap has it.
    Permute(ranks, vertex.cluster_of);
    std::vector<int32_t> numbers(vertex.cluster_names.size(), -1);
    for (const int32_t cluster : vertex.cluster_of) {
      int32_t& number = numbers[static_cast<size_t>(cluster)];
      if (number < 0) {
        number = static_cast<int32_t>(records.cluster_names.size());
        records.cluster_names.push_back(vertex.cluster_names[static_cast<size_t>(cluster)]);
      }
      records.clusters.push_back(number);
    }
  }
  vertex.places.clear();
}

absl::Status RecordTable::Finish(Completeness completeness) {
  std::vector<std::string> faults;
  bool is_candidate = true;
  for (Building& vertex : vertices_) {
    const bool must = completeness == Completeness::kAll ||
                      (completeness == Completeness::kAllButCandidate && !is_candidate);
    is_candidate = false;
    const bool has_records = !vertex.records.values.empty() || !vertex.records.resampled.empty();
    if (!has_records && must && !vertex.policy->losses().empty()) {
      faults.push_back(absl::StrCat("vertex ", vertex.policy->name(), ": has no record"));
    }
    CheckComplete(vertex, faults);
  }
  if (faults.size() > kMostFaults) {
    faults.resize(kMostFaults);
    faults.push_back("and more");
  }
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  for (Building& vertex : vertices_) Order(vertex);
  example_numbers_.clear();
  example_names_.clear();
  return absl::OkStatus();
}

const VertexRecords* RecordTable::Find(const std::string& vertex) const {
  const auto found = numbers_.find(vertex);
  if (found == numbers_.end() || found->second < 0) return nullptr;
  const VertexRecords& records = vertices_[static_cast<size_t>(found->second)].records;
  return records.values.empty() && records.resampled.empty() ? nullptr : &records;
}

std::string RecordTable::Digest() const {
  Sha256 digest;
  const auto add_numbers = [&digest](const std::vector<double>& numbers) {
    digest.UpdateField(
        {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double)});
  };
  std::map<std::string, const Building*> by_name;
  for (const Building& vertex : vertices_) by_name[vertex.policy->name()] = &vertex;
  for (const auto& [name, vertex] : by_name) {
    const VertexRecords& records = vertex->records;
    digest.UpdateField(name);
    for (size_t i = 0; i < records.examples.size(); ++i) {
      digest.UpdateField(records.examples[i]);
      digest.UpdateField(absl::StrCat(records.slices[i]));
      if (!records.clusters.empty()) {
        digest.UpdateField(records.cluster_names[static_cast<size_t>(records.clusters[i])]);
      }
    }
    for (const auto& [seed, columns] : records.values) {
      digest.UpdateField(absl::StrCat(seed));
      for (const std::vector<double>& values : columns) add_numbers(values);
    }
    for (const auto& [key, record] : records.resampled) {
      const auto& [seed, loss, slice] = key;
      digest.UpdateField(absl::StrCat(seed)).UpdateField(loss).UpdateField(slice);
      digest.UpdateField(absl::StrCat(record.examples, " ", record.bearing));
      digest.UpdateField(absl::StrJoin(record.cluster_sizes, " "));
      add_numbers({record.value});
      add_numbers(record.resampled);
    }
  }
  return digest.Finish();
}

}  // namespace backfire::gate
