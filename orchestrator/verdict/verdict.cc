#include "orchestrator/verdict/verdict.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace backfire::verdict {
namespace {

using Outcome = v1::LossComparison;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void AddNote(const std::string& note, v1::LossComparison& comparison) {
  absl::StrAppend(comparison.mutable_note(), comparison.note().empty() ? "" : "; ", note);
}

bool AllInfinite(const std::vector<LossSample>& samples) {
  return std::all_of(samples.begin(), samples.end(),
                     [](const LossSample& sample) { return std::isinf(sample.value); });
}

bool AnyNan(const std::vector<LossSample>& samples) {
  return std::any_of(samples.begin(), samples.end(),
                     [](const LossSample& sample) { return std::isnan(sample.value); });
}

// What a reader of these numbers must know: nothing unusual passes in silence.
std::vector<std::string> Notes(const LossEvidence& loss, const Difference& difference,
                               const Evidence& evidence) {
  std::vector<std::string> notes;
  if (!std::isfinite(difference.mean)) {
    for (const auto& [samples, when] :
         {std::pair{&loss.before, "before"}, {&loss.after, "after"}}) {
      if (AnyNan(*samples)) {
        notes.push_back(absl::StrCat("undefined on this test split ", when, " the update"));
      } else if (AllInfinite(*samples)) {
        notes.push_back(absl::StrCat("infinite ", when, " the update"));
      } else if (std::any_of(samples->begin(), samples->end(),
                             [](const auto& sample) { return std::isinf(sample.value); })) {
        notes.push_back(absl::StrCat("infinite in some replicates ", when, " the update"));
      }
    }
    return notes;
  }
  if (loss.other_build) {
    notes.push_back(
        "another build of the service made what came before: apply the system anew for a baseline "
        "of this one");
  }
  if (evidence.examples < 2) {
    notes.push_back("one test example says nothing of others");
  } else if (loss.before[0].resampled.size() < 2) {
    notes.push_back("no resamples of the test examples, so their part in it is unknown");
  } else if (std::isnan(difference.example_error)) {
    notes.push_back("most resamples of the test examples leave it undefined");
  } else if (difference.undefined_resamples > 0) {
    notes.push_back(absl::StrCat(difference.undefined_resamples, " of ",
                                 loss.before[0].resampled.size(),
                                 " resamples leave it undefined, and are left out"));
  }
  if (EffectiveMargin(loss) == 0 && !loss.margin.has_value()) {
    notes.push_back("its margin is 1 % of 0; give one in the system file");
  }
  if (loss.before.size() < 2) {
    notes.push_back("interval of test examples alone: one replicate says nothing of training");
  } else if (difference.identical) {
    notes.push_back("identical before and after, in every replicate and on every resample");
  } else if (difference.no_training_noise) {
    notes.push_back("no training noise");
  }
  return notes;
}

v1::LossComparison Compare(const LossEvidence& loss, const Evidence& evidence, double alpha) {
  const Difference difference = EstimateDifference(loss.before, loss.after, evidence.examples);
  v1::LossComparison comparison;
  comparison.set_vertex(loss.vertex);
  comparison.set_loss(loss.loss);
  comparison.set_slice(loss.slice);
  comparison.set_unit(loss.unit);
  comparison.set_candidate(loss.candidate);
  comparison.set_judged(loss.judged);
  comparison.set_before(MeanLoss(loss.before));
  comparison.set_after(MeanLoss(loss.after));
  double swapped = 0;
  for (const double value : loss.swapped)
    swapped += value / static_cast<double>(loss.swapped.size());
  comparison.set_swapped(loss.swapped.empty() ? kNan : swapped);
  comparison.set_difference(difference.mean);
  comparison.set_standard_error(difference.standard_error);
  comparison.set_degrees_of_freedom(difference.degrees_of_freedom);
  comparison.set_margin(EffectiveMargin(loss));
  comparison.set_worse_by_point(comparison.after() > comparison.before());
  for (size_t k = 0; k < loss.before.size(); ++k) {
    comparison.add_differences(loss.after[k].value - loss.before[k].value);
  }
  comparison.set_outcome(Outcome::UNRESOLVED);
  comparison.set_p_worse(kNan);
  comparison.set_p_worse_adjusted(kNan);
  comparison.set_interval_low(kNan);
  comparison.set_interval_high(kNan);

  for (const std::string& note : Notes(loss, difference, evidence)) AddNote(note, comparison);
  const double two_sided = 1 - alpha / 2;
  if (std::isnan(difference.standard_error)) {
    if (std::isfinite(difference.mean) && !std::isnan(difference.example_error)) {
      const double freedom = static_cast<double>(std::max<int64_t>(evidence.examples - 1, 1));
      const double half = StudentQuantile(two_sided, freedom) * difference.example_error;
      comparison.set_interval_low(difference.mean - half);
      comparison.set_interval_high(difference.mean + half);
    }
    return comparison;
  }
  const double error = difference.standard_error;
  const double freedom = difference.degrees_of_freedom;
  const double half = error > 0 ? StudentQuantile(two_sided, freedom) * error : 0;
  comparison.set_interval_low(difference.mean - half);
  comparison.set_interval_high(difference.mean + half);
  // Without any noise a difference is what it is.
  const auto tail = [&](double distance) {
    if (error > 0) return StudentUpperTail(distance / error, freedom);
    return distance > 0 ? 0.0 : 1.0;
  };
  comparison.set_p_worse(tail(difference.mean));
  comparison.set_p_worse_adjusted(comparison.p_worse());
  if (tail(-difference.mean) < alpha) {
    comparison.set_outcome(Outcome::BETTER);
  } else if (tail(comparison.margin() - difference.mean) < alpha ||
             (error == 0 && difference.mean <= comparison.margin())) {
    // Where nothing is left to chance, a margin of 0 allows a difference of 0.
    comparison.set_outcome(Outcome::NO_WORSE);
  }
  return comparison;
}

bool NonInferior(const v1::LossComparison& comparison) {
  return comparison.outcome() == Outcome::BETTER || comparison.outcome() == Outcome::NO_WORSE;
}

// Which are worse, after Holm's correction over all of `family`.
void MarkWorse(const std::vector<v1::LossComparison*>& family, double alpha) {
  std::vector<double> p_values;
  for (const auto* comparison : family) p_values.push_back(comparison->p_worse());
  const std::vector<double> adjusted = HolmAdjusted(p_values);
  for (size_t i = 0; i < family.size(); ++i) {
    family[i]->set_p_worse_adjusted(adjusted[i]);
    if (!(adjusted[i] < alpha)) continue;
    // Significantly more than before, and significantly less than the margin above it.
    const bool within_margin = NonInferior(*family[i]);
    family[i]->set_outcome(Outcome::WORSE);
    if (!within_margin) continue;
    AddNote("harm within margin", *family[i]);
  }
}

v1::LossComparison::Outcome CandidateOutcome(const std::vector<v1::LossComparison*>& losses) {
  const auto has = [&](v1::LossComparison::Outcome outcome) {
    return std::any_of(losses.begin(), losses.end(),
                       [&](const auto* loss) { return loss->outcome() == outcome; });
  };
  if (has(Outcome::WORSE)) return Outcome::WORSE;
  if (has(Outcome::UNRESOLVED) || losses.empty()) return Outcome::UNRESOLVED;
  return has(Outcome::BETTER) ? Outcome::BETTER : Outcome::NO_WORSE;
}

// How bad a comparison looks, for the order of the table.
double Badness(const v1::LossComparison& comparison) {
  if (!std::isfinite(comparison.difference())) return -std::numeric_limits<double>::infinity();
  return comparison.difference() / std::max(comparison.margin(), 1e-12);
}

std::string Names(const std::vector<v1::LossComparison*>& comparisons) {
  return absl::StrJoin(comparisons, ", ", [](std::string* out, const v1::LossComparison* one) {
    absl::StrAppend(out, one->vertex(), " ", one->loss());
    if (!one->slice().empty()) absl::StrAppend(out, " (", one->slice(), ")");
  });
}

std::string Summarise(const v1::Verdict& verdict, const std::vector<v1::LossComparison*>& candidate,
                      const std::vector<v1::LossComparison*>& family) {
  std::vector<v1::LossComparison*> worse, worse_by_point, unresolved;
  for (v1::LossComparison* one : family) {
    if (one->outcome() == Outcome::WORSE) worse.push_back(one);
    if (one->worse_by_point()) worse_by_point.push_back(one);
    if (one->outcome() == Outcome::UNRESOLVED) unresolved.push_back(one);
  }
  if (verdict.first_look()) {
    const std::string seen = worse_by_point.empty()
                                 ? "no descendant's loss grew"
                                 : absl::StrCat("larger than before: ", Names(worse_by_point));
    return absl::StrCat(
        "First look, can't decide: ", verdict.replicates(),
        verdict.replicates() == 1 ? " replicate does" : " replicates do",
        " not say how much training alone moves these losses. By the numbers seen, ", seen,
        verdict.definition_2_1() ? ", which is Definition 2.1 of a self-defeating improvement" : "",
        ". ", kReplicatesToDecide, " replicates (replicates: ", kReplicatesToDecide,
        " in the system, then the update again) would decide.");
  }
  switch (verdict.outcome()) {
    case v1::Verdict::SELF_DEFEATING:
      return absl::StrCat(
          "Self-defeating improvement: the candidate is no worse on its own loss, and ",
          Names(worse), worse.size() == 1 ? " is" : " are", " worse even after retraining.");
    case v1::Verdict::SAFE:
      return family.empty() ? "Safe: the candidate is no worse, and nothing depends on it."
                            : "Safe: the candidate is no worse, and every descendant is no worse "
                              "within its margin.";
    case v1::Verdict::NOT_AN_IMPROVEMENT:
      return absl::StrCat("Not an improvement: the candidate is worse on its own loss",
                          worse.empty() ? "."
                                        : absl::StrCat("; so ", worse.size() == 1 ? "is " : "are ",
                                                       Names(worse), "."));
    default:
      break;
  }
  if (candidate.empty()) {
    return absl::StrCat(
        "Inconclusive: the candidate has no judged loss, so nothing says whether it "
        "is an improvement; ",
        worse.empty() ? "no descendant is shown to be worse."
                      : absl::StrCat("worse even after retraining: ", Names(worse), "."));
  }
  std::vector<v1::LossComparison*> open = unresolved;
  for (v1::LossComparison* one : candidate) {
    if (one->outcome() == Outcome::UNRESOLVED) open.insert(open.begin(), one);
  }
  const std::string unresolved_names =
      absl::StrCat("Inconclusive: the evidence does not resolve ", Names(open), ". ");
  if (verdict.look() < verdict.planned_looks()) {
    return absl::StrCat(unresolved_names, "The next of ", verdict.planned_looks(),
                        " planned looks adds replicates.");
  }
  return absl::StrCat(unresolved_names,
                      "More replicates, a larger test split or wider margins would.");
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
  const double alpha = evidence.alpha / evidence.planned_looks;
  verdict.set_alpha(evidence.alpha);
  verdict.set_look(evidence.look);
  verdict.set_planned_looks(evidence.planned_looks);
  verdict.set_look_alpha(alpha);
  verdict.set_candidates_judged(evidence.candidates_judged);
  std::vector<v1::LossComparison> comparisons;
  for (const LossEvidence& loss : evidence.losses) {
    comparisons.push_back(Compare(loss, evidence, alpha));
    verdict.set_replicates(static_cast<int32_t>(loss.before.size()));
  }
  std::stable_sort(comparisons.begin(), comparisons.end(), [](const auto& a, const auto& b) {
    if (a.candidate() != b.candidate()) return a.candidate();
    if (a.judged() != b.judged()) return a.judged();
    return Badness(a) > Badness(b);
  });
  std::vector<v1::LossComparison*> candidate, family;
  for (v1::LossComparison& comparison : comparisons) {
    if (comparison.judged()) (comparison.candidate() ? candidate : family).push_back(&comparison);
  }
  MarkWorse(candidate, alpha);
  MarkWorse(family, alpha);

  const auto is_worse = [](const auto* one) { return one->outcome() == Outcome::WORSE; };
  verdict.set_candidate(CandidateOutcome(candidate));
  verdict.set_harmed(std::any_of(family.begin(), family.end(), is_worse));
  const bool candidate_no_worse_by_point =
      !candidate.empty() && std::none_of(candidate.begin(), candidate.end(), [](const auto* one) {
        return one->worse_by_point() || std::isnan(one->difference());
      });
  verdict.set_definition_2_1(candidate_no_worse_by_point &&
                             std::any_of(family.begin(), family.end(),
                                         [](const auto* one) { return one->worse_by_point(); }));
  verdict.set_first_look(verdict.replicates() < kReplicatesToDecide);

  const bool no_worse =
      verdict.candidate() == Outcome::BETTER || verdict.candidate() == Outcome::NO_WORSE;
  const bool safe =
      std::all_of(family.begin(), family.end(), [](const auto* one) { return NonInferior(*one); });
  if (verdict.first_look()) {
    verdict.set_outcome(v1::Verdict::INCONCLUSIVE);
  } else if (verdict.candidate() == Outcome::WORSE) {
    verdict.set_outcome(v1::Verdict::NOT_AN_IMPROVEMENT);
  } else if (no_worse && verdict.harmed()) {
    verdict.set_outcome(v1::Verdict::SELF_DEFEATING);
  } else if (no_worse && safe) {
    verdict.set_outcome(v1::Verdict::SAFE);
  } else {
    verdict.set_outcome(v1::Verdict::INCONCLUSIVE);
  }
  verdict.set_summary(Summarise(verdict, candidate, family));
  for (v1::LossComparison& comparison : comparisons) {
    *verdict.add_comparisons() = std::move(comparison);
  }
  return verdict;
}

}  // namespace backfire::verdict
