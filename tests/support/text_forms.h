#pragma once

#include <string>
#include <vector>

#include "absl/strings/str_replace.h"

namespace backfire {

/// The same text as editors and systems write it: with and without a byte-order mark (one, or one a
/// line, as in files that were joined), with three ends of line, with and without the last.
/// @param text  Ends in one `\n`, and has no other control character.
inline std::vector<std::string> TextForms(const std::string& text) {
  constexpr const char* kMark = "\xEF\xBB\xBF";
  std::vector<std::string> forms;
  for (const char* end : {"\n", "\r\n", "\r"}) {
    for (const bool last : {true, false}) {
      const std::string lines = last ? text : text.substr(0, text.size() - 1);
      for (const std::string& marked :
           {lines, kMark + lines,
            kMark + absl::StrReplaceAll(lines, {{"\n", std::string("\n") + kMark}})}) {
        forms.push_back(absl::StrReplaceAll(marked, {{"\n", end}}));
      }
    }
  }
  return forms;
}

}  // namespace backfire
