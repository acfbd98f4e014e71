#include "services/graph/placement.h"

#include <gtest/gtest.h>

#include <map>

namespace backfire::graph {
namespace {

v1::Vertex& Add(v1::System& system, const std::string& name, const std::string& program) {
  v1::Vertex& vertex = *system.add_vertices();
  vertex.set_name(name);
  if (!program.empty()) vertex.mutable_process()->set_program(program);
  return vertex;
}

TEST(PlaceVerticesTest, EqualProcessesShareThePlaceOfTheFirst) {
  v1::System system;
  Add(system, "a", "one").mutable_process()->add_arguments("-v");
  Add(system, "b", "one");
  Add(system, "c", "one").mutable_process()->add_arguments("-v");
  Add(system, "d", "two");
  Add(system, "given", "one").set_endpoint("car:7000");
  Add(system, "elsewhere", "").set_endpoint("far:7000");
  Add(system, "nowhere", "");
  PlaceVertices([](const std::string& vertex) { return "at " + vertex; }, system);
  std::map<std::string, std::string> places;
  for (const v1::Vertex& vertex : system.vertices()) places[vertex.name()] = vertex.endpoint();
  const std::map<std::string, std::string> expected = {
      {"a", "at a"},  {"b", "at b"},         {"c", "at a"},
      {"d", "at d"},  {"given", "car:7000"}, {"elsewhere", "far:7000"},
      {"nowhere", ""}};
  EXPECT_EQ(places, expected);
}

}  // namespace
}  // namespace backfire::graph
