#pragma once

#include <string>
#include <utility>
#include <vector>

#include "orchestrator/page/view.h"

namespace backfire::page {

/// A box of the drawn graph: a vertex, or several of a layer that stand alike.
struct GraphBox {
  std::string name;  ///< Of the vertex; empty: several.
  Standing standing = Standing::kNotJudged;
  int count = 1;     ///< Vertices that it stands for; 0: a place where a line passes a layer.
  size_t layer = 0;  ///< From the left.
  size_t row = 0;    ///< In its layer, from the top.
};

/// A system's graph, as it is drawn from left to right.
struct GraphLayout {
  std::vector<GraphBox> boxes;
  std::vector<std::pair<size_t, size_t>> edges;  ///< From a box to another, each once.
  std::vector<size_t> layers;                    ///< Boxes of each.
};

/// Lays out the part of the graph that the change concerns: the candidate, what descends from it,
/// and what else feeds these. Of a layer with more than `most` vertices the worst stay, and those
/// left are one box for each way that they stand. A pure function of names and standings.
GraphLayout LayOut(const View& view, size_t most);

}  // namespace backfire::page
