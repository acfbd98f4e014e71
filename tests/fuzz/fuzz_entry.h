// What a fuzz target is: libFuzzer's entry, and sound examples that mutation_test.cc starts from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace backfire {

/// Inputs that are taken as they are.
std::vector<std::string> FuzzExamples();

/// Ends the process, which is how a fuzzer hears that a contract is broken.
inline void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace backfire
