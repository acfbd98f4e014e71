// Runs a fuzz entry on mutations of sound examples: bounded, and the same each time.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "services/base/random.h"
#include "services/datasets/lidar.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace backfire {
namespace {

std::vector<std::string> Examples() {
  using datasets::LidarPoint;
  return {
      std::string(1, '\0') +
          "Car 0.00 0 -1.57 600.0 150.0 640.0 190.0 1.5 1.6 3.9 1.0 1.7 20.0 -1.57\n"
          "DontCare -1 -1 -10 5.0 170.0 60.0 250.0 -1 -1 -1 -1000 -1000 -1000 -10\r\n"
          "Pedestrian -1 -1 0.2 7 1 8 3 1.8 0.5 0.9 2 1.6 8.4 0.01 0.875\n",
      std::string(1, '\1') +
          "P0: 700 0 600 0 0 700 180 0 0 0 1 0\nP1: 700 0 600 -370 0 700 180 0 0 0 1 0\n"
          "P2: 700 0 600 45 0 700 180 0.2 0 0 1 0.003\nP3: 700 0 600 -330 0 700 180 2.2 0 0 1 "
          "0.003\n"
          "R0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27\n",
      std::string(1, '\2') +
          datasets::FormatLidar({{10, 1, -1, 0.5f}, {12, -1, 0, 0}, {5, 0, 0, 1}}),
      std::string(1, '\3') + "rendered:tiny?frames=600&seed=1&cars=5.5&crop=100x50+1+2&size=64x32",
      std::string(1, '\3') + "kitti:/data/kitti?train=train&validation=&test=val&size=608x176"};
}

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

TEST(KittiFuzzTest, NothingBreaksTheParsers) {
  Random random(/*seed=*/3);
  const std::vector<std::string> examples = Examples();
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
