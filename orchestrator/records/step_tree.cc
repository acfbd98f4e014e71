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

void StepTree::Set(const Changes& changes) {
  if (!changes.empty()) root_ = Changed(*root_, span_, 0, changes.begin(), changes.end());
}

StepTree::NodePointer StepTree::Changed(const Node& node, size_t span, size_t first,
                                        Changes::const_iterator begin,
                                        Changes::const_iterator end) {
  auto copy = std::make_shared<Node>(node);
  while (begin != end) {
    const size_t offset = (begin->first - first) / span;
    if (span == 1) {
      Entry& entry = copy->entries[offset];
      copy->ready += (begin->second.is_ready ? 1 : 0) - (entry.is_ready ? 1 : 0);
      copy->running += (begin->second.is_running ? 1 : 0) - (entry.is_running ? 1 : 0);
      entry = begin->second;
      ++begin;
      continue;
    }
    const size_t below = first + offset * span;
    const auto next =
        std::find_if(begin, end, [&](const auto& change) { return change.first >= below + span; });
    NodePointer& child = copy->children[offset];
    NodePointer changed = Changed(*child, span / kWidth, below, begin, next);
    copy->ready += changed->ready - child->ready;
    copy->running += changed->running - child->running;
    child = std::move(changed);
    begin = next;
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
