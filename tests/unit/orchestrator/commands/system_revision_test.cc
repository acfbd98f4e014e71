#include "orchestrator/commands/system_revision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::commands {
namespace {

using ::testing::HasSubstr;

TEST(FetchModelsTest, AsksNobodyWhoseEndpointIsLeftOut) {
  v1::System system;
  system.set_name("s");
  system.set_dataset("d");
  system.add_request()->set_name("x");
  (*system.mutable_outputs())["y"] = "a.y";
  v1::Vertex& vertex = *system.add_vertices();
  vertex.set_name("a");
  (*vertex.mutable_inputs())["x"] = "request.x";
  vertex.mutable_recipe()->set_name("r");
  vertex.mutable_process()->set_program("a-service");
  const auto graph = graph::SystemGraph::Build(system);
  ASSERT_TRUE(graph.ok()) << graph.status();
  int asked = 0;
  const auto models = FetchModels(*graph, [&](const std::string&, const std::string&) {
    ++asked;
    return v1::Model();
  });
  EXPECT_TRUE(absl::IsInvalidArgument(models.status())) << models.status();
  EXPECT_THAT(std::string(models.status().message()),
              HasSubstr("vertices[a].endpoint must not be empty"));
  EXPECT_EQ(asked, 0);
}

}  // namespace
}  // namespace backfire::commands
