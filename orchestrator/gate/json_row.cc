#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <limits>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/gate/record_row.h"

namespace backfire::gate {
namespace {

using internal::Target;

// Takes the reader's events: an object of numbers, texts, and lists of these.
class RowHandler : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, RowHandler> {
 public:
  explicit RowHandler(const Columns& columns)
      : columns_(columns), seen_(static_cast<size_t>(columns.size()) + kTargets) {}

  void Begin(RecordRow& row) {
    row_ = &row;
    fault_ = absl::OkStatus();
    depth_ = 0;
    in_list_ = false;
    for (const size_t one : touched_) seen_[one] = false;
    touched_.clear();
  }
  const absl::Status& fault() const { return fault_; }

  bool Null() {
    const bool may_be_undefined =
        target_ == Target::kValue || (in_list_ && target_ == Target::kResampled);
    if (depth_ == 1 && may_be_undefined) return Take("nan", true);
    return Fail(absl::StrCat(key_, ": must not be null"));
  }
  bool Bool(bool) { return Fail(absl::StrCat(key_, ": must not be true or false")); }
  bool RawNumber(const char* text, rapidjson::SizeType length, bool) {
    return Take(absl::string_view(text, length), true);
  }
  bool String(const char* text, rapidjson::SizeType length, bool) {
    return Take(absl::string_view(text, length), false);
  }
  bool Key(const char* text, rapidjson::SizeType length, bool) {
    key_.assign(text, length);
    const absl::StatusOr<int> target = internal::TargetOf(key_, columns_);
    if (!target.ok()) return Fail(std::string(target.status().message()));
    target_ = *target;
    const size_t at = static_cast<size_t>(target_ + kTargets);
    if (seen_[at]) return Fail(absl::StrCat(key_, ": is there twice"));
    seen_[at] = true;
    touched_.push_back(at);
    return true;
  }
  bool StartObject() {
    if (depth_ > 0) return Fail(absl::StrCat(key_, ": must not be an object"));
    depth_ = 1;
    return true;
  }
  bool EndObject(rapidjson::SizeType) { return true; }
  bool StartArray() {
    const bool may = depth_ == 1 && !in_list_ && (target_ == Target::kSlice || MustBeList());
    if (!may) return Fail(absl::StrCat(depth_ == 0 ? "the line" : key_, ": must not be a list"));
    in_list_ = true;
    if (target_ == Target::kResampled) row_->has_resampled = true;
    return true;
  }
  bool EndArray(rapidjson::SizeType) {
    in_list_ = false;
    return true;
  }

 private:
  static constexpr int kTargets = 11;  // That have numbers below 0.

  bool MustBeList() const {
    return target_ == Target::kResampled || target_ == Target::kClusterSizes;
  }

  bool Fail(std::string what) {
    fault_ = absl::InvalidArgumentError(std::move(what));
    return false;
  }

  bool Take(absl::string_view text, bool is_number) {
    if (depth_ == 0)
      return Fail("must be an object: {\"vertex\": ..., \"seed\": ..., \"example\": ...}");
    if (MustBeList() && !in_list_) return Fail(absl::StrCat(key_, ": must be a list of numbers"));
    fault_ = internal::SetText(target_, text, is_number, columns_, *row_);
    return fault_.ok();
  }

  const Columns& columns_;
  std::vector<bool> seen_;  // By target, and which of them were touched.
  std::vector<size_t> touched_;
  RecordRow* row_ = nullptr;
  absl::Status fault_;
  std::string key_;
  int target_ = 0;
  int depth_ = 0;
  bool in_list_ = false;
};

class JsonRowParser : public RowParser {
 public:
  explicit JsonRowParser(const Columns& columns) : handler_(columns) {}

  absl::StatusOr<bool> Parse(absl::string_view line, RecordRow& row) override {
    row.Clear();
    if (line.empty()) return absl::InvalidArgumentError("the line is empty");
    handler_.Begin(row);
    rapidjson::MemoryStream stream(line.data(), line.size());
    constexpr unsigned kFlags = rapidjson::kParseNumbersAsStringsFlag |
                                rapidjson::kParseNanAndInfFlag |
                                rapidjson::kParseValidateEncodingFlag;
    const rapidjson::ParseResult parsed = reader_.Parse<kFlags>(stream, handler_);
    if (!handler_.fault().ok()) return handler_.fault();
    if (parsed.IsError()) {
      return absl::InvalidArgumentError(absl::StrCat("not JSON at column ", parsed.Offset() + 1,
                                                     ": ",
                                                     rapidjson::GetParseError_En(parsed.Code())));
    }
    return true;
  }

 private:
  RowHandler handler_;
  rapidjson::Reader reader_;
};

}  // namespace

std::unique_ptr<RowParser> MakeJsonRowParser(const Columns& columns) {
  return std::make_unique<JsonRowParser>(columns);
}

}  // namespace backfire::gate
