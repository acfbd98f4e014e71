#include "services/rpc/credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/mutex.h"
#include "services/base/status.h"
#include "services/rpc/address.h"
#include "services/rpc/reloaded_file.h"
#include "services/rpc/token.h"

namespace backfire::runtime {
namespace {

using grpc::experimental::InterceptionHookPoints;
using Token = ReloadedFile<std::string>;
using CertificateProvider = grpc::experimental::FileWatcherCertificateProvider;

// Files are looked at this often, as ReloadedFile does.
constexpr unsigned kReloadSeconds = 1;

/// What this process shows.
struct Shown {
  Mutex mutex;
  std::shared_ptr<Token> token ABSL_GUARDED_BY(mutex);
  std::shared_ptr<CertificateProvider> certificate ABSL_GUARDED_BY(mutex);
};

Shown& ThisProcess() {
  static auto& shown = *new Shown;  // Never destroyed: calls may be made after main has ended.
  return shown;
}

std::shared_ptr<CertificateProvider> Watch(const SecurityOptions& options) {
  return std::make_shared<CertificateProvider>(options.tls_key.string(),
                                               options.tls_certificate.string(),
                                               options.tls_ca.string(), kReloadSeconds);
}

/// gRPC takes a file that is missing for one that is yet to come, and refuses everybody meanwhile.
absl::Status CheckReadable(const SecurityOptions& options) {
  for (const auto& path : {options.tls_certificate, options.tls_key, options.tls_ca}) {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
    if (text.find("-----BEGIN ") == std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(path.string(), ": is no PEM"));
    }
  }
  return absl::OkStatus();
}

class TokenInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit TokenInterceptor(std::string value) : value_(std::move(value)) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      auto* metadata = methods->GetSendInitialMetadata();
      if (metadata->count(kAuthorization) == 0) metadata->insert({kAuthorization, value_});
    }
    methods->Proceed();
  }

 private:
  const std::string value_;
};

class TokenFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenFactory(std::shared_ptr<Token> token) : token_(std::move(token)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new TokenInterceptor(BearerOf(*token_->Get()));  // gRPC deletes it.
  }

 private:
  const std::shared_ptr<Token> token_;
};

}  // namespace

absl::Status ShowIdentity(const SecurityOptions& options) {
  BACKFIRE_RETURN_IF_ERROR(options.Check());
  std::shared_ptr<Token> token;
  std::shared_ptr<CertificateProvider> certificate;
  if (!options.token_file.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(token, Token::Open(options.token_file, true, ParseToken));
  }
  if (options.tls()) {
    BACKFIRE_RETURN_IF_ERROR(CheckReadable(options));
    certificate = Watch(options);
  }
  MutexLock lock(ThisProcess().mutex);
  ThisProcess().token = std::move(token);
  ThisProcess().certificate = std::move(certificate);
  return absl::OkStatus();
}

std::shared_ptr<grpc::ChannelCredentials> ChannelCredentialsFor(const std::string& target) {
  MutexLock lock(ThisProcess().mutex);
  if (ThisProcess().certificate == nullptr || IsUnix(target)) {
    return grpc::InsecureChannelCredentials();
  }
  grpc::experimental::TlsChannelCredentialsOptions tls;
  tls.set_certificate_provider(ThisProcess().certificate);
  tls.watch_root_certs();
  tls.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(tls);
}

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> TokenFor(
    const std::string& target) {
  MutexLock lock(ThisProcess().mutex);
  const bool is_hidden = ThisProcess().certificate != nullptr || IsLocal(target);
  if (ThisProcess().token == nullptr || !is_hidden) return nullptr;
  return std::make_unique<TokenFactory>(ThisProcess().token);
}

bool IsVerified(const std::string& target) {
  MutexLock lock(ThisProcess().mutex);
  return ThisProcess().certificate != nullptr || IsUnix(target);
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsFor(
    const SecurityOptions& options, const std::string& address,
    std::shared_ptr<grpc::AuthMetadataProcessor> door) {
  BACKFIRE_RETURN_IF_ERROR(options.Check());
  if (options.tls() && !IsUnix(address)) {
    BACKFIRE_RETURN_IF_ERROR(CheckReadable(options));
    grpc::experimental::TlsServerCredentialsOptions tls(Watch(options));
    tls.watch_root_certs();
    tls.watch_identity_key_cert_pairs();
    // Who shows none may have a token; who shows a wrong one is refused.
    tls.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
    // Names of peers are the door's to check, and a client has no host.
    tls.set_check_call_host(false);
    // Any directory will do where there are no lists: gRPC says why it refuses a certificate only
    // where it has been given one.
    const std::filesystem::path lists =
        options.tls_crl_directory.empty() ? std::filesystem::absolute(options.tls_ca).parent_path()
                                          : options.tls_crl_directory;
    tls.set_crl_directory(lists.string());
    auto credentials = grpc::experimental::TlsServerCredentials(tls);
    credentials->SetAuthMetadataProcessor(std::move(door));
    return credentials;
  }
  if (!IsLocal(address) && !options.allow_insecure) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--listen: ", address, " is open to other machines, and there is no TLS: give ",
        "--tls-certificate, --tls-key and --tls-ca, or --allow-insecure where only those reach "
        "the ",
        "port who may do everything"));
  }
  if (!options.guarded()) return grpc::InsecureServerCredentials();
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  const bool is_checked =
      IsUnix(address) || (parsed.ok() && (parsed->host == "localhost" ||
                                          parsed->host == "127.0.0.1" || parsed->host == "::1"));
  if (!is_checked) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen: with a token and without TLS it must be a unix socket, localhost, ",
                     "127.0.0.1 or [::1]: got ", address, ", where others could read the token"));
  }
  // Nothing but this machine's own is let in; what is sent is not encrypted.
  auto credentials = grpc::experimental::LocalServerCredentials(IsUnix(address) ? UDS : LOCAL_TCP);
  credentials->SetAuthMetadataProcessor(std::move(door));
  return credentials;
}

}  // namespace backfire::runtime
