#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"

namespace CLI {
class App;
}

namespace backfire::runtime {

/// Who a process is to others, whom it knows, and how it is reached. docs/reliability.md.
struct SecurityOptions {
  /// A file with a token, as `backfire up` makes it: sent with every call that stays on this
  /// machine or goes by TLS, and demanded of callers. Empty: none.
  std::filesystem::path token_file;
  /// A file of callers, and what each may do (identities.h). Empty: the token is all there is, and
  /// may do everything.
  std::filesystem::path identities_file;
  /// A certificate chain, its key, and the authorities of those whom it talks to; PEM, read again
  /// when they change. Both sides show one. Empty: no TLS.
  std::filesystem::path tls_certificate;
  std::filesystem::path tls_key;
  std::filesystem::path tls_ca;
  /// A directory of hashed revocation lists (`openssl rehash`). Empty: none.
  std::filesystem::path tls_crl_directory;
  /// Whether to listen beyond this machine without TLS: to anybody who reaches the port.
  bool allow_insecure = false;

  bool tls() const { return !tls_certificate.empty(); }
  /// Whether callers must be somebody.
  bool guarded() const { return !token_file.empty() || !identities_file.empty() || tls(); }
  /// Adds the flags --token-file, --identities, --tls-certificate, --tls-key, --tls-ca,
  /// --tls-crl-dir and --allow-insecure, each of which the environment can give as BACKFIRE_NAME.
  void AddTo(CLI::App& app);
  /// Adds those of a program that only calls.
  void AddClientTo(CLI::App& app);
  /// INVALID_ARGUMENT: TLS needs all of certificate, key and authorities, or none.
  absl::Status Check() const;
};

}  // namespace backfire::runtime
