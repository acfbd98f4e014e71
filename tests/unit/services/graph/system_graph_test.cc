#include "services/graph/system_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::graph {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::Vertex MakeVertex(const std::string& name,
                      const std::map<std::string, std::string>& inputs = {{"x", "request.x"}}) {
  v1::Vertex vertex;
  vertex.set_name(name);
  vertex.set_endpoint("localhost:1");
  vertex.mutable_recipe()->set_name("plain");
  for (const auto& [input, source] : inputs) (*vertex.mutable_inputs())[input] = source;
  return vertex;
}

// a -> b -> d, a -> c -> d, listed children first.
v1::System Diamond() {
  v1::System system;
  system.set_name("diamond");
  system.set_dataset("toy:10");
  system.add_request()->set_name("x");
  *system.add_vertices() = MakeVertex("d", {{"x", "b.y"}, {"z", "c.y"}});
  *system.add_vertices() = MakeVertex("c", {{"x", "a.y"}});
  *system.add_vertices() = MakeVertex("b", {{"x", "a.y"}, {"z", "request.x"}});
  *system.add_vertices() = MakeVertex("a");
  (*system.mutable_outputs())["result"] = "d.y";
  return system;
}

std::string FaultOf(const v1::System& system) {
  const auto graph = SystemGraph::Build(system);
  EXPECT_EQ(graph.status().code(), absl::StatusCode::kInvalidArgument) << graph.status();
  return std::string(graph.status().message());
}

TEST(ParseSourceTest, TellsRequestFromVertex) {
  const auto request = ParseSource("request.left");
  ASSERT_TRUE(request.ok());
  EXPECT_TRUE(request->from_request());
  EXPECT_EQ(request->tensor, "left");
  const auto vertex = ParseSource("a.y.z");
  ASSERT_TRUE(vertex.ok());
  EXPECT_EQ(vertex->vertex, "a");
  EXPECT_EQ(vertex->tensor, "y.z");
}

TEST(ParseSourceTest, RefusesWhatIsNeither) {
  for (const char* reference : {"", "a", ".y", "a.", "."}) {
    EXPECT_EQ(ParseSource(reference).status().code(), absl::StatusCode::kInvalidArgument)
        << reference;
  }
}

