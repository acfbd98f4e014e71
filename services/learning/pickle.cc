#include "services/learning/pickle.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/learning/pickle_format.h"

namespace backfire::learning {

/// Runs the stack machine of one pickle. A fault is kept, and ends the loop.
class PickleReader {
 public:
  explicit PickleReader(std::string_view bytes) : bytes_(bytes) {}

  absl::StatusOr<Pickle> Read() {
    while (status_.ok() && pickle_.root_ == nullptr) {
      Step();
      if (stack_.size() + marks_.size() + memo_.size() > kMaxPlaces) {
        Fail("it keeps too much at once");
      }
    }
    if (!status_.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no pickle that can be read: ", status_.message(), " at byte ", at_));
    }
    pickle_.size_ = next_;
    return std::move(pickle_);
  }

 private:
  using Kind = PickleValue::Kind;

  void Fail(std::string message) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(message);
  }

  std::string_view Take(uint64_t count) {
    if (count > bytes_.size() - next_) {
      Fail("it is truncated");
      return {};
    }
    const std::string_view taken = bytes_.substr(next_, count);
    next_ += count;
    return taken;
  }
  // Little-endian, without sign.
  uint64_t Number(size_t width) {
    const std::string_view taken = Take(width);
    uint64_t number = 0;
    for (size_t i = taken.size(); i > 0; --i) {
      number = number << 8 | static_cast<unsigned char>(taken[i - 1]);
    }
    return number;
  }
  std::string_view Line() {
    const size_t end = bytes_.find('\n', next_);
    if (end == std::string_view::npos) {
      Fail("it is truncated");
      return {};
    }
    const std::string_view line = bytes_.substr(next_, end - next_);
    next_ = end + 1;
    return line;
  }

  PickleValue* New(Kind kind) {
    if (pickle_.values_.size() >= kMaxValues) Fail("it has too many values");
    PickleValue& value = pickle_.values_.emplace_back();
    value.kind = kind;
    return &value;
  }
  void Push(PickleValue* value) { stack_.push_back(value); }
  PickleValue* PushNew(Kind kind) {
    Push(New(kind));
    return stack_.back();
  }
  void PushText(Kind kind, std::string_view text) { PushNew(kind)->text = std::string(text); }
  void PushInteger(int64_t integer) { PushNew(Kind::kInteger)->integer = integer; }

  // Values above the last mark are all that may be popped.
  size_t Floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue* Pop() {
    if (stack_.size() <= Floor()) {
      Fail("it takes more values than there are");
      return New(Kind::kNone);
    }
    PickleValue* value = stack_.back();
    stack_.pop_back();
    return value;
  }
  PickleValue* Top() {
    PickleValue* value = Pop();
    Push(value);
    return value;
  }
  std::vector<const PickleValue*> PopToMark() {
    if (marks_.empty()) {
      Fail("it has no mark to go back to");
      return {};
    }
    std::vector<const PickleValue*> items(
        stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    repeated_ += items.size();
    if (repeated_ > kMaxRepeated) Fail("it repeats too many items");
    return items;
  }
  void PushTuple(size_t count) {
    std::vector<const PickleValue*> items(count);
    for (size_t i = count; i > 0; --i) items[i - 1] = Pop();
    PushNew(Kind::kTuple)->items = std::move(items);
  }

  // Items of whatever is no list (or dict) are those of an object of a class unknown to us, which
  // is opaque.
  static void Extend(PickleValue* value, const std::vector<const PickleValue*>& items, Kind kind) {
    if (value->kind != kind) return;
    value->items.insert(value->items.end(), items.begin(), items.end());
  }
  void SetItems(PickleValue* dict, const std::vector<const PickleValue*>& items) {
    if (items.size() % 2 != 0) return Fail("it has a key without a value");
    Extend(dict, items, Kind::kDict);
  }

  void PushGlobal(std::string_view module, std::string_view name) {
    if (module.size() + name.size() > kMaxGlobalName) return Fail("it has a name without end");
    PushText(Kind::kGlobal, absl::StrCat(std::string(module), ".", std::string(name)));
  }

  void Call(const PickleValue* callable, const PickleValue* arguments) {
    if (callable->kind == Kind::kGlobal && callable->text == "collections.OrderedDict") {
      PickleValue* dict = PushNew(Kind::kDict);
      if (arguments->items.empty()) return;
      // Python 2 gives the items as a list of pairs.
      const std::vector<const PickleValue*>& pairs = arguments->items[0]->items;
      repeated_ += pairs.size();
      if (repeated_ > kMaxRepeated) return Fail("it repeats too many items");
      for (const PickleValue* pair : pairs) {
        if (pair->items.size() == 2) Extend(dict, pair->items, Kind::kDict);
      }
      return;
    }
    PushNew(Kind::kCall)->items = {callable, arguments};
  }

  void Put(uint64_t index) { memo_[index] = Top(); }
  void Get(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) return Fail("it refers to what was never kept");
    Push(found->second);
  }

