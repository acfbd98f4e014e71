#include "services/rpc/certificate_expiry.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/rpc/sampled_family.h"

namespace backfire::runtime {

absl::StatusOr<int64_t> CertificateExpiry(const std::filesystem::path& certificate) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::string text, ReadFile(certificate));
  const std::unique_ptr<BIO, decltype(&BIO_free)> bytes(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> read(
      PEM_read_bio_X509(bytes.get(), nullptr, nullptr, nullptr), &X509_free);
  std::tm end{};
  if (read == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(read.get()), &end) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(certificate.string(), ": no certificate in it"));
  }
  return static_cast<int64_t>(::timegm(&end));
}

std::vector<prometheus::MetricFamily> CertificateMetrics(const std::filesystem::path& certificate) {
  const absl::StatusOr<int64_t> end = CertificateExpiry(certificate);
  if (!end.ok()) return {};
  prometheus::MetricFamily family =
      GaugeFamily("backfire_tls_certificate_expiry_timestamp_seconds",
                  "When the certificate of this process ends, since 1970.");
  AddSample(family, {}, static_cast<double>(*end));
  return {std::move(family)};
}

}  // namespace backfire::runtime
