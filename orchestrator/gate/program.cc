#include "orchestrator/gate/program.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "services/base/file.h"
#include "services/base/status.h"

namespace backfire::gate {

absl::StatusOr<int> RunProgram(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& one : arguments) argv.push_back(one.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, argv[0], nullptr, nullptr, argv.data(), environ);
  if (failed != 0) {
    return absl::InternalError(std::string(ErrnoToStatus(failed, arguments[0]).message()));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return ErrnoToStatus(errno, arguments[0]);
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return absl::InternalError(absl::StrCat(arguments[0], " was ended by signal ", WTERMSIG(status)));
}

}  // namespace backfire::gate