  void PushLong(uint64_t width) {
    const std::string_view digits = Take(width);
    if (digits.size() > 8) return PushText(Kind::kLong, digits);
    uint64_t number = !digits.empty() && (digits.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = digits.size(); i > 0; --i) {
      number = number << 8 | static_cast<unsigned char>(digits[i - 1]);
    }
    PushInteger(static_cast<int64_t>(number));
  }

  // Decimal digits, as protocols 0 and 1 have them; 00 and 01 are truth values.
  void PushDecimal(std::string_view digits) {
    const absl::string_view text(digits.data(), digits.size());
    if (text == "00" || text == "01") {
      PushNew(Kind::kBool)->integer = text == "01" ? 1 : 0;
      return;
    }
    int64_t integer = 0;
    if (!absl::SimpleAtoi(text, &integer)) {
      return Fail("it has a number that is none, or too large");
    }
    PushInteger(integer);
  }

  void PushFloat() {
    const std::string_view digits = Take(8);  // Big-endian.
    uint64_t bits = 0;
    for (const char digit : digits) bits = bits << 8 | static_cast<unsigned char>(digit);
    std::memcpy(&PushNew(Kind::kFloat)->number, &bits, sizeof(bits));
  }

  void Step() {
    at_ = next_;
    const auto opcode = static_cast<unsigned char>(Number(1));
    if (!status_.ok()) return;
    switch (opcode) {
      case kProto:
        if (Number(1) > 5) Fail("it has a protocol beyond 5");
        break;
      case kFrame:
        Take(8);
        break;
      case kStop:
        pickle_.root_ = Pop();
        break;
      case kMark:
        marks_.push_back(stack_.size());
        break;
      case kPop:
        // As in Python, a mark on top is what is popped.
        if (!marks_.empty() && stack_.size() == marks_.back()) {
          marks_.pop_back();
        } else {
          Pop();
        }
        break;
      case kPopMark:
        PopToMark();
        break;
      case kDup:
        Push(Top());
        break;
      case kNone:
        PushNew(Kind::kNone);
        break;
      case kNewTrue:
      case kNewFalse:
        PushNew(Kind::kBool)->integer = opcode == kNewTrue ? 1 : 0;
        break;
      case kBinInt:
        PushInteger(static_cast<int32_t>(Number(4)));
        break;
      case kInt:
      case kLong: {
        std::string_view digits = Line();
        if (opcode == kLong && !digits.empty() && digits.back() == 'L') digits.remove_suffix(1);
        PushDecimal(digits);
        break;
      }
      case kBinInt1:
        PushInteger(static_cast<int64_t>(Number(1)));
        break;
      case kBinInt2:
        PushInteger(static_cast<int64_t>(Number(2)));
        break;
      case kLong1:
        PushLong(Number(1));
        break;
      case kLong4:
        PushLong(Number(4));
        break;
      case kBinFloat:
        PushFloat();
        break;
      case kShortBinString:
      case kShortBinUnicode:
        PushText(Kind::kText, Take(Number(1)));
        break;
      case kBinString:
      case kBinUnicode:
        PushText(Kind::kText, Take(Number(4)));
        break;
      case kBinUnicode8:
        PushText(Kind::kText, Take(Number(8)));
        break;
      case kShortBinBytes:
        PushText(Kind::kBytes, Take(Number(1)));
        break;
      case kBinBytes:
        PushText(Kind::kBytes, Take(Number(4)));
        break;
      case kBinBytes8:
      case kByteArray8:
        PushText(Kind::kBytes, Take(Number(8)));
        break;
      case kEmptyTuple:
        PushTuple(0);
        break;
      case kTuple1:
        PushTuple(1);
        break;
      case kTuple2:
        PushTuple(2);
        break;
      case kTuple3:
        PushTuple(3);
        break;
      case kTuple: {
        std::vector<const PickleValue*> items = PopToMark();
        PushNew(Kind::kTuple)->items = std::move(items);
        break;
      }
      case kEmptyList:
      case kEmptySet:
        PushNew(Kind::kList);
        break;
      case kList:
      case kFrozenSet: {
        std::vector<const PickleValue*> items = PopToMark();
        PushNew(Kind::kList)->items = std::move(items);
        break;
      }
      case kAppend: {
        const PickleValue* item = Pop();
        Extend(Top(), {item}, Kind::kList);
        break;
      }
      case kAppends:
      case kAddItems: {
        const std::vector<const PickleValue*> items = PopToMark();
        Extend(Top(), items, Kind::kList);
        break;
      }
      case kEmptyDict:
        PushNew(Kind::kDict);
        break;
      case kDict: {
        const std::vector<const PickleValue*> items = PopToMark();
        SetItems(PushNew(Kind::kDict), items);
        break;
      }
      case kSetItem: {
        const PickleValue* value = Pop();
        const PickleValue* key = Pop();
        SetItems(Top(), {key, value});
        break;
      }
      case kSetItems: {
        const std::vector<const PickleValue*> items = PopToMark();
        SetItems(Top(), items);
        break;
      }
      case kGlobal: {
        const std::string_view module = Line();
        PushGlobal(module, Line());
        break;
      }
      case kStackGlobal: {
        const PickleValue* name = Pop();
        const PickleValue* module = Pop();
        PushGlobal(module->text, name->text);
        break;
      }
      case kReduce:
      case kNewObj: {
        const PickleValue* arguments = Pop();
        const PickleValue* callable = Pop();
        Call(callable, arguments);
        break;
      }
      case kNewObjEx: {
        Pop();  // Named arguments.
        const PickleValue* arguments = Pop();
        const PickleValue* callable = Pop();
        Call(callable, arguments);
        break;
      }
      case kBuild:
        Pop();  // Attributes of an object, which has none for us.
        Top();
        break;
      case kBinPersId: {
        const PickleValue* id = Pop();
        PushNew(Kind::kPersistent)->items = {id};
        break;
      }
      case kBinPut:
        Put(Number(1));
        break;
      case kLongBinPut:
        Put(Number(4));
        break;
      case kMemoize:
        Put(memo_.size());
        break;
      case kBinGet:
        Get(Number(1));
        break;
      case kLongBinGet:
        Get(Number(4));
        break;
      default:
        Fail(absl::StrFormat("instruction 0x%02x is not one that torch.save writes", opcode));
    }
  }

  const std::string_view bytes_;
  size_t next_ = 0;
  size_t at_ = 0;        // Of the instruction that runs.
  size_t repeated_ = 0;  // Items, by calls.
  absl::Status status_;
  Pickle pickle_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;  // Heights of the stack.
  std::unordered_map<uint64_t, PickleValue*> memo_;
};

absl::StatusOr<Pickle> Pickle::Parse(std::string_view bytes) { return PickleReader(bytes).Read(); }

}  // namespace backfire::learning
