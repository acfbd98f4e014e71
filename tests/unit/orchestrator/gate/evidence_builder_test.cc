#include "orchestrator/gate/evidence_builder.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "orchestrator/gate/resampled_ratios.h"
#include "services/base/random.h"
#include "services/base/resampling.h"
#include "tests/unit/orchestrator/gate/gate_test_kit.h"

namespace backfire::gate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// sum(counts * numerators) / sum(counts * denominators), one after the other.
double PlainRatio(const std::vector<double>& numerators, const std::vector<double>& denominators,
                  const std::vector<int32_t>& counts) {
  double numerator = 0, denominator = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    numerator += counts[i] * numerators[i];
    denominator += counts[i] * denominators[i];
  }
  return numerator / denominator;
}

TEST(ResampledRatiosTest, AreThoseOfEachColumnAloneToTheBit) {
  constexpr int64_t kExamples = 101;
  Random random(5);
  RatioColumns columns;
  columns.examples = kExamples;
  for (int c = 0; c < 11; ++c) {  // Neither one block nor whole blocks.
    std::vector<double>& numerators = columns.numerators.emplace_back();
    std::vector<double>& denominators = columns.denominators.emplace_back();
    for (int64_t i = 0; i < kExamples; ++i) {
      numerators.push_back(random.Normal());
      denominators.push_back(static_cast<double>(random.Below(4)));
    }
  }
  v1::Bootstrap bootstrap;
  bootstrap.set_seed(9);
  bootstrap.set_resample_count(7);
  const auto samples = ResampledRatios(columns, bootstrap);
  ASSERT_EQ(samples.size(), 11U);
  for (size_t c = 0; c < samples.size(); ++c) {
    const auto &above = columns.numerators[c], &below = columns.denominators[c];
    EXPECT_EQ(samples[c].value, PlainRatio(above, below, std::vector<int32_t>(kExamples, 1)));
    for (int b = 0; b < 7; ++b) {
      EXPECT_EQ(samples[c].resampled[static_cast<size_t>(b)],
                PlainRatio(above, below, ResampleCounts(9, b, kExamples)));
    }
  }
  columns.denominators.resize(1);
  EXPECT_EQ(ResampledRatios(columns, bootstrap)[0].resampled, samples[0].resampled);
  columns.denominators.clear();
  const std::vector<double> ones(kExamples, 1);
  EXPECT_EQ(ResampledRatios(columns, bootstrap)[3].resampled[2],
            PlainRatio(columns.numerators[3], ones, ResampleCounts(9, 2, kExamples)));
}

class EvidenceBuilderTest : public ::testing::Test {
 protected:
  EvidenceBuilderTest() : policy_(PolicyOf(kPolicy)) {
    policy_.mutable_bootstrap()->set_resample_count(5);
  }

  // A table of rows, finished.
  RecordTable Table(const std::string& rows) {
    const std::string path = (directory_.path() / absl::StrCat(files_++, ".jsonl")).string();
    WriteText(path, rows);
    columns_ = AllColumns(policy_);
    scope_ = *ScopeOf(policy_, "");
    auto table = ReadRecords(path, policy_, scope_, columns_, Completeness::kAll);
    EXPECT_TRUE(table.ok()) << table.status();
    return *std::move(table);
  }

  static std::string Rows(int seeds, int examples, double shift, const std::string& extra = "") {
    std::string rows;
    for (int k = 0; k < seeds; ++k) {
      for (int i = 0; i < examples; ++i) {
        const std::string head = absl::StrCat("\"seed\":", k, ",\"example\":\"e", i, "\"", extra);
        absl::StrAppend(&rows, "{\"vertex\":\"encoder\",", head, ",\"mse\":", i + k + shift, "}\n");
        absl::StrAppend(&rows, "{\"vertex\":\"reader\",", head,
                        i % 2 == 0 ? ",\"slice\":\"night\"" : "", ",\"wrong\":", i,
                        ",\"words\":", i + 1, ",\"right\":", i, "}\n");
      }
    }
    return rows;
  }

  absl::StatusOr<RecordEvidence> Build(const RecordTable& before, const RecordTable& after,
                                       int threads = 1) {
    return BuildEvidence(policy_, scope_, {&before, &after, nullptr}, threads);
  }

  v1::GatePolicy policy_;
  const TemporaryDirectory directory_;
  int files_ = 0;
  Columns columns_;
  Scope scope_;
};

