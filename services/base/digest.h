#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace backfire {

/// Computes a SHA-256 piece by piece. One thread.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& Update(std::string_view bytes);
  /// Adds a text of its own, so that ("a", "bc") and ("ab", "c") differ: length, then bytes.
  Sha256& UpdateField(std::string_view field);
  /// Returns 64 hexadecimal digits, and starts afresh.
  std::string Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// Returns the SHA-256 of `bytes` as 64 hexadecimal digits.
std::string Sha256Hex(std::string_view bytes);

}  // namespace backfire