TEST(SystemGraphTest, OrdersParentsFirst) {
  const auto graph = SystemGraph::Build(Diamond());
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_THAT(graph->order(), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(graph->node("d").parents, ElementsAre("b", "c"));
  EXPECT_THAT(graph->node("a").parents, IsEmpty());
  EXPECT_TRUE(graph->node("b").inputs.at("z").from_request());
  EXPECT_EQ(graph->node("d").inputs.at("z").vertex, "c");
  EXPECT_EQ(graph->outputs().at("result").tensor, "y");
}

TEST(SystemGraphTest, FindsRelatives) {
  const auto graph = SystemGraph::Build(Diamond());
  ASSERT_TRUE(graph.ok());
  EXPECT_THAT(graph->Descendants("a"), ElementsAre("b", "c", "d"));
  EXPECT_THAT(graph->Descendants("b"), ElementsAre("d"));
  EXPECT_THAT(graph->Descendants("d"), IsEmpty());
  EXPECT_THAT(graph->WithAncestors({"b"}), ElementsAre("a", "b"));
  EXPECT_THAT(graph->WithAncestors({"b", "c"}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(graph->WithAncestors({"d"}), ElementsAre("a", "b", "c", "d"));
}

TEST(SystemGraphTest, NamesTheModel) {
  v1::System system = Diamond();
  system.mutable_vertices(0)->set_model("shared");
  const auto graph = SystemGraph::Build(system);
  ASSERT_TRUE(graph.ok());
  EXPECT_EQ(graph->node("d").model_name, "models/shared");
  EXPECT_EQ(graph->node("a").model_name, "models/a");
}

TEST(SystemGraphTest, SpellsOutACycle) {
  v1::System system = Diamond();
  (*system.mutable_vertices(3)->mutable_inputs())["x"] = "d.y";
  const std::string fault = FaultOf(system);
  EXPECT_THAT(fault, HasSubstr("cycle"));
  EXPECT_THAT(fault, AllOf(HasSubstr("a -> "), HasSubstr("d -> a")));
}

TEST(SystemGraphTest, SpellsOutASelfLoopAndNotItsChildren) {
  v1::System system = Diamond();
  (*system.mutable_vertices(3)->mutable_inputs())["x"] = "a.y";
  EXPECT_THAT(FaultOf(system), HasSubstr("a -> a"));
}

TEST(SystemGraphTest, AnEndpointSaysWhichPort) {
  v1::System system = Diamond();
  for (const char* target :
       {"localhost:7001", "[::1]:7001", "unix:/run/a", "dns:pods:7000", "ipv4:10.0.0.1:7001"}) {
    system.mutable_vertices(3)->set_endpoint(target);
    EXPECT_TRUE(SystemGraph::Build(system).ok()) << target;
  }
  for (const char* target :
       {"", "localhost", "localhost:", "localhost:http", ":7001", "localhost:70000", "[::1]"}) {
    system.mutable_vertices(3)->set_endpoint(target);
    EXPECT_THAT(FaultOf(system), HasSubstr("vertices[a].endpoint must ")) << target;
  }
  // `backfire up` finds a place for what it starts.
  system.mutable_vertices(3)->clear_endpoint();
  system.mutable_vertices(3)->mutable_process()->set_program("a-service");
  EXPECT_TRUE(SystemGraph::Build(system).ok());
  system.mutable_vertices(3)->set_endpoint("localhost:1");
  system.mutable_vertices(3)->add_replicas("gpu2");
  EXPECT_THAT(FaultOf(system), HasSubstr("vertices[a].replicas[0] must be HOST:PORT"));
}

TEST(SystemGraphTest, RecipesAreNamedAndARetentionSaysSomething) {
  v1::System system = Diamond();
  system.mutable_vertices(3)->clear_recipe();
  system.mutable_vertices(2)->mutable_references()->mutable_optimal();
  system.mutable_retention();
  EXPECT_THAT(FaultOf(system),
              AllOf(HasSubstr("vertices[a].recipe.name must not be empty"),
                    HasSubstr("vertices[b].references.optimal.name must not be empty"),
                    HasSubstr("retention must say keep_updates, keep_for, or both")));
  system = Diamond();
  system.mutable_retention()->set_keep_updates(-1);
  system.mutable_retention()->mutable_keep_for()->set_seconds(-1);
  EXPECT_THAT(FaultOf(system), AllOf(HasSubstr("retention.keep_updates must be >= 0: got -1"),
                                     HasSubstr("retention.keep_for must be >= 0s: got -1s")));
  system.mutable_retention()->set_keep_updates(20);
  system.mutable_retention()->mutable_keep_for()->set_seconds(3600);
  EXPECT_TRUE(SystemGraph::Build(system).ok());
}

TEST(SystemGraphTest, AVertexIsServedOnceAtEachPlace) {
  v1::System system = Diamond();
  v1::Vertex& vertex = *system.mutable_vertices(3);
  vertex.add_replicas("localhost:2");
  EXPECT_THAT(ServingEndpoints(vertex), ElementsAre("localhost:1", "localhost:2"));
  EXPECT_TRUE(SystemGraph::Build(system).ok());
  vertex.add_replicas("localhost:1");
  vertex.add_replicas("");
  vertex.add_replicas("dns:pods:7000");
  vertex.add_replicas("dns:pods");
  EXPECT_THAT(
      FaultOf(system),
      AllOf(HasSubstr("vertices[a].replicas[1]: \"localhost:1\" is the endpoint"),
            HasSubstr("vertices[a].replicas[2] must not be empty"), Not(HasSubstr("replicas[3]")),
            HasSubstr("vertices[a].replicas[4]: must be dns:NAME:PORT")));
}

TEST(SystemGraphTest, NamesVertexAndInputOfAnUnknownSource) {
  v1::System system = Diamond();
  (*system.mutable_vertices(0)->mutable_inputs())["x"] = "bb.y";
  EXPECT_THAT(FaultOf(system), AllOf(HasSubstr("vertices[d].inputs[x]"), HasSubstr("\"bb\"")));
}

TEST(SystemGraphTest, ChecksWhatItsAuthorProposes) {
  v1::System system = Diamond();
  v1::Proposal& proposal = *system.add_proposals();
  proposal.set_vertex("a");
  proposal.set_expected_verdict("SELF_DEFEATING");
  EXPECT_TRUE(SystemGraph::Build(system).ok());
  proposal.set_vertex("z");
  proposal.set_expected_verdict("SELFDEFEATING");
  EXPECT_THAT(FaultOf(system), AllOf(HasSubstr("proposals[0].vertex: there is no vertex \"z\""),
                                     HasSubstr("proposals[0].expected_verdict")));
}

TEST(SystemGraphTest, ReportsEveryFaultAtOnce) {
  v1::System system = Diamond();
  system.set_name("Diamond!");
  system.set_alpha(0.7);
  system.set_replicates(-1);
  system.set_seed(-4);
  system.set_parallel_jobs(-1);
  system.mutable_bootstrap()->set_resample_count(20000);
  system.clear_dataset();
  (*system.mutable_vertices(0)->mutable_inputs())["x"] = "request.w";
  (*system.mutable_outputs())["result"] = "nobody.y";
  *system.add_vertices() = MakeVertex("a");
  const std::string fault = FaultOf(system);
  for (const char* part :
       {"Diamond!", "alpha", "replicates", "seed", "parallel_jobs", "bootstrap.resample_count",
        "dataset", "vertices[d].inputs[x]", "outputs[result]", "vertices[a] is there twice"}) {
    EXPECT_THAT(fault, HasSubstr(part));
  }
}

TEST(SystemGraphTest, AFaultIsALineWhateverItQuotes) {
  v1::System system = Diamond();
  system.set_name("x\x1b[31m\nvertices[a]: all is well");
  EXPECT_THAT(FaultOf(system), HasSubstr("got \"x\\u001b[31m\\u000avertices[a]: all is well\""));
}

TEST(SystemGraphTest, RefusesNamesThatCollideOrAreTooLong) {
  for (const std::string& name :
       {std::string("request"), std::string("diamond"), std::string(64, 'a'), std::string("1a")}) {
    v1::System system = Diamond();
    *system.add_vertices() = MakeVertex(name);
    EXPECT_THAT(FaultOf(system), HasSubstr(".name"));
  }
}

v1::TensorSignature Tensor(const std::string& name, const std::string& datatype,
                           const std::vector<int64_t>& shape) {
  v1::TensorSignature tensor;
  tensor.set_name(name);
  tensor.set_datatype(datatype);
  for (const int64_t size : shape) tensor.add_shape(size);
  return tensor;
}

class CheckModelsTest : public ::testing::Test {
 protected:
  CheckModelsTest() {
    system_.set_name("chain");
    system_.set_dataset("toy:10");
    *system_.add_request() = Tensor("x", "UINT8", {-1, -1, 3});
    *system_.add_vertices() = MakeVertex("a", {{"image", "request.x"}});
    *system_.add_vertices() = MakeVertex("b", {{"map", "a.y"}});
    (*system_.mutable_outputs())["result"] = "b.y";
    for (const char* name : {"a", "b"}) {
      v1::Model& model = models_[name];
      model.set_name(std::string("models/") + name);
      model.add_recipes()->set_name("plain");
      auto& parameters = *model.mutable_recipes(0)->mutable_parameters()->mutable_fields();
      parameters["rate"].set_number_value(1);
      model.add_losses()->set_name("mae");
    }
    *models_["a"].add_inputs() = Tensor("image", "UINT8", {-1, 1242, 3});
    *models_["a"].add_outputs() = Tensor("y", "FP32", {-1, -1});
    *models_["b"].add_inputs() = Tensor("map", "FP32", {128, -1});
    *models_["b"].add_outputs() = Tensor("y", "FP32", {-1, 12});
  }
  absl::Status Check() const {
    const auto graph = SystemGraph::Build(system_);
    EXPECT_TRUE(graph.ok()) << graph.status();
    return CheckModels(*graph, models_);
  }
  std::string Fault() const {
    const absl::Status status = Check();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }
  v1::System system_;
  std::map<std::string, v1::Model> models_;
};

TEST_F(CheckModelsTest, AcceptsAnySizeForMinusOne) { EXPECT_TRUE(Check().ok()) << Check(); }

TEST_F(CheckModelsTest, RefusesAnotherSize) {
  models_["a"].mutable_outputs(0)->set_shape(0, 64);
  EXPECT_THAT(Fault(), AllOf(HasSubstr("vertices[b].inputs[map]"), HasSubstr("FP32 [128, -1]"),
                             HasSubstr("FP32 [64, -1]"), HasSubstr("a.y")));
}

TEST_F(CheckModelsTest, RefusesAnotherRank) {
  models_["a"].mutable_outputs(0)->add_shape(1);
  EXPECT_THAT(Fault(), HasSubstr("vertices[b].inputs[map]"));
}

TEST_F(CheckModelsTest, RefusesAnotherDatatypeFromTheRequest) {
  system_.mutable_request(0)->set_datatype("FP32");
  EXPECT_THAT(Fault(), HasSubstr("vertices[a].inputs[image]: must be UINT8 [-1, 1242, 3]: got "
                                 "FP32 [-1, -1, 3]"));
}

TEST_F(CheckModelsTest, RefusesTensorsThatNoRequestCanCarry) {
  system_.mutable_request(0)->set_datatype("BYTES");
  models_["a"].mutable_inputs(0)->set_datatype("BYTES");
  EXPECT_THAT(SystemGraph::Build(system_).status().message(),
              HasSubstr("request[x].datatype must be BOOL, UINT8"));
  system_.mutable_request(0)->set_datatype("UINT8");
  EXPECT_THAT(Fault(), HasSubstr("vertices[a]: input \"image\" of models/a.datatype must be"));
  models_["a"].mutable_inputs(0)->set_datatype("UINT8");
  models_["b"].mutable_outputs(0)->set_shape(0, -2);
  EXPECT_THAT(Fault(), HasSubstr("output \"y\" of models/b.shape: an extent must be >= 0"));
  models_["b"].mutable_outputs(0)->set_datatype("fp32");
  EXPECT_THAT(Fault(), HasSubstr("got \"fp32\""));
}

TEST_F(CheckModelsTest, NamesMissingAndUnknownInputs) {
  system_.mutable_vertices(1)->mutable_inputs()->clear();
  (*system_.mutable_vertices(1)->mutable_inputs())["points"] = "a.y";
  EXPECT_THAT(Fault(), AllOf(HasSubstr("needs \"map\""), HasSubstr("vertices[b].inputs[points]")));
}

TEST_F(CheckModelsTest, NamesUnknownOutputs) {
  (*system_.mutable_vertices(1)->mutable_inputs())["map"] = "a.depth";
  (*system_.mutable_outputs())["result"] = "b.boxes";
  EXPECT_THAT(Fault(),
              AllOf(HasSubstr("no output \"depth\"; it has y"), HasSubstr("outputs[result]")));
}

TEST_F(CheckModelsTest, ChecksRecipesAndMargins) {
  v1::Vertex& a = *system_.mutable_vertices(0);
  a.mutable_recipe()->set_name("fancy");
  (*a.mutable_margins())["rmse"] = 1;
  v1::Vertex& b = *system_.mutable_vertices(1);
  (*b.mutable_recipe()->mutable_parameters()->mutable_fields())["speed"].set_number_value(1);
  (*b.mutable_margins())["mae"] = -1;
  EXPECT_THAT(Fault(),
              AllOf(HasSubstr("no recipe \"fancy\"; it has plain"), HasSubstr("margins[rmse]"),
                    HasSubstr("recipe.parameters.speed"), HasSubstr("margins[mae] must be >= 0")));
}

TEST(CheckRecipeTest, AParameterIsOfItsDefaultsKind) {
  v1::Model model;
  v1::Recipe& offered = *model.add_recipes();
  offered.set_name("plain");
  (*offered.mutable_parameters()->mutable_fields())["steps"].set_number_value(10);
  v1::Recipe recipe = offered;
  EXPECT_TRUE(CheckRecipe(model, recipe).ok());
  (*recipe.mutable_parameters()->mutable_fields())["steps"].set_string_value("many");
  EXPECT_THAT(std::string(CheckRecipe(model, recipe).message()),
              HasSubstr("recipe.parameters.steps must be a number: got a text"));
}

}  // namespace
}  // namespace backfire::graph
