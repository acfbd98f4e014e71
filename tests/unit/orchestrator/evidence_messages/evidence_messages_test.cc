#include "orchestrator/evidence_messages/evidence_messages.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "services/base/random.h"

namespace backfire::evidence {
namespace {

using ::testing::HasSubstr;

verdict::Evidence Example() {
  verdict::Evidence evidence;
  evidence.alpha = 0.1;
  evidence.look = 2;
  evidence.look_replicates = {5, 6};
  evidence.candidates_judged = 3;
  evidence.unverified_vertices = {"b"};
  evidence.commitments.emplace_back().set_version("models/a/versions/1");
  Random random(3);
  for (const char* vertex : {"a", "b"}) {
    verdict::LossEvidence& loss = evidence.losses.emplace_back();
    loss.vertex = vertex;
    loss.loss = "error";
    loss.slice = vertex == std::string("b") ? "night" : "";
    loss.unit = "percent";
    loss.candidate = vertex == std::string("a");
    if (!loss.candidate) loss.margin = 0.1;
    loss.size = {40, 30};
    if (loss.candidate) loss.size.clusters = verdict::ClusterCounts{9, 8, 6.5};
    loss.other_build = !loss.candidate;
    for (int k = 0; k < 6; ++k) {
      for (auto* side : {&loss.before, &loss.after}) {
        verdict::LossSample& sample = side->emplace_back();
        sample.value = random.Normal() / 3;
        for (int b = 0; b < 20; ++b) sample.resampled.push_back(random.Normal() / 7);
      }
      if (!loss.candidate) loss.swapped.push_back(random.Normal());
    }
  }
  evidence.losses[1].before[2].resampled[4] = std::numeric_limits<double>::quiet_NaN();
  evidence.losses[1].after[2].resampled[5] = std::numeric_limits<double>::infinity();
  return evidence;
}

// By way of lines, as a file has them.
absl::StatusOr<verdict::Evidence> Again(
    const verdict::Evidence& evidence,
    const std::function<void(std::vector<std::string>&)>& change) {
  std::vector<std::string> lines = {*ToLine(HeaderOf(evidence, "updates/7"))};
  ForEachRecord(evidence, [&](const v1::EvidenceRecord& record) {
    lines.push_back(*ToLine(record));
    return true;
  });
  change(lines);
  v1::EvidenceHeader header;
  if (const auto read = FromLine(lines[0], header); !read.ok()) return read;
  auto assembler = EvidenceAssembler::Begin(header);
  if (!assembler.ok()) return assembler.status();
  for (size_t i = 1; i < lines.size(); ++i) {
    v1::EvidenceRecord record;
    if (const auto read = FromLine(lines[i], record); !read.ok()) return read;
    if (const auto added = assembler->Add(record); !added.ok()) return added;
  }
  return assembler->Finish();
}

void Nothing(std::vector<std::string>&) {}

TEST(EvidenceMessagesTest, TheVerdictIsTheSameByteForByte) {
  const verdict::Evidence evidence = Example();
  const auto again = Again(evidence, Nothing);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(verdict::Decide(*again).SerializeAsString(),
            verdict::Decide(evidence).SerializeAsString());
  // In any order of records.
  const auto turned =
      Again(evidence, [](auto& lines) { std::reverse(lines.begin() + 1, lines.end()); });
  ASSERT_TRUE(turned.ok()) << turned.status();
  EXPECT_EQ(verdict::Decide(*turned).SerializeAsString(),
            verdict::Decide(evidence).SerializeAsString());
}

TEST(EvidenceMessagesTest, WhatIsMissingOrTwiceIsRefused) {
  const auto fault = [](const std::function<void(std::vector<std::string>&)>& change) {
    return std::string(Again(Example(), change).status().message());
  };
  EXPECT_THAT(fault([](auto& lines) { lines.pop_back(); }),
              HasSubstr("b error (night), replicate 5, swapped: is missing"));
  EXPECT_THAT(fault([](auto& lines) { lines.erase(lines.begin() + 3); }),
              HasSubstr("a error, replicate 2, before: is missing"));
  EXPECT_THAT(fault([](auto& lines) { lines.push_back(lines[1]); }),
              HasSubstr("a error, replicate 0, before: is there twice"));
  EXPECT_THAT(fault([](auto& lines) { lines[1] = lines[1].substr(0, 50); }),
              HasSubstr("not a line of evidence"));
  EXPECT_THAT(fault([](auto& lines) {
                lines[2] = R"({"when":"before","loss":0,"replicate":1,"value":1,"resampled":[1]})";
              }),
              HasSubstr("a error: has 20 resamples, and elsewhere 1"));
  EXPECT_THAT(fault([](auto& lines) { lines.push_back(R"({"when":"later"})"); }),
              HasSubstr("when: must be before, after or swapped"));
  EXPECT_THAT(fault([](auto& lines) { lines.push_back(R"({"when":"after","loss":2})"); }),
              HasSubstr("loss: must be 0 to 1"));
  EXPECT_THAT(fault([](auto& lines) { lines.push_back(R"({"when":"after","replicate":6})"); }),
              HasSubstr("replicate: must be 0 to 5"));
}

TEST(EvidenceMessagesTest, HeadersAreChecked) {
  const v1::EvidenceHeader good = HeaderOf(Example(), "");
  const auto refused = [&](const std::function<void(v1::EvidenceHeader&)>& change) {
    v1::EvidenceHeader header = good;
    change(header);
    return !EvidenceAssembler::Begin(header).ok();
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& header) { header.set_backfire_evidence(2); }));
  EXPECT_TRUE(refused([](auto& header) { header.set_alpha(0.5); }));
  EXPECT_TRUE(refused([](auto& header) { header.set_alpha(1e-7); }));
  EXPECT_TRUE(refused([](auto& header) { header.set_replicates(0); }));
  EXPECT_TRUE(refused([](auto& header) { header.set_look(3); }));
  EXPECT_TRUE(refused([](auto& header) { header.set_look_replicates(1, 7); }));
  EXPECT_TRUE(refused([](auto& header) { header.clear_losses(); }));
  EXPECT_TRUE(refused([](auto& header) { header.mutable_losses(0)->set_margin(-1); }));
  EXPECT_TRUE(refused([](auto& header) { header.mutable_losses(0)->set_bearing_count(41); }));
  EXPECT_TRUE(
      refused([](auto& header) { header.mutable_losses(0)->set_bearing_cluster_count(10); }));
}

TEST(EvidenceMessagesTest, AHeaderAsksForNoMoreThanRoomForAMillionSamples) {
  v1::EvidenceHeader header = HeaderOf(Example(), "");
  header.set_replicates(10000);
  const v1::ComparedLoss loss = header.losses(0);
  while (header.losses_size() < 100) *header.add_losses() = loss;
  EXPECT_TRUE(EvidenceAssembler::Begin(header).ok());
  *header.add_losses() = loss;
  EXPECT_EQ(EvidenceAssembler::Begin(header).status().message(),
            "losses: must be at most 100 of 10000 replicates: got 101");
}

}  // namespace
}  // namespace backfire::evidence
