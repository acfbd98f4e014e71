// backfire-parity: our networks against a directory of reference vectors.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "services/learning/device.h"
#include "tests/parity/directory_parity.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Runs every reference vector file of a directory through the networks, and prints for every "
      "tensor the largest difference and its bound.",
      "backfire-parity");
  std::string directory, only;
  int threads = 2;
  app.add_option("directory", directory, "With NETWORK.SET[.PART].pt, *.state_dict.tsv ...")
      ->required();
  app.add_option("--only", only, "Only networks whose name contains this");
  app.add_option("--threads", threads, "Threads that compute")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.footer(
      "Example: backfire-parity ../shared/reference/models --only psmnet\n"
      "Exit codes: 0 all agree; 1 a mismatch, a network that is not here, a file that can't be "
      "read; 2 wrong usage.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  backfire::learning::UseThreads(threads);
  const auto outcome = backfire::parity::RunDirectory(
      directory, only, backfire::parity::AllNetworks(), [](const std::string& line) {
        std::puts(line.c_str());
        std::fflush(stdout);
      });
  std::printf("%lld files, %lld comparisons, %lld failed\n", static_cast<long long>(outcome.files),
              static_cast<long long>(outcome.compared), static_cast<long long>(outcome.failed));
  return outcome.failed == 0 ? 0 : 1;
}
