#include "orchestrator/commands/resolve_recipes.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace backfire::commands {
namespace {

// Two vertices, each with a service that resolves recipes.
class CheckRecipesTest : public ::testing::Test {
 protected:
  CheckRecipesTest() {
    system_.set_name("s");
    system_.set_dataset("kitti:/data");
    system_.add_request()->set_name("x");
    (*system_.mutable_outputs())["y"] = "b.y";
    for (const char* name : {"a", "b"}) {
      v1::Vertex& vertex = *system_.add_vertices();
      vertex.set_name(name);
      vertex.set_endpoint(std::string("unix:/run/") + name);
      (*vertex.mutable_inputs())["x"] = std::string(name) == "a" ? "request.x" : "a.y";
      vertex.mutable_recipe()->set_name("r");
      models_[name].add_capabilities(v1::RESOLVE_RECIPE);
    }
  }
  absl::Status Check(const absl::Status& of_a, const absl::Status& of_b) {
    const auto graph = graph::SystemGraph::Build(system_);
    EXPECT_TRUE(graph.ok()) << graph.status();
    return CheckRecipes(*graph, models_,
                        [&](const std::string& endpoint,
                            const v1::ResolveRecipeRequest& request) -> absl::StatusOr<v1::Recipe> {
                          const absl::Status& said = endpoint == "unix:/run/a" ? of_a : of_b;
                          if (!said.ok()) return said;
                          return request.recipe();
                        });
  }

  v1::System system_;
  std::map<std::string, v1::Model> models_;
};

TEST_F(CheckRecipesTest, OkWhereNobodyFindsAFault) {
  EXPECT_TRUE(Check(absl::OkStatus(), absl::OkStatus()).ok());
}

TEST_F(CheckRecipesTest, AFaultOfARecipeIsItsVertexs) {
  const absl::Status status =
      Check(absl::OkStatus(), absl::InvalidArgumentError("recipe.parameters.steps must be > 0"));
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_EQ(std::string(status.message()), "vertices[b].recipe.parameters.steps must be > 0");
}

// It is not there, damaged, or outside of the folders that services read from.
TEST_F(CheckRecipesTest, WhatIsWrongWithTheDatasetIsSaidOnceAndOfNoVertex) {
  const std::string fault = "dataset.uri: /data: no such directory";
  for (const absl::Status& said : {absl::NotFoundError(fault), absl::DataLossError(fault),
                                   absl::PermissionDeniedError(fault)}) {
    const absl::Status status = Check(said, said);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(std::string(status.message()), "dataset: " + fault);
  }
}

TEST_F(CheckRecipesTest, WhereOneServiceAloneLacksTheDatasetItSaysWhose) {
  const absl::Status status =
      Check(absl::OkStatus(), absl::NotFoundError("dataset.uri: /data: no such directory"));
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_EQ(std::string(status.message()),
            "dataset: dataset.uri: /data: no such directory (where b is served)");
}

TEST_F(CheckRecipesTest, WhoIsAwayOrLetsNobodyAskFindsNothing) {
  EXPECT_TRUE(Check(absl::UnavailableError("gone"), absl::PermissionDeniedError("not you")).ok());
}

}  // namespace
}  // namespace backfire::commands
