#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "orchestrator/records/records.h"

namespace backfire::records {

/// The steps of an update by position, with which are ready and which run. A copy is one pointer,
/// and what changes in it costs the logarithm of its size: the rest is shared. Thread-compatible.
class StepTree {
 public:
  struct Entry {
    std::shared_ptr<const StepRecord> record;
    uint32_t unmet = 0;  ///< Due steps that it waits for.
    bool is_ready = false;
    bool is_running = false;
  };

  using Changes = std::map<size_t, Entry>;  ///< By position.

  explicit StepTree(std::vector<Entry> entries = {});
  size_t size() const { return size_; }
  const Entry& operator[](size_t position) const;
  void Set(const Changes& changes);
  /// Positions of the first `most` entries that are ready, or that run.
  std::vector<size_t> Ready(size_t most) const;
  std::vector<size_t> Running() const;
  bool has_running() const { return root_->running > 0; }

 private:
  // Wide nodes make a copy dear, narrow ones a way long.
  static constexpr size_t kWidth = 16;
  struct Node {
    std::vector<std::shared_ptr<const Node>> children;  // Or else entries.
    std::vector<Entry> entries;
    size_t ready = 0, running = 0;  // Below it.
  };
  using NodePointer = std::shared_ptr<const Node>;

  // A copy with the changes up to `end`. `span` is how many entries are below each child, `first`
  // the position of the first of all.
  static NodePointer Changed(const Node& node, size_t span, size_t first,
                             Changes::const_iterator begin, Changes::const_iterator end);
  static void Collect(const Node& node, size_t span, size_t first, size_t Node::*count,
                      bool Entry::*is_one, size_t most, std::vector<size_t>& positions);

  size_t size_;
  size_t span_ = 1;  // Of the root.
  NodePointer root_;
};

}  // namespace backfire::records
