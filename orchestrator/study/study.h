#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/orchestrator.pb.h"
#include "backfire/v1/system.pb.h"
#include "orchestrator/study/study.pb.h"

namespace backfire::study {

/// Where a study runs its meshes.
struct StudyPlace {
  std::filesystem::path program_directory;  ///< Of the services' programs.
  std::filesystem::path directory;          ///< For sockets, data and logs; one per mesh.
};

/// A mesh on unix sockets, with a system applied and its baseline trained; ends when destroyed. One
/// thread.
class StudyMesh {
 public:
  /// @param system_file  From which `system` was read.
  /// Errors as LocalMesh::BringUp and ApplySystem; FAILED_PRECONDITION: the baseline failed.
  static absl::StatusOr<std::unique_ptr<StudyMesh>> Start(const StudyPlace& place,
                                                          v1::System system,
                                                          const std::string& system_file);
  ~StudyMesh();
  StudyMesh(const StudyMesh&) = delete;
  StudyMesh& operator=(const StudyMesh&) = delete;

  /// Proposes, and returns the update at its end. FAILED_PRECONDITION: it failed.
  absl::StatusOr<v1::Update> Propose(const v1::Proposal& proposal);
  /// What a decided update's verdict was made of, as lines. Errors as
  /// cli::OrchestratorClient::ExportEvidence.
  absl::StatusOr<std::string> Evidence(const std::string& update) const;
  /// The baseline, at its end.
  const v1::Update& baseline() const { return baseline_; }
  /// Seconds of processor time that the orchestrator has used.
  double OrchestratorSeconds() const;

 private:
  StudyMesh(const StudyPlace& place) : place_(place) {}
  absl::StatusOr<v1::Update> AwaitEnd(const std::string& name);

  const StudyPlace place_;
  v1::Update baseline_;
};

/// Runs the first proposal of a system file.
/// @param replicates  0: as the file says.
/// @param evidence    File that gets what the verdict was made of; empty: none.
absl::StatusOr<SystemResult> RunSystem(const StudyPlace& place, const std::string& system_file,
                                       int replicates, const std::string& evidence);

/// What an update came to, beside what its proposal expects. Pure.
SystemResult Summarise(const v1::System& system, const v1::Proposal& proposal,
                       const v1::Update& update);

/// Results for a person: a line per system, and a table of terms for each vertex.
std::string ResultsText(const std::vector<SystemResult>& results);

}  // namespace backfire::study
