#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "backfire/v1/orchestrator.pb.h"
#include "backfire/v1/system.pb.h"

namespace backfire::study {

/// Where a study runs its meshes.
struct StudyPlace {
  std::filesystem::path program_directory;  ///< Of the services' programs.
  std::filesystem::path directory;          ///< For sockets, data and logs; one per mesh.
};

/// A mesh on unix sockets; ends when destroyed. What it was is in its directory: started there
/// again, it goes on. One thread.
class StudyMesh {
 public:
  /// Called with an update that is waited for, now and whenever it changed.
  using OnChange = std::function<void(const v1::Update&)>;

  /// Starts the processes of a system's file.
  /// @param system_file  From which `system` was read.
  /// Errors as LocalMesh::BringUp.
  static absl::StatusOr<std::unique_ptr<StudyMesh>> Start(const StudyPlace& place,
                                                          const v1::System& system,
                                                          const std::string& system_file);
  ~StudyMesh();
  StudyMesh(const StudyMesh&) = delete;
  StudyMesh& operator=(const StudyMesh&) = delete;

  /// Of all updates from now on.
  void Watch(OnChange on_change) { on_change_ = std::move(on_change); }

  /// Makes a system current, whose services are among those of the one that it was started with,
  /// and returns its baseline at its end. Errors as ApplySystem; FAILED_PRECONDITION: the baseline
  /// failed.
  absl::StatusOr<v1::Update> Apply(v1::System system);
  /// The current system's name; empty: there is none yet.
  absl::StatusOr<std::string> CurrentSystem();
  /// Proposes, and returns the update at its end. The same `request_id` is the same update.
  /// FAILED_PRECONDITION: it failed.
  absl::StatusOr<v1::Update> Propose(const v1::Proposal& proposal,
                                     const std::string& request_id = "study");
  /// What a decided update's verdict was made of, as lines. Errors as
  /// cli::OrchestratorClient::ExportEvidence.
  absl::StatusOr<std::string> Evidence(const std::string& update) const;
  /// Seconds of processor time that the orchestrator has used.
  double OrchestratorSeconds() const;

 private:
  explicit StudyMesh(const StudyPlace& place) : place_(place) {}
  absl::StatusOr<v1::Update> AwaitEnd(const std::string& name);

  const StudyPlace place_;
  std::map<std::string, std::string> sockets_;  // By endpoint in the system's file, or process.
  OnChange on_change_ = [](const v1::Update&) {};
};

}  // namespace backfire::study
