#pragma once

#include <vector>

namespace backfire::verdict {

/// What a one-sided test may spend of alpha by the time that a share of the information is there:
/// next to nothing early, all of it at the end. O'Brien and Fleming's boundaries as a spending
/// function (Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70,
/// 1983).
/// @param alpha     In (0, 0.5).
/// @param fraction  Of the information, (0, 1].
double SpentAlpha(double alpha, double fraction);

/// Several looks at evidence that grows: at what level the present one may test so that all of them
/// together alarm falsely with probability alpha.
class Looks {
 public:
  /// @param fractions  Of the information that the last planned look will have: at each look up to
  ///                   the present one, never falling, in (0, 1]. One to three of them. The last
  ///                   planned look has 1.
  explicit Looks(std::vector<double> fractions);

  /// Level of the present look's test, for whatever `alpha` all looks may spend together, in
  /// (0, 0.5).
  double Level(double alpha) const;

  /// The alpha at whose Level() lies `p`; p where there is one look. At most 0.5, beyond which
  /// nothing is told apart.
  double Overall(double p) const;

 private:
  std::vector<double> fractions_;
};

}  // namespace backfire::verdict
