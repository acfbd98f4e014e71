#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::diagnosis {

/// True losses of one replicate of a vertex, on the parents that this replicate has.
struct TrueLosses {
  double version = 0;           ///< Of w, the vertex's own version.
  double optimal_in_class = 0;  ///< Of w+_H.
  double optimal = 0;           ///< Of w+.
  double bayes = 0;             ///< Of w*.
  std::optional<double>
      partner;                 ///< Of w+ on (u, v+_u), where the vertex names an optimal partner.
  double numerical_error = 0;  ///< Greatest of the stated errors of these.
};

/// Splits the mean excess loss over the replicates into its terms.
/// @param replicates  At least one; a partner in all of them or in none.
v1::ErrorTerms Decompose(const std::vector<TrueLosses>& replicates);

/// Compares the terms before and after an update. The cause is the term that grew most, if it grew
/// by more than the numerical errors of both sides; estimation, by more than two standard errors as
/// well.
v1::VertexDiagnosis Diagnose(const std::string& vertex, const std::string& loss,
                             const std::vector<TrueLosses>& before,
                             const std::vector<TrueLosses>& after);

}  // namespace backfire::diagnosis
