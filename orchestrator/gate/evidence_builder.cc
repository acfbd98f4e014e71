#include "orchestrator/gate/evidence_builder.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/gate/resampled_ratios.h"
#include "orchestrator/gate/sides.h"
#include "services/base/parallel.h"
#include "services/base/status.h"

namespace backfire::gate {
namespace {

constexpr int64_t kLeastExamples = 2;

// Clusters by how many of their examples a loss depends on.
template <typename Number>
verdict::ClusterCounts CountClusters(const std::vector<Number>& sizes) {
  verdict::ClusterCounts counts;
  double squares = 0, fourths = 0;
  for (const Number size : sizes) {
    const double m = static_cast<double>(size);
    ++counts.all;
    counts.bearing += m > 0 ? 1 : 0;
    squares += m * m;
    fourths += m * m * m * m;
  }
  counts.effective = fourths > 0 ? squares * squares / fourths : 0;
  return counts;
}

// One loss on one slice, of records that have columns per example.
class ColumnLoss {
 public:
  // @param bit  Of the slice; -1: all examples.
  ColumnLoss(const v1::GateVertex& vertex, const v1::GateLoss& loss, const VertexRecords& records,
             int bit)
      : records_(records), bit_(bit), sign_(loss.direction() == "higher" ? -1 : 1) {
    const std::vector<std::string> columns = ColumnNames(vertex);
    const auto position = [&](const std::string& name) {
      return static_cast<size_t>(std::find(columns.begin(), columns.end(), name) - columns.begin());
    };
    is_ratio_ = !loss.denominator().empty();
    numerator_ = position(is_ratio_ ? loss.numerator() : loss.column());
    denominator_ = is_ratio_ ? position(loss.denominator()) : 0;
    units_ = records.clusters.empty() ? records.examples.size() : records.cluster_names.size();
  }

  // Appends a column per seed.
  void AddTo(RatioColumns& columns, const VertexRecords& side) const {
    columns.examples = static_cast<int64_t>(units_);
    for (const auto& [seed, values] : side.values) {
      columns.numerators.push_back(
          Sums([&, &column = values[numerator_]](size_t i) { return sign_ * column[i]; }));
      if (is_ratio_) {
        columns.denominators.push_back(
            Sums([&, &column = values[denominator_]](size_t i) { return column[i]; }));
      }
    }
    if (!is_ratio_ && columns.denominators.empty() && (bit_ >= 0 || !records_.clusters.empty())) {
      columns.denominators.push_back(Sums([](size_t) { return 1.0; }));
    }
  }

  // What the losses of both sides were measured on: where replicates differ, the least.
  verdict::SampleSize SizeOf(const VertexRecords& before, const VertexRecords& after) const {
    verdict::SampleSize least;
    for (const VertexRecords* side : {&before, &after}) {
      for (const auto& [seed, values] : side->values) {
        const std::vector<double> bearing = Sums([&, &all = values](size_t i) {
          return !is_ratio_ || all[denominator_][i] != 0 ? 1.0 : 0.0;
        });
        const auto examples = static_cast<int64_t>(records_.examples.size());
        verdict::SampleSize size{
            examples, static_cast<int64_t>(std::accumulate(bearing.begin(), bearing.end(), 0.0))};
        if (!records_.clusters.empty()) size.clusters = CountClusters(bearing);
        if (least.examples == 0 || size.effective() < least.effective()) least = size;
      }
    }
    return least;
  }

 private:
  // By example, or by cluster the sums over its examples; 0 outside the slice.
  std::vector<double> Sums(const std::function<double(size_t)>& value) const {
    std::vector<double> sums(units_, 0);
    for (size_t i = 0; i < records_.examples.size(); ++i) {
      if (bit_ >= 0 && (records_.slices[i] >> bit_ & 1) == 0) continue;
      sums[records_.clusters.empty() ? i : static_cast<size_t>(records_.clusters[i])] += value(i);
    }
    return sums;
  }

  const VertexRecords& records_;
  const int bit_;
  const double sign_;
  bool is_ratio_ = false;
  size_t numerator_ = 0, denominator_ = 0;
  size_t units_ = 0;
};

// Everything that is compared, and how each is computed, which is done at the end and side by side.
class Builder {
 public:
  Builder(const v1::GatePolicy& policy, const Scope& scope, const Sides& sides)
      : policy_(policy), scope_(scope), sides_(sides) {}

  absl::StatusOr<RecordEvidence> Build(int threads) {
    FaultList faults;
    for (const v1::GateVertex* vertex : scope_.vertices) AddVertex(*vertex, faults);
    BACKFIRE_RETURN_IF_ERROR(faults.ToStatus());
    if (losses_.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("neither vertex ", scope_.candidate,
                                                     " nor a descendant has a loss in the policy"));
    }
    ParallelFor(static_cast<int64_t>(work_.size()), threads,
                [&](int64_t i) { work_[static_cast<size_t>(i)](losses_[static_cast<size_t>(i)]); });
    RecordEvidence built;
    built.seeds = seeds_;
    built.evidence.alpha = policy_.alpha();
    built.evidence.look_replicates.assign(policy_.looks().begin(), policy_.looks().end());
    BACKFIRE_ASSIGN_OR_RETURN(built.evidence.look,
                              LookOf(policy_, static_cast<int>(seeds_.size())));
    built.evidence.losses = std::move(losses_);
    return built;
  }

