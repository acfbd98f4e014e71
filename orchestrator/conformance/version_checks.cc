// Versions as things: listed, watched, moved as files, deleted.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "orchestrator/conformance/checks.h"
#include "services/base/digest.h"
#include "services/base/status.h"
#include "services/rpc/rpc_status.h"

namespace backfire::conformance {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr int64_t kFreshSeed = 54321;

absl::Status CheckListing(Trial& trial, const Trained& base) {
  if (!trial.Can(v1::LIST_VERSIONS)) return NotTried("no capability LIST_VERSIONS");
  v1::GetVersionRequest get;
  get.set_name(base.version.name());
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version version, trial.Call(&Trial::Stub::GetVersion, get));
  BACKFIRE_RETURN_IF_ERROR(MustBeSame(base.version, version));
  get.set_name(absl::StrCat(trial.model().name(), "/versions/999999999"));
  BACKFIRE_RETURN_IF_ERROR(
      MustBe(absl::StatusCode::kNotFound, trial.Call(&Trial::Stub::GetVersion, get)));
  v1::ListVersionsRequest list;
  list.set_model(trial.model().name());
  list.set_page_size(2);
  bool listed = false;
  std::vector<std::string> names;
  do {
    BACKFIRE_ASSIGN_OR_RETURN(const v1::ListVersionsResponse page,
                              trial.Call(&Trial::Stub::ListVersions, list));
    for (const v1::Version& one : page.versions()) {
      if (std::count(names.begin(), names.end(), one.name()) > 0) {
        return Broken(absl::StrCat(one.name(), " is on two pages of ListVersions"));
      }
      names.push_back(one.name());
      listed = listed || (one.name() == version.name() && one.digest() == version.digest());
    }
    if (page.versions_size() > 2) return Broken("a page has more versions than page_size");
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  if (!listed) return Broken(absl::StrCat("ListVersions, page by page, has no ", version.name()));
  list.set_page_size(1000);
  BACKFIRE_ASSIGN_OR_RETURN(const v1::ListVersionsResponse whole,
                            trial.Call(&Trial::Stub::ListVersions, list));
  if (whole.next_page_token().empty() && whole.versions_size() != static_cast<int>(names.size())) {
    return Broken(absl::StrCat("ListVersions has ", names.size(), " versions page by page, and ",
                               whole.versions_size(), " on one page"));
  }
  return absl::OkStatus();
}

absl::Status CheckEndedJob(Trial& trial) {
  if (!trial.Can(v1::WATCH_JOB) && !trial.Can(v1::CANCEL_JOB)) {
    return NotTried("no capability WATCH_JOB or CANCEL_JOB");
  }
  BACKFIRE_ASSIGN_OR_RETURN(v1::Job job, trial.Train(trial.TrainRequest()));
  const std::string name = job.name();
  if (trial.Can(v1::CANCEL_JOB)) {
    v1::CancelJobRequest cancel;
    cancel.set_name(name);
    BACKFIRE_ASSIGN_OR_RETURN(job, trial.Call(&Trial::Stub::CancelJob, cancel));
    if (job.state() != v1::Job::SUCCEEDED) return Broken("cancelling changed it");
  }
  if (!trial.Can(v1::WATCH_JOB)) return absl::OkStatus();
  grpc::ClientContext context;
  runtime::SetDeadline(context, Trial::kCallTimeout);
  v1::WatchJobRequest watch;
  watch.set_name(name);
  const auto reader = trial.stub().WatchJob(&context, watch);
  int seen = 0;
  for (; reader->Read(&job); ++seen) {
  }
  BACKFIRE_RETURN_IF_ERROR(runtime::FromGrpcStatus(reader->Finish()));
  return seen > 0 && job.state() == v1::Job::SUCCEEDED
             ? absl::OkStatus()
             : Broken("watching it must give it as it ended");
}

absl::StatusOr<std::string> Export(Trial& trial, const v1::Version& version) {
  grpc::ClientContext context;
  runtime::SetDeadline(context, Trial::kCallTimeout);
  v1::ExportVersionRequest request;
  request.set_name(version.name());
  const auto reader = trial.stub().ExportVersion(&context, request);
  std::string file, digest;
  int64_t size = 0;
  bool is_first = true;
  for (v1::ExportVersionResponse piece; reader->Read(&piece); is_first = false) {
    if (is_first) {
      digest = piece.file_digest();
      size = piece.file_bytes();
    }
    if (piece.data().size() > kPieceBytes) return Broken("a piece exceeds 1 MiB");
    file += piece.data();
  }
  BACKFIRE_RETURN_IF_ERROR(runtime::FromGrpcStatus(reader->Finish()));
  if (size != static_cast<int64_t>(file.size()) || digest != Sha256Hex(file)) {
    return Broken("the exported file has another size or digest than its first piece says");
  }
  return file;
}

absl::StatusOr<v1::Version> Import(Trial& trial, const Trained& base, const std::string& file,
                                   const std::string& announced) {
  grpc::ClientContext context;
  runtime::SetDeadline(context, Trial::kCallTimeout);
  v1::Version version;
  const auto writer = trial.stub().ImportVersion(&context, &version);
  v1::ImportVersionRequest message;
  message.set_model(trial.model().name());
  *message.mutable_recipe() = trial.recipe();
  *message.mutable_lineage() = base.version.lineage();
  message.set_file_bytes(static_cast<int64_t>(file.size()));
  message.set_file_digest(announced);
  for (size_t at = 0; at < file.size(); at += kPieceBytes) {
    message.set_data(file.substr(at, kPieceBytes));
    if (!writer->Write(message)) break;
    message.Clear();
  }
  writer->WritesDone();
  BACKFIRE_RETURN_IF_ERROR(runtime::FromGrpcStatus(writer->Finish()));
  return version;
}

absl::StatusOr<v1::Version> Import(Trial& trial, const Trained& base, const std::string& file) {
  return Import(trial, base, file, Sha256Hex(file));
}

absl::Status CheckExchange(Trial& trial, const Trained& base) {
  if (!trial.Can(v1::EXPORT_VERSION) || !trial.Can(v1::IMPORT_VERSION)) {
    return NotTried("no capability EXPORT_VERSION or IMPORT_VERSION");
  }
  const absl::StatusOr<std::string> file = Export(trial, base.version);
  if (absl::IsFailedPrecondition(file.status())) return NotTried("it has nothing to export");
  BACKFIRE_RETURN_IF_ERROR(file.status());
  BACKFIRE_ASSIGN_OR_RETURN(const std::string again, Export(trial, base.version));
  if (again != *file) return Broken("exporting it again gives other bytes");
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version imported, Import(trial, base, *file));
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Version twice, Import(trial, base, *file));
  BACKFIRE_RETURN_IF_ERROR(MustBeSame(imported, twice));
  const bool same = std::equal(
      imported.lineage().begin(), imported.lineage().end(), base.version.lineage().begin(),
      base.version.lineage().end(),
      [](const auto& a, const auto& b) { return a.SerializeAsString() == b.SerializeAsString(); });
  if (!same || imported.recipe().name() != trial.recipe().name()) {
    return Broken(absl::StrCat(imported.name(),
                               " must have the lineage and the recipe that it was "
                               "imported with"));
  }
  const auto other = Import(trial, base, *file, std::string(64, '0'));
  if (!absl::IsDataLoss(other.status())) {
    return Annotate(MustBe(absl::StatusCode::kDataLoss, other),
                    "a file of another digest than was announced");
  }
  BACKFIRE_ASSIGN_OR_RETURN(const Trained look, trial.Look(imported));
  return SameOutputs(look.outputs, base.outputs)
             ? absl::OkStatus()
             : Broken(absl::StrCat(imported.name(), ", imported from the file of ",
                                   base.version.name(), ", has other outputs"));
}

