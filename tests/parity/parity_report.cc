#include "tests/parity/parity_report.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace backfire::parity {
namespace {

constexpr double kNoiseFactor = 20, kLeastBound = 1e-6;

// The elements that the file keeps, as FP64.
torch::Tensor Kept(const torch::Tensor& ours, int64_t stride) {
  return ours.detach()
      .cpu()
      .contiguous()
      .reshape({-1})
      .slice(0, 0, ours.numel(), stride)
      .to(torch::kFloat64);
}

// NaN counts as infinitely far.
double Largest(const torch::Tensor& differences) {
  if (differences.numel() == 0) return 0;
  const double largest = differences.abs().max().item<double>();
  return std::isnan(largest) ? INFINITY : largest;
}

}  // namespace

const Vector* ParityReport::FindOrFail(const std::string& name, const torch::Tensor& ours) {
  covered_.insert(name);
  const auto found = case_.vectors.find(name);
  if (found == case_.vectors.end()) {
    Fail(name, "the file has no such tensor");
    return nullptr;
  }
  if (ours.sizes() != torch::IntArrayRef(found->second.shape)) {
    Fail(name, absl::StrCat("shape must be [", absl::StrJoin(found->second.shape, ", "),
                            "]: ours is [", absl::StrJoin(ours.sizes(), ", "), "]"));
    return nullptr;
  }
  return &found->second;
}

void ParityReport::Compare(const std::string& name, const torch::Tensor& ours) {
  const auto found = case_.vectors.find(name);
  double bound = kLeastBound;
  if (found != case_.vectors.end()) {
    if (!found->second.values.is_floating_point()) {
      bound = 0;
    } else if (found->second.noise_max) {
      bound = std::max(kNoiseFactor * *found->second.noise_max, kLeastBound);
    }
  }
  CompareWithin(name, ours, bound);
}

void ParityReport::CompareWithin(const std::string& name, const torch::Tensor& ours, double bound) {
  const Vector* vector = FindOrFail(name, ours);
  if (vector == nullptr) return;
  double difference =
      Largest(Kept(ours, vector->stride) - vector->values.reshape({-1}).to(torch::kFloat64));
  if (vector->stats.size() == 4 && ours.numel() > 0) {
    const torch::Tensor all = ours.detach().to(torch::kFloat64);
    const double stats[] = {all.mean().item<double>(), all.std(/*unbiased=*/false).item<double>(),
                            all.min().item<double>(), all.max().item<double>()};
    for (size_t i = 0; i < 4; ++i) {
      // The statistics are rounded where integers are compared exactly.
      const double off = std::abs(stats[i] - vector->stats[i]);
      const double rounding = 1e-9 * (1 + std::abs(stats[i]));
      if (!(off <= rounding)) difference = std::max(difference, std::isnan(off) ? INFINITY : off);
    }
  }
  Line(name, difference, bound, "");
}

void ParityReport::CompareRelative(const std::string& name, const torch::Tensor& ours,
                                   double fraction) {
  const Vector* vector = FindOrFail(name, ours);
  if (vector == nullptr) return;
  const torch::Tensor reference = vector->values.reshape({-1}).to(torch::kFloat64);
  const double norm = reference.norm().item<double>();
  const double off = (Kept(ours, vector->stride) - reference).norm().item<double>();
  Line(name, norm > 0 ? off / norm : off, fraction, " (relative)");
}

void ParityReport::CompareScalar(const std::string& name, double ours, double fraction) {
  covered_.insert(name);
  const auto found = case_.vectors.find(name);
  if (found == case_.vectors.end() || found->second.values.numel() < 1 ||
      found->second.values.numel() > 2) {
    Fail(name, "the file has no such number");
    return;
  }
  const torch::Tensor pair = found->second.values.reshape({-1}).to(torch::kFloat64);
  const double first = pair[0].item<double>(), last = pair[-1].item<double>();
  const double bound =
      std::max({kNoiseFactor * std::abs(first - last), fraction * std::abs(last), kLeastBound});
  Line(name, std::abs(ours - last), bound, "");
}

void ParityReport::Number(const std::string& label, double ours, double expected, double bound) {
  covered_.insert(label);
  Line(label, std::abs(ours - expected), bound, "");
}

void ParityReport::Fail(const std::string& label, const std::string& why) {
  covered_.insert(label);
  ++compared_;
  ++failed_;
  print_(absl::StrFormat("  %-52s %s  MISMATCH", label, why));
}

void ParityReport::Pass(const std::string& label, const std::string& what) {
  covered_.insert(label);
  ++compared_;
  print_(absl::StrFormat("  %-52s %s  ok", label, what));
}

void ParityReport::Finish() {
  for (const auto& [name, vector] : case_.vectors) {
    if (covered_.count(name) == 0) Fail(name, "nothing compares it");
  }
}

void ParityReport::Line(const std::string& label, double difference, double bound,
                        const std::string& what) {
  const bool fits = difference <= bound;  // Not of NaN.
  ++compared_;
  failed_ += fits ? 0 : 1;
  print_(absl::StrFormat("  %-52s %8.1e  bound %7.1e%s  %s", label, difference, bound, what,
                         fits ? "ok" : "MISMATCH"));
}

}  // namespace backfire::parity
