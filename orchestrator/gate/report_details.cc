#include "orchestrator/gate/report_details.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "orchestrator/gate/record_table.h"
#include "orchestrator/gate/result_words.h"
#include "orchestrator/gate/self_test.h"

namespace backfire::gate {
namespace {

// Results that get examples, and examples of each: who looks begins with a few.
constexpr int kMostResults = 24;
constexpr size_t kMostExamples = 8;
// Losses that the self-test of a verdict may decide about, each some tenths of a millisecond, and
// its simulated updates: `--self-test` takes its time and is exact.
constexpr int kSelfTestDecisions = 4000;
constexpr int kMostUpdates = 100;
constexpr int kLeastUpdates = 20;

using Key = std::tuple<std::string, std::string, std::string>;

Key KeyOf(const v1::GateResult& result) { return {result.vertex(), result.loss(), result.slice()}; }

// Puts vertices behind their parents; what is in a circle, at the end.
template <typename Vertices>
void AddInOrder(const Vertices& vertices, v1::GateReport& report) {
  std::set<std::string> all, placed;
  for (const auto& vertex : vertices) all.insert(vertex.name());
  for (bool forced = false;; forced = true) {
    bool grew = true;
    while (grew) {
      grew = false;
      for (const auto& vertex : vertices) {
        const bool ready = std::all_of(vertex.parents().begin(), vertex.parents().end(),
                                       [&](const std::string& parent) {
                                         return placed.count(parent) > 0 || all.count(parent) == 0;
                                       });
        if ((!ready && !forced) || !placed.insert(vertex.name()).second) continue;
        v1::GateReportVertex& added = *report.add_vertices();
        added.set_name(vertex.name());
        *added.mutable_parents() = vertex.parents();
        grew = true;
      }
    }
    if (forced) return;
  }
}

// A loss's column of each example, mean over the seeds, with the verdict's sign.
std::vector<double> MeanOf(const VertexRecords& records, size_t column, double sign) {
  std::vector<double> mean(records.examples.size(), 0);
  const double share = sign / static_cast<double>(records.values.size());
  for (const auto& [seed, values] : records.values) {
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += share * values[column][i];
  }
  return mean;
}

void AddWorst(const VertexRecords& records, const std::vector<std::string>& slices,
              const std::vector<double>& before, const std::vector<double>& after,
              v1::GateResult& result) {
  std::vector<size_t> order(before.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto middle =
      order.begin() + static_cast<std::ptrdiff_t>(std::min(kMostExamples, order.size()));
  std::partial_sort(order.begin(), middle, order.end(), [&](size_t a, size_t b) {
    const double growth_a = after[a] - before[a], growth_b = after[b] - before[b];
    return growth_a != growth_b ? growth_a > growth_b : a < b;
  });
  for (auto at = order.begin(); at != middle && after[*at] > before[*at]; ++at) {
    v1::ExampleChange& one = *result.add_worst_examples();
    one.set_example(records.examples[*at]);
    one.set_before(before[*at]);
    one.set_after(after[*at]);
    if (!records.clusters.empty()) {
      one.set_cluster(records.cluster_names[static_cast<size_t>(records.clusters[*at])]);
    }
    for (size_t s = 0; s < slices.size(); ++s) {
      if ((records.slices[*at] >> s & 1) != 0) one.add_slices(slices[s]);
    }
  }
}

}  // namespace

void AddSeedLosses(const verdict::Evidence& evidence, v1::GateReport& report) {
  std::map<Key, const verdict::LossEvidence*> losses;
  for (const verdict::LossEvidence& loss : evidence.losses) {
    losses[{loss.vertex, loss.loss, loss.slice}] = &loss;
  }
  for (v1::GateResult& result : *report.mutable_results()) {
    const auto found = losses.find(KeyOf(result));
    if (found == losses.end()) continue;
    for (const auto& one : found->second->before) result.add_before(one.value);
    for (const auto& one : found->second->after) result.add_after(one.value);
    for (const double one : found->second->swapped) result.add_swapped(one);
  }
}

void AddExamples(const Scope& scope, const Sides& sides, v1::GateReport& report) {
  std::map<std::string, const v1::GateVertex*> vertices;
  for (const v1::GateVertex* vertex : scope.vertices) vertices[vertex->name()] = vertex;
  int listed = 0;
  for (const int i : WorstFirst(report)) {
    v1::GateResult& result = *report.mutable_results(i);
    const auto vertex = vertices.find(result.vertex());
    if (!result.slice().empty() || vertex == vertices.end()) continue;
    const auto& losses = vertex->second->losses();
    const auto loss = std::find_if(losses.begin(), losses.end(),
                                   [&](const auto& one) { return one.name() == result.loss(); });
    if (loss == losses.end() || loss->resampled()) continue;
    const VertexRecords* before = sides.before->Find(result.vertex());
    const VertexRecords* after = sides.after->Find(result.vertex());
    if (before == nullptr || after == nullptr || before->values.empty()) continue;
    const std::vector<std::string> columns = ColumnNames(*vertex->second);
    const std::string& name = loss->numerator().empty() ? loss->column() : loss->numerator();
    const auto column =
        static_cast<size_t>(std::find(columns.begin(), columns.end(), name) - columns.begin());
    const double sign = loss->direction() == "higher" ? -1 : 1;
    const std::vector<double> was = MeanOf(*before, column, sign);
    const std::vector<double> is = MeanOf(*after, column, sign);
    int64_t worse = 0, better = 0;
    for (size_t e = 0; e < was.size(); ++e) {
      worse += is[e] > was[e] ? 1 : 0;
      better += is[e] < was[e] ? 1 : 0;
    }
    result.set_examples_worse(worse);
    result.set_examples_better(better);
    if (listed++ < kMostResults) AddWorst(*before, SliceNames(*vertex->second), was, is, result);
  }
}

void AddGraph(const v1::GatePolicy& policy, v1::GateReport& report) {
  AddInOrder(policy.vertices(), report);
}

void AddContext(const v1::EvidenceHeader& header, v1::GateReport& report) {
  if (header.has_context()) *report.mutable_update() = header.context();
  if (header.update().empty() && !header.has_context()) return;
  report.mutable_update()->set_name(header.update());
  AddInOrder(header.context().vertices(), report);
}

void AddSelfTest(const verdict::Evidence& evidence, int threads, v1::GateReport& report) {
  const auto judged = static_cast<int>(
      std::count_if(evidence.losses.begin(), evidence.losses.end(),
                    [](const verdict::LossEvidence& loss) { return loss.judged; }));
  if (judged == 0 || evidence.losses[0].before.size() < 2) return;
  const int updates = std::clamp(kSelfTestDecisions / (2 * judged), kLeastUpdates, kMostUpdates);
  *report.mutable_self_test() = SelfTest(evidence, updates, threads);
}

}  // namespace backfire::gate
