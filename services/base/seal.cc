#include "services/base/seal.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "services/base/digest.h"

namespace backfire {
namespace {

constexpr size_t kDigits = 64;

// A seal is what comes before the digits, the digits, and what comes after them.
struct Form {
  std::string_view head, tail;
};
constexpr Form kLastLine = {"\nbackfire-sha256 ", "\n"};
constexpr Form kJsonMember = {"{\n \"checksum\": \"", "\",\n"};
constexpr std::string_view kJsonStart = "{\n";

Form Of(SealForm form) { return form == SealForm::kLastLine ? kLastLine : kJsonMember; }
size_t SizeOf(Form form) { return form.head.size() + kDigits + form.tail.size(); }

// Where the seal is, if there is one.
std::string_view Find(std::string_view file, SealForm form) {
  const size_t size = SizeOf(Of(form));
  if (file.size() < size) return {};
  const std::string_view seal =
      form == SealForm::kLastLine ? file.substr(file.size() - size) : file.substr(0, size);
  const bool is_seal = seal.substr(0, Of(form).head.size()) == Of(form).head &&
                       seal.substr(size - Of(form).tail.size()) == Of(form).tail;
  return is_seal ? seal : std::string_view();
}

}  // namespace

std::string Seal(std::string_view content, SealForm form) {
  std::string seal(Of(form).head);
  seal += Sha256Hex(content);
  seal += Of(form).tail;
  if (form == SealForm::kLastLine) return std::string(content) + seal;
  return seal + std::string(content.substr(kJsonStart.size()));
}

bool HasSeal(std::string_view file, SealForm form) { return !Find(file, form).empty(); }

absl::StatusOr<std::string> Unseal(std::string_view file, SealForm form, std::string_view where) {
  const std::string_view seal = Find(file, form);
  if (seal.empty()) {
    return absl::DataLossError(absl::StrCat(std::string(where), " has no checksum"));
  }
  std::string content = form == SealForm::kLastLine
                            ? std::string(file.substr(0, file.size() - seal.size()))
                            : std::string(kJsonStart) + std::string(file.substr(seal.size()));
  if (seal.substr(Of(form).head.size(), kDigits) != Sha256Hex(content)) {
    return absl::DataLossError(absl::StrCat(std::string(where), " does not match its checksum"));
  }
  return content;
}

}  // namespace backfire
