#include "services/yaml/yaml_message.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/base/status.h"

namespace backfire {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Of free-form values: an alias may contain itself.
constexpr int kMaxDepth = 50;
// What aliases may add to a text: entries of mappings and lists, and bytes of values. Without
// aliases, a text has no more of either than it has bytes.
constexpr size_t kAliasedEntries = 10'000;
constexpr size_t kAliasedBytes = 1 << 20;

std::string Quoted(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<unsigned>(c));
    } else {
      json += c;
    }
  }
  return json + "\"";
}

// Turns YAML into the JSON of a message, guided by its descriptor, so that faults have lines and
// `1.0` is a text where a text is due and a number where a number is.
class Converter {
 public:
  Converter(std::string file, size_t text_bytes)
      : file_(std::move(file)),
        entries_left_(text_bytes + kAliasedEntries),
        bytes_left_(text_bytes + kAliasedBytes) {}

  absl::StatusOr<std::string> Message(const YAML::Node& node, const Descriptor& type,
                                      const std::string& path) {
    if (type.full_name() == "google.protobuf.Struct") return FreeForm(node, path);
    if (type.full_name() == "google.protobuf.Duration") return Duration(node, path);
    if (!node.IsMap()) return Fault(node, path, "must be a mapping");
    std::vector<std::string> members;
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string key = entry.first.as<std::string>();
      BACKFIRE_RETURN_IF_ERROR(Expand(entry.second, path));
      const std::string field_path = path.empty() ? key : absl::StrCat(path, ".", key);
      const FieldDescriptor* field = type.FindFieldByName(key);
      if (field == nullptr) field = type.FindFieldByCamelcaseName(key);
      if (field == nullptr) {
        std::vector<std::string> known;
        for (int i = 0; i < type.field_count(); ++i) known.push_back(type.field(i)->name());
        return Fault(entry.first, field_path,
                     absl::StrCat("unknown field; there are ", absl::StrJoin(known, ", ")));
      }
      if (!seen.insert(field->name()).second) {
        return Fault(entry.first, field_path, "is there twice");
      }
      if (entry.second.IsNull()) continue;
      BACKFIRE_ASSIGN_OR_RETURN(const std::string value, Field(entry.second, *field, field_path));
      members.push_back(absl::StrCat(Quoted(field->name()), ":", value));
    }
    return absl::StrCat("{", absl::StrJoin(members, ","), "}");
  }

 private:
  absl::Status Fault(const YAML::Node& node, const std::string& path,
                     const std::string& what) const {
    // An empty file has no mark.
    return absl::InvalidArgumentError(absl::StrCat(file_, ":", std::max(node.Mark().line, 0) + 1,
                                                   ": ", path.empty() ? "the file" : path, ": ",
                                                   what));
  }

  // Counts an entry of a mapping or a list, each time that aliases lead to it again.
  absl::Status Expand(const YAML::Node& entry, const std::string& path) {
    const size_t bytes = entry.IsScalar() ? entry.Scalar().size() : 0;
    if (entries_left_ == 0 || bytes > bytes_left_) {
      return Fault(entry, path.substr(0, 200),
                   absl::StrCat("aliases make more of the file than ", kAliasedEntries,
                                " values and ", kAliasedBytes, " bytes beyond its own"));
    }
    --entries_left_;
    bytes_left_ -= bytes;
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Duration(const YAML::Node& node, const std::string& path) const {
    constexpr char kMust[] = "must be seconds, as 90s or 0.5s";
    if (!node.IsScalar()) return Fault(node, path, kMust);
    absl::string_view digits = node.Scalar();
    double seconds = 0;
    if (!absl::ConsumeSuffix(&digits, "s") || !absl::SimpleAtod(digits, &seconds) ||
        !(std::abs(seconds) < 1e9)) {
      return Fault(node, path, absl::StrCat(kMust, ": got ", node.Scalar()));
    }
    return Quoted(absl::StrFormat("%.9fs", seconds));
  }

  // Printed anew: JSON has neither +5 nor 007. Quoted, as JSON's numbers are too short for 64 bits.
  template <typename Integer>
  absl::StatusOr<std::string> Whole(const YAML::Node& node, const std::string& path,
                                    const char* must) const {
    Integer number = 0;
    if (!absl::SimpleAtoi(node.Scalar(), &number)) {
      return Fault(node, path, absl::StrCat(must, node.Scalar()));
    }
    return Quoted(absl::StrCat(number));
  }

  absl::StatusOr<std::string> Field(const YAML::Node& node, const FieldDescriptor& field,
                                    const std::string& path) {
    if (field.is_map()) {
      if (!node.IsMap()) return Fault(node, path, "must be a mapping");
      std::vector<std::string> members;
      std::set<std::string> seen;
      for (const auto& entry : node) {
        const std::string key = entry.first.as<std::string>();
        BACKFIRE_RETURN_IF_ERROR(Expand(entry.second, path));
        if (!seen.insert(key).second) {
          return Fault(entry.first, absl::StrCat(path, "[", key, "]"), "is there twice");
        }
        BACKFIRE_ASSIGN_OR_RETURN(const std::string value,
                                  Value(entry.second, *field.message_type()->map_value(),
                                        absl::StrCat(path, "[", key, "]")));
        members.push_back(absl::StrCat(Quoted(key), ":", value));
      }
      return absl::StrCat("{", absl::StrJoin(members, ","), "}");
    }
    if (!field.is_repeated()) return Value(node, field, path);
    if (!node.IsSequence()) return Fault(node, path, "must be a list");
    std::vector<std::string> elements;
    for (size_t i = 0; i < node.size(); ++i) {
      BACKFIRE_RETURN_IF_ERROR(Expand(node[i], path));
      BACKFIRE_ASSIGN_OR_RETURN(std::string element,
                                Value(node[i], field, absl::StrCat(path, "[", i, "]")));
      elements.push_back(std::move(element));
    }
    return absl::StrCat("[", absl::StrJoin(elements, ","), "]");
  }

  absl::StatusOr<std::string> Value(const YAML::Node& node, const FieldDescriptor& field,
                                    const std::string& path) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return Message(node, *field.message_type(), path);
    }
    if (!node.IsScalar()) return Fault(node, path, "must be a single value");
    const std::string& text = node.Scalar();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return Quoted(text);
      case FieldDescriptor::CPPTYPE_BOOL:
        if (text != "true" && text != "false") return Fault(node, path, "must be true or false");
        return text;
      case FieldDescriptor::CPPTYPE_INT32:
        return Whole<int32_t>(node, path, "must be a whole number: got ");
      case FieldDescriptor::CPPTYPE_INT64:
        return Whole<int64_t>(node, path, "must be a whole number: got ");
      case FieldDescriptor::CPPTYPE_UINT64:
        return Whole<uint64_t>(node, path, "must be a whole number >= 0: got ");
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        double number = 0;
        if (!absl::SimpleAtod(text, &number) || !std::isfinite(number)) {
          return Fault(node, path, absl::StrCat("must be a number: got ", text));
        }
        return absl::StrFormat("%.17g", number);
      }
      default:
        return Fault(node, path, "has a type that YAML files don't have");
    }
  }

  // A Struct's content: YAML's own rules say what a plain scalar is.
  absl::StatusOr<std::string> FreeForm(const YAML::Node& node, const std::string& path,
                                       int depth = 0) {
    if (depth > kMaxDepth) return Fault(node, path.substr(0, 200), "is nested too deeply");
    if (node.IsMap()) {
      std::vector<std::string> members;
      std::set<std::string> seen;
      for (const auto& entry : node) {
        const std::string key = entry.first.as<std::string>();
        BACKFIRE_RETURN_IF_ERROR(Expand(entry.second, path));
        if (!seen.insert(key).second) {
          return Fault(entry.first, absl::StrCat(path, ".", key), "is there twice");
        }
        BACKFIRE_ASSIGN_OR_RETURN(const std::string value,
                                  FreeForm(entry.second, absl::StrCat(path, ".", key), depth + 1));
        members.push_back(absl::StrCat(Quoted(key), ":", value));
      }
      return absl::StrCat("{", absl::StrJoin(members, ","), "}");
    }
    if (node.IsSequence()) {
      std::vector<std::string> elements;
      for (size_t i = 0; i < node.size(); ++i) {
        BACKFIRE_RETURN_IF_ERROR(Expand(node[i], path));
        BACKFIRE_ASSIGN_OR_RETURN(std::string element,
                                  FreeForm(node[i], absl::StrCat(path, "[", i, "]"), depth + 1));
        elements.push_back(std::move(element));
      }
      return absl::StrCat("[", absl::StrJoin(elements, ","), "]");
    }
    if (!node.IsScalar()) return std::string("null");
    const std::string& text = node.Scalar();
    const bool is_plain = node.Tag() == "?";
    double number = 0;
    if (is_plain && (text == "true" || text == "false")) return text;
    if (is_plain && absl::SimpleAtod(text, &number) && std::isfinite(number)) {
      return absl::StrFormat("%.17g", number);
    }
    return Quoted(text);
  }

  const std::string file_;
  size_t entries_left_, bytes_left_;
};

