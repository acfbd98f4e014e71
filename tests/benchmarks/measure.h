#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <vector>

namespace backfire::benchmarks {

/// Milliseconds that a call takes.
template <typename Call>
double Milliseconds(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

/// Milliseconds of CPU, of all threads, that a call takes: hardly changed by what else the machine
/// does.
template <typename Call>
double CpuMilliseconds(const Call& call) {
  const std::clock_t start = std::clock();
  call();
  return 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

inline double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

}  // namespace backfire::benchmarks
