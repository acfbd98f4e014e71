#include "services/rpc/roles.h"

#include <algorithm>
#include <array>
#include <utility>

namespace backfire::runtime {
namespace {

constexpr std::array<std::pair<Role, std::string_view>, 7> kNames = {
    {{Role::kClient, "client"},
     {Role::kModel, "model"},
     {Role::kGateway, "gateway"},
     {Role::kViewer, "viewer"},
     {Role::kGate, "gate"},
     {Role::kOrchestrator, "orchestrator"},
     {Role::kOperator, "operator"}}};

constexpr Roles kEverybody = Roles::All();
constexpr Roles kReaders = {Role::kViewer, Role::kGate, Role::kOrchestrator, Role::kOperator};
constexpr Roles kOrchestrator = {Role::kOrchestrator};
constexpr Roles kOperator = {Role::kOperator};
constexpr Roles kProposers = {Role::kGate, Role::kOperator};
constexpr Roles kClients = {Role::kClient, Role::kViewer, Role::kGate, Role::kOperator};
constexpr Roles kNone = {};
constexpr bool kAnyone = true, kChanges = true, kNot = false;

std::vector<MethodRule> AtOrchestrator() {
#define METHOD(name) "/backfire.v1.Orchestrator/" name
  return {
      {METHOD("ApplySystem"), kOperator, kNot, kChanges},
      {METHOD("GetSystem"), kReaders | Roles{Role::kGateway}},
      {METHOD("ProposeUpdate"), kProposers, kNot, kChanges},
      {METHOD("GetUpdate"), kReaders},
      {METHOD("ListUpdates"), kReaders},
      {METHOD("WatchUpdate"), kReaders},
      // A gate's own alone, which the method itself sees to.
      {METHOD("CancelUpdate"), kProposers, kNot, kChanges},
      {METHOD("RetryUpdate"), kProposers, kNot, kChanges},
      {METHOD("PruneUpdates"), kOperator, kNot, kChanges},
      {METHOD("ListEvents"), kReaders},
      {METHOD("PromoteUpdate"), kOperator, kNot, kChanges},
      {METHOD("RollbackRelease"), kOperator, kNot, kChanges},
      {METHOD("GetRelease"), kReaders},
      {METHOD("ListReleases"), kReaders},
      // Whoever isn't a gateway only observes, which the method itself sees to.
      {METHOD("WatchReleases"), kReaders | Roles{Role::kGateway}},
      {METHOD("ListVersions"), kReaders},
      {METHOD("GetVersion"), kReaders},
      {METHOD("ImportVersion"), kOperator, kNot, kChanges},
      {METHOD("ExportVersion"), kReaders},
      {METHOD("DeleteVersion"), kOperator, kNot, kChanges},
      {"/backfire.v1.UpdateEvidence/ExportEvidence", kReaders},
  };
#undef METHOD
}

std::vector<MethodRule> AtModelService() {
  // A person asks a service what it is, before its system is applied.
  constexpr Roles kDescribed = kReaders | Roles{Role::kModel, Role::kGateway};
#define METHOD(name) "/backfire.v1.ModelService/" name
  return {
      {METHOD("GetModel"), kDescribed},
      {METHOD("ListModels"), kDescribed},
      {METHOD("Train"), kOrchestrator, kNot, kChanges},
      {METHOD("Evaluate"), kOrchestrator, kNot, kChanges},
      {METHOD("GetJob"), kReaders},
      {METHOD("WatchJob"), kReaders},
      {METHOD("CancelJob"), kOrchestrator, kNot, kChanges},
      {METHOD("ResolveRecipe"), kReaders},
      {METHOD("CommitOutputs"), kOrchestrator, kNot, kChanges},
      {METHOD("Materialize"), {Role::kModel}},
      {METHOD("ListVersions"), kDescribed},
      {METHOD("GetVersion"), kDescribed},
      {METHOD("DeleteVersion"), kOrchestrator, kNot, kChanges},
      {METHOD("ImportVersion"), kOrchestrator, kNot, kChanges},
      // A replica copies what it is to serve.
      {METHOD("ExportVersion"), {Role::kModel, Role::kOrchestrator}},
      {METHOD("LoadVersion"), kOrchestrator, kNot, kChanges},
      {METHOD("UnloadVersion"), kOrchestrator, kNot, kChanges},
  };
#undef METHOD
}

// The Open Inference Protocol: of `infers`, where `anyone` says so of nobody in particular.
std::vector<MethodRule> Inference(Roles infers, bool anyone) {
#define METHOD(name) "/inference.GRPCInferenceService/" name
  return {
      {METHOD("ServerLive"), kEverybody, anyone},
      {METHOD("ServerReady"), kEverybody, anyone},
      {METHOD("ModelReady"), kEverybody, anyone},
      {METHOD("ServerMetadata"), kEverybody, anyone},
      {METHOD("ModelMetadata"), kEverybody, anyone},
      {METHOD("ModelInfer"), infers, anyone},
      {METHOD("ModelStreamInfer"), infers, anyone},
      {METHOD("ModelConfig"), kEverybody, anyone},
      {METHOD("ModelStatistics"), kEverybody, anyone},
      {METHOD("RepositoryIndex"), kEverybody, anyone},
      // What is served is the orchestrator's to say.
      {METHOD("RepositoryModelLoad"), kNone},
      {METHOD("RepositoryModelUnload"), kNone},
      {METHOD("SystemSharedMemoryStatus"), infers, anyone},
      {METHOD("SystemSharedMemoryRegister"), infers, anyone},
      {METHOD("SystemSharedMemoryUnregister"), infers, anyone},
  };
#undef METHOD
}

// What gRPC itself offers at every server.
std::vector<MethodRule> Common(bool anyone) {
  return {
      {"/grpc.health.v1.Health/Check", kEverybody, anyone},
      {"/grpc.health.v1.Health/Watch", kEverybody, anyone},
      {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kEverybody, anyone},
      {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", kEverybody, anyone},
  };
}

std::vector<MethodRule> Joined(std::vector<MethodRule> rules, const std::vector<MethodRule>& more) {
  rules.insert(rules.end(), more.begin(), more.end());
  return rules;
}

}  // namespace

std::string Roles::ToString() const {
  if (*this == All()) return "all";
  std::string text;
  for (const auto& [role, name] : kNames) {
    if (Has(role)) text.append(text.empty() ? "" : ", ").append(name);
  }
  return text;
}

std::optional<Role> ParseRole(std::string_view name) {
  for (const auto& [role, known] : kNames) {
    if (name == known) return role;
  }
  return std::nullopt;
}

const std::vector<MethodRule>& MethodTable(Surface surface) {
  static const auto& gateway =
      *new std::vector<MethodRule>(Joined(Inference(kClients, kAnyone), Common(kAnyone)));
  static const auto& service = *new std::vector<MethodRule>(
      Joined(Joined(AtModelService(), Inference({Role::kGateway}, kNot)), Common(kNot)));
  static const auto& orchestrator =
      *new std::vector<MethodRule>(Joined(AtOrchestrator(), Common(kNot)));
  switch (surface) {
    case Surface::kGateway:
      return gateway;
    case Surface::kModelService:
      return service;
    case Surface::kOrchestrator:
      break;
  }
  return orchestrator;
}

const MethodRule* FindRule(Surface surface, std::string_view method) {
  const std::vector<MethodRule>& rules = MethodTable(surface);
  const auto found = std::find_if(rules.begin(), rules.end(),
                                  [&](const MethodRule& rule) { return rule.method == method; });
  return found == rules.end() ? nullptr : &*found;
}

}  // namespace backfire::runtime
