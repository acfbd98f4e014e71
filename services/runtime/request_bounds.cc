#include "services/runtime/request_bounds.h"

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/status.h"

namespace backfire::runtime {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Of one field: bytes of a text, or entries of a list or mapping.
struct Bound {
  std::string_view field;
  int64_t most;
};
constexpr int64_t kText = 1024;
constexpr int64_t kEntries = 10'000;
constexpr Bound kTexts[] = {
    {"request_id", 128},  // As request_id.h has it.
    {"digest", 128},       {"split", 64},
    {"uri", 64 << 10},  // A planar dataset is described in it.
    {"dataset", 64 << 10}, {"description", 4096},
    {"reason", 4096},      {"string_value", 64 << 10},  // Of a recipe's parameters.
    {"data", 4 << 20},                                  // A piece of a file.
};
constexpr Bound kLists[] = {
    {"examples", 1'000'000},  // Of a split, as planar datasets have them.
    {"shape", 64},
};
// Of what arrives in one message; files come in pieces.
constexpr int64_t kMessage = int64_t{64} << 20;

// Typed and raw contents of tensors: checked_tensor.h holds them to their shapes.
bool IsTensorData(const FieldDescriptor& field) {
  const std::string& name = field.name();
  constexpr std::string_view kSuffix = "_contents";
  return name.size() > kSuffix.size() &&
         std::string_view(name).substr(name.size() - kSuffix.size()) == kSuffix;
}

template <size_t kCount>
int64_t Find(const Bound (&bounds)[kCount], const std::string& field, int64_t otherwise) {
  for (const Bound& bound : bounds) {
    if (bound.field == field) return bound.most;
  }
  return otherwise;
}

absl::Status TooMuch(const std::string& path, int64_t most, const char* of, int64_t got) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, " must have at most ", most, " ", of, ": got ", got));
}

absl::Status Check(const Message& message, const std::string& path);

absl::Status CheckField(const Message& message, const FieldDescriptor& field,
                        const std::string& path) {
  const Reflection& reflection = *message.GetReflection();
  const bool is_text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  const int64_t most = Find(kTexts, field.name(), kText);
  std::string scratch;
  if (!field.is_repeated()) {
    if (is_message) return Check(reflection.GetMessage(message, &field), path);
    if (!is_text) return absl::OkStatus();
    const auto size =
        static_cast<int64_t>(reflection.GetStringReference(message, &field, &scratch).size());
    return size <= most ? absl::OkStatus() : TooMuch(path, most, "bytes", size);
  }
  const int count = reflection.FieldSize(message, &field);
  const int64_t entries = Find(kLists, field.name(), kEntries);
  if (count > entries) return TooMuch(path, entries, "entries", count);
  for (int i = 0; (is_text || is_message) && i < count; ++i) {
    const std::string entry = absl::StrCat(path, "[", i, "]");
    if (is_message) {
      BACKFIRE_RETURN_IF_ERROR(Check(reflection.GetRepeatedMessage(message, &field, i), entry));
      continue;
    }
    const auto size = static_cast<int64_t>(
        reflection.GetRepeatedStringReference(message, &field, i, &scratch).size());
    if (size > most) return TooMuch(entry, most, "bytes", size);
  }
  return absl::OkStatus();
}

absl::Status Check(const Message& message, const std::string& path) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (IsTensorData(*field)) continue;
    BACKFIRE_RETURN_IF_ERROR(CheckField(
        message, *field, path.empty() ? field->name() : absl::StrCat(path, ".", field->name())));
  }
  // Nobody reads them, but whoever keeps the request would keep them.
  const auto unknown = static_cast<int64_t>(
      message.GetReflection()->GetUnknownFields(message).SpaceUsedExcludingSelfLong());
  if (unknown <= kText * 64) return absl::OkStatus();
  return TooMuch(path.empty() ? "the request" : path, kText * 64, "bytes of unknown fields",
                 unknown);
}

}  // namespace

absl::Status CheckBounds(const Message& request) {
  BACKFIRE_RETURN_IF_ERROR(Check(request, ""));
  // Many small things; a request with tensors is as large as they are.
  const bool has_tensors =
      request.GetDescriptor()->FindFieldByName("raw_input_contents") != nullptr;
  const auto bytes = has_tensors ? 0 : static_cast<int64_t>(request.ByteSizeLong());
  return bytes <= kMessage ? absl::OkStatus() : TooMuch("the request", kMessage, "bytes", bytes);
}

}  // namespace backfire::runtime
