#include "orchestrator/verdict/verdict.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "orchestrator/verdict/explanation.h"
#include "orchestrator/verdict/looks.h"

namespace backfire::verdict {
namespace {

using Outcome = v1::LossComparison;

void AddNote(const std::string& note, v1::LossComparison& comparison) {
  absl::StrAppend(comparison.mutable_note(), comparison.note().empty() ? "" : "; ", note);
}

// The information that each look so far had of what the last planned one will have: the variance of
// the mean difference then, as this look's estimates foretell it, over the variance now. Replicates
// share the test examples, so it is more than their share.
std::vector<double> InformationFractions(const LossEvidence& loss, const Evidence& evidence) {
  const std::vector<int>& replicates = evidence.look_replicates;
  if (replicates.size() < 2) return {1};
  std::vector<double> fractions;
  for (int look = 0; look < evidence.look; ++look) {
    const double k = replicates[static_cast<size_t>(look)], last = replicates.back();
    const auto first = [&](const std::vector<LossSample>& samples) {
      return std::vector<LossSample>(samples.begin(),
                                     samples.begin() + replicates[static_cast<size_t>(look)]);
    };
    const Difference seen = EstimateDifference(first(loss.before), first(loss.after), loss.size);
    const double now = seen.training_variance + seen.example_variance;
    double fraction = k / last;
    if (seen.has_error()) {
      fraction = now > 0 ? (seen.training_variance * fraction + seen.example_variance) / now : 1;
    }
    fractions.push_back(fractions.empty() ? fraction : std::max(fraction, fractions.back()));
  }
  if (evidence.look == static_cast<int>(replicates.size())) fractions.back() = 1;
  return fractions;
}

// A loss with what its tests need; they wait for what Holm's correction leaves of alpha to each.
class Comparison {
 public:
  Comparison(const LossEvidence& loss, const Evidence& evidence)
      : difference_(EstimateDifference(loss.before, loss.after, loss.size)),
        looks_(InformationFractions(loss, evidence)),
        rounding_(RoundingError(loss.before, loss.after)),
        error_(difference_.has_error() ? difference_.error() : BehrensFisher(0, 1, 0, 1)) {
    Describe(loss);
    for (const std::string& note : Notes(loss, difference_)) AddNote(note, message_);
    if (!difference_.has_error()) return;
    message_.set_p_worse(Tail(message_.difference()));
    message_.set_p_beyond(Tail(message_.difference() - message_.margin()));
    message_.set_p_within(Tail(message_.margin() - message_.difference()));
    // Where nothing is left to chance, a margin of 0 allows a difference of 0.
    if (!has_noise() && message_.difference() <= message_.margin() + rounding_) {
      message_.set_p_beyond(1);
      message_.set_p_within(0);
    }
  }

  // Decides one loss by itself, of which `level` of alpha is left to find harm with.
  void Decide(double alpha, double level, double adjusted) {
    // Of several looks, this one may test at less.
    const double now = looks_.Level(alpha), now_level = looks_.Level(level);
    message_.set_level(now_level);
    message_.set_look_level(now);
    message_.set_p_beyond_adjusted(adjusted);
    SetInterval(now, now_level);
    if (!difference_.has_error()) return;
    message_.set_p_worse_adjusted(std::min(1.0, message_.p_worse() * alpha / now_level));
    const bool worse = message_.p_worse() < now_level;
    if (adjusted < alpha) {
      message_.set_outcome(Outcome::WORSE);
    } else if (Tail(-message_.difference()) < now) {
      message_.set_outcome(Outcome::BETTER);
    } else if (message_.p_within() < now) {
      message_.set_outcome(worse ? Outcome::WORSE_WITHIN_MARGIN : Outcome::NO_WORSE);
    } else if (worse) {
      AddNote("worse; whether beyond its margin is not resolved", message_);
    }
  }

  const v1::LossComparison& message() const { return message_; }

  // The alpha at which all looks so far would have let this one find harm beyond the margin.
  double OverallBeyond(double alpha) const {
    const double p = message_.p_beyond();
    return p < alpha ? looks_.Overall(p) : p;  // It is no less than p.
  }