// Hears what a text says, and keeps nothing.
class Nobody : public YAML::EventHandler {
 public:
  using Mark = YAML::Mark;
  using Anchor = YAML::anchor_t;
  using Style = YAML::EmitterStyle::value;
  void OnDocumentStart(const Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const Mark&, Anchor) override {}
  void OnAlias(const Mark&, Anchor) override {}
  void OnScalar(const Mark&, const std::string&, Anchor, const std::string&) override {}
  void OnSequenceStart(const Mark&, const std::string&, Anchor, Style) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const Mark&, const std::string&, Anchor, Style) override {}
  void OnMapEnd() override {}
};

// Whether a text has a second document. YAML::LoadAll would say, but for a text that begins with a
// comma: of that it makes documents without end.
bool HasSeveralDocuments(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  Nobody nobody;
  return parser.HandleNextDocument(nobody) && parser.HandleNextDocument(nobody);
}

// What a key or an index leads to: the entry's node, and the one that its line is of.
std::optional<std::pair<YAML::Node, YAML::Node>> Step(const YAML::Node& node,
                                                      const std::string& key) {
  if (node.IsMap()) {
    for (const auto& entry : node) {
      if (entry.first.as<std::string>() == key) return std::pair{entry.second, entry.first};
    }
  }
  if (!node.IsSequence()) return std::nullopt;
  for (size_t i = 0; i < node.size(); ++i) {
    const YAML::Node element = node[i];
    const bool named = element.IsMap() && element["name"] && element["name"].IsScalar() &&
                       element["name"].Scalar() == key;
    if (named || key == absl::StrCat(i)) return std::pair{element, element};
  }
  return std::nullopt;
}