absl::Status Delete(Trial& trial, const v1::Version& version) {
  if (trial.Can(v1::LOAD_VERSION)) {
    v1::UnloadVersionRequest unload;
    unload.set_name(version.name());
    BACKFIRE_RETURN_IF_ERROR(trial.Call(&Trial::Stub::UnloadVersion, unload).status());
  }
  v1::DeleteVersionRequest request;
  request.set_name(version.name());
  return trial.Call(&Trial::Stub::DeleteVersion, request).status();
}

// What serves is not deleted.
absl::Status CheckDeletingLoaded(Trial& trial, const v1::Version& version) {
  if (!trial.Can(v1::DELETE_VERSION)) return NotTried("no capability DELETE_VERSION");
  if (!trial.Can(v1::LOAD_VERSION)) return NotTried("no capability LOAD_VERSION");
  if (trial.described_recipe()->unservable()) return NotTried("the recipe is unservable");
  v1::LoadVersionRequest load;
  load.set_name(version.name());
  BACKFIRE_RETURN_IF_ERROR(trial.Call(&Trial::Stub::LoadVersion, load).status());
  v1::DeleteVersionRequest request;
  request.set_name(version.name());
  return MustBe(absl::StatusCode::kFailedPrecondition,
                trial.Call(&Trial::Stub::DeleteVersion, request));
}