 private:
  void Describe(const LossEvidence& loss) {
    message_.set_vertex(loss.vertex);
    message_.set_loss(loss.loss);
    message_.set_slice(loss.slice);
    message_.set_unit(loss.unit);
    message_.set_candidate(loss.candidate);
    message_.set_judged(loss.judged);
    message_.set_before(MeanLoss(loss.before));
    message_.set_after(MeanLoss(loss.after));
    double swapped = 0;
    for (const double value : loss.swapped) {
      swapped += value / static_cast<double>(loss.swapped.size());
    }
    message_.set_swapped(loss.swapped.empty() ? kNan : swapped);
    message_.set_difference(difference_.mean);
    message_.set_standard_error(difference_.standard_error());
    message_.set_training_variance(difference_.training_variance);
    message_.set_example_variance(difference_.example_variance);
    message_.set_interaction_variance(difference_.interaction_variance);
    message_.set_training_freedom(difference_.training_freedom);
    message_.set_example_freedom(difference_.example_freedom);
    message_.set_example_count(loss.size.bearing);
    if (loss.size.clusters) {
      message_.set_cluster_count(loss.size.clusters->bearing);
      message_.set_effective_cluster_count(loss.size.clusters->effective);
    }
    message_.set_margin(EffectiveMargin(loss));
    // An infinite loss is larger than any, and its difference from another one no number.
    const bool grew = std::isfinite(difference_.mean) ? difference_.mean > rounding_
                                                      : message_.after() > message_.before();
    message_.set_worse_by_point(grew);
    for (size_t k = 0; k < loss.before.size(); ++k) {
      message_.add_differences(loss.after[k].value - loss.before[k].value);
    }
    message_.set_outcome(Outcome::UNRESOLVED);
    message_.set_p_worse(kNan);
    message_.set_p_worse_adjusted(kNan);
    message_.set_p_beyond(kNan);
    message_.set_p_within(kNan);
    message_.set_interval_low(kNan);
    message_.set_interval_high(kNan);
  }

  bool has_noise() const {
    return difference_.training_variance > 0 || difference_.example_variance > 0;
  }

  // Probability that noise alone makes a difference so far above another one.
  double Tail(double distance) const {
    if (has_noise()) return error_.UpperTail(distance);
    return distance > rounding_ ? 0.0 : 1.0;  // Without any noise a difference is what it is.
  }

  void SetInterval(double alpha, double level) {
    if (difference_.has_error()) {
      message_.set_interval_low(difference_.mean - error_.UpperQuantile(level));
      message_.set_interval_high(difference_.mean + error_.UpperQuantile(alpha));
    } else if (std::isfinite(difference_.mean) && !std::isnan(difference_.example_variance)) {
      const double half = StudentQuantile(1 - alpha, difference_.example_freedom) *
                          std::sqrt(difference_.example_variance);
      message_.set_interval_low(difference_.mean - half);
      message_.set_interval_high(difference_.mean + half);
    }
  }

