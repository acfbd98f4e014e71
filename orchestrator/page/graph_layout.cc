#include "orchestrator/page/graph_layout.h"

#include <algorithm>
#include <map>
#include <set>

namespace backfire::page {
namespace {

struct Node {
  std::vector<size_t> parents, children;
  Standing standing = Standing::kNotJudged;
  size_t layer = 0;
  bool concerned = false;
  size_t box = 0;
};

std::vector<Node> NodesOf(const View& view) {
  const auto& vertices = view.report.vertices();
  std::vector<Node> nodes(static_cast<size_t>(vertices.size()));
  std::map<std::string, size_t> numbers;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const v1::GateReportVertex& vertex = vertices.Get(static_cast<int>(i));
    numbers[vertex.name()] = i;
    if (const VertexView* known = view.Find(vertex.name())) nodes[i].standing = known->standing;
    // Parents come first, so that one pass finds the layers.
    for (const std::string& parent : vertex.parents()) {
      const auto found = numbers.find(parent);
      if (found == numbers.end() || found->second == i) continue;
      nodes[i].parents.push_back(found->second);
      nodes[found->second].children.push_back(i);
      nodes[i].layer = std::max(nodes[i].layer, nodes[found->second].layer + 1);
    }
  }
  // The candidate and its descendants, then what feeds these directly.
  std::set<size_t> reached;
  const auto candidate = numbers.find(view.report.candidate());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const bool is_candidate = candidate != numbers.end() && candidate->second == i;
    const bool fed = std::any_of(nodes[i].parents.begin(), nodes[i].parents.end(),
                                 [&](size_t parent) { return reached.count(parent) > 0; });
    if (is_candidate || fed || candidate == numbers.end()) reached.insert(i);
  }
  for (const size_t i : reached) {
    nodes[i].concerned = true;
    for (const size_t parent : nodes[i].parents) nodes[parent].concerned = true;
  }
  // A layer without a box would be a gap.
  std::set<size_t> used;
  for (const Node& node : nodes) {
    if (node.concerned) used.insert(node.layer);
  }
  for (Node& node : nodes) {
    node.layer = static_cast<size_t>(std::distance(used.begin(), used.lower_bound(node.layer)));
  }
  return nodes;
}

// Lines that skip layers get a place in each, so that they pass between its boxes; if these would
// be too many, they run behind.
constexpr size_t kMostPassages = 24;

void AddEdge(size_t from, size_t to, GraphLayout& layout) {
  const size_t last = layout.boxes[to].layer;
  size_t passages = last - layout.boxes[from].layer - 1;
  for (const GraphBox& box : layout.boxes) passages += box.count == 0 ? 1 : 0;
  if (passages <= kMostPassages) {
    for (size_t layer = layout.boxes[from].layer + 1; layer < last; ++layer) {
      const size_t passage = layout.boxes.size();
      layout.boxes.push_back({"", Standing::kNotJudged, 0, layer, layout.layers[layer]++});
      layout.edges.emplace_back(from, passage);
      from = passage;
    }
  }
  layout.edges.emplace_back(from, to);
}

// Moves each box towards the middle of those that it is joined with, a few times over.
void Order(GraphLayout& layout) {
  std::vector<std::vector<size_t>> joined(layout.boxes.size());
  for (const auto& [from, to] : layout.edges) {
    joined[from].push_back(to);
    joined[to].push_back(from);
  }
  const auto height = [&](size_t box) {  // From -1 to 1, as layers are centred.
    const GraphBox& one = layout.boxes[box];
    return static_cast<double>(one.row) + 0.5 - static_cast<double>(layout.layers[one.layer]) / 2;
  };
  for (int sweep = 0; sweep < 6; ++sweep) {
    for (size_t step = 0; step < layout.layers.size(); ++step) {
      const size_t layer = sweep % 2 == 0 ? step : layout.layers.size() - 1 - step;
      std::vector<std::pair<double, size_t>> places;
      for (size_t box = 0; box < layout.boxes.size(); ++box) {
        if (layout.boxes[box].layer != layer) continue;
        double sum = 0, count = 0;
        for (const size_t other : joined[box]) {
          sum += height(other);
          ++count;
        }
        places.emplace_back(count > 0 ? sum / count : height(box), box);
      }
      std::stable_sort(places.begin(), places.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
      for (size_t row = 0; row < places.size(); ++row) layout.boxes[places[row].second].row = row;
    }
  }
}

}  // namespace

GraphLayout LayOut(const View& view, size_t most) {
  GraphLayout layout;
  std::vector<Node> nodes = NodesOf(view);
  std::map<size_t, std::vector<size_t>> by_layer;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].concerned) by_layer[nodes[i].layer].push_back(i);
  }
  for (auto& [layer, members] : by_layer) {
    std::stable_sort(members.begin(), members.end(),
                     [&](size_t a, size_t b) { return nodes[a].standing < nodes[b].standing; });
    size_t shown = members.size();
    if (members.size() > most) shown = most - 1;
    std::map<Standing, size_t> folded;
    for (size_t m = 0; m < members.size(); ++m) {
      Node& node = nodes[members[m]];
      const std::string& name = view.report.vertices(static_cast<int>(members[m])).name();
      const bool alone = m < shown || name == view.report.candidate();
      if (!alone && folded.count(node.standing) > 0) {
        node.box = folded[node.standing];
        ++layout.boxes[node.box].count;
        continue;
      }
      node.box = layout.boxes.size();
      if (!alone) folded[node.standing] = node.box;
      layout.boxes.push_back({alone ? name : "", node.standing, 1, layer, 0});
    }
  }
  layout.layers.resize(by_layer.size());
  for (GraphBox& box : layout.boxes) box.row = layout.layers[box.layer]++;
  std::set<std::pair<size_t, size_t>> edges;
  for (const Node& node : nodes) {
    if (!node.concerned) continue;
    for (const size_t parent : node.parents) {
      if (nodes[parent].concerned) edges.emplace(nodes[parent].box, node.box);
    }
  }
  for (const auto& [from, to] : edges) AddEdge(from, to, layout);
  Order(layout);
  return layout;
}

}  // namespace backfire::page
