#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace backfire::vision {

/// Writes JSON with the fields in the order given, which protobuf's Struct does not keep, and with
/// numbers that read back as the same double. NaN and infinities, which JSON has not, become null.
class JsonText {
 public:
  JsonText& BeginObject();
  JsonText& EndObject();
  JsonText& BeginList();
  JsonText& EndList();
  /// The name of the value that follows.
  JsonText& Key(std::string_view name);
  JsonText& Number(double value);
  JsonText& Integer(int64_t value);
  JsonText& Bool(bool value);
  JsonText& String(std::string_view value);

  template <typename Numbers>
  JsonText& NumberList(const Numbers& values) {
    BeginList();
    for (const auto value : values) Number(static_cast<double>(value));
    return EndList();
  }

  /// What was written, and a line feed at its end.
  std::string Finish() &&;

 private:
  void BeforeValue();
  void Quote(std::string_view value);

  std::string text_;
  std::vector<bool> has_entries_;  // Of each object or list that is open.
  bool after_key_ = false;
};

}  // namespace backfire::vision
