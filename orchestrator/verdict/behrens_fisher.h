#pragma once

#include <vector>

namespace backfire::verdict {

/// Quantile of Student's t distribution. Normal for infinite degrees of freedom.
double StudentQuantile(double probability, double degrees_of_freedom);
/// Probability that Student's t exceeds `t`.
double StudentUpperTail(double t, double degrees_of_freedom);

/// The distribution of sqrt(v1) T1 + sqrt(v2) T2, with T1 and T2 independent, Student's t: what is
/// known of a mean whose error has two parts, each with a variance that was estimated by itself
/// (Behrens, 1929; Fisher, 1935).
///
/// It is a mixture of Student's t distributions of f1 + f2 degrees of freedom (Ruben, "On the
/// distribution of the weighted difference of two independent Student variables", J. Royal Stat.
/// Soc. B 22, 1960): their common scale is
///
///   scale^2 = ( v1 f1 / s + v2 f2 / (1 - s) ) / (f1 + f2),   s ~ Beta(f1 / 2, f2 / 2)
///
/// Over the logit of s the mixture is integrated by the trapezoidal rule. The integrand has no
/// singularity nearer to the real line than pi, and stays bounded up to pi / 2, whatever the
/// arguments: some hundred points are exact to rounding (Trefethen and Weideman, "The exponentially
/// convergent trapezoidal rule", SIAM Review 56, 2014). Immutable; thread-safe.
class BehrensFisher {
 public:
  /// @param variance1, variance2  Finite, >= 0. Where both are 0 all probability is at 0.
  /// @param freedom1, freedom2    Degrees of freedom, finite, > 0.
  BehrensFisher(double variance1, double freedom1, double variance2, double freedom2);

  /// Probability of more than `x`, which may be infinite; absolute error below 1e-13.
  double UpperTail(double x) const;

  /// What is exceeded with `probability`, in (0, 1).
  double UpperQuantile(double probability) const;

 private:
  // One of the distributions that are mixed.
  struct Component {
    double weight = 0;
    double scale = 0;
  };

  double freedom_ = 1;
  double least_scale_ = 0;  // Of the parts: sqrt(max(v1, v2)).
  std::vector<Component> components_;
};

}  // namespace backfire::verdict
