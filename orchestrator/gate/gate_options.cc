#include "orchestrator/gate/gate_options.h"

#include <string>

#include "orchestrator/gate/policy.h"

namespace backfire::gate {
namespace {

constexpr char kDefaultPolicy[] = "backfire-gate.yaml";

}  // namespace

void AddGateOptions(CLI::App& app, GateOptions& options) {
  app.add_option("--policy", options.request.policy,
                 "What is judged, by which losses; default: backfire-gate.yaml, or none with "
                 "--evidence");
  app.add_option("--before", options.request.before,
                 "Records of what is in use: a file or a folder");
  app.add_option("--after", options.request.after, "Records of the change");
  auto& baseline = *app.add_option(
      "--baseline", options.request.baseline,
      "Instead of --before: a file of records kept in git; where there is none, it is written "
      "from --after, and the gate exits 6");
  app.add_flag("--update-baseline", options.update_baseline,
               "After a pass, make --after the baseline")
      ->needs(&baseline);
  app.add_option("--evidence", options.request.evidence,
                 "Instead of records: what `backfire update export` wrote of an update");
  app.add_option("--swapped", options.request.swapped,
                 "Records of the change without retraining what is behind it: shown");
  app.add_option("--candidate", options.request.candidate,
                 "Vertex that changed; default: the policy's");
  app.add_option(
         "--changed-since", options.request.changed_since,
         "Revision of git's, as origin/main: the candidate is the vertex whose `paths` were "
         "touched since; none passes")
      ->excludes("--candidate");
  app.add_option("--fail-on", options.request.fail_on,
                 "Instead of the policy's fail_on; may be given again: worse, worse-within-margin, "
                 "unresolved, or none")
      ->check(CLI::IsMember({"worse", "worse-within-margin", "unresolved", "none"}));
  app.add_option("--candidates-judged", options.request.candidates_judged,
                 "Changes that these examples have judged, this one included: shown")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--today", options.request.today,
                 "Day by which waivers have expired; default: today, UTC")
      ->check([](const std::string& day) {
        return IsDay(day) ? std::string() : "must be a day as 2026-12-31: got " + day;
      });
  app.add_option("--threads", options.request.threads, "Threads; no number depends on them")
      ->check(CLI::Range(1, 1024));
  AddOutputOptions(app, options.outputs);
  app.add_flag(
      "--self-test", options.self_test,
      "Judge nothing: simulate updates from the noise of --before or --baseline; exits 0, or "
      "6 if a gate on these records can't decide or would be wrong");
  app.callback([&options] {
    GateRequest& request = options.request;
    const bool any_before = !request.before.empty() || !request.baseline.empty();
    const bool both = !request.before.empty() && !request.baseline.empty();
    const bool records = any_before && !both && (options.self_test || !request.after.empty());
    const bool any_records = any_before || !request.after.empty();
    if (request.evidence.empty() ? !records : any_records) {
      throw CLI::ValidationError("give --after with --before or --baseline, or --evidence alone");
    }
    if (request.policy.empty() && request.evidence.empty()) request.policy = kDefaultPolicy;
  });
}

}  // namespace backfire::gate
