#include "services/base/digest.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace backfire {

namespace {

// OpenSSL looks an algorithm up anew for each digest that asks for it by EVP_sha256(), which takes
// longer than a short text.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  bool has_begun = false;
  ~Context() { EVP_MD_CTX_free(digest); }
  void Begin() {
    if (!has_begun) EVP_DigestInit_ex(digest, Algorithm(), nullptr);
    has_begun = true;
  }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;

Sha256& Sha256::Update(std::string_view bytes) {
  context_->Begin();
  EVP_DigestUpdate(context_->digest, bytes.data(), bytes.size());
  return *this;
}

Sha256& Sha256::UpdateField(std::string_view field) {
  return Update(absl::StrCat(field.size(), ":")).Update(field);
}

std::string Sha256::Finish() {
  context_->Begin();
  std::string bytes(EVP_MAX_MD_SIZE, '\0');
  unsigned int length = 0;
  EVP_DigestFinal_ex(context_->digest, reinterpret_cast<unsigned char*>(bytes.data()), &length);
  bytes.resize(length);
  context_->has_begun = false;
  return absl::BytesToHexString(bytes);
}

std::string Sha256Hex(std::string_view bytes) { return Sha256().Update(bytes).Finish(); }

}  // namespace backfire
