#pragma once

#include <map>
#include <memory>
#include <string>

#include "services/runtime/model.h"
#include "services/runtime/tensor.h"

namespace backfire::benchmarks {

/// The stereo system twice: as services behind a gateway, each a process, and as the same versions
/// in this process. Trained for a few steps only: what they find is nonsense, what it costs is not.
class MeshFixture {
 public:
  /// @param binaries  Folder of the services' programs.
  explicit MeshFixture(const std::string& binaries);
  ~MeshFixture();

  /// A frame through the gateway and all processes.
  runtime::TensorMap ThroughProcesses(const runtime::TensorMap& frame);
  /// The same frame through the same models here, as much of it in parallel as the gateway does.
  runtime::TensorMap InOneProcess(const runtime::TensorMap& frame);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace backfire::benchmarks