TEST_F(EvidenceBuilderTest, LossesAreMeansRatiosAndSlices) {
  const RecordTable before = Table(Rows(2, 4, 0)), after = Table(Rows(2, 4, 0.5));
  const auto built = Build(before, after);
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_THAT(built->seeds, ElementsAre(0, 1));
  const auto& losses = built->evidence.losses;
  ASSERT_EQ(losses.size(), 5U);  // mse; wer, its slice; accuracy, its slice.
  EXPECT_TRUE(losses[0].candidate);
  EXPECT_EQ(losses[0].before[1].value, (1 + 2 + 3 + 4) / 4.0);
  EXPECT_EQ(losses[0].after[1].value, (1 + 2 + 3 + 4) / 4.0 + 0.5);
  EXPECT_EQ(losses[0].size.bearing, 4);
  EXPECT_EQ(losses[1].loss, "wer");
  EXPECT_EQ(losses[1].before[0].value, (0 + 1 + 2 + 3) / (1 + 2 + 3 + 4.0));
  EXPECT_EQ(losses[2].slice, "night");
  EXPECT_EQ(losses[2].before[0].value, (0 + 2) / (1 + 3.0));
  EXPECT_EQ(losses[2].size.examples, 4);
  EXPECT_EQ(losses[2].size.bearing, 2);
  EXPECT_TRUE(losses[2].judged);
  EXPECT_EQ(*losses[2].margin, 0.02);
  // Higher is better: its sign is changed, and it is shown alone.
  EXPECT_EQ(losses[3].before[0].value, -(0 + 1 + 2 + 3) / 4.0);
  EXPECT_FALSE(losses[3].judged);
  const auto& resampled = losses[3].before[0].resampled;
  for (int b = 0; b < 5; ++b) {
    const std::vector<double> ones(4, 1);
    EXPECT_EQ(resampled[static_cast<size_t>(b)],
              PlainRatio({-0.0, -1, -2, -3}, ones, ResampleCounts(0, b, 4)));
  }
}

TEST_F(EvidenceBuilderTest, ThreadsChangeNothing) {
  const RecordTable before = Table(Rows(3, 6, 0)), after = Table(Rows(3, 6, 0.5));
  const auto one = Build(before, after, 1), four = Build(before, after, 4);
  ASSERT_TRUE(one.ok() && four.ok());
  for (size_t i = 0; i < one->evidence.losses.size(); ++i) {
    EXPECT_EQ(one->evidence.losses[i].loss, four->evidence.losses[i].loss);
    EXPECT_EQ(one->evidence.losses[i].after[2].resampled,
              four->evidence.losses[i].after[2].resampled);
  }
}

// Whole clusters are drawn: the ratio of their sums, by hand.
TEST_F(EvidenceBuilderTest, ClustersAreDrawnWhole) {
  std::string rows;
  for (int i = 0; i < 6; ++i) {
    absl::StrAppend(&rows, "{\"vertex\":\"encoder\",\"seed\":0,\"example\":", i, ",\"cluster\":\"c",
                    i < 3   ? 0
                    : i < 5 ? 1
                            : 2,
                    "\",\"mse\":", i, "}\n");
    absl::StrAppend(&rows, "{\"vertex\":\"reader\",\"seed\":0,\"example\":", i,
                    ",\"slice\":\"night\",\"wrong\":1,\"words\":2,\"right\":1}\n");
  }
  const RecordTable table = Table(rows);
  const auto built = Build(table, table);
  ASSERT_TRUE(built.ok()) << built.status();
  const verdict::LossEvidence& mse = built->evidence.losses[0];
  EXPECT_EQ(mse.before[0].value, 15 / 6.0);
  EXPECT_EQ(mse.size.examples, 6);
  EXPECT_EQ(mse.size.bearing, 6);
  ASSERT_TRUE(mse.size.clusters.has_value());
  EXPECT_EQ(mse.size.clusters->all, 3);
  EXPECT_EQ(mse.size.clusters->bearing, 3);
  EXPECT_EQ(mse.size.clusters->effective, (9 + 4 + 1) * (9 + 4 + 1) / (81 + 16 + 1.0));
  for (int b = 0; b < 5; ++b) {
    EXPECT_EQ(mse.before[0].resampled[static_cast<size_t>(b)],
              PlainRatio({0 + 1 + 2, 3 + 4, 5}, {3, 2, 1}, ResampleCounts(0, b, 3)));
  }
}

TEST_F(EvidenceBuilderTest, SidesMustHaveTheSame) {
  const RecordTable before = Table(Rows(3, 4, 0));
  const auto faults = [&](const std::string& rows) {
    const RecordTable after = Table(rows);
    const auto built = Build(before, after);
    EXPECT_FALSE(built.ok());
    return std::string(built.status().message());
  };
  EXPECT_THAT(faults(Rows(2, 4, 0)),
              HasSubstr("vertex encoder, seed 2: in before and not in after"));
  EXPECT_THAT(faults(Rows(3, 5, 0)),
              HasSubstr("vertex reader, example e4: in after and not in before"));
  EXPECT_THAT(faults(Rows(3, 4, 0, ",\"cluster\":\"c\"")),
              HasSubstr("vertex encoder, example e0: cluster in after are not those in before"));
}

TEST_F(EvidenceBuilderTest, TooLittleIsRefused) {
  const RecordTable one = Table(Rows(5, 1, 0));
  auto built = Build(one, one);
  EXPECT_THAT(std::string(built.status().message()),
              HasSubstr("has 1 example, which says nothing"));
  std::string rows = Rows(1, 3, 0);
  for (size_t at; (at = rows.find(",\"slice\":\"night\"")) != std::string::npos;)
    rows.erase(at, 16);
  const RecordTable without = Table(rows);
  built = Build(without, without);
  EXPECT_THAT(std::string(built.status().message()), HasSubstr("no example is in slice night"));
  policy_.add_looks(5);
  policy_.add_looks(10);
  EXPECT_EQ(*LookOf(policy_, 10), 2);
  EXPECT_FALSE(LookOf(policy_, 7).ok());
}

}  // namespace
}  // namespace backfire::gate
