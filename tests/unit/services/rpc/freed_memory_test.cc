#include "services/rpc/freed_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

namespace backfire::runtime {
namespace {

constexpr int64_t kMegabyte = 1 << 20;

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST(FreedMemoryTest, WhatWasFreedBetweenWhatStaysIsGivenBack) {
#if defined(__SANITIZE_ADDRESS__) || defined(BACKFIRE_THREAD_SANITIZER)
  GTEST_SKIP() << "the sanitizer's allocator keeps what is freed on purpose";
#endif
  const int64_t before = ResidentBytes();
  // 128 MB in pieces, of which one in a thousand stays, the last among them.
  std::vector<std::unique_ptr<char[]>> pieces;
  for (int i = 0; i < 128 * 1024; ++i) {
    pieces.push_back(std::make_unique<char[]>(1000));
    pieces.back()[0] = 1;
  }
  for (size_t i = 0; i + 1 < pieces.size(); ++i) {
    if (i % 1000 != 0) pieces[i].reset();
  }
  EXPECT_GT(ResidentBytes(), before + 100 * kMegabyte) << "the C library keeps it";
  FreedMemoryOptions options;
  options.period = std::chrono::milliseconds(10);
  options.resting_share = 1e9;  // Others' tests may work beside this one.
  const FreedMemory freed(options);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (ResidentBytes() > before + 40 * kMegabyte && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::yield();
  }
  EXPECT_LT(ResidentBytes(), before + 40 * kMegabyte);
}

TEST(FreedMemoryTest, WhatWorksKeepsIt) {
#if defined(__SANITIZE_ADDRESS__) || defined(BACKFIRE_THREAD_SANITIZER)
  GTEST_SKIP() << "the sanitizer's allocator keeps what is freed on purpose";
#endif
  std::vector<std::unique_ptr<char[]>> pieces;
  const int64_t before = ResidentBytes();
  FreedMemoryOptions options;
  options.period = std::chrono::milliseconds(5);
  options.resting_share = 0;  // Nobody rests as much.
  const FreedMemory freed(options);
  for (int i = 0; i < 128 * 1024; ++i) {
    pieces.push_back(std::make_unique<char[]>(1000));
    pieces.back()[0] = 1;
  }
  for (size_t i = 0; i + 1 < pieces.size(); ++i) {
    if (i % 1000 != 0) pieces[i].reset();
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
  while (std::chrono::steady_clock::now() < end) {
  }
  EXPECT_GT(ResidentBytes(), before + 100 * kMegabyte);
}

}  // namespace
}  // namespace backfire::runtime
