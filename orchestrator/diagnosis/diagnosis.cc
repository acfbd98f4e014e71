#include "orchestrator/diagnosis/diagnosis.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace backfire::diagnosis {

v1::ErrorTerms Decompose(const std::vector<TrueLosses>& replicates) {
  const auto count = static_cast<double>(replicates.size());
  v1::ErrorTerms terms;
  double compatibility = 0, excess_upstream = 0, squares = 0, numerical_error = 0;
  // Term by term, so that what is equal in every replicate gives exactly 0.
  double loss = 0, bayes = 0, upstream = 0, approximation = 0, estimation = 0;
  for (const TrueLosses& one : replicates) {
    loss += one.version / count;
    bayes += one.bayes / count;
    upstream += (one.optimal - one.bayes) / count;
    approximation += (one.optimal_in_class - one.optimal) / count;
    estimation += (one.version - one.optimal_in_class) / count;
    if (one.partner.has_value()) {
      compatibility += (one.optimal - *one.partner) / count;
      excess_upstream += (*one.partner - one.bayes) / count;
    }
    numerical_error = std::max(numerical_error, one.numerical_error);
  }
  for (const TrueLosses& one : replicates) {
    const double distance = one.version - one.optimal_in_class - estimation;
    squares += distance * distance;
  }
  terms.set_loss(loss);
  terms.set_bayes_loss(bayes);
  terms.set_upstream(upstream);
  terms.set_approximation(approximation);
  terms.set_estimation(estimation);
  if (!replicates.empty() && replicates[0].partner.has_value()) {
    terms.set_compatibility(compatibility);
    terms.set_excess_upstream(excess_upstream);
  }
  if (replicates.size() > 1) {
    terms.set_estimation_standard_error(std::sqrt(squares / (count - 1) / count));
  }
  terms.set_numerical_error(numerical_error);
  return terms;
}

v1::VertexDiagnosis Diagnose(const std::string& vertex, const std::string& loss,
                             const std::vector<TrueLosses>& before,
                             const std::vector<TrueLosses>& after) {
  v1::VertexDiagnosis diagnosis;
  diagnosis.set_vertex(vertex);
  diagnosis.set_loss(loss);
  v1::ErrorTerms& b = *diagnosis.mutable_before();
  v1::ErrorTerms& a = *diagnosis.mutable_after();
  b = Decompose(before);
  a = Decompose(after);
  // Below this, a difference of sums of doubles says nothing.
  const double unsure = 1e-12 + b.numerical_error() + a.numerical_error();
  const double noise = 2 * std::hypot(b.estimation_standard_error(), a.estimation_standard_error());
  double most = 0;
  const auto consider = [&](const char* term, double growth, double least) {
    if (growth > least && growth > most) {
      most = growth;
      diagnosis.set_cause(term);
    }
  };
  if (b.has_compatibility() && a.has_compatibility()) {
    consider("compatibility", a.compatibility() - b.compatibility(), unsure);
    consider("excess_upstream", a.excess_upstream() - b.excess_upstream(), unsure);
  } else {
    consider("upstream", a.upstream() - b.upstream(), unsure);
  }
  consider("approximation", a.approximation() - b.approximation(), unsure);
  consider("estimation", a.estimation() - b.estimation(), std::max(unsure, noise));
  return diagnosis;
}

}  // namespace backfire::diagnosis
