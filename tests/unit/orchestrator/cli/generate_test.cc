#include "orchestrator/cli/generate.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "orchestrator/system/system_file.h"
#include "services/graph/system_graph.h"

namespace backfire::cli {
namespace {

graph::SystemGraph Generate(const GenerateOptions& options) {
  const auto text = GenerateSystem(options);
  EXPECT_TRUE(text.ok()) << text.status();
  const auto system = system::ParseSystem(*text, "generated");
  EXPECT_TRUE(system.ok()) << system.status();
  return *graph::SystemGraph::Build(*system);
}

TEST(GenerateTest, TheRootIsAnAncestorOfAll) {
  for (const char* shape : {"chain", "fan", "layered", "random"}) {
    for (const int vertices : {1, 2, 30, 200}) {
      const graph::SystemGraph graph = Generate({shape, vertices, 5, 1});
      EXPECT_EQ(graph.order().size(), vertices) << shape;
      EXPECT_EQ(graph.Descendants("v0").size(), vertices - 1) << shape;
    }
  }
}

TEST(GenerateTest, ShapesAreWhatTheirNamesSay) {
  EXPECT_EQ(Generate({"chain", 9, 1, 1}).node("v8").parents, std::set<std::string>{"v7"});
  EXPECT_EQ(Generate({"fan", 9, 1, 1}).node("v8").parents, std::set<std::string>{"v0"});
  // Nine vertices: v0, then layers of three.
  const graph::SystemGraph layered = Generate({"layered", 9, 1, 1});
  for (const std::string& parent : layered.node("v8").parents) {
    EXPECT_TRUE(parent == "v4" || parent == "v5" || parent == "v6") << parent;
  }
}

TEST(GenerateTest, SeedsDecide) {
  EXPECT_EQ(*GenerateSystem({"random", 50, 1, 1}), *GenerateSystem({"random", 50, 1, 1}));
  EXPECT_NE(*GenerateSystem({"random", 50, 1, 1}), *GenerateSystem({"random", 50, 2, 1}));
}

TEST(GenerateTest, RefusesWhatThereIsNot) {
  EXPECT_EQ(GenerateSystem({"ring", 5, 1, 1}).status().message(),
            "--shape must be chain, fan, layered or random: got ring");
  EXPECT_FALSE(GenerateSystem({"chain", 0, 1, 1}).ok());
  EXPECT_FALSE(GenerateSystem({"chain", 5, -1, 1}).ok());
}

}  // namespace
}  // namespace backfire::cli
