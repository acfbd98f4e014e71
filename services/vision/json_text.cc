#include "services/vision/json_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/base/utf8.h"

namespace backfire::vision {

void JsonText::BeforeValue() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (has_entries_.empty()) return;
  if (has_entries_.back()) text_ += ", ";
  has_entries_.back() = true;
}

JsonText& JsonText::BeginObject() {
  const bool in_list = !has_entries_.empty() && !after_key_;
  BeforeValue();
  if (in_list) text_ += '\n';  // A record a line.
  text_ += '{';
  has_entries_.push_back(false);
  return *this;
}

JsonText& JsonText::EndObject() {
  has_entries_.pop_back();
  text_ += '}';
  return *this;
}

JsonText& JsonText::BeginList() {
  BeforeValue();
  text_ += '[';
  has_entries_.push_back(false);
  return *this;
}

JsonText& JsonText::EndList() {
  has_entries_.pop_back();
  text_ += ']';
  return *this;
}

JsonText& JsonText::Key(std::string_view name) {
  BeforeValue();
  Quote(name);
  text_ += ": ";
  after_key_ = true;
  return *this;
}

JsonText& JsonText::Number(double value) {
  BeforeValue();
  if (!std::isfinite(value)) {
    text_ += "null";
    return *this;
  }
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  text_.append(digits.data(), end);
  return *this;
}

JsonText& JsonText::Integer(int64_t value) {
  BeforeValue();
  absl::StrAppend(&text_, value);
  return *this;
}

JsonText& JsonText::Bool(bool value) {
  BeforeValue();
  text_ += value ? "true" : "false";
  return *this;
}

JsonText& JsonText::String(std::string_view value) {
  BeforeValue();
  Quote(value);
  return *this;
}

void JsonText::Quote(std::string_view value) {
  text_ += '"';
  for (const char c : ValidUtf8(value)) {
    if (c == '"' || c == '\\') text_ += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&text_, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      text_ += c;
    }
  }
  text_ += '"';
}

std::string JsonText::Finish() && {
  text_ += '\n';
  return std::move(text_);
}

}  // namespace backfire::vision