  Difference difference_;
  Looks looks_;
  double rounding_;
  BehrensFisher error_;
  v1::LossComparison message_;
};

bool Passes(const v1::LossComparison& comparison) {
  return comparison.outcome() == Outcome::BETTER || comparison.outcome() == Outcome::NO_WORSE ||
         comparison.outcome() == Outcome::WORSE_WITHIN_MARGIN;
}

// One family, one alpha: whatever can block an update is tested together.
void DecideLosses(double alpha, std::vector<Comparison>& comparisons) {
  std::vector<double> p_values;
  for (const Comparison& one : comparisons) {
    if (one.message().judged()) p_values.push_back(one.OverallBeyond(alpha));
  }
  const Holm holm = HolmStepDown(p_values, alpha);
  size_t i = 0;
  for (Comparison& one : comparisons) {
    if (one.message().judged()) {
      one.Decide(alpha, holm.levels[i], holm.adjusted[i]);
      ++i;
    } else {
      one.Decide(alpha, alpha, one.OverallBeyond(alpha));
    }
  }
}

v1::LossComparison::Outcome CandidateOutcome(const std::vector<const v1::LossComparison*>& losses) {
  const auto has = [&](v1::LossComparison::Outcome outcome) {
    return std::any_of(losses.begin(), losses.end(),
                       [&](const auto* loss) { return loss->outcome() == outcome; });
  };
  if (has(Outcome::WORSE)) return Outcome::WORSE;
  if (has(Outcome::UNRESOLVED) || losses.empty()) return Outcome::UNRESOLVED;
  if (has(Outcome::WORSE_WITHIN_MARGIN)) return Outcome::WORSE_WITHIN_MARGIN;
  return has(Outcome::BETTER) ? Outcome::BETTER : Outcome::NO_WORSE;
}

// How bad a comparison looks, for the order of the table.
double Badness(const v1::LossComparison& comparison) {
  if (!std::isfinite(comparison.difference())) return -std::numeric_limits<double>::infinity();
  return comparison.difference() / std::max(comparison.margin(), 1e-12);
}

v1::Verdict::Outcome Combine(const v1::Verdict& verdict, bool descendants_pass) {
  if (verdict.first_look()) return v1::Verdict::INCONCLUSIVE;
  if (verdict.candidate() == Outcome::WORSE) return v1::Verdict::NOT_AN_IMPROVEMENT;
  if (verdict.candidate() == Outcome::UNRESOLVED) return v1::Verdict::INCONCLUSIVE;
  if (verdict.harmed()) return v1::Verdict::SELF_DEFEATING;
  return descendants_pass ? v1::Verdict::SAFE : v1::Verdict::INCONCLUSIVE;
}

}  // namespace

double MeanLoss(const std::vector<LossSample>& replicates) {
  double sum = 0;
  for (const LossSample& replicate : replicates) sum += replicate.value;
  return sum / static_cast<double>(replicates.size());
}

double EffectiveMargin(const LossEvidence& loss) {
  if (loss.margin.has_value()) return *loss.margin;
  return loss.unit == "percent" ? 1.0 : 0.01 * std::abs(MeanLoss(loss.before));
}

v1::Verdict Decide(const Evidence& evidence) {
  v1::Verdict verdict;
  verdict.set_alpha(evidence.alpha);
  verdict.set_look(evidence.look);
  verdict.set_planned_looks(
      std::max<int32_t>(1, static_cast<int32_t>(evidence.look_replicates.size())));
  verdict.set_candidates_judged(evidence.candidates_judged);
  std::vector<Comparison> comparisons;
  for (const LossEvidence& loss : evidence.losses) {
    comparisons.emplace_back(loss, evidence);
    verdict.set_replicates(static_cast<int32_t>(loss.before.size()));
  }
  std::stable_sort(comparisons.begin(), comparisons.end(),
                   [](const Comparison& left, const Comparison& right) {
                     const v1::LossComparison &a = left.message(), &b = right.message();
                     if (a.candidate() != b.candidate()) return a.candidate();
                     if (a.judged() != b.judged()) return a.judged();
                     return Badness(a) > Badness(b);
                   });
  DecideLosses(evidence.alpha, comparisons);
  std::vector<const v1::LossComparison*> candidate, descendants;
  for (const Comparison& one : comparisons) {
    if (!one.message().judged()) continue;
    (one.message().candidate() ? candidate : descendants).push_back(&one.message());
    verdict.set_look_alpha(std::max(verdict.look_alpha(), one.message().look_level()));
  }

  verdict.set_family(static_cast<int32_t>(candidate.size() + descendants.size()));
  verdict.set_candidate(CandidateOutcome(candidate));
  verdict.set_harmed(std::any_of(descendants.begin(), descendants.end(),
                                 [](const auto* one) { return one->outcome() == Outcome::WORSE; }));
  const bool candidate_no_worse_by_point =
      !candidate.empty() && std::none_of(candidate.begin(), candidate.end(), [](const auto* one) {
        return one->worse_by_point() || std::isnan(one->difference());
      });
  verdict.set_definition_2_1(candidate_no_worse_by_point &&
                             std::any_of(descendants.begin(), descendants.end(),
                                         [](const auto* one) { return one->worse_by_point(); }));
  verdict.set_first_look(verdict.replicates() < kReplicatesToDecide);
  verdict.set_outcome(Combine(verdict, std::all_of(descendants.begin(), descendants.end(),
                                                   [](const auto* one) { return Passes(*one); })));
  verdict.set_summary(Summarise(verdict, candidate, descendants));
  if (const std::string provenance = ExplainProvenance(evidence); !provenance.empty()) {
    absl::StrAppend(verdict.mutable_summary(), "\n", provenance);
  }
  for (const Comparison& one : comparisons) *verdict.add_comparisons() = one.message();
  return verdict;
}

bool Blocks(const v1::Verdict& verdict) {
  return !verdict.first_look() && (verdict.harmed() || verdict.candidate() == Outcome::WORSE);
}

}  // namespace backfire::verdict
