#include "services/base/command_line.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace backfire {
namespace {

// What a program with a command `update propose --vertex V` says to these arguments.
std::string Fault(std::vector<std::string> arguments) {
  CLI::App app("Tests.", "program");
  app.require_subcommand(1);
  CLI::App* update = app.add_subcommand("update", "");
  update->require_subcommand(1);
  std::string vertex;
  int count = 0;
  CLI::App* propose = update->add_subcommand("propose", "");
  propose->add_option("--vertex", vertex, "")->required();
  propose->add_option("--count", count, "")->check(CLI::Range(1, 3));
  arguments.insert(arguments.begin(), "program");
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  ::testing::internal::CaptureStderr();
  const std::optional<int> code = ParseCommandLine(app, static_cast<int>(argv.size()), argv.data());
  const std::string fault = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(code, fault.empty() ? std::nullopt : std::optional<int>(2));
  return fault;
}

TEST(ParseCommandLineTest, GoesOnWhereNothingIsWrong) {
  EXPECT_EQ(Fault({"update", "propose", "--vertex", "v"}), "");
}

TEST(ParseCommandLineTest, SaysInOneLineWhatIsWrongAndWhereHelpIs) {
  EXPECT_EQ(Fault({"--nope"}), "program: unknown argument: --nope; see `program --help`\n");
  EXPECT_EQ(Fault({"update", "propose", "--nope"}),
            "program: unknown argument: --nope; see `program update propose --help`\n");
  EXPECT_EQ(Fault({"update", "propose"}),
            "program: --vertex is required; see `program update propose --help`\n");
  EXPECT_EQ(Fault({"update", "propose", "--vertex", "v", "--count", "7"}),
            "program: --count: Value 7 not in range 1 to 3; see `program update propose --help`\n");
}

TEST(ParseCommandLineTest, HelpIsNoFault) {
  CLI::App app("Tests.", "program");
  const char* argv[] = {"program", "--help"};
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(ParseCommandLine(app, 2, argv), std::optional<int>(0));
  EXPECT_NE(::testing::internal::GetCapturedStdout().find("Usage: program"), std::string::npos);
}

}  // namespace
}  // namespace backfire
