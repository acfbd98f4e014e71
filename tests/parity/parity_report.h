#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "tests/parity/vector_file.h"

namespace backfire::parity {

/// Compares what our network gives with one vector file, prints a line for each tensor, and counts.
/// Borrows the case.
class ParityReport {
 public:
  /// `print` gets one line at a time, without its end.
  ParityReport(const VectorCase& vector_case, std::function<void(const std::string&)> print)
      : case_(vector_case), print_(std::move(print)) {}

  /// The acceptance rule: shapes are equal; floating-point elements differ by at most 20 times the
  /// reference's own rounding noise, never less than 1e-6, as do mean, deviation, minimum and
  /// maximum of the full tensor; integers are equal. `ours` is the full tensor.
  void Compare(const std::string& name, const torch::Tensor& ours);
  /// The same with a bound on the largest difference.
  void CompareWithin(const std::string& name, const torch::Tensor& ours, double bound);
  /// L2 norm of the difference of the kept elements is at most `fraction` of the reference's.
  void CompareRelative(const std::string& name, const torch::Tensor& ours, double fraction);
  /// A scalar that the file keeps as a number or as a pair [float32 run, float64 run]: differs from
  /// the last by at most `fraction` of it, or 20 times the pair's difference, or 1e-6.
  void CompareScalar(const std::string& name, double ours, double fraction);
  /// Anything else: a line of its own.
  void Number(const std::string& label, double ours, double expected, double bound);
  /// Something that can't be compared, and counts as a mismatch.
  void Fail(const std::string& label, const std::string& why);
  /// Something that was checked otherwise.
  void Pass(const std::string& label, const std::string& what);
  /// Says that a tensor of the file is dealt with: a companion of another.
  void Cover(const std::string& name) { covered_.insert(name); }

  /// Fails every tensor of the file that was not compared.
  void Finish();

  int64_t compared() const { return compared_; }
  int64_t failed() const { return failed_; }

 private:
  const Vector* FindOrFail(const std::string& name, const torch::Tensor& ours);
  void Line(const std::string& label, double difference, double bound, const std::string& what);

  const VectorCase& case_;
  const std::function<void(const std::string&)> print_;
  std::set<std::string> covered_;
  int64_t compared_ = 0, failed_ = 0;
};

}  // namespace backfire::parity
