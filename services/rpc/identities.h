#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/rpc/reloaded_file.h"
#include "services/rpc/roles.h"
#include "services/rpc/security.h"

namespace grpc {
class ServerContextBase;
}

namespace backfire::runtime {

/// Who makes a call.
struct Caller {
  /// As the identities file or a certificate has it; empty: nobody in particular, or whoever has
  /// the mesh's token, whose owner is one person.
  std::string name;
  Roles roles;  ///< Empty: nobody.
};

/// What an identities file says. A line for each: role, name, and how it is known, which is
/// `sha256:HEX`, the digest of a token, or `san:TEXT`, a subject alternative name of a certificate.
///   gate      ci       sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
///   operator  ada      san:ada@example.com
/// Empty lines and what follows `#` don't count. The same again with another role adds the role.
struct IdentityTable {
  std::map<std::string, Caller> by_token_digest;
  std::map<std::string, Caller> by_alternative_name;
};
/// INVALID_ARGUMENT: every faulty line, by its number.
absl::StatusOr<IdentityTable> ParseIdentities(const std::string& text);

/// `spiffe://backfire/ROLE/NAME`, which a certificate can say of itself where no file says more.
/// A caller without roles: it is none.
Caller CallerOfSpiffeId(std::string_view alternative_name);

/// Tells who a caller is, by the files of SecurityOptions, as they are now. Thread-safe.
class Identities {
 public:
  /// Errors of the files; INVALID_ARGUMENT: one is malformed.
  static absl::StatusOr<std::unique_ptr<Identities>> Open(const SecurityOptions& options);

  /// @param authorization  The call's metadata; empty: it had none.
  /// @param alternative_names  Of the certificate that TLS has verified.
  /// UNAUTHENTICATED: a token that nobody has. Without token and certificate: a Caller without
  /// roles.
  absl::StatusOr<Caller> Identify(std::string_view authorization,
                                  const std::vector<std::string>& alternative_names) const;
  /// The caller of a call that has been let in.
  Caller CallerOf(const grpc::ServerContextBase& context) const;
  /// Whether a caller must be somebody for everything but health.
  bool strict() const { return strict_; }

 private:
  bool strict_ = false;
  std::unique_ptr<ReloadedFile<std::string>> token_digest_;
  std::unique_ptr<ReloadedFile<IdentityTable>> table_;
};

}  // namespace backfire::runtime
