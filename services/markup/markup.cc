#include "services/markup/markup.h"

#include <cassert>
#include <utility>

#include "absl/strings/str_cat.h"

namespace backfire::markup {

std::string Escaped(absl::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\n':
        escaped += "&#10;";
        break;
      default: {
        const auto code = static_cast<unsigned char>(c);
        escaped += code < 0x20 || code == 0x7f ? ' ' : c;
      }
    }
  }
  return escaped;
}

void Markup::Tag(absl::string_view tag, Attributes attributes) {
  absl::StrAppend(&text_, "<", tag);
  for (const auto& [name, value] : attributes) {
    if (value.empty()) continue;
    absl::StrAppend(&text_, " ", name, "=\"", Escaped(value), "\"");
  }
}

Markup& Markup::Open(absl::string_view tag, Attributes attributes) {
  Tag(tag, attributes);
  text_ += '>';
  open_.emplace_back(tag);
  return *this;
}

Markup& Markup::Close() {
  assert(!open_.empty());
  absl::StrAppend(&text_, "</", open_.back(), ">");
  open_.pop_back();
  return *this;
}

Markup& Markup::Empty(absl::string_view tag, Attributes attributes) {
  Tag(tag, attributes);
  text_ += "/>";
  return *this;
}

Markup& Markup::Element(absl::string_view tag, Attributes attributes, absl::string_view text) {
  Open(tag, attributes);
  Text(text);
  return Close();
}

Markup& Markup::Text(absl::string_view text) {
  text_ += Escaped(text);
  return *this;
}

Markup& Markup::Written(absl::string_view markup) {
  absl::StrAppend(&text_, markup);
  return *this;
}

Markup& Markup::Line() {
  text_ += '\n';
  return *this;
}

std::string Markup::Take() {
  assert(open_.empty());
  return std::move(text_);
}

}  // namespace backfire::markup
