#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfire/v1/orchestrator.pb.h"
#include "orchestrator/records/open_update.h"
#include "orchestrator/records/state.h"
#include "services/graph/system_graph.h"

// Steps by which services commit to what their versions give for splits. What others are trained or
// evaluated on reaches them from wherever their service is told that it is; what it must be reaches
// them from the orchestrator, which has it from the vertex's own service.
namespace backfire::planning {

/// Whether a model's service commits to outputs (v1.COMMIT_OUTPUTS).
bool CommitsOutputs(const v1::Model& model);
/// The vertices whose services do.
std::set<std::string> CommittingVertices(const std::map<std::string, v1::Model>& models);

/// `commit/{vertex}/{replicate}/{split}`.
std::string CommitStepId(const std::string& vertex, int replicate, const std::string& split);

/// Ancestors of these vertices whose own parents have not committed as of `base`, although their
/// services do: an older program made it. Until they have, nothing vouches for what these ancestors
/// computed, and commit to.
std::set<std::string> AncestorsFedUncommitted(const graph::SystemGraph& graph,
                                              const records::Standing& base,
                                              const std::set<std::string>& vertices,
                                              const std::set<std::string>& committing);

/// Plans commitments: for the parents of certain vertices, as far as their services commit.
class CommitPlan {
 public:
  /// @param children    Vertices whose trainings and evaluations need their parents' outputs.
  /// @param committing  CommittingVertices(); empty: nobody commits.
  CommitPlan(const graph::SystemGraph& graph, const std::set<std::string>& children,
             const std::set<std::string>& committing);

  /// Appends the steps of a vertex in replicate k, if there are any: one per split that children
  /// read; `population` where the system names references, which are solved on it.
  void Append(const std::string& vertex, int replicate, std::vector<v1::Step>& steps) const;
  /// Parents, in the graph's order.
  const std::vector<std::string>& vertices() const { return vertices_; }

 private:
  std::vector<std::string> vertices_;
  std::set<std::string> known_;
  std::vector<std::string> splits_;
};

/// Which splits of its parents a step's job reads; of a COMMIT and an evaluation one.
std::vector<std::string> SplitsRead(const v1::Step& step);

/// Commitments of all ancestors of a vertex in replicate k on these splits, as of an update: those
/// that are planned. Order: by vertex, then split. FAILED_PRECONDITION: one is not there any more,
/// as a retry has it made anew: nothing may be computed without it.
absl::StatusOr<std::vector<v1::OutputsCommitment>> CommitmentsAsOf(
    const records::OpenUpdate& update, const records::SystemRevision& system,
    const std::string& vertex, int replicate, const std::vector<std::string>& splits);

}  // namespace backfire::planning
