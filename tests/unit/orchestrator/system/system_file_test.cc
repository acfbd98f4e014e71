#include "orchestrator/system/system_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/base/file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::system {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kSystem[] = R"(# Two models in a row.
name: pair
request:
- {name: x, datatype: FP64, shape: [-1, 1]}
outputs: {y: second.y}
dataset: toy:20
seed: 7
bootstrap: {seed: 3, resampleCount: 50}
alpha: 0.01
vertices:
- name: first
  endpoint: localhost:7001
  inputs: {x: request.x}
  recipe:
    name: least-squares
    parameters: {offset: 1.5, text: "1.5", deep: {list: [1, true, two, null]}}
- name: second
  endpoint: unix:/run/second
  inputs: {y: first.y}
  recipe: {name: least-squares}
  margins: {mae: 0.5}
  process: {program: toy-service, arguments: [--jobs, 2]}
)";

std::string Fault(const std::string& text) {
  const auto system = ParseSystem(text, "pair.yaml");
  EXPECT_EQ(system.status().code(), absl::StatusCode::kInvalidArgument) << system.status();
  return std::string(system.status().message());
}

std::string With(const std::string& from, const std::string& to) {
  return absl::StrReplaceAll(kSystem, {{from, to}});
}

TEST(ParseSystemTest, ReadsEveryKindOfField) {
  const auto system = ParseSystem(kSystem, "pair.yaml");
  ASSERT_TRUE(system.ok()) << system.status();
  EXPECT_EQ(system->name(), "pair");
  EXPECT_EQ(system->request(0).shape(0), -1);
  EXPECT_EQ(system->outputs().at("y"), "second.y");
  EXPECT_EQ(system->seed(), 7);
  EXPECT_EQ(system->bootstrap().resample_count(), 50);
  EXPECT_EQ(system->bootstrap().seed(), 3u);
  EXPECT_EQ(system->alpha(), 0.01);
  ASSERT_EQ(system->vertices_size(), 2);
  const auto& parameters = system->vertices(0).recipe().parameters().fields();
  EXPECT_EQ(parameters.at("offset").number_value(), 1.5);
  EXPECT_EQ(parameters.at("text").string_value(), "1.5");  // Quoted: a text.
  const auto& list = parameters.at("deep").struct_value().fields().at("list").list_value();
  EXPECT_EQ(list.values(0).number_value(), 1);
  EXPECT_TRUE(list.values(1).bool_value());
  EXPECT_EQ(list.values(2).string_value(), "two");
  EXPECT_EQ(list.values(3).kind_case(), google::protobuf::Value::kNullValue);
  EXPECT_EQ(system->vertices(1).margins().at("mae"), 0.5);
  EXPECT_EQ(system->vertices(1).process().arguments(1), "2");  // A text where a text is due.
}

struct FaultCase {
  std::string name;
  std::string from, to;
  std::string where, what;
};
class SystemFaultTest : public ::testing::TestWithParam<FaultCase> {};

TEST_P(SystemFaultTest, NamesLineAndField) {
  const FaultCase& fault = GetParam();
  EXPECT_THAT(Fault(With(fault.from, fault.to)),
              AllOf(StartsWith(fault.where), HasSubstr(fault.what)));
}

INSTANTIATE_TEST_SUITE_P(
    Faults, SystemFaultTest,
    ::testing::Values(FaultCase{"UnknownField", "margins:", "margin:",
                                "pair.yaml:21: vertices[1].margin:", "margins"},
                      FaultCase{"UnknownTopField",
                                "alpha:", "alfa:", "pair.yaml:9: alfa:", "unknown field"},
                      FaultCase{"FieldTwice", "alpha:", "seed:", "pair.yaml:9: seed:", "twice"},
                      FaultCase{"MapKeyTwice", "{mae: 0.5}", "{mae: 0.5, mae: 1}",
                                "pair.yaml:21: vertices[1].margins[mae]:", "twice"},
                      FaultCase{"ParameterTwice", "{offset: 1.5,", "{offset: 1.5, offset: 2,",
                                "pair.yaml:16: vertices[0].recipe.parameters.offset:", "twice"},
                      FaultCase{"TextForInteger", "seed: 7\n", "seed: seven\n",
                                "pair.yaml:7: seed:", "whole number: got seven"},
                      FaultCase{"FractionForInteger", "seed: 7\n", "seed: 7.5\n",
                                "pair.yaml:7: seed:", "whole number: got 7.5"},
                      FaultCase{"NanForNumber", "alpha: 0.01", "alpha: .nan",
                                "pair.yaml:9: alpha:", "must be a number"},
                      FaultCase{"ListForMapping", "outputs: {y: second.y}", "outputs: [second.y]",
                                "pair.yaml:5: outputs:", "must be a mapping"},
                      FaultCase{"MappingForText", "dataset: toy:20", "dataset: {toy: 20}",
                                "pair.yaml:6: dataset:", "must be a single value"},
                      FaultCase{"TextForList", "[--jobs, 2]", "--jobs",
                                "pair.yaml:22: vertices[1].process.arguments:", "must be a list"},
                      FaultCase{"NoYaml", "outputs: {y: second.y}", "outputs: {y: second.y",
                                "pair.yaml:", "not YAML"},
                      FaultCase{"UnknownVertex", "y: first.y", "y: frist.y",
                                "pair.yaml:19: vertices[second].inputs[y]", "\"frist\""},
                      FaultCase{"Cycle", "x: request.x", "x: second.y",
                                "pair.yaml:10: vertices: a cycle", "second -> first -> second"}),
    [](const auto& info) { return info.param.name; });

