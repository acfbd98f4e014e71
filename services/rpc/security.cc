#include "services/rpc/security.h"

#include <CLI/CLI.hpp>

namespace backfire::runtime {

void SecurityOptions::AddClientTo(CLI::App& app) {
  app.add_option("--token-file", token_file,
                 "File of the token that this process shows: mode 0600, read again when it changes")
      ->envname("BACKFIRE_TOKEN_FILE");
  app.add_option("--tls-certificate", tls_certificate,
                 "PEM chain that this process shows to others; read again when it changes")
      ->envname("BACKFIRE_TLS_CERTIFICATE");
  app.add_option("--tls-key", tls_key, "PEM key of --tls-certificate")->envname("BACKFIRE_TLS_KEY");
  app.add_option("--tls-ca", tls_ca, "PEM authorities that others' certificates must come from")
      ->envname("BACKFIRE_TLS_CA");
}

void SecurityOptions::AddTo(CLI::App& app) {
  AddClientTo(app);
  app.add_option("--tls-crl-dir", tls_crl_directory,
                 "Directory of revocation lists, by `openssl rehash`")
      ->envname("BACKFIRE_TLS_CRL_DIR");
  app.add_option("--identities", identities_file,
                 "File of callers and their roles; none: whoever has the token may do everything")
      ->envname("BACKFIRE_IDENTITIES");
  app.add_flag("--allow-insecure", allow_insecure,
               "Listen beyond this machine without TLS, to anybody who reaches the port")
      ->envname("BACKFIRE_ALLOW_INSECURE");
}

absl::Status SecurityOptions::Check() const {
  if (tls_certificate.empty() == tls_key.empty() && tls_key.empty() == tls_ca.empty()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "--tls-certificate, --tls-key and --tls-ca go together: give all three, or none");
}

}  // namespace backfire::runtime
