// Runs a fuzz entry on mutations of sound examples: bounded, and the same each time.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include "services/base/random.h"
#include "tests/fuzz/fuzz_entry.h"

namespace backfire {
namespace {

// What parsers stumble over, whatever they parse.
const char* const kAnywhere[] = {"nan",
                                 "-inf",
                                 "1e999",
                                 "-1",
                                 "0",
                                 "\r",
                                 "\n",
                                 "99999999999999999999",
                                 " ",
                                 "\t",
                                 "\x7F\xC0\xFF\xFF",
                                 "0x1p-3"};

// Flips, inserts, removes, repeats; and puts in tokens.
std::string Mutate(std::string text, const std::vector<std::string>& tokens, Random& random) {
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
        text.insert(at,
                    tokens[static_cast<size_t>(random.Below(static_cast<int64_t>(tokens.size())))]);
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

// As the target has it, or more: BACKFIRE_FUZZ_RUNS.
int Runs() {
  const char* const wanted = std::getenv("BACKFIRE_FUZZ_RUNS");
  return wanted == nullptr ? FuzzRuns() : std::atoi(wanted);
}

TEST(MutationTest, NothingBreaksTheEntry) {
  Random random(/*seed=*/3);
  const std::vector<std::string> examples = FuzzExamples();
  for (const std::string& example : examples) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(example.data()), example.size());
  }
  std::vector<std::string> tokens = FuzzTokens();
  tokens.insert(tokens.end(), std::begin(kAnywhere), std::end(kAnywhere));
  tokens.emplace_back(1, '\0');
  const int runs = Runs();
  ASSERT_GT(runs, 0) << "BACKFIRE_FUZZ_RUNS must be a number";
  for (int i = 0; i < runs; ++i) {
    const std::string text =
        Mutate(examples[static_cast<size_t>(i) % examples.size()], tokens, random);
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  }
}

}  // namespace
}  // namespace backfire
