// backfire: starts a mesh, proposes updates, shows verdicts. Exit codes: exit_code.h.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "orchestrator/cli/command_line.h"
#include "orchestrator/cli/watch_view.h"
#include "orchestrator/report/text_table.h"
#include "services/base/printable.h"

int main(int argc, char** argv) {
  using backfire::cli::ExitCode;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    std::cerr << "backfire: /proc/self/exe: " << error.message() << "\n";
    return static_cast<int>(ExitCode::kFailed);
  }
  backfire::cli::Session session;
  // Most of what is told was written by others: services, colleagues, files.
  backfire::PrintableBuffer out_buffer(*std::cout.rdbuf()), err_buffer(*std::cerr.rdbuf());
  std::ostream out(&out_buffer), err(&err_buffer);
  err << std::unitbuf;
  session.out = &out;
  session.err = &err;
  session.program_directory = self.parent_path();
  session.data_directory =
      backfire::cli::DefaultDataDirectory(std::getenv("XDG_STATE_HOME"), std::getenv("HOME"));
  // What flags say goes before the environment. CLI11 would let the environment go before a flag
  // that several commands share, as it reads it for those that were not given as well.
  const auto take = [](const char* name, auto& value) {
    if (const char* given = std::getenv(name); given != nullptr && *given != 0) value = given;
  };
  take("BACKFIRE_DATA_DIR", session.data_directory);
  take("BACKFIRE_ORCHESTRATOR", session.orchestrator);
  const char* user = std::getenv("USER");
  char host[256] = "";
  ::gethostname(host, sizeof(host) - 1);
  session.actor =
      std::string(user != nullptr ? user : "uid " + std::to_string(::getuid())) + "@" + host;
  backfire::report::SetLineWidth(backfire::cli::OutputColumns(std::getenv("COLUMNS")));
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (const auto program = backfire::cli::ExternalCommand(session.program_directory, arguments)) {
    // They find the mesh as `backfire` does.
    ::setenv("BACKFIRE_DATA_DIR", session.data_directory.c_str(), /*overwrite=*/0);
    if (std::filesystem::exists(session.token_file(), error)) {
      ::setenv("BACKFIRE_TOKEN_FILE", session.token_file().c_str(), /*overwrite=*/0);
    }
    argv[1] = const_cast<char*>(program->c_str());
    ::execv(program->c_str(), argv + 1);
    std::cerr << "backfire: cannot run " << program->string() << ": " << std::strerror(errno)
              << "\n";
    return static_cast<int>(ExitCode::kFailed);
  }
  return static_cast<int>(backfire::cli::RunCommandLine(session, arguments));
}
