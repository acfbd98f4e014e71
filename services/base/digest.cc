#include "services/base/digest.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace backfire {

struct Sha256::Context {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(digest); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  EVP_DigestInit_ex(context_->digest, EVP_sha256(), nullptr);
}
Sha256::~Sha256() = default;

Sha256& Sha256::Update(std::string_view bytes) {
  EVP_DigestUpdate(context_->digest, bytes.data(), bytes.size());
  return *this;
}

Sha256& Sha256::UpdateField(std::string_view field) {
  return Update(absl::StrCat(field.size(), ":")).Update(field);
}

std::string Sha256::Finish() {
  std::string bytes(EVP_MAX_MD_SIZE, '\0');
  unsigned int length = 0;
  EVP_DigestFinal_ex(context_->digest, reinterpret_cast<unsigned char*>(bytes.data()), &length);
  bytes.resize(length);
  EVP_DigestInit_ex(context_->digest, EVP_sha256(), nullptr);
  return absl::BytesToHexString(bytes);
}

std::string Sha256Hex(std::string_view bytes) { return Sha256().Update(bytes).Finish(); }

}  // namespace backfire
