// Runs a fuzz entry on mutations of sound examples: bounded, and the same each time.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "services/base/random.h"
#include "tests/fuzz/fuzz_entry.h"

namespace backfire {
namespace {

// Flips, inserts, removes, repeats; and puts in what parsers stumble over.
std::string Mutate(std::string text, Random& random) {
  static const std::vector<std::string> kTokens = {"nan",   "-inf",
                                                   "1e999", "-1",
                                                   "0",     "\r",
                                                   "\n",    std::string(1, '\0'),
                                                   ":",     "&",
                                                   "=",     "?",
                                                   "x",     "99999999999999999999",
                                                   " ",     "\t",
                                                   "P2",    "\x7F\xC0\xFF\xFF",
                                                   "+",     "0x1p-3"};
  const int64_t count = 1 + random.Below(4);
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(random.Below(static_cast<int64_t>(text.size()) + 1));
    const auto length = static_cast<size_t>(random.Below(12));
    switch (random.Below(5)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random.Below(256));
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(
            at, kTokens[static_cast<size_t>(random.Below(static_cast<int64_t>(kTokens.size())))]);
        break;
      case 3:
        text.insert(at, text.substr(at, length));
        break;
      default:
        text.resize(at);
    }
  }
  return text;
}

TEST(MutationTest, NothingBreaksTheEntry) {
  Random random(/*seed=*/3);
  const std::vector<std::string> examples = FuzzExamples();
  for (const std::string& example : examples) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(example.data()), example.size());
  }
  for (int i = 0; i < 100000; ++i) {
    const std::string text = Mutate(examples[static_cast<size_t>(i) % examples.size()], random);
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  }
}

}  // namespace
}  // namespace backfire