// Deletes what was trained, and trains it again: the same bits, and a seed's own.
absl::Status CheckDeleting(Trial& trial, const Trained& base) {
  if (!trial.Can(v1::DELETE_VERSION)) return NotTried("no capability DELETE_VERSION");
  BACKFIRE_RETURN_IF_ERROR(Delete(trial, base.version));
  BACKFIRE_RETURN_IF_ERROR(Delete(trial, base.version));  // What is gone is deleted as well.
  if (trial.Can(v1::LIST_VERSIONS)) {
    v1::GetVersionRequest get;
    get.set_name(base.version.name());
    BACKFIRE_RETURN_IF_ERROR(
        MustBe(absl::StatusCode::kNotFound, trial.Call(&Trial::Stub::GetVersion, get)));
  }
  BACKFIRE_ASSIGN_OR_RETURN(const Trained again, trial.TrainAndLook(trial.TrainRequest()));
  if (trial.options().unrepeatable) return absl::OkStatus();
  if (again.version.digest() != base.version.digest() ||
      !SameOutputs(again.outputs, base.outputs)) {
    return Broken(absl::StrCat(base.version.name(), ", deleted and trained again as ",
                               again.version.name(),
                               ", has another digest or other outputs. If no training can be "
                               "repeated, say --unrepeatable"));
  }
  return absl::OkStatus();
}

// A seed of which no version is there, before one of another seed that could be given instead.
absl::Status CheckFreshSeed(Trial& trial, const Trained& base) {
  if (!trial.Can(v1::DELETE_VERSION)) return NotTried("no capability DELETE_VERSION");
  if (trial.options().unrepeatable) return NotTried("--unrepeatable");
  BACKFIRE_ASSIGN_OR_RETURN(const v1::Job plain, trial.Train(trial.TrainRequest()));
  BACKFIRE_RETURN_IF_ERROR(Delete(trial, plain.version()));
  v1::TrainRequest request = trial.TrainRequest();
  request.set_seed(kFreshSeed);
  BACKFIRE_ASSIGN_OR_RETURN(const Trained seeded, trial.TrainAndLook(request));
  BACKFIRE_ASSIGN_OR_RETURN(const Trained again, trial.TrainAndLook(trial.TrainRequest()));
  if (!SameOutputs(again.outputs, base.outputs)) {
    return Broken("with seed 0 it has the outputs of another seed");
  }
  return SameOutputs(seeded.outputs, base.outputs)
             ? absl::OkStatus()
             : MustDiffer(again.version, seeded.version, "a seed that changes its outputs");
}

}  // namespace

void TryVersions(Trial& trial, const Trained& base) {
  trial.Check("ListVersions and GetVersion know the version",
              [&] { return CheckListing(trial, base); });
  trial.Check("a job that has ended can be watched, and cancelling it changes nothing",
              [&] { return CheckEndedJob(trial); });
  trial.Check("a version that is exported and imported gives the same outputs",
              [&] { return CheckExchange(trial, base); });
  trial.Check("a file that is no version of the recipe is not imported", [&]() -> absl::Status {
    if (!trial.Can(v1::IMPORT_VERSION)) return NotTried("no capability IMPORT_VERSION");
    return MustBe(absl::StatusCode::kInvalidArgument,
                  Import(trial, base, "root:x:0:0:root:/root:/bin/bash\n"));
  });
  trial.Check("a version that is loaded is not deleted",
              [&] { return CheckDeletingLoaded(trial, base.version); });
  trial.Check("a version that is deleted is gone, and trained again to the same bits",
              [&] { return CheckDeleting(trial, base); });
  trial.Check("a version of another seed does not take the place of one that is gone",
              [&] { return CheckFreshSeed(trial, base); });
}

}  // namespace backfire::conformance
