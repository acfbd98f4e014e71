// Systems and policies as people write them. The first byte says which.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/system/system_file.h"
#include "services/graph/system_graph.h"
#include "tests/fuzz/fuzz_entry.h"
#include "tests/fuzz/fuzz_file.h"

namespace backfire {
namespace {

constexpr char kSystem[] = R"(name: stereo
request:
- {name: left, datatype: UINT8, shape: [-1, -1, 3]}
outputs: {cars: car.detections}
dataset: "kitti:/data?train=train"
seed: 1
replicates: 1
bootstrap: {seed: 1, resample_count: 1000}
service_timeout: 2.5s
vertices:
- name: disparity
  endpoint: localhost:7001
  inputs: {left: request.left}
  recipe: &recipe
    name: psmnet
    parameters: {initialize_from: "pretrained:small", steps: 3e2, flags: [true, null, {a: b}]}
  process: {program: disparity-service}
- name: car
  endpoint: unix:/run/car
  replicas: [localhost:7003]
  inputs: {disparity: disparity.disparity}
  recipe: *recipe
  margins: {average_precision: 0.01}
)";

constexpr char kPolicy[] = R"(candidate: encoder
alpha: 0.05
looks: [3, 5]
vertices:
- name: encoder
  losses:
  - {name: mse, margin: 0.01}
- name: reader
  parents: [encoder]
  losses:
  - {name: wer, numerator: wrong, denominator: words, unit: fraction, margin: 0.02}
  - {name: accuracy, column: right, direction: higher, role: advisory}
  required_slices: [night]
bootstrap: {resample_count: 1000}
fail_on: [worse]
waivers:
- {vertex: reader, loss: wer, owner: ann, reason: r, expires: 2030-02-28}
)";

void FuzzSystem(const std::string& text) {
  static const auto* const file = new FuzzFile("text.yaml");
  static const auto* const path = new std::string(file->path().string());
  file->Write(text);
  // Faults name the file that they are in.
  const auto require_located = [](const absl::Status& status) {
    RequireRefusal(status);
    Require(absl::StartsWith(status.message(), *path + ":"));
  };
  const auto system = system::LoadSystemFile(*path);
  if (!system.ok()) return require_located(system.status());
  Require(!system->name().empty() && system->vertices_size() > 0);
  // A service may find one later.
  const std::string fault = "vertices[" + system->vertices(0).name() + "].recipe: must be another";
  require_located(system::LocateInSystemFile(absl::InvalidArgumentError(fault), *path));
  // What is taken once is taken by whoever checks it next.
  Require(graph::SystemGraph::Build(*system).ok());
}

void FuzzPolicy(const std::string& text, gate::PolicyUse use) {
  // There is one system that a policy can name.
  static const auto* const system = [] {
    const auto* const file = new FuzzFile("other.yaml");
    file->Write(kSystem);
    return file;
  }();
  const auto policy = gate::ParsePolicy(text, "text.yaml", system->folder().string(), use);
  if (!policy.ok()) return RequireRefusal(policy.status());
  // Evidence has its own alpha.
  const bool by_evidence = use == gate::PolicyUse::kEvidence && policy->alpha() == 0;
  Require(by_evidence || (policy->alpha() > 0 && policy->alpha() < 0.5));
  if (const auto scope = gate::ScopeOf(*policy, ""); !scope.ok()) RequireRefusal(scope.status());
  for (const v1::GateVertex& vertex : policy->vertices()) {
    for (const v1::GateLoss& loss : vertex.losses()) {
      Require(gate::IsBlocking(loss) || loss.role() == "advisory");
    }
    const auto scope = gate::ScopeOf(*policy, vertex.name());
    Require(scope.ok() && !scope->vertices.empty());
    Require(scope->vertices.size() + scope->unaffected.size() ==
            static_cast<size_t>(policy->vertices_size()));
  }
}

}  // namespace

std::vector<std::string> FuzzExamples() {
  return {
      std::string(1, '\0') + kSystem, std::string("\1") + kPolicy,
      std::string("\2candidate: encoder\nalpha: 0.1\n"),
      std::string(
          "\1system: other.yaml\ncandidate: car\nvertices:\n- {name: car, losses: [{name: ap}]}\n"),
      std::string("\1system: none.yaml\n"),
      // Once read for ever.
      std::string("\1, a")};
}

std::vector<std::string> FuzzTokens() {
  return {"name: ",
          "- ",
          "vertices:\n",
          "inputs: ",
          "&a ",
          "*a",
          "*recipe",
          "<<: ",
          "{",
          "}",
          "[",
          "]",
          ": ",
          "# ",
          "---\n",
          "...\n",
          "!!str ",
          "!!binary ",
          "? ",
          "|\n",
          ">-\n",
          "\"",
          "'",
          "~",
          "null",
          ".inf",
          "margins",
          "parents",
          "required_slices",
          "request.left",
          "waivers",
          "unix:",
          "2030-02-30",
          "  "};
}

int FuzzRuns() { return 2000; }

}  // namespace backfire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace backfire;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      FuzzSystem(text);
      break;
    case 1:
      FuzzPolicy(text, gate::PolicyUse::kRecords);
      break;
    default:
      FuzzPolicy(text, gate::PolicyUse::kEvidence);
  }
  return 0;
}
