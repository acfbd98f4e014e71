#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "services/learning/pickle.h"

namespace backfire::learning {

const PickleValue* PickleValue::Find(std::string_view key) const {
  if (kind != Kind::kDict) return nullptr;
  const PickleValue* found = nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i]->kind == Kind::kText && items[i]->text == key) found = items[i + 1];
  }
  return found;
}

bool PickleValue::IsCallOf(std::string_view global) const {
  return kind == Kind::kCall && items[0]->kind == Kind::kGlobal && items[0]->text == global;
}

std::string PickleValue::Describe() const {
  switch (kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "true or false";
    case Kind::kInteger:
    case Kind::kLong:
    case Kind::kFloat:
      return "a number";
    case Kind::kText:
      return "a text";
    case Kind::kBytes:
      return "bytes";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kList:
      return "a list";
    case Kind::kDict:
      return "a dict";
    case Kind::kGlobal:
      return absl::StrCat("the name ", absl::Utf8SafeCHexEscape(text));
    case Kind::kCall:
      return items[0]->kind == Kind::kGlobal
                 ? absl::StrCat("an object made by ", absl::Utf8SafeCHexEscape(items[0]->text))
                 : "an object";
    case Kind::kPersistent:
      return "a storage";
  }
  return "something";
}

}  // namespace backfire::learning
