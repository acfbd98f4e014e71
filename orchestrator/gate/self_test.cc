#include "orchestrator/gate/self_test.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/text_table.h"
#include "orchestrator/verdict/sensitivity.h"
#include "services/base/parallel.h"
#include "services/base/random.h"

namespace backfire::gate {
namespace {

constexpr int kResamples = kSelfTestResamples;
constexpr double kLeastCorrelation = 0.1;
constexpr double kStandardErrors = 5;
constexpr uint64_t kSeed = 20240229;

double Variance(const std::vector<double>& values) {
  const double n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / (n - 1);
}

// What a loss's replicates differ by: 2 S^2, and V.
struct Noise {
  double replicates = 0;
  double examples = 0;
};

Noise NoiseOf(const verdict::LossEvidence& loss) {
  std::vector<double> values;
  for (const verdict::LossSample& sample : loss.before) values.push_back(sample.value);
  Noise noise;
  noise.replicates = 2 * Variance(values);
  double pairs = 0;
  for (size_t i = 0; i < loss.before.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      std::vector<double> differences;
      for (size_t b = 0; b < loss.before[i].resampled.size(); ++b) {
        const double difference = loss.before[i].resampled[b] - loss.before[j].resampled[b];
        if (std::isfinite(difference)) differences.push_back(difference);
      }
      if (differences.size() < 2) continue;
      noise.examples += Variance(differences);
      ++pairs;
    }
  }
  noise.examples = pairs > 0 ? noise.examples / pairs : 0;
  return noise;
}

// One simulated update: whether it is refused, and whether it passes.
struct Answer {
  bool refused = false;
  bool passed = false;
};

Answer Simulate(const verdict::Evidence& evidence, const std::vector<Noise>& noises, bool by_margin,
                uint64_t stream) {
  verdict::Evidence update;
  update.alpha = evidence.alpha;
  Random random(kSeed, stream);
  for (size_t i = 0; i < evidence.losses.size(); ++i) {
    const verdict::LossEvidence& loss = evidence.losses[i];
    if (!loss.judged) continue;
    const double margin = verdict::EffectiveMargin(loss);
    const double together = std::sqrt(noises[i].examples);
    const double training = std::sqrt(std::max(noises[i].replicates - noises[i].examples, 0.0));
    verdict::LossEvidence& simulated = update.losses.emplace_back();
    simulated.vertex = loss.vertex;
    simulated.loss = loss.loss;
    simulated.slice = loss.slice;
    simulated.candidate = loss.candidate;
    simulated.margin = margin;
    simulated.size = loss.size;
    for (size_t k = 0; k < loss.before.size(); ++k) {
      const double d =
          (by_margin ? margin : 0) + training * random.Normal() + together * random.Normal();
      simulated.before.push_back({0, std::vector<double>(kResamples, 0)});
      verdict::LossSample& after = simulated.after.emplace_back();
      after.value = d;
      for (int b = 0; b < kResamples; ++b)
        after.resampled.push_back(d + together * random.Normal());
    }
  }
  const v1::Verdict verdict = verdict::Decide(update);
  return {verdict::Blocks(verdict), verdict.outcome() == v1::Verdict::SAFE};
}

double ShareOf(const std::vector<Answer>& answers, bool Answer::*what) {
  const auto count = std::count_if(answers.begin(), answers.end(),
                                   [what](const Answer& answer) { return answer.*what; });
  return static_cast<double>(count) / static_cast<double>(answers.size());
}

std::string Name(const v1::Sensitivity& one) {
  return absl::StrCat(one.vertex(), " ", one.loss(),
                      one.slice().empty() ? "" : absl::StrCat(" [", one.slice(), "]"));
}

// Correlation of each value with the next; 0 where nothing varies.
double NeighbourCorrelation(const std::vector<double>& values) {
  const double n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double together = 0, all = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    all += (values[i] - mean) * (values[i] - mean);
    if (i > 0) together += (values[i] - mean) * (values[i - 1] - mean);
  }
  return all > 0 ? together / all : 0;
}

// Of every column: the mean over seeds of a side, or of the difference of two.
std::vector<double> MeanColumn(const VertexRecords& records, const VertexRecords* minus,
                               size_t column) {
  std::vector<double> mean(records.examples.size(), 0);
  for (const auto& [seed, values] : records.values) {
    for (size_t i = 0; i < mean.size(); ++i) {
      mean[i] += values[column][i] - (minus == nullptr ? 0 : minus->values.at(seed)[column][i]);
    }
  }
  return mean;
}

}  // namespace

