#include "services/rpc/token.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::runtime {
namespace {

constexpr std::string_view kBearer = "Bearer ";
constexpr size_t kShortest = 32, kLongest = 4096;

bool IsTokenCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         std::string_view("._~+/=-").find(c) != std::string_view::npos;
}

}  // namespace

absl::StatusOr<std::string> ParseToken(const std::string& text) {
  const std::string token(absl::StripAsciiWhitespace(text));
  if (token.size() < kShortest || token.size() > kLongest ||
      !std::all_of(token.begin(), token.end(), IsTokenCharacter)) {
    return absl::InvalidArgumentError(absl::StrCat("a token must have ", kShortest, " to ",
                                                   kLongest, " characters of [A-Za-z0-9._~+/=-]"));
  }
  return token;
}

std::string BearerOf(std::string_view token) {
  return std::string(kBearer).append(token.data(), token.size());
}

std::string_view TokenOf(std::string_view authorization) {
  // The scheme's case is free, as RFC 9110 has it.
  if (authorization.size() <= kBearer.size()) return {};
  for (size_t i = 0; i < kBearer.size(); ++i) {
    if (absl::ascii_tolower(static_cast<unsigned char>(authorization[i])) !=
        absl::ascii_tolower(static_cast<unsigned char>(kBearer[i]))) {
      return {};
    }
  }
  return authorization.substr(kBearer.size());
}

absl::Status MakeTokenFile(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) return absl::OkStatus();
  std::array<char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return ErrnoToStatus(errno, "getrandom");
  }
  const std::string line = absl::StrCat(absl::BytesToHexString({bytes.data(), bytes.size()}), "\n");
  // Made whole under another name, so that nobody reads half of it.
  const std::string made = absl::StrCat(path.string(), ".", ::getpid(), ".", ::gettid());
  const int descriptor = ::open(made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return ErrnoToStatus(errno, made);
  const bool written =
      ::write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
      ::fsync(descriptor) == 0;
  const int write_error = errno;
  ::close(descriptor);
  // Of two that make it at once, the first wins.
  const bool linked = written && (::link(made.c_str(), path.c_str()) == 0 || errno == EEXIST);
  const absl::Status status =
      linked ? absl::OkStatus() : ErrnoToStatus(written ? errno : write_error, path.string());
  ::unlink(made.c_str());
  BACKFIRE_RETURN_IF_ERROR(status);
  return SyncDirectory(path.parent_path());
}

}  // namespace backfire::runtime