TEST(ParseSystemTest, ReadsNumbersThatJsonWouldRefuse) {
  const auto system = ParseSystem(With("resampleCount: 50", "resampleCount: +050"), "pair.yaml");
  ASSERT_TRUE(system.ok()) << system.status();
  EXPECT_EQ(system->bootstrap().resample_count(), 50);
}

TEST(ParseSystemTest, RefusesAnEmptyFile) {
  EXPECT_THAT(Fault(""), AllOf(StartsWith("pair.yaml:1: the file:"), HasSubstr("mapping")));
}

TEST(ParseSystemTest, RefusesASecondDocument) {
  EXPECT_THAT(Fault(absl::StrCat(kSystem, "---\nname: other\n")), HasSubstr("one document"));
  EXPECT_THAT(Fault(", a"), HasSubstr("one document"));
}

// Nine lists, each of nine mentions of the one before: four hundred million values in a kilobyte.
TEST(ParseSystemTest, AliasesExpandToABound) {
  std::string bomb = "offset: {l0: &l0 [1, 2, 3, 4, 5, 6, 7, 8, 9]";
  for (int level = 1; level <= 9; ++level) {
    const std::string mention = absl::StrCat("*l", level - 1);
    absl::StrAppend(&bomb, ", l", level, ": &l", level, " [", mention);
    for (int i = 1; i < 9; ++i) absl::StrAppend(&bomb, ", ", mention);
    absl::StrAppend(&bomb, "]");
  }
  EXPECT_THAT(Fault(With("offset: 1.5", bomb + "}")), HasSubstr("aliases make more of the file"));
  // Few values, and long ones.
  std::string long_text = "offset: {t: &t " + std::string(100'000, 'x') + ", u: [*t";
  for (int i = 0; i < 100; ++i) long_text += ", *t";
  EXPECT_THAT(Fault(With("offset: 1.5", long_text + "]}")), HasSubstr("aliases make more"));
  // As people use them.
  const auto system =
      ParseSystem(With("offset: 1.5", "offset: {a: &a [1, 2], b: [*a, *a], c: [*a]}"), "pair.yaml");
  EXPECT_TRUE(system.ok()) << system.status();
}

TEST(ParseSystemTest, RefusesEndlessNesting) {
  EXPECT_THAT(Fault(With("offset: 1.5", "offset: &a [*a]")), HasSubstr("nested too deeply"));
  std::string deep(200, '[');
  deep += std::string(200, ']');
  EXPECT_THAT(Fault(With("offset: 1.5", "offset: " + deep)), HasSubstr("nested too deeply"));
}

TEST(LoadSystemFileTest, SaysWhichFileIsMissing) {
  const testing::TemporaryDirectory directory;
  const auto system = LoadSystemFile(directory / "none.yaml");
  EXPECT_EQ(system.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(system.status().message()), HasSubstr("none.yaml"));
}

TEST(LoadSystemFileTest, ReadsEverySystemThatIsShipped) {
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(BACKFIRE_SYSTEMS)) {
    // kustomization.yaml makes a ConfigMap of the system beside it.
    if (entry.path().extension() != ".yaml" || entry.path().stem() == "kustomization") continue;
    const auto system = LoadSystemFile(entry.path());
    EXPECT_TRUE(system.ok()) << system.status();
    ++count;
  }
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace backfire::system
