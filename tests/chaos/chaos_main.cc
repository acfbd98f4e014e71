// chaos: runs a system undisturbed, then with every process killed again and again, and compares.
// Exits 0 if nothing differs, 1 if something does or a kill did not happen, 2 on wrong usage.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/system/system_file.h"
#include "services/base/command_line.h"
#include "services/base/status.h"
#include "services/runtime/recipe.h"
#include "tests/chaos/kill_plan.h"
#include "tests/chaos/mesh_run.h"
#include "tests/chaos/outcome.h"
#include "tests/chaos/scenario.h"

namespace backfire::chaos {
namespace {

struct Settings {
  std::filesystem::path binaries;
  std::filesystem::path toy_service;
  std::string system_file;
  std::string dataset;
  int replicates = 0;
  int kills = 24;
  uint64_t seed = 1;
  std::string vertex;
  std::string recipe;
  std::vector<std::string> parameters;
  double patience_seconds = 120;
  std::filesystem::path keep;
};

// Two learners in a row: what `chaos` runs when it is given no system.
v1::System ToySystem(const std::filesystem::path& toy_service) {
  v1::System system;
  system.set_name("toy");
  system.set_dataset("toy:20");
  system.set_replicates(2);
  system.mutable_bootstrap()->set_resample_count(50);
  auto* x = system.add_request();
  x->set_name("x");
  x->set_datatype("FP64");
  x->add_shape(1);
  const auto add = [&](const char* name, const char* input, const char* source) {
    v1::Vertex* vertex = system.add_vertices();
    vertex->set_name(name);
    vertex->set_endpoint(name);
    (*vertex->mutable_inputs())[input] = source;
    vertex->mutable_recipe()->set_name("least-squares");
    vertex->mutable_process()->set_program(toy_service);
  };
  add("first", "x", "request.x");
  add("second", "y", "first.y");
  (*system.mutable_outputs())["y"] = "second.y";
  return system;
}

absl::StatusOr<v1::Recipe> ParseRecipe(const Settings& settings) {
  v1::Recipe recipe;
  recipe.set_name(settings.recipe);
  for (const std::string& setting : settings.parameters) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat("--set must be NAME=VALUE: got ", setting));
    }
    google::protobuf::Value value;
    double number = 0;
    if (absl::SimpleAtod(setting.substr(equals + 1), &number)) {
      value.set_number_value(number);
    } else {
      value.set_string_value(setting.substr(equals + 1));
    }
    (*recipe.mutable_parameters()->mutable_fields())[setting.substr(0, equals)] = value;
  }
  return recipe;
}

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Counts the planned places of one process by kind.
void PrintProcess(const std::string& process, const std::vector<std::string>& planned, int idle,
                  int deaths) {
  int boundaries = 0;
  for (const std::string& place : planned) boundaries += IsStepBoundary(place) ? 1 : 0;
  std::printf("  %-14s killed %3d times: %d at step boundaries, %d inside steps, %d idle\n",
              process.c_str(), deaths, boundaries, static_cast<int>(planned.size()) - boundaries,
              idle);
}

absl::StatusOr<bool> Run(const Settings& settings, const std::filesystem::path& root) {
  v1::System system;
  if (settings.system_file.empty()) {
    system = ToySystem(settings.toy_service);
  } else {
    BACKFIRE_ASSIGN_OR_RETURN(system, system::LoadSystemFile(settings.system_file));
  }
  if (!settings.dataset.empty()) system.set_dataset(settings.dataset);
  if (settings.replicates > 0) system.set_replicates(settings.replicates);
  ScenarioOptions scenario;
  scenario.patience_seconds = settings.patience_seconds;
  scenario.vertex = settings.vertex;
  BACKFIRE_ASSIGN_OR_RETURN(scenario.recipe, ParseRecipe(settings));
  const bool known = std::any_of(system.vertices().begin(), system.vertices().end(),
                                 [&](const auto& v) { return v.name() == scenario.vertex; });
  if (!known) {
    return absl::InvalidArgumentError(
        absl::StrCat("--vertex: there is no vertex ", scenario.vertex));
  }
  BACKFIRE_RETURN_IF_ERROR(MakeSeedData(settings.binaries, root / "seed"));

  ScenarioResult calm, wild;
  Places plan;
  double calm_seconds = 0;
  {
    std::printf("undisturbed: %s, %s -> %s\n", system.name().c_str(), scenario.vertex.c_str(),
                scenario.recipe.name().c_str());
    std::fflush(stdout);
    const auto start = std::chrono::steady_clock::now();
    MeshRun run(
        {settings.binaries, root / "calm", system, {}, root / "seed/data", settings.system_file});
    BACKFIRE_ASSIGN_OR_RETURN(calm, RunScenario(run, scenario));
    calm_seconds = SecondsSince(start);
    BACKFIRE_ASSIGN_OR_RETURN(Places passed, run.passed());
    // Which requests come while something else is under way depends on the machine; the first ones
    // come in every run.
    auto& requests = passed["gateway"];
    std::vector<std::string> first_requests;
    for (int i = 1; calm.has_traffic && i <= scenario.requests; ++i) {
      const std::string wanted = absl::StrCat("vertex-call request-", i, " ");
      for (const std::string& place : requests) {
        if (place.rfind(wanted, 0) != 0) continue;
        first_requests.push_back(place);
        break;
      }
    }
    requests = first_requests;
    plan = ChooseKills(passed, calm.update.name(), settings.kills, settings.seed);
  }
  size_t planned = 0;
  for (const auto& [process, places] : plan) planned += places.size();
  std::printf("  %.1f s; verdict %s\nkilled at %zu places and once more while idle, seed %llu:\n",
              calm_seconds, v1::Verdict::Outcome_Name(calm.update.verdict().outcome()).c_str(),
              planned, static_cast<unsigned long long>(settings.seed));
  std::fflush(stdout);

  const auto start = std::chrono::steady_clock::now();
  MeshRun run(
      {settings.binaries, root / "wild", system, plan, root / "seed/data", settings.system_file});
  scenario.kill_idle = true;
  BACKFIRE_ASSIGN_OR_RETURN(wild, RunScenario(run, scenario));
  int killed = 0;
  for (const auto& [process, deaths] : run.deaths()) {
    PrintProcess(process, plan[process], 1, deaths);
    killed += deaths;
  }
  std::printf("  %.1f s; verdict %s; %d requests answered, %d attempts lost to kills\n",
              SecondsSince(start),
              v1::Verdict::Outcome_Name(wild.update.verdict().outcome()).c_str(), wild.responses,
              wild.lost);

  bool fine = true;
  for (const auto& [process, places] : run.missed()) {
    fine = false;
    std::printf("NOT KILLED: %s should have died next at: %s (%zu left)\n", process.c_str(),
                places[0].c_str(), places.size());
  }
  for (const std::string& difference : Differences(calm, wild)) {
    fine = false;
    std::printf("DIFFERS: %s\n", difference.c_str());
  }
  for (const std::string& mixed : wild.mixed) {
    fine = false;
    std::printf("MIXED: %s\n", mixed.c_str());
  }
  const size_t points = planned + run.processes().size();
  std::printf(
      "%s %d of %zu kill points: %zu facts compared (versions, losses to the bit, verdict)\n",
      fine ? "survived" : "FAILED at", killed, points, Facts(calm).size());
  return fine && static_cast<size_t>(killed) == points;
}

}  // namespace
}  // namespace backfire::chaos