 private:
  using Work = std::function<void(verdict::LossEvidence&)>;

  void AddVertex(const v1::GateVertex& vertex, FaultList& faults) {
    const std::string& name = vertex.name();
    const bool is_candidate = name == scope_.candidate;
    const VertexRecords* before = sides_.before->Find(name);
    const VertexRecords* after = sides_.after->Find(name);
    const VertexRecords* swapped =
        is_candidate || sides_.swapped == nullptr ? nullptr : sides_.swapped->Find(name);
    if (before == nullptr && after == nullptr) return;  // It has no losses.
    if (before == nullptr || after == nullptr) {
      faults.Add(
          absl::StrCat("vertex ", name, ": has records ",
                       before == nullptr ? "after and none before" : "before and none after"));
      return;
    }
    Compare(name, {"before", *before}, {"after", *after}, faults);
    if (swapped != nullptr) Compare(name, {"before", *before}, {"swapped", *swapped}, faults);
    CheckSeeds(name, *before, faults);
    CheckSize(vertex, *before, faults);
    if (!faults.empty()) return;
    for (const v1::GateLoss& loss : vertex.losses()) {
      std::vector<std::string> slices = SliceNames(vertex);
      slices.insert(slices.begin(), "");
      for (size_t s = 0; s < slices.size(); ++s) {
        verdict::LossEvidence evidence;
        evidence.vertex = name;
        evidence.loss = loss.name();
        evidence.slice = slices[s];
        evidence.unit = loss.unit();
        evidence.candidate = is_candidate;
        const bool required = static_cast<int>(s) <= vertex.required_slices_size();
        evidence.judged = IsBlocking(loss) && required;
        if (loss.has_margin()) evidence.margin = loss.margin();
        if (loss.resampled()) {
          AddResampled(evidence, loss, {before, after, swapped}, faults);
        } else {
          AddColumns(std::move(evidence), vertex, loss, static_cast<int>(s) - 1,
                     {before, after, swapped});
        }
      }
    }
  }

  struct VertexSides {
    const VertexRecords* before;
    const VertexRecords* after;
    const VertexRecords* swapped;
  };

  void AddColumns(verdict::LossEvidence evidence, const v1::GateVertex& vertex,
                  const v1::GateLoss& loss, int bit, const VertexSides& sides) {
    losses_.push_back(std::move(evidence));
    work_.push_back([this, &vertex, &loss, bit, sides](verdict::LossEvidence& to) {
      const ColumnLoss columns_of(vertex, loss, *sides.before, bit);
      RatioColumns columns;
      columns_of.AddTo(columns, *sides.before);
      columns_of.AddTo(columns, *sides.after);
      to.size = columns_of.SizeOf(*sides.before, *sides.after);
      std::vector<verdict::LossSample> samples = ResampledRatios(columns, policy_.bootstrap());
      const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
      to.before.assign(std::make_move_iterator(samples.begin()), std::make_move_iterator(middle));
      to.after.assign(std::make_move_iterator(middle), std::make_move_iterator(samples.end()));
      if (sides.swapped == nullptr) return;
      RatioColumns of_swapped;
      columns_of.AddTo(of_swapped, *sides.swapped);
      for (const auto& one : ResampledRatios(of_swapped, v1::Bootstrap())) {
        to.swapped.push_back(one.value);
      }
    });
  }

