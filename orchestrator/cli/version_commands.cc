#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <ostream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/cli/orchestrator_client.h"
#include "orchestrator/cli/recipe_argument.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/report/version_report.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/status.h"
#include "services/runtime/version_name.h"

namespace backfire::cli {
namespace {

using Stub = v1::Orchestrator::Stub;

/// Bytes of a file that one message carries.
constexpr size_t kPieceBytes = size_t{1} << 20;

/// Options of all the version commands; each reads those that it declares.
struct VersionOptions {
  std::string name;
  std::vector<std::string> names;
  std::string vertex;
  std::string recipe;
  std::vector<std::string> parameters;
  std::string file;
  int page_size = 0;
  bool by_size = false;
  std::string page_token;
};

absl::StatusOr<ExitCode> ListVersions(const Session& session, const VersionOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> models,
                            orchestrator.ResolveModels(options.vertex));
  v1::ListVersionsResponse all;
  for (const std::string& model : models) {
    v1::ListVersionsRequest request;
    request.set_model(model);
    request.set_page_size(options.page_size);
    request.set_page_token(options.page_token);
    do {
      const auto page = orchestrator.Call(&Stub::ListVersions, request);
      if (absl::IsFailedPrecondition(page.status()) && options.vertex.empty()) {
        *session.err << page.status().message() << "\n";  // The others' are of use.
        break;
      }
      BACKFIRE_RETURN_IF_ERROR(page.status());
      all.clear_next_page_token();
      all.MergeFrom(*page);
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty() && options.page_size == 0);
  }
  if (options.by_size) {
    std::stable_sort(
        all.mutable_versions()->begin(), all.mutable_versions()->end(),
        [](const auto& a, const auto& b) { return a.weights_bytes() > b.weights_bytes(); });
  }
  BACKFIRE_RETURN_IF_ERROR(session.Print(
      all, absl::StrCat(report::VersionListText(all),
                        options.by_size ? absl::StrCat("\n", report::VersionSizesText(all)) : "")));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> ShowVersion(const Session& session, const VersionOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  v1::GetVersionRequest request;
  BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_name(),
                            orchestrator.ResolveVersion(options.vertex, options.name));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version,
                            orchestrator.Call(&Stub::GetVersion, request));
  BACKFIRE_RETURN_IF_ERROR(session.Print(version, report::VersionText(version)));
  return ExitCode::kOk;
}

/// Reads a file piece by piece: once for its digest, once to send it.
absl::Status ForEachPiece(const std::string& path,
                          const std::function<bool(std::string data)>& take) {
  std::ifstream file(path, std::ios::binary);
  std::string data(kPieceBytes, '\0');
  while (file) {
    file.read(data.data(), static_cast<std::streamsize>(data.size()));
    const auto count = static_cast<size_t>(file.gcount());
    if (count > 0 && !take(data.substr(0, count))) return absl::OkStatus();
  }
  if (!file.eof()) return absl::InternalError(absl::StrCat(path, ": can't be read"));
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> ImportVersion(const Session& session, const VersionOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  v1::ImportVersionRequest description;
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<std::string> models,
                            orchestrator.ResolveModels(options.vertex));
  description.set_model(models.front());
  BACKFIRE_ASSIGN_OR_RETURN(*description.mutable_recipe(),
                            MakeRecipe(options.recipe, options.parameters));
  Sha256 digest;
  int64_t bytes = 0;
  BACKFIRE_RETURN_IF_ERROR(ForEachPiece(options.file, [&](const std::string& data) {
    digest.Update(data);
    bytes += static_cast<int64_t>(data.size());
    return true;
  }));
  if (bytes == 0) return absl::InvalidArgumentError(absl::StrCat(options.file, " is empty"));
  description.set_file_bytes(bytes);
  description.set_file_digest(digest.Finish());
  const auto send = [&](const OrchestratorClient::WriteImport& write) -> absl::Status {
    if (!write(description)) return absl::OkStatus();
    return ForEachPiece(options.file, [&](std::string data) {
      v1::ImportVersionRequest piece;
      piece.set_data(std::move(data));
      return write(piece);
    });
  };
  const absl::StatusOr<v1::Version> version = orchestrator.ImportVersion(send);
  if (!version.ok()) return Annotate(version.status(), options.file);
  BACKFIRE_RETURN_IF_ERROR(session.Print(*version, report::VersionText(*version)));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> ExportVersion(const Session& session, const VersionOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  v1::ExportVersionRequest request;
  BACKFIRE_ASSIGN_OR_RETURN(*request.mutable_name(),
                            orchestrator.ResolveVersion(options.vertex, options.name));
  std::string file;
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, orchestrator.ExportVersion(request, file));
  BACKFIRE_RETURN_IF_ERROR(WriteFileAtomically(options.file, file));
  BACKFIRE_RETURN_IF_ERROR(session.Print(
      version, absl::StrCat(version.name(), ": ", file.size(), " bytes in ", options.file, "\n")));
  return ExitCode::kOk;
}

