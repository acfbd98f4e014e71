#include "orchestrator/records/step_tree.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace backfire::records {

StepTree::StepTree(std::vector<Entry> entries) : size_(entries.size()) {
  std::vector<NodePointer> level;
  for (size_t first = 0; first < size_ || level.empty(); first += kWidth) {
    const auto leaf = std::make_shared<Node>();
    const auto begin = entries.begin() + static_cast<std::ptrdiff_t>(first);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kWidth, size_ - first));
    leaf->entries.assign(std::make_move_iterator(begin), std::make_move_iterator(begin + count));
    for (const Entry& entry : leaf->entries) {
      leaf->ready += entry.is_ready ? 1 : 0;
      leaf->running += entry.is_running ? 1 : 0;
    }
    level.push_back(leaf);
  }
  while (level.size() > 1) {
    span_ *= kWidth;
    std::vector<NodePointer> above;
    for (size_t first = 0; first < level.size(); first += kWidth) {
      const auto node = std::make_shared<Node>();
      for (size_t i = first; i < std::min(first + kWidth, level.size()); ++i) {
        node->ready += level[i]->ready;
        node->running += level[i]->running;
        node->children.push_back(std::move(level[i]));
      }
      above.push_back(node);
    }
    level = std::move(above);
  }
  root_ = level.front();
}

const StepTree::Entry& StepTree::operator[](size_t position) const {
  const Node* node = root_.get();
  for (size_t span = span_; span > 1; span /= kWidth) {
    node = node->children[position / span].get();
    position %= span;
  }
  return node->entries[position];
}

void StepTree::Set(size_t position, Entry entry) {
  root_ = Changed(*root_, span_, position, std::move(entry));
}

StepTree::NodePointer StepTree::Changed(const Node& node, size_t span, size_t position,
                                        Entry entry) {
  auto copy = std::make_shared<Node>(node);
  if (span == 1) {
    Entry& changed = copy->entries[position];
    copy->ready += (entry.is_ready ? 1 : 0) - (changed.is_ready ? 1 : 0);
    copy->running += (entry.is_running ? 1 : 0) - (changed.is_running ? 1 : 0);
    changed = std::move(entry);
  } else {
    NodePointer& child = copy->children[position / span];
    const NodePointer changed = Changed(*child, span / kWidth, position % span, std::move(entry));
    copy->ready += changed->ready - child->ready;
    copy->running += changed->running - child->running;
    child = changed;
  }
  return copy;
}

void StepTree::Collect(const Node& node, size_t span, size_t first, size_t Node::*count,
                       bool Entry::*is_one, size_t most, std::vector<size_t>& positions) {
  if (node.*count == 0) return;
  for (size_t i = 0; i < node.entries.size() && positions.size() < most; ++i) {
    if (node.entries[i].*is_one) positions.push_back(first + i);
  }
  for (size_t i = 0; i < node.children.size() && positions.size() < most; ++i) {
    Collect(*node.children[i], span / kWidth, first + i * span, count, is_one, most, positions);
  }
}

std::vector<size_t> StepTree::Ready(size_t most) const {
  std::vector<size_t> positions;
  Collect(*root_, span_, 0, &Node::ready, &Entry::is_ready, most, positions);
  return positions;
}

std::vector<size_t> StepTree::Running() const {
  std::vector<size_t> positions;
  Collect(*root_, span_, 0, &Node::running, &Entry::is_running, std::numeric_limits<size_t>::max(),
          positions);
  return positions;
}

}  // namespace backfire::records