// The line, from 1, of as much of a fault's path as the file has: `vertices[a].inputs[x]:
// ...`. nullopt: it has nothing of it.
std::optional<int> LineOf(const YAML::Node& root, const std::string& fault) {
  std::optional<int> line;
  YAML::Node node = root;
  for (size_t at = 0; at < fault.size();) {
    const bool bracket = fault[at] == '[';
    if (bracket || fault[at] == '.') ++at;
    size_t end = at;
    while (end < fault.size() &&
           (bracket ? fault[end] != ']'
                    : absl::ascii_isalnum(static_cast<unsigned char>(fault[end])) ||
                          fault[end] == '_')) {
      ++end;
    }
    const auto next = Step(node, fault.substr(at, end - at));
    if (!next.has_value()) break;
    // Assigning to a node would change what it refers to.
    node.reset(next->first);
    line = next->second.Mark().line + 1;
    at = end + (bracket ? 1 : 0);
  }
  return line;
}

absl::Status WithLines(const absl::Status& status, const YAML::Node& root,
                       const std::string& file) {
  std::vector<std::string> faults;
  for (const auto fault : absl::StrSplit(status.message(), '\n')) {
    const std::optional<int> line = LineOf(root, std::string(fault));
    faults.push_back(line.has_value() ? absl::StrCat(file, ":", *line, ": ", fault)
                                      : absl::StrCat(file, ": ", fault));
  }
  return absl::Status(status.code(), absl::StrJoin(faults, "\n"));
}

}  // namespace

absl::Status ParseYaml(const std::string& text, const std::string& name,
                       google::protobuf::Message& message) {
  try {
    if (HasSeveralDocuments(text)) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": must be one document: got several"));
    }
    const YAML::Node root = YAML::Load(text);
    BACKFIRE_ASSIGN_OR_RETURN(
        const std::string json,
        Converter(name, text.size()).Message(root, *message.GetDescriptor(), ""));
    const auto parsed = google::protobuf::util::JsonStringToMessage(json, &message);
    if (parsed.ok()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", parsed.message().ToString()));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ":", error.mark.line + 1, ": not YAML: ", error.msg));
  }
}

absl::Status LocateFaults(const absl::Status& faults, const std::string& text,
                          const std::string& name) {
  try {
    return WithLines(faults, YAML::Load(text), name);
  } catch (const YAML::Exception&) {
    return Annotate(faults, name);
  }
}

}  // namespace backfire
