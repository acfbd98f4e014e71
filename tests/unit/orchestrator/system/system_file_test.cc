#include "orchestrator/system/system_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::system {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kSmall[] = R"(name: small
request:
- {name: x, datatype: FP32, shape: [-1, 3]}
outputs: {y: a.y}
dataset: "toy:5"
seed: 7
alpha: 0.01
bootstrap: {seed: 18446744073709551615, resample_count: 10}
vertices:
- name: a
  endpoint: localhost:1
  inputs: {in: request.x}
  recipe: {name: r, parameters: {steps: 5, label: "5", flag: true, list: [1, two]}}
  margins: {mae: 0.5}
)";

std::string With(const std::string& from, const std::string& to) {
  std::string text = kSmall;
  return text.replace(text.find(from), from.size(), to);
}

std::string Fault(const std::string& text) {
  const auto system = ParseSystem(text, "s.yaml");
  EXPECT_TRUE(absl::IsInvalidArgument(system.status())) << system.status();
  return std::string(system.status().message());
}

TEST(SystemFileTest, ReadsEveryKindOfField) {
  const auto system = ParseSystem(kSmall, "s.yaml");
  ASSERT_TRUE(system.ok()) << system.status();
  EXPECT_EQ(system->name(), "small");
  EXPECT_EQ(system->request(0).shape(0), -1);
  EXPECT_EQ(system->seed(), 7);
  EXPECT_EQ(system->alpha(), 0.01);
  EXPECT_EQ(system->bootstrap().seed(), 18446744073709551615ULL);
  EXPECT_EQ(system->vertices(0).margins().at("mae"), 0.5);
  const auto& parameters = system->vertices(0).recipe().parameters().fields();
  EXPECT_EQ(parameters.at("steps").number_value(), 5);
  EXPECT_EQ(parameters.at("label").string_value(), "5");
  EXPECT_TRUE(parameters.at("flag").bool_value());
  EXPECT_EQ(parameters.at("list").list_value().values(1).string_value(), "two");
}

TEST(SystemFileTest, FaultsHaveTheirLine) {
  EXPECT_THAT(Fault(With("seed: 7", "sede: 7")), StartsWith("s.yaml:6: sede: unknown field"));
  EXPECT_THAT(Fault(With("seed: 7", "seed: seven")),
              StartsWith("s.yaml:6: seed: must be a whole number: got seven"));
  EXPECT_THAT(Fault(With("alpha: 0.01", "alpha: [1]")),
              StartsWith("s.yaml:7: alpha: must be a single value"));
  EXPECT_THAT(Fault(With("  endpoint: localhost:1", "  endpont: localhost:1")),
              StartsWith("s.yaml:11: vertices[0].endpont: unknown field"));
  EXPECT_THAT(Fault(With("seed: 7", "name: again")), HasSubstr("s.yaml:6: name: is there twice"));
  EXPECT_THAT(Fault("vertices: [}"), HasSubstr("s.yaml:1: not YAML"));
  EXPECT_THAT(Fault("just text"), HasSubstr("must be a mapping"));
  EXPECT_THAT(Fault(""), HasSubstr("must be a mapping"));
}

TEST(SystemFileTest, FaultsOfTheGraphNameTheFile) {
  EXPECT_THAT(Fault(With("request.x}", "b.y}")),
              HasSubstr("s.yaml: vertices[a].inputs[in]: there is no vertex \"b\""));
  EXPECT_THAT(Fault(With("request.x}", "a.y}")), HasSubstr("a cycle: a -> a"));
}

TEST(SystemFileTest, AMissingFileIsNamed) {
  const auto system = LoadSystemFile("/nowhere/s.yaml");
  EXPECT_TRUE(absl::IsNotFound(system.status()));
  EXPECT_THAT(std::string(system.status().message()), HasSubstr("/nowhere/s.yaml"));
}

TEST(SystemFileTest, TheSystemsThatShipAreValid) {
  const auto system = LoadSystemFile(BACKFIRE_SYSTEMS "/stereo.yaml");
  ASSERT_TRUE(system.ok()) << system.status();
  EXPECT_EQ(system->vertices_size(), 5);
}

}  // namespace
}  // namespace backfire::system
