// What a fuzz target is: libFuzzer's entry; and what both of its drivers start from, which are
// libFuzzer (libfuzzer_corpus.cc) and a bounded unit test (mutation_test.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace backfire {

/// Inputs that are taken as they are.
std::vector<std::string> FuzzExamples();

/// What the format is made of: words, names, instructions.
std::vector<std::string> FuzzTokens();

/// Mutations that the unit test tries: what takes a second or two.
int FuzzRuns();

/// Ends the process, which is how a fuzzer hears that a contract is broken; says where it was
/// called.
inline void Require(bool holds, int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "the contract of line %d is broken\n", line);
  std::abort();
}

/// A refusal is one that its reader can act on, and not a fault of the program.
inline void RequireRefusal(const absl::Status& status, int line = __builtin_LINE()) {
  Require(!status.ok() && !status.message().empty(), line);
  Require(status.code() != absl::StatusCode::kUnknown, line);
}

}  // namespace backfire
