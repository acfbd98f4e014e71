#include "orchestrator/verdict/explanation.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace backfire::verdict {
namespace {

using Comparison = v1::LossComparison;
using Comparisons = std::vector<const Comparison*>;

bool AllInfinite(const std::vector<LossSample>& samples) {
  return std::all_of(samples.begin(), samples.end(),
                     [](const LossSample& sample) { return std::isinf(sample.value); });
}

bool AnyNan(const std::vector<LossSample>& samples) {
  return std::any_of(samples.begin(), samples.end(),
                     [](const LossSample& sample) { return std::isnan(sample.value); });
}

std::string Name(const Comparison& one) {
  return absl::StrCat(one.vertex(), " ", one.loss(),
                      one.slice().empty() ? "" : absl::StrCat(" (", one.slice(), ")"));
}

std::string Names(const Comparisons& comparisons) {
  return absl::StrJoin(comparisons, ", ", [](std::string* out, const Comparison* one) {
    absl::StrAppend(out, Name(*one));
  });
}

Comparisons Having(const Comparisons& comparisons, Comparison::Outcome outcome) {
  Comparisons having;
  for (const Comparison* one : comparisons) {
    if (one->outcome() == outcome) having.push_back(one);
  }
  return having;
}

std::string FirstLook(const v1::Verdict& verdict, const Comparisons& descendants) {
  Comparisons grown;
  for (const Comparison* one : descendants) {
    if (one->worse_by_point()) grown.push_back(one);
  }
  return absl::StrCat(
      "First look, can't decide: ", verdict.replicates(),
      verdict.replicates() == 1 ? " replicate does" : " replicates do",
      " not say how much training alone moves these losses. By the numbers seen, ",
      grown.empty() ? "no descendant's loss grew"
                    : absl::StrCat("larger than before: ", Names(grown)),
      verdict.definition_2_1() ? ", which is Definition 2.1 of a self-defeating improvement" : "",
      ". A decision takes ", kReplicatesToDecide, " replicates (replicates: ", kReplicatesToDecide,
      " in the system, then the update again).");
}

// What keeps these losses from being resolved, and what an update planned anew would need. It must
// not be said that looking again, or a wider margin, would do: chosen after the fact, either makes
// false alarms or false assurance likelier than alpha.
std::string WhatWouldDecide(const Comparisons& open) {
  Comparisons unknown;
  std::vector<std::string> shares;
  for (const Comparison* one : open) {
    const double variance = one->training_variance() + one->example_variance();
    if (!std::isfinite(variance)) {
      unknown.push_back(one);
    } else if (variance > 0) {
      shares.push_back(
          absl::StrFormat("%s %.0f %%", Name(*one), 100 * one->training_variance() / variance));
    }
  }
  std::string text;
  if (!unknown.empty()) {
    absl::StrAppend(&text, "Of ", Names(unknown),
                    " this test split can't tell, however many replicates there are: see its "
                    "notes. ");
  }
  if (!shares.empty()) {
    absl::StrAppend(&text, "Training's share of the noise: ", absl::StrJoin(shares, ", "),
                    "; more replicates, planned before an update, shrink this share alone, and "
                    "more test examples the rest.");
  }
  return text;
}

}  // namespace

std::vector<std::string> Notes(const LossEvidence& loss, const Difference& difference) {
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
  if (loss.size.bearing < 2) {
    notes.push_back("one test example says nothing of others");
  } else if (loss.size.effective() < 2) {
    notes.push_back(
        loss.size.clusters->bearing < 2
            ? "one cluster of test examples says nothing of others"
            : "one cluster of test examples outweighs all others, and says nothing of them");
  } else if (loss.before[0].resampled.size() < 2) {
    notes.push_back("no resamples of the test examples, so their part in it is unknown");
  } else if (std::isnan(difference.example_variance)) {
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

std::string Summarise(const v1::Verdict& verdict, const Comparisons& candidate,
                      const Comparisons& descendants) {
  if (verdict.first_look()) return FirstLook(verdict, descendants);
  const Comparisons worse = Having(descendants, Comparison::WORSE);
  const char* are = worse.size() == 1 ? "is" : "are";
  Comparisons within = Having(candidate, Comparison::WORSE_WITHIN_MARGIN);
  for (const Comparison* one : Having(descendants, Comparison::WORSE_WITHIN_MARGIN)) {
    within.push_back(one);
  }
  const std::string said =
      within.empty() ? "" : absl::StrCat(" Worse, but within its margin: ", Names(within), ".");
  switch (verdict.outcome()) {
    case v1::Verdict::SELF_DEFEATING:
      return absl::StrCat(
          "Self-defeating improvement: the candidate is no worse on its own loss, "
          "and ",
          Names(worse),
          worse.size() == 1 ? " is worse beyond its margin" : " are worse beyond their margins",
          " even after retraining.", said);
    case v1::Verdict::SAFE:
      return absl::StrCat("Safe: the candidate is no worse, and ",
                          descendants.empty() ? "nothing depends on it."
                                              : "every descendant is no worse within its margin.",
                          said);
    case v1::Verdict::NOT_AN_IMPROVEMENT:
      return absl::StrCat("Not an improvement: the candidate is worse on its own loss",
                          worse.empty() ? "." : absl::StrCat("; so ", are, " ", Names(worse), "."),
                          said);
    default:
      break;
  }
  const std::string harm =
      worse.empty() ? "" : absl::StrCat("Worse even after retraining: ", Names(worse), ". ");
  if (candidate.empty()) {
    return absl::StrCat(
        "Inconclusive: the candidate has no judged loss, so nothing says whether "
        "it is an improvement. ",
        worse.empty() ? "No descendant is shown to be worse." : harm, said);
  }
  Comparisons open = Having(candidate, Comparison::UNRESOLVED);
  for (const Comparison* one : Having(descendants, Comparison::UNRESOLVED)) open.push_back(one);
  const bool another_look = verdict.look() < verdict.planned_looks() && worse.empty();
  return absl::StrCat("Inconclusive: the evidence does not resolve ", Names(open), ". ", harm,
                      another_look ? absl::StrCat("The next of ", verdict.planned_looks(),
                                                  " planned looks adds replicates.")
                                   : WhatWouldDecide(open),
                      said);
}

std::string ExplainProvenance(const Evidence& evidence) {
  std::vector<std::string> sentences;
  const std::vector<std::string>& unverified = evidence.unverified_vertices;
  if (!unverified.empty()) {
    sentences.push_back(
        absl::StrCat("Not verified: what passes between ", absl::StrJoin(unverified, ", "), " and ",
                     unverified.size() == 1 ? "its neighbours, as its service lacks"
                                            : "their neighbours, as their services lack",
                     " the capability COMMIT_OUTPUTS."));
  }
  std::map<std::pair<std::string, std::string>, int> outputs;  // By version and split.
  std::set<std::string> changed;
  for (const v1::OutputsCommitment& commitment : evidence.commitments) {
    if (++outputs[{commitment.version(), commitment.split()}] > 1) {
      changed.insert(commitment.version());
    }
  }
  if (!changed.empty()) {
    sentences.push_back(absl::StrCat("Some losses were computed on other outputs of ",
                                     absl::StrJoin(changed, ", "),
                                     " than others: its service committed anew meanwhile."));
  }
  return absl::StrJoin(sentences, " ");
}

}  // namespace backfire::verdict