v1::GateSelfTest SelfTest(const verdict::Evidence& evidence, int updates, int threads) {
  v1::GateSelfTest test;
  test.set_schema_version(1);
  test.set_updates(updates);
  test.set_alpha(evidence.alpha);
  std::vector<Noise> noises;
  int family = 0, replicates = 0;
  for (const verdict::LossEvidence& loss : evidence.losses) {
    noises.push_back(NoiseOf(loss));
    family += loss.judged ? 1 : 0;
    replicates = static_cast<int>(loss.before.size());
  }
  std::vector<Answer> at_margin(static_cast<size_t>(updates)), unchanged(at_margin.size());
  ParallelFor(2 * updates, threads, [&](int64_t i) {
    const bool by_margin = i < updates;
    auto& answers = by_margin ? at_margin : unchanged;
    answers[static_cast<size_t>(by_margin ? i : i - updates)] =
        Simulate(evidence, noises, by_margin, static_cast<uint64_t>(i));
  });
  const double alarms = ShareOf(at_margin, &Answer::refused);
  test.set_false_alarms(alarms);
  test.set_false_alarms_error(std::sqrt(std::max(alarms * (1 - alarms), 1.0 / updates) / updates));
  test.set_passes(ShareOf(unchanged, &Answer::passed));
  for (const verdict::LossEvidence& loss : evidence.losses) {
    if (!loss.judged) continue;
    v1::Sensitivity& one = *test.add_losses();
    one = verdict::EstimateSensitivity(loss, replicates, evidence.alpha, family);
    one.set_slice(loss.slice);
    if (one.margin_needed() > one.margin()) {
      test.add_complaints(
          absl::StrCat(Name(one), ": with ", replicates, " seeds and these examples its margin of ",
                       report::FormatNumber(one.margin()),
                       " rarely lets a change that does no harm pass: it takes ",
                       report::FormatNumber(one.margin_needed()), ", or more seeds or examples"));
    }
  }
  if (replicates < verdict::kReplicatesToDecide) {
    test.add_complaints(absl::StrCat("with ", replicates,
                                     " seeds nothing is ever decided: it takes ",
                                     verdict::kReplicatesToDecide));
  }
  if (alarms > evidence.alpha + 3 * test.false_alarms_error()) {
    test.add_complaints(
        absl::StrFormat("%.1f %% of allowed updates are refused, and alpha is %.1f %%",
                        100 * alarms, 100 * evidence.alpha));
  }
  return test;
}

std::vector<std::string> UnnamedClusters(const Scope& scope, const RecordTable& before,
                                         const RecordTable* after) {
  std::vector<std::string> complaints;
  for (const v1::GateVertex* vertex : scope.vertices) {
    const VertexRecords* old = before.Find(vertex->name());
    const VertexRecords* now = after == nullptr ? nullptr : after->Find(vertex->name());
    if (old == nullptr || old->values.empty() || !old->clusters.empty()) continue;
    if (after != nullptr && now == nullptr) continue;
    const std::vector<std::string> columns = ColumnNames(*vertex);
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::vector<double> values =
          now == nullptr ? MeanColumn(*old, nullptr, c) : MeanColumn(*now, old, c);
      const double correlation = NeighbourCorrelation(values);
      const double error = 1 / std::sqrt(static_cast<double>(values.size()));
      if (correlation < kLeastCorrelation || correlation < kStandardErrors * error) continue;
      complaints.push_back(absl::StrFormat(
          "vertex %s, %s: neighbouring examples are alike (correlation %.2f), and no cluster is "
          "named: "
          "if they are frames of a drive or sessions of a user, say, bounds are too short",
          vertex->name(), columns[c], correlation));
    }
  }
  return complaints;
}

std::string SelfTestText(const v1::GateSelfTest& test) {
  using Align = report::TextTable::Align;
  std::string text = absl::StrFormat(
      "%s\n\nOf %d simulated updates by which every loss grows by exactly its margin, which is "
      "allowed, %.1f %% are refused\n(+- %.1f %%, two standard errors; alpha is %.1f %%). Of %d "
      "that "
      "change nothing, %.1f %% pass.\n\n",
      test.complaints().empty() ? "The gate can decide on these records."
                                : absl::StrCat("Complaints: ", test.complaints_size()),
      test.updates(), 100 * test.false_alarms(), 200 * test.false_alarms_error(),
      100 * test.alpha(), test.updates(), 100 * test.passes());
  report::TextTable table({{"vertex"},
                           {"loss"},
                           {"before", Align::kRight},
                           {"margin", Align::kRight},
                           {"harm found", Align::kRight},
                           {"margin needed", Align::kRight}});
  for (const v1::Sensitivity& one : test.losses()) {
    table.AddRow(
        {one.vertex(),
         absl::StrCat(one.loss(), one.slice().empty() ? "" : absl::StrCat(" [", one.slice(), "]")),
         report::FormatNumber(one.before()), report::FormatNumber(one.margin()),
         report::FormatNumber(one.detectable_harm()), report::FormatNumber(one.margin_needed())});
  }
  absl::StrAppend(
      &text, table.ToString(2),
      "\n  harm found: growth that is found in 4 of 5 cases. Margin needed: for a change "
      "that does nothing to pass in 4 of 5.\n");
  for (const std::string& complaint : test.complaints()) {
    absl::StrAppend(&text, "\n", complaint, ".");
  }
  if (!test.complaints().empty()) text += "\n";
  return text;
}

}  // namespace backfire::gate