absl::Status DeleteOne(const Session& session, OrchestratorClient& orchestrator,
                       const std::string& name) {
  v1::DeleteVersionRequest request;
  request.set_name(name);
  v1::GetVersionRequest get;
  get.set_name(name);
  const bool was_there = !absl::IsNotFound(orchestrator.Call(&Stub::GetVersion, get).status());
  BACKFIRE_ASSIGN_OR_RETURN(const v1::DeleteVersionResponse response,
                            orchestrator.Call(&Stub::DeleteVersion, request, absl::Seconds(120)));
  return session.Print(response,
                       absl::StrCat(name, was_there ? " is deleted\n" : " was not there\n"));
}

/// Deletes what it can: of several, one that is needed doesn't keep the others. The first that
/// could not be deleted is the exit code.
absl::StatusOr<ExitCode> DeleteVersions(const Session& session, const VersionOptions& options) {
  OrchestratorClient orchestrator(session.orchestrator_target());
  std::vector<std::string> names;  // All are understood before the first is deleted.
  for (const std::string& name : options.names) {
    BACKFIRE_ASSIGN_OR_RETURN(names.emplace_back(),
                              orchestrator.ResolveVersion(options.vertex, name));
  }
  absl::Status first;
  std::vector<std::string> faults;
  for (const std::string& name : names) {
    const absl::Status status = DeleteOne(session, orchestrator, name);
    first.Update(status);
    if (!status.ok()) faults.emplace_back(status.message());
  }
  if (first.ok()) return ExitCode::kOk;
  return absl::Status(first.code(), absl::StrJoin(faults, "\n"));
}

}  // namespace

void AddVersionCommands(CLI::App& app, Session& session) {
  auto& topic = AddCommand(app, "version", "List, bring in, take out or delete trained weights");
  topic.require_subcommand(1);
  const auto options = std::make_shared<VersionOptions>();
  const auto add = [&](const std::string& name, const std::string& help, auto run) -> CLI::App& {
    return AddAction(topic, session, name, help,
                     [&session, options, run] { return run(session, *options); });
  };
  const auto add_name = [&](CLI::App& command) {
    command
        .add_option("version", options->name,
                    "VERTEX/NUMBER or models/MODEL/versions/NUMBER; with --vertex just NUMBER")
        ->required();
    command.add_option("--vertex", options->vertex, "Whose version it is");
  };

  auto& list = add("list",
                   "List versions, lowest number first\n\nExample: backfire version list --vertex "
                   "disparity",
                   ListVersions);
  auto& vertex = *list.add_option("--vertex", options->vertex, "Only this vertex's");
  auto& page_size =
      *list.add_option("--page-size", options->page_size, "Show at most so many; 0: all")
           ->check(CLI::Range(0, 1000));
  page_size.needs(&vertex);
  list.add_flag("--by-size", options->by_size,
                "Largest first, with what each model's versions take together")
      ->excludes(&page_size);
  list.add_option("--page-token", options->page_token, "Go on where a page said `more`")
      ->needs(&page_size);

  add_name(
      add("show",
          "Show a version: its recipe, what feeds it, its digests\n\nExample: backfire version "
          "show disparity/3",
          ShowVersion));

  auto& import = add(
      "import",
      "Make a version from weights that were learnt elsewhere\n\nFor models in LibTorch: a file of "
      "torch.save, a state_dict by itself or in a checkpoint;\nno code in it is run. The same "
      "weights again are the same version. `backfire update\npropose --version N` judges it like "
      "any other.\nExample: backfire version import --vertex disparity --recipe "
      "psmnet-full-disparity-mae \\\n  --set align_corners=1 --weights "
      "pretrained_model_KITTI2015.tar",
      ImportVersion);
  import.add_option("--vertex", options->vertex, "Which vertex it is for")->required();
  import.add_option("--recipe", options->recipe, "The recipe whose network the weights are of")
      ->required();
  import.add_option("--set", options->parameters, "NAME=VALUE: a parameter of the recipe")
      ->take_all();
  import.add_option("--weights", options->file, "The file")->required()->check(CLI::ExistingFile);

  auto& export_command = add(
      "export",
      "Write a version's weights to a file\n\nOf models in LibTorch: one that Python's torch.load "
      "reads, a dict of tensors by name.\nExample: backfire version export disparity/3 --out "
      "psmnet.pt",
      ExportVersion);
  add_name(export_command);
  export_command.add_option("--out", options->file, "Where to write it; replaced if it exists")
      ->required();

  auto& remove = add("delete",
                     "Delete versions that nothing needs\n\nRefused, with what needs one: "
                     "releases, updates, the baseline, versions that it feeds.\nThe others are "
                     "deleted all the same. Those of old updates go by `backfire update prune`.\n"
                     "Example: backfire version delete car/7 disparity/3",
                     DeleteVersions);
  remove
      .add_option("versions", options->names,
                  "VERTEX/NUMBER or models/MODEL/versions/NUMBER; with --vertex just NUMBER; those "
                  "that are fed first")
      ->required();
  remove.add_option("--vertex", options->vertex, "Whose versions they are");
}

}  // namespace backfire::cli
