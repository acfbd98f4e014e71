#include "orchestrator/gate/policy.h"

#include <gmock/gmock.h>

#include "tests/unit/orchestrator/gate/gate_test_kit.h"

namespace backfire::gate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(PolicyTest, DefaultsAreSet) {
  const v1::GatePolicy policy = PolicyOf(kPolicy);
  EXPECT_EQ(policy.alpha(), 0.05);
  EXPECT_EQ(policy.bootstrap().resample_count(), 1000);
  EXPECT_THAT(policy.fail_on(), ElementsAre("worse"));
  EXPECT_EQ(policy.vertices(0).losses(0).column(), "mse");
  EXPECT_EQ(policy.vertices(0).losses(0).direction(), "lower");
  EXPECT_EQ(policy.vertices(1).losses(0).column(), "");
  EXPECT_TRUE(IsBlocking(policy.vertices(1).losses(0)));
  EXPECT_FALSE(IsBlocking(policy.vertices(1).losses(1)));
}

TEST(PolicyTest, EveryFaultHasItsLine) {
  const auto policy = ParsePolicy(R"(candidate: nobody
alpha: 0.7
looks: [5, 5]
vertices:
- name: Encoder
  losses:
  - {name: mse, margin: -1}
- name: reader
  parents: [enkoder]
  losses:
  - {name: wer, numerator: wrong}
  - {name: wer, column: seed, direction: up, role: wanted}
  required_slices: [night, night]
bootstrap: {resample_count: 1}
fail_on: [worse, none]
waivers:
- {vertex: reader, loss: ter, owner: ann, reason: r, expires: 2026-02-30}
- {vertex: reader, slice: day, expires: 2026-02-28}
)",
                                  "p.yaml", "", PolicyUse::kRecords);
  ASSERT_EQ(policy.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string faults(policy.status().message());
  for (const char* fault : {
           "p.yaml:1: candidate: there is no vertex nobody",
           "p.yaml:2: alpha: must be at least 1e-06 and less than 0.5: got 0.7",
           "p.yaml:3: looks[1]: must be numbers of seeds that grow: got 5",
           "p.yaml:5: vertices[0].name: must be at most 63 of [a-z0-9_-], a letter first: got "
           "\"Encoder\"",
           "p.yaml:7: vertices[0].losses[mse].margin: must be >= 0: got -1",
           "p.yaml:9: vertices[reader].parents[0]: there is no vertex enkoder",
           "p.yaml:11: vertices[reader].losses[wer].denominator: must be there too",
           "p.yaml:12: vertices[reader].losses[1].name: is there twice: wer",
           "p.yaml:12: vertices[reader].losses[1].column: \"seed\" is a column that all records",
           "p.yaml:12: vertices[reader].losses[1].direction: must be lower or higher: got \"up\"",
           "p.yaml:12: vertices[reader].losses[1].role: must be blocking or advisory",
           "p.yaml:13: vertices[reader].required_slices[1]: is there twice: night",
           "p.yaml:14: bootstrap.resample_count: must be 2 to 10000: got 1",
           "p.yaml:15: fail_on[1]: none stands alone",
           "p.yaml:17: waivers[0].loss: vertex reader has no loss ter",
           "p.yaml:17: waivers[0].expires: must be its last day, as 2026-12-31: got \"2026-02-30\"",
           "p.yaml:18: waivers[1].owner: must say who answers for it",
           "p.yaml:18: waivers[1].reason: must not be empty",
           "p.yaml:18: waivers[1].slice: vertex reader requires no slice day",
       }) {
    EXPECT_THAT(faults, HasSubstr(fault));
  }
}

TEST(PolicyTest, UnknownFieldsAndCirclesAreFaults) {
  auto policy = ParsePolicy("verteces: []\n", "p.yaml", "", PolicyUse::kRecords);
  EXPECT_THAT(std::string(policy.status().message()),
              HasSubstr("p.yaml:1: verteces: unknown field"));
  policy =
      ParsePolicy("vertices:\n- {name: a, parents: [b]}\n- {name: b, parents: [a]}\n- {name: c}\n",
                  "p.yaml", "", PolicyUse::kRecords);
  EXPECT_THAT(std::string(policy.status().message()),
              HasSubstr("p.yaml:2: vertices[a].parents: lead back"));
  EXPECT_FALSE(ParsePolicy("", "p.yaml", "", PolicyUse::kRecords).ok());
  EXPECT_TRUE(ParsePolicy("fail_on: [none]\n", "p.yaml", "", PolicyUse::kEvidence).ok());
}

TEST(PolicyTest, ScopeIsTheCandidateAndItsDescendants) {
  const v1::GatePolicy policy = PolicyOf(kPolicy);
  auto scope = ScopeOf(policy, "");
  ASSERT_TRUE(scope.ok());
  EXPECT_EQ(scope->candidate, "encoder");
  ASSERT_EQ(scope->vertices.size(), 2U);
  EXPECT_EQ(scope->vertices[1]->name(), "reader");
  EXPECT_THAT(scope->unaffected, ElementsAre("other"));
  scope = ScopeOf(policy, "reader");
  ASSERT_TRUE(scope.ok());
  EXPECT_THAT(scope->unaffected, ElementsAre("encoder", "other"));
  EXPECT_EQ(ScopeOf(policy, "nobody").status().code(), absl::StatusCode::kNotFound);
}

TEST(PolicyTest, ASystemFileSaysWhatFeedsWhat) {
  const TemporaryDirectory directory;
  WriteText((directory.path() / "s.yaml").string(), R"(name: system
request: [{name: x, datatype: FP32, shape: [-1]}]
outputs: {y: reader.y}
dataset: builtin:x
vertices:
- {name: encoder, endpoint: "localhost:1", inputs: {x: request.x}, recipe: {name: r}}
- {name: between, endpoint: "localhost:2", inputs: {x: encoder.y}, recipe: {name: r}}
- {name: reader, endpoint: "localhost:3", inputs: {x: between.y}, recipe: {name: r}}
)");
  const std::string text =
      "system: s.yaml\ncandidate: encoder\nvertices:\n- {name: encoder, losses: [{name: mse}]}\n"
      "- {name: reader, losses: [{name: wer}]}\n";
  const auto policy = ParsePolicy(text, "p.yaml", directory.path().string(), PolicyUse::kRecords);
  ASSERT_TRUE(policy.ok()) << policy.status();
  const auto scope = ScopeOf(*policy, "");
  ASSERT_TRUE(scope.ok());
  EXPECT_EQ(scope->vertices.size(), 3U);
  EXPECT_TRUE(scope->unaffected.empty());
  const auto strange = ParsePolicy(text + "- {name: stranger}\n", "p.yaml",
                                   directory.path().string(), PolicyUse::kRecords);
  EXPECT_THAT(std::string(strange.status().message()),
              HasSubstr("p.yaml:6: vertices[stranger].name: there is no such vertex"));
}

TEST(IsDayTest, KnowsTheCalendar) {
  EXPECT_TRUE(IsDay("2026-12-31"));
  EXPECT_TRUE(IsDay("2028-02-29"));
  EXPECT_FALSE(IsDay("2026-02-29"));
  EXPECT_FALSE(IsDay("2100-02-29"));
  EXPECT_FALSE(IsDay("2026-13-01"));
  EXPECT_FALSE(IsDay("2026-1-1"));
  EXPECT_FALSE(IsDay("2026-00-10"));
}

}  // namespace
}  // namespace backfire::gate
