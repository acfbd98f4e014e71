#include "services/graph/system_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::graph {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Vertex* AddVertex(v1::System& system, const std::string& name,
                      const std::map<std::string, std::string>& inputs) {
  v1::Vertex* vertex = system.add_vertices();
  vertex->set_name(name);
  vertex->set_endpoint("unix:/" + name);
  vertex->mutable_recipe()->set_name("r");
  for (const auto& [input, source] : inputs) (*vertex->mutable_inputs())[input] = source;
  return vertex;
}

// x -> a -> b -> d, x -> c -> d.
v1::System Diamond() {
  v1::System system;
  system.set_name("diamond");
  system.set_dataset("toy:1");
  auto* x = system.add_request();
  x->set_name("x");
  x->set_datatype("FP32");
  x->add_shape(-1);
  AddVertex(system, "d", {{"left", "b.y"}, {"right", "c.y"}});
  AddVertex(system, "b", {{"in", "a.y"}});
  AddVertex(system, "a", {{"in", "request.x"}});
  AddVertex(system, "c", {{"in", "request.x"}});
  (*system.mutable_outputs())["y"] = "d.y";
  return system;
}

std::map<std::string, v1::Model> Models() {
  std::map<std::string, v1::Model> models;
  for (const char* name : {"a", "b", "c", "d"}) {
    v1::Model& model = models[name];
    model.set_name(std::string("models/") + name);
    for (const char* input : {"left", "right", "in"}) {
      if ((name[0] == 'd') == (std::string(input) == "in")) continue;
      auto* tensor = model.add_inputs();
      tensor->set_name(input);
      tensor->set_datatype("FP32");
      tensor->add_shape(3);
    }
    auto* y = model.add_outputs();
    y->set_name("y");
    y->set_datatype("FP32");
    y->add_shape(-1);
    v1::Recipe* recipe = model.add_recipes();
    recipe->set_name("r");
    (*recipe->mutable_parameters()->mutable_fields())["steps"].set_number_value(1);
    model.add_losses()->set_name("mae");
  }
  return models;
}

std::string Fault(const v1::System& system) {
  const auto graph = SystemGraph::Build(system);
  EXPECT_TRUE(absl::IsInvalidArgument(graph.status())) << graph.status();
  return std::string(graph.status().message());
}

std::string TypeFault(const v1::System& system, const std::map<std::string, v1::Model>& models) {
  const absl::Status status = CheckModels(*SystemGraph::Build(system), models);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(SystemGraphTest, OrdersParentsBeforeChildren) {
  const auto graph = SystemGraph::Build(Diamond());
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_THAT(graph->order(), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(graph->Descendants("a"), ElementsAre("b", "d"));
  EXPECT_THAT(graph->Descendants("d"), ElementsAre());
  EXPECT_THAT(graph->WithAncestors({"b"}), ElementsAre("a", "b"));
  EXPECT_THAT(graph->WithAncestors({"c", "b"}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(graph->node("d").parents, ElementsAre("b", "c"));
}

TEST(SystemGraphTest, SpellsOutACycle) {
  v1::System system = Diamond();
  for (v1::Vertex& vertex : *system.mutable_vertices()) {
    if (vertex.name() == "a") (*vertex.mutable_inputs())["in"] = "d.y";
  }
  EXPECT_THAT(Fault(system), HasSubstr("a cycle: "));
  EXPECT_THAT(Fault(system), HasSubstr(" -> a -> "));
}

TEST(SystemGraphTest, NamesEveryFaultWithItsPlace) {
  v1::System system = Diamond();
  (*system.mutable_vertices(1)->mutable_inputs())["in"] = "e.y";
  (*system.mutable_vertices(2)->mutable_inputs())["in"] = "request.z";
  (*system.mutable_outputs())["y"] = "d";
  system.mutable_vertices(3)->clear_endpoint();
  const std::string fault = Fault(system);
  EXPECT_THAT(fault, HasSubstr("vertices[b].inputs[in]: there is no vertex \"e\"; there are"));
  EXPECT_THAT(fault,
              HasSubstr("vertices[a].inputs[in]: the request has no tensor \"z\"; it has x"));
  EXPECT_THAT(fault, HasSubstr("outputs[y] must be request.{name} or {vertex}.{output}"));
  EXPECT_THAT(fault, HasSubstr("vertices[c].endpoint must not be empty"));
}

TEST(SystemGraphTest, RefusesNamesThatAreTakenOrMalformed) {
  v1::System system = Diamond();
  system.mutable_vertices(0)->set_name("request");
  EXPECT_THAT(Fault(system), HasSubstr("vertices[request].name"));
  system = Diamond();
  system.mutable_vertices(0)->set_name("b");
  EXPECT_THAT(Fault(system), HasSubstr("vertices[b] is there twice"));
  system = Diamond();
  system.set_name("Big Name");
  EXPECT_THAT(Fault(system), HasSubstr("name must be"));
}

TEST(CheckModelsTest, AcceptsWhatFits) {
  EXPECT_TRUE(CheckModels(*SystemGraph::Build(Diamond()), Models()).ok());
}

TEST(CheckModelsTest, NamesWhatDoesNotFit) {
  auto models = Models();
  models["a"].mutable_outputs(0)->set_datatype("UINT8");
  EXPECT_THAT(TypeFault(Diamond(), models),
              HasSubstr("vertices[b].inputs[in]: must be FP32 [3]: got UINT8 [-1] from a.y"));
  models = Models();
  models["c"].mutable_outputs(0)->set_shape(0, 4);
  EXPECT_THAT(TypeFault(Diamond(), models), HasSubstr("got FP32 [4] from c.y"));
  models = Models();
  models["d"].add_inputs()->set_name("more");
  EXPECT_THAT(TypeFault(Diamond(), models),
              HasSubstr("vertices[d].inputs: models/d needs \"more\""));
  models = Models();
  models["b"].mutable_outputs(0)->set_name("z");
  EXPECT_THAT(TypeFault(Diamond(), models), HasSubstr("b has no output \"y\"; it has z"));
  v1::System system = Diamond();
  system.mutable_vertices(0)->mutable_recipe()->set_name("alchemy");
  (*system.mutable_vertices(1)->mutable_margins())["rmse"] = 1;
  EXPECT_THAT(TypeFault(system, Models()),
              HasSubstr("models/d has no recipe \"alchemy\"; it has r"));
  EXPECT_THAT(TypeFault(system, Models()), HasSubstr("vertices[b].margins[rmse]"));
  system = Diamond();
  (*system.mutable_vertices(0)->mutable_recipe()->mutable_parameters()->mutable_fields())["step"]
      .set_number_value(2);
  EXPECT_THAT(TypeFault(system, Models()), HasSubstr("r has no such parameter; it has steps"));
}

}  // namespace
}  // namespace backfire::graph
