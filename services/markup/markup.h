#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace backfire::markup {

/// Text that stays text, in an attribute and between tags, in HTML and in XML 1.0: markup is
/// escaped, a line end becomes `&#10;`, and other control characters, which XML does not know,
/// become spaces.
std::string Escaped(absl::string_view text);

/// A document of elements that is written from its beginning to its end. One thread.
class Markup {
 public:
  using Attribute = std::pair<absl::string_view, std::string>;
  using Attributes = std::initializer_list<Attribute>;

  /// Begins an element. Names of tags and attributes are the program's, values anybody's; an
  /// attribute with an empty value is left out.
  Markup& Open(absl::string_view tag, Attributes attributes = {});
  /// Ends the innermost element that was begun.
  Markup& Close();
  /// An element without content: `<rect .../>`.
  Markup& Empty(absl::string_view tag, Attributes attributes = {});
  /// An element with text alone.
  Markup& Element(absl::string_view tag, Attributes attributes, absl::string_view text);
  Markup& Text(absl::string_view text);
  /// What another writer, or the program itself, has written: it is not escaped again.
  Markup& Written(absl::string_view markup);
  /// A line end, for those who read the source.
  Markup& Line();

  /// What was written; all elements must have been ended.
  std::string Take();

 private:
  void Tag(absl::string_view tag, Attributes attributes);

  std::string text_;
  std::vector<std::string> open_;
};

}  // namespace backfire::markup
