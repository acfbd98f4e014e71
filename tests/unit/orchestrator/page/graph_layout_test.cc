#include "orchestrator/page/graph_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace backfire::page {
namespace {

void AddVertex(const std::string& name, const std::vector<std::string>& parents,
               v1::GateReport& report) {
  v1::GateReportVertex& vertex = *report.add_vertices();
  vertex.set_name(name);
  for (const std::string& parent : parents) vertex.add_parents(parent);
}

void AddResult(const std::string& vertex, v1::GateResult::Status status, v1::GateReport& report) {
  v1::GateResult& result = *report.add_results();
  result.set_vertex(vertex);
  result.set_status(status);
  report.mutable_verdict()->add_comparisons()->set_vertex(vertex);
}

const GraphBox* Find(const GraphLayout& layout, const std::string& name) {
  const auto found = std::find_if(layout.boxes.begin(), layout.boxes.end(),
                                  [&](const GraphBox& box) { return box.name == name; });
  return found == layout.boxes.end() ? nullptr : &*found;
}

TEST(LayOutTest, PutsEachVertexRightOfWhatFeedsIt) {
  v1::GateReport report;
  report.set_candidate("b");
  AddVertex("a", {}, report);
  AddVertex("elsewhere", {}, report);
  AddVertex("b", {"a"}, report);
  AddVertex("c", {"b"}, report);
  AddVertex("d", {"a", "c"}, report);
  AddVertex("aside", {"a"}, report);
  const View view(report, "");
  const GraphLayout layout = LayOut(view, 10);
  EXPECT_EQ(std::count_if(layout.boxes.begin(), layout.boxes.end(),
                          [](const GraphBox& box) { return box.count > 0; }),
            4);
  // What the change neither reaches nor is fed by is not part of the picture.
  EXPECT_EQ(Find(layout, "elsewhere"), nullptr);
  EXPECT_EQ(Find(layout, "aside"), nullptr);
  for (const auto& [from, to] : layout.edges) {
    EXPECT_EQ(layout.boxes[from].layer + 1, layout.boxes[to].layer);
  }
  // From a to b, b to c, c to d; and from a to d past b and c, with a place between these.
  EXPECT_EQ(layout.boxes.size(), 6U);
  EXPECT_EQ(layout.edges.size(), 6U);
  EXPECT_EQ(Find(layout, "d")->layer, 3U);
}

TEST(LayOutTest, FoldsWhatIsManyAndKeepsTheWorst) {
  v1::GateReport report;
  report.set_candidate("root");
  AddVertex("root", {}, report);
  for (int i = 0; i < 50; ++i) {
    const std::string name = absl::StrCat("v", i);
    AddVertex(name, {"root"}, report);
    AddResult(name, i == 37 ? v1::GateResult::BLOCKS : v1::GateResult::OK, report);
  }
  const View view(report, "");
  const GraphLayout layout = LayOut(view, 6);
  ASSERT_NE(Find(layout, "v37"), nullptr);
  EXPECT_EQ(Find(layout, "v37")->standing, Standing::kBlocks);
  int stood_for = 0;
  std::set<std::pair<size_t, size_t>> places;
  for (const GraphBox& box : layout.boxes) {
    stood_for += box.count;
    EXPECT_TRUE(places.emplace(box.layer, box.row).second);
    EXPECT_LT(box.row, layout.layers[box.layer]);
  }
  EXPECT_EQ(stood_for, 51);
  EXPECT_LE(layout.layers[1], 7U);
}

TEST(LayOutTest, CrossesNoLinesWhereItNeedNot) {
  v1::GateReport report;
  report.set_candidate("r");
  AddVertex("r", {}, report);
  AddVertex("a", {"r"}, report);
  AddVertex("b", {"r"}, report);
  AddVertex("of-b", {"b"}, report);
  AddVertex("of-a", {"a"}, report);
  const View view(report, "");
  const GraphLayout layout = LayOut(view, 10);
  EXPECT_EQ(Find(layout, "a")->row < Find(layout, "b")->row,
            Find(layout, "of-a")->row < Find(layout, "of-b")->row);
}

TEST(LayOutTest, KnowsNoCandidateAndDrawsAll) {
  v1::GateReport report;
  AddVertex("a", {}, report);
  AddVertex("b", {"a", "nobody"}, report);
  const View view(report, "");
  EXPECT_EQ(LayOut(view, 10).boxes.size(), 2U);
}

}  // namespace
}  // namespace backfire::page
