#include "orchestrator/study/study.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/text_table.h"
#include "orchestrator/system/system_file.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::study {
namespace {

Terms TermsOf(const v1::ErrorTerms& from) {
  Terms terms;
  terms.set_upstream(from.upstream());
  terms.set_approximation(from.approximation());
  terms.set_estimation(from.estimation());
  if (from.has_compatibility()) {
    terms.set_compatibility(from.compatibility());
    terms.set_excess_upstream(from.excess_upstream());
  }
  return terms;
}

}  // namespace

SystemResult Summarise(const v1::System& system, const v1::Proposal& proposal,
                       const v1::Update& update) {
  SystemResult result;
  result.set_system(system.name());
  result.set_vertex(proposal.vertex());
  result.set_expected_verdict(proposal.expected_verdict());
  result.set_expected_cause(proposal.expected_cause());
  result.set_verdict(v1::Verdict::Outcome_Name(update.verdict().outcome()));
  result.set_definition_2_1(update.verdict().definition_2_1());
  result.set_replicates(update.verdict().replicates());
  for (const v1::LossComparison& comparison : update.verdict().comparisons()) {
    if (comparison.candidate()) continue;
    VertexResult& vertex = *result.add_vertices();
    vertex.set_vertex(comparison.vertex());
    vertex.set_loss(comparison.loss());
    vertex.set_loss_before(comparison.before());
    vertex.set_loss_after(comparison.after());
    vertex.set_difference(comparison.difference());
    vertex.set_interval_low(comparison.interval_low());
    vertex.set_interval_high(comparison.interval_high());
    vertex.set_outcome(v1::LossComparison::Outcome_Name(comparison.outcome()));
    for (const v1::VertexDiagnosis& diagnosis : update.diagnoses()) {
      if (diagnosis.vertex() != comparison.vertex() || diagnosis.loss() != comparison.loss()) {
        continue;
      }
      vertex.set_true_loss_before(diagnosis.before().loss());
      vertex.set_true_loss_after(diagnosis.after().loss());
      vertex.set_bayes_loss_before(diagnosis.before().bayes_loss());
      vertex.set_bayes_loss_after(diagnosis.after().bayes_loss());
      *vertex.mutable_terms_before() = TermsOf(diagnosis.before());
      *vertex.mutable_terms_after() = TermsOf(diagnosis.after());
      vertex.set_numerical_error(
          std::max(diagnosis.before().numerical_error(), diagnosis.after().numerical_error()));
      vertex.set_cause(diagnosis.cause());
    }
  }
  bool cause_found = proposal.expected_cause().empty();
  for (const VertexResult& vertex : result.vertices()) {
    const bool harmed =
        vertex.outcome() == v1::LossComparison::Outcome_Name(v1::LossComparison::WORSE);
    cause_found = cause_found || (harmed && vertex.cause() == proposal.expected_cause());
  }
  result.set_as_expected(result.verdict() == proposal.expected_verdict() && cause_found);
  return result;
}

absl::StatusOr<SystemResult> RunSystem(const StudyPlace& place, const std::string& system_file,
                                       int replicates, const std::string& evidence) {
  const auto start = std::chrono::steady_clock::now();
  BACKFIRE_ASSIGN_OR_RETURN(v1::System system, system::LoadSystemFile(system_file));
  if (system.proposals().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(system_file, ": proposals must not be empty"));
  }
  if (replicates > 0) system.set_replicates(replicates);
  const v1::Proposal proposal = system.proposals(0);
  absl::StatusOr<v1::Update> update;
  {
    BACKFIRE_ASSIGN_OR_RETURN(const auto mesh, StudyMesh::Start(place, system, system_file));
    if (const auto baseline = mesh->Apply(system); !baseline.ok()) {
      return Annotate(baseline.status(), system_file);
    }
    update = mesh->Propose(proposal);
    if (update.ok() && !evidence.empty()) {
      BACKFIRE_ASSIGN_OR_RETURN(const std::string lines, mesh->Evidence(update->name()));
      BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(evidence, lines));
    }
  }
  if (!update.ok()) return Annotate(update.status(), system_file);
  SystemResult result = Summarise(system, proposal, *update);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  result.set_seconds(elapsed.count());
  return result;
}

std::string ResultsText(const std::vector<SystemResult>& results) {
  using report::FormatNumber;
  using report::FormatSigned;
  using Align = report::TextTable::Align;
  report::TextTable verdicts({{"system"},
                              {"changed"},
                              {"K", Align::kRight},
                              {"expected"},
                              {"verdict"},
                              {"Definition 2.1"},
                              {"seconds", Align::kRight},
                              {"as expected"}});
  report::TextTable terms({{"system"},
                           {"vertex"},
                           {""},
                           {"test loss", Align::kRight},
                           {"difference", Align::kRight},
                           {"true loss", Align::kRight},
                           {"bayes", Align::kRight},
                           {"upstream", Align::kRight},
                           {"compat.", Align::kRight},
                           {"excess", Align::kRight},
                           {"approx.", Align::kRight},
                           {"estim.", Align::kRight},
                           {"within", Align::kRight},
                           {"grew most"}});
  for (const SystemResult& result : results) {
    verdicts.AddRow({result.system(), result.vertex(), absl::StrCat(result.replicates()),
                     result.expected_verdict(), result.verdict(),
                     result.definition_2_1() ? "self-defeating" : "not",
                     absl::StrFormat("%.1f", result.seconds()),
                     result.as_expected() ? "yes" : "NO"});
    for (const VertexResult& vertex : result.vertices()) {
      for (const bool after : {false, true}) {
        const Terms& t = after ? vertex.terms_after() : vertex.terms_before();
        const bool diagnosed = vertex.has_terms_before();
        const auto number = [&](double value) { return diagnosed ? FormatNumber(value) : ""; };
        terms.AddRow({after ? "" : result.system(), after ? "" : vertex.vertex(),
                      after ? "after" : "before",
                      FormatNumber(after ? vertex.loss_after() : vertex.loss_before()),
                      after ? absl::StrCat(FormatSigned(vertex.difference()), " [",
                                           FormatSigned(vertex.interval_low()), ", ",
                                           FormatSigned(vertex.interval_high()), "]")
                            : "",
                      number(after ? vertex.true_loss_after() : vertex.true_loss_before()),
                      number(after ? vertex.bayes_loss_after() : vertex.bayes_loss_before()),
                      number(t.upstream()), t.has_compatibility() ? number(t.compatibility()) : "",
                      t.has_excess_upstream() ? number(t.excess_upstream()) : "",
                      number(t.approximation()), number(t.estimation()),
                      after ? number(vertex.numerical_error()) : "", after ? vertex.cause() : ""});
      }
    }
  }
  return absl::StrCat(verdicts.ToString(), "\n", terms.ToString(),
                      "\ntrue loss = bayes + upstream + approximation + estimation; upstream = "
                      "compatibility + excess upstream.\n");
}

}  // namespace backfire::study