int main(int argc, char** argv) {
  using namespace backfire::chaos;
  Settings settings;
  CLI::App app(
      "Kills every process of a mesh at every step boundary and at random moments inside steps, "
      "and "
      "compares what comes out with an undisturbed run.\n\nExample: run-chaos --bin build/bin "
      "--toy-service build/tests/toy-service --kills 50 --seed 7",
      "run-chaos");
  app.add_option("--bin", settings.binaries, "Folder of orchestrator, gateway and services")
      ->required();
  app.add_option("--toy-service", settings.toy_service, "Serves the toy system");
  app.add_option("--kills", settings.kills, "Kills inside steps, beyond those at step boundaries")
      ->capture_default_str()
      ->check(CLI::Range(0, 100000));
  app.add_option("--seed", settings.seed, "Draws where these happen")->capture_default_str();
  app.add_option("--system", settings.system_file,
                 "A system's YAML file instead of the toy system");
  app.add_option("--dataset", settings.dataset, "URI to use instead of the file's `dataset`");
  app.add_option("--replicates", settings.replicates, "Instead of the file's")
      ->check(CLI::Range(1, 100));
  app.add_option("--vertex", settings.vertex, "Which vertex the update changes");
  app.add_option("--recipe", settings.recipe, "What it is to be trained by");
  app.add_option("--set", settings.parameters, "NAME=VALUE: a parameter of the recipe")->take_all();
  app.add_option("--patience", settings.patience_seconds,
                 "Seconds without progress that are a hang")
      ->capture_default_str();
  app.add_option("--keep", settings.keep, "Work in this folder, and keep it");
  if (const std::optional<int> code = backfire::ParseCommandLine(app, argc, argv)) return *code;
  if (settings.system_file.empty()) {
    if (settings.vertex.empty()) settings.vertex = "first";
    if (settings.recipe.empty()) settings.recipe = "least-squares";
    if (settings.parameters.empty()) settings.parameters = {"offset=0.25"};
  }
  std::filesystem::path root = settings.keep;
  if (root.empty()) {
    std::string made = (std::filesystem::temp_directory_path() / "chaos.XXXXXX").string();
    if (::mkdtemp(made.data()) == nullptr) {
      std::cerr << "chaos: cannot make a folder in " << std::filesystem::temp_directory_path()
                << "\n";
      return 1;
    }
    root = made;
  }
  settings.binaries = std::filesystem::absolute(settings.binaries);
  if (!settings.system_file.empty()) {
    settings.system_file = std::filesystem::absolute(settings.system_file).string();
  }
  if (!settings.toy_service.empty()) {
    settings.toy_service = std::filesystem::absolute(settings.toy_service);
  }
  const auto fine = Run(settings, root);
  if (!fine.ok()) {
    std::cerr << "chaos: " << fine.status().message() << "\n(kept: " << root << ")\n";
    return absl::IsInvalidArgument(fine.status()) ? 2 : 1;
  }
  if (settings.keep.empty() && *fine) std::filesystem::remove_all(root);
  if (!*fine) std::printf("(kept: %s)\n", root.c_str());
  return *fine ? 0 : 1;
}