  void AddResampled(verdict::LossEvidence evidence, const v1::GateLoss& loss,
                    const VertexSides& sides, FaultList& faults) {
    const auto key = [&](int64_t seed) {
      return std::make_tuple(seed, evidence.loss, evidence.slice);
    };
    const auto& of_before = sides.before->resampled;
    const bool any = std::any_of(seeds_.begin(), seeds_.end(),
                                 [&](int64_t seed) { return of_before.count(key(seed)) > 0; });
    // Not every loss has every slice.
    if (!any && !evidence.slice.empty()) return;
    const double sign = loss.direction() == "higher" ? -1 : 1;
    for (const int64_t seed : seeds_) {
      const auto before = of_before.find(key(seed));
      const auto after = sides.after->resampled.find(key(seed));
      if (before == of_before.end() || after == sides.after->resampled.end()) {
        faults.Add(
            absl::StrCat("vertex ", evidence.vertex, ", seed ", seed, ": loss ", evidence.loss,
                         evidence.slice.empty() ? "" : absl::StrCat(" (", evidence.slice, ")"),
                         " has no record ", before == of_before.end() ? "before" : "after"));
        return;
      }
      const ResampledRecord &was = before->second, &is = after->second;
      if (was.examples != is.examples) {
        faults.Add(absl::StrCat("vertex ", evidence.vertex, ", seed ", seed, ": loss ",
                                evidence.loss, " is of ", was.examples, " examples before, and of ",
                                is.examples, " after"));
        return;
      }
      if (was.cluster_sizes.size() != is.cluster_sizes.size()) {
        faults.Add(absl::StrCat("vertex ", evidence.vertex, ", seed ", seed, ": loss ",
                                evidence.loss, " is of ", was.cluster_sizes.size(),
                                " clusters before, and of ", is.cluster_sizes.size(), " after"));
        return;
      }
      for (const ResampledRecord* record : {&was, &is}) {
        verdict::SampleSize size{record->examples, record->bearing};
        if (!record->cluster_sizes.empty()) size.clusters = CountClusters(record->cluster_sizes);
        const bool first = evidence.size.examples == 0;
        if (first || size.effective() < evidence.size.effective()) evidence.size = size;
      }
      const auto sample = [sign](const ResampledRecord& record) {
        verdict::LossSample made{sign * record.value, record.resampled};
        for (double& value : made.resampled) value *= sign;
        return made;
      };
      evidence.before.push_back(sample(was));
      evidence.after.push_back(sample(is));
      if (sides.swapped == nullptr) continue;
      const auto swapped = sides.swapped->resampled.find(key(seed));
      if (swapped == sides.swapped->resampled.end()) {
        faults.Add(absl::StrCat("vertex ", evidence.vertex, ", seed ", seed, ": loss ",
                                evidence.loss, " has no record swapped"));
        return;
      }
      evidence.swapped.push_back(sign * swapped->second.value);
    }
    losses_.push_back(std::move(evidence));
    work_.emplace_back([](verdict::LossEvidence&) {});
  }

  // A verdict compares whole runs of the system, so all vertices have the same seeds.
  void CheckSeeds(const std::string& vertex, const VertexRecords& records, FaultList& faults) {
    const std::vector<int64_t> seeds = SeedsOf(records);
    if (seeds_.empty()) {
      seeds_ = seeds;
      seeds_of_ = vertex;
    } else if (seeds != seeds_) {
      faults.Add(absl::StrCat("vertex ", vertex, ": has seeds ", absl::StrJoin(seeds, ", "),
                              ", and vertex ", seeds_of_, " has ", absl::StrJoin(seeds_, ", ")));
    }
  }

  static void CheckSize(const v1::GateVertex& vertex, const VertexRecords& records,
                        FaultList& faults) {
    // Losses with columns have them of every seed that others have resamples of.
    if (!ColumnNames(vertex).empty() && records.values.size() != SeedsOf(records).size()) {
      faults.Add(absl::StrCat("vertex ", vertex.name(), ": losses per example are there of ",
                              records.values.size(), " seeds, of ", SeedsOf(records).size()));
    }
    if (records.values.empty()) return;
    const auto examples = static_cast<int64_t>(records.examples.size());
    if (examples < kLeastExamples) {
      faults.Add(absl::StrCat("vertex ", vertex.name(), ": has ", examples,
                              " example, which says nothing of others: at least ", kLeastExamples));
    }
    if (!records.clusters.empty() && records.cluster_names.size() < 2) {
      faults.Add(absl::StrCat("vertex ", vertex.name(), ": all examples are in cluster ",
                              records.cluster_names[0], ", which says nothing of others"));
    }
    const std::vector<std::string> slices = SliceNames(vertex);
    for (size_t s = 0; s < slices.size(); ++s) {
      const bool any = std::any_of(records.slices.begin(), records.slices.end(),
                                   [&](uint64_t bits) { return (bits >> s & 1) != 0; });
      if (!any) {
        faults.Add(absl::StrCat("vertex ", vertex.name(), ": no example is in slice ", slices[s],
                                ", which the policy names"));
      }
    }
  }

  const v1::GatePolicy& policy_;
  const Scope& scope_;
  const Sides& sides_;
  std::vector<int64_t> seeds_;
  std::string seeds_of_;
  std::vector<verdict::LossEvidence> losses_;
  std::vector<Work> work_;  // By loss.
};

}  // namespace

absl::StatusOr<int> LookOf(const v1::GatePolicy& policy, int replicates) {
  if (policy.looks().empty()) return 1;
  const auto& looks = policy.looks();
  const auto found = std::find(looks.begin(), looks.end(), replicates);
  if (found != looks.end()) return static_cast<int>(found - looks.begin()) + 1;
  return absl::InvalidArgumentError(
      absl::StrCat("there are ", replicates, " seeds, and the policy plans looks at ",
                   absl::StrJoin(looks, ", "), ": looking at another time costs false alarms"));
}

absl::StatusOr<RecordEvidence> BuildEvidence(const v1::GatePolicy& policy, const Scope& scope,
                                             const Sides& sides, int threads) {
  return Builder(policy, scope, sides).Build(threads);
}

}  // namespace backfire::gate
