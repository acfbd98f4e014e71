#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace backfire::learning {

/// A value in a pickle. What it points to belongs to its Pickle.
struct PickleValue {
  enum class Kind {
    kNone,
    kBool,        ///< `integer` is 0 or 1.
    kInteger,     ///< `integer`.
    kLong,        ///< An integer beyond 64 bits: `text` has its bytes, least significant first.
    kFloat,       ///< `number`.
    kText,        ///< `text`.
    kBytes,       ///< `text`.
    kTuple,       ///< `items`.
    kList,        ///< `items`; sets as well.
    kDict,        ///< `items`: key, value, key, value ... in the order written.
    kGlobal,      ///< A name in Python: `text` is `module.name`. Nothing is looked up.
    kCall,        ///< What calling `items[0]` with `items[1]` would give. Nothing is called.
    kPersistent,  ///< What the file keeps outside the pickle under the id `items[0]`.
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::vector<const PickleValue*> items;

  /// The value of a text key in a kDict; the last one wins. Null: there is none.
  const PickleValue* Find(std::string_view key) const;
  /// Whether it is a call of the global of that name.
  bool IsCallOf(std::string_view global) const;
  /// What it is, for a message: `a number`, `a call of os.system`.
  std::string Describe() const;
};

/// Python's pickle format (protocols 2 to 5, as torch.save writes it) read as data: no name is
/// looked up and no call is made, whatever the file says. Calls stay in the tree as what they are,
/// apart from collections.OrderedDict, which is a kDict.
class Pickle {
 public:
  /// Reads one pickle from the front of `bytes`. INVALID_ARGUMENT: it is none, is truncated, has an
  /// instruction that torch.save does not write, or more than half a million values or places for
  /// them, or containers hold more than two million: a hundred times those of a large network.
  static absl::StatusOr<Pickle> Parse(std::string_view bytes);

  const PickleValue& root() const { return *root_; }
  /// Calls `visit` with every value in it, in the order written.
  void ForEach(const std::function<void(const PickleValue&)>& visit) const {
    for (const PickleValue& value : values_) visit(value);
  }
  /// Bytes up to and including its end.
  size_t size() const { return size_; }

 private:
  friend class PickleReader;
  std::deque<PickleValue> values_;  ///< Addresses stay: values point to each other, also in cycles.
  const PickleValue* root_ = nullptr;
  size_t size_ = 0;
};

}  // namespace backfire::learning
