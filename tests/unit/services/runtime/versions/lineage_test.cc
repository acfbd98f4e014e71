#include "services/runtime/versions/lineage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace backfire::runtime {
namespace {

v1::Model ModelWithInputs(const std::vector<std::string>& inputs) {
  v1::Model model;
  model.set_name("models/m");
  for (const std::string& input : inputs) model.add_inputs()->set_name(input);
  return model;
}

v1::Parent WellFormedParent() {
  v1::Parent parent;
  parent.set_input("a");
  parent.set_version("models/p/versions/1");
  parent.set_output("y");
  parent.set_digest(std::string(64, '0'));
  return parent;
}

struct LineageCase {
  std::string name;
  void (*spoil)(v1::TrainRequest&);
  std::string says;  // Empty: it is right.
};
class LineageTest : public ::testing::TestWithParam<LineageCase> {};

TEST_P(LineageTest, NamesTheFieldThatIsWrong) {
  v1::TrainRequest request;
  *request.add_lineage() = WellFormedParent();
  *request.add_lineage() = WellFormedParent();
  request.mutable_lineage(1)->set_input("b");
  GetParam().spoil(request);
  const absl::Status status =
      CheckLineage(ModelWithInputs({"a", "b"}), request.lineage(), "lineage");
  if (GetParam().says.empty()) {
    EXPECT_TRUE(status.ok()) << status;
    return;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::StartsWith(GetParam().says));
}
INSTANTIATE_TEST_SUITE_P(
    Requests, LineageTest,
    ::testing::Values(
        LineageCase{"Right", [](v1::TrainRequest&) {}, ""},
        LineageCase{"None", [](v1::TrainRequest& r) { r.clear_lineage(); }, ""},
        LineageCase{"UnknownInput",
                    [](v1::TrainRequest& r) { r.mutable_lineage(1)->set_input("c"); },
                    "lineage[1].input: models/m has no input \"c\""},
        LineageCase{"FedTwice", [](v1::TrainRequest& r) { r.mutable_lineage(1)->set_input("a"); },
                    "lineage[1].input: \"a\" is fed twice"},
        LineageCase{"NoVersion",
                    [](v1::TrainRequest& r) { r.mutable_lineage(0)->set_version("p"); },
                    "lineage[0].version: "},
        LineageCase{"NoOutput", [](v1::TrainRequest& r) { r.mutable_lineage(0)->clear_output(); },
                    "lineage[0].output must not be empty"},
        LineageCase{
            "UpperCaseDigest",
            [](v1::TrainRequest& r) { r.mutable_lineage(0)->set_digest(std::string(64, 'A')); },
            "lineage[0].digest must have 64"},
        LineageCase{"ShortDigest",
                    [](v1::TrainRequest& r) { r.mutable_lineage(0)->set_digest("0"); },
                    "lineage[0].digest must have 64"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace backfire::runtime
