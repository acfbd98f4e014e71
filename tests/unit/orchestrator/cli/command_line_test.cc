#include "orchestrator/cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "orchestrator/cli/orchestrator_client.h"
#include "services/base/file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::cli {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryDirectory;

class CommandLineTest : public ::testing::Test {
 protected:
  ExitCode Run(const std::vector<std::string>& arguments) {
    out_.str("");
    err_.str("");
    Session session;
    session.out = &out_;
    session.err = &err_;
    session.program_directory = directory_.path();
    session.data_directory = directory_ / "data";
    session.orchestrator = "unix:" + (directory_ / "nobody").string();
    return RunCommandLine(session, arguments);
  }
  TemporaryDirectory directory_;
  std::ostringstream out_, err_;
};

TEST_F(CommandLineTest, EveryCommandHasHelpWithAnExample) {
  const std::vector<std::vector<std::string>> commands = {{},
                                                          {"up"},
                                                          {"down"},
                                                          {"status"},
                                                          {"system", "validate"},
                                                          {"system", "apply"},
                                                          {"system", "show"},
                                                          {"update", "propose"},
                                                          {"update", "list"},
                                                          {"update", "show"},
                                                          {"update", "watch"},
                                                          {"update", "cancel"},
                                                          {"update", "retry"},
                                                          {"update", "promote"},
                                                          {"update", "export"},
                                                          {"update", "log"},
                                                          {"update", "prune"},
                                                          {"history"},
                                                          {"completion", "bash"},
                                                          {"gate"},
                                                          {"release", "list"},
                                                          {"release", "promote"},
                                                          {"release", "rollback"},
                                                          {"release", "show"},
                                                          {"release", "watch"}};
  for (std::vector<std::string> command : commands) {
    command.push_back("--help");
    EXPECT_EQ(Run(command), ExitCode::kOk);
    EXPECT_THAT(out_.str(), HasSubstr("Example: backfire ")) << ::testing::PrintToString(command);
  }
}

TEST_F(CommandLineTest, WrongUsageExitsWithTwo) {
  EXPECT_EQ(Run({}), ExitCode::kBadInput);
  EXPECT_EQ(Run({"nothing"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("no command \"nothing\""));
  EXPECT_EQ(Run({"status", "--format", "xml"}), ExitCode::kBadInput);
  EXPECT_EQ(Run({"update", "propose", "--vertex", "car"}), ExitCode::kBadInput);
  EXPECT_EQ(Run({"update", "promote", "1", "--override"}), ExitCode::kBadInput);
  EXPECT_EQ(Run({"update", "show", "seven"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(),
              HasSubstr("an update is updates/NUMBER, NUMBER, latest or baseline: got \"seven\""));
  EXPECT_EQ(Run({"system", "check", (directory_ / "none.yaml").string()}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("none.yaml"));
}

TEST_F(CommandLineTest, WhatIsMisspeltIsGuessed) {
  EXPECT_EQ(Run({"updaet", "list"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("did you mean \"update\"?"));
  EXPECT_EQ(Run({"update", "lsit"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("did you mean \"list\"?"));
  EXPECT_EQ(Run({"update", "list", "--vertx=car"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), HasSubstr("did you mean \"--vertex\"?"));
  EXPECT_EQ(Run({"update", "list", "--magic"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), ::testing::Not(HasSubstr("did you mean")));
}

TEST_F(CommandLineTest, ErrorsAreALineOfJsonForPrograms) {
  EXPECT_EQ(Run({"update", "show", "seven", "--format", "json"}), ExitCode::kBadInput);
  EXPECT_EQ(err_.str(),
            "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"message\":\"an update is updates/NUMBER, "
            "NUMBER, "
            "latest or baseline: got \\\"seven\\\"\",\"exit_code\":2}}\n");
  EXPECT_EQ(Run({"update", "list", "--format=json"}), ExitCode::kUnavailable);
  EXPECT_THAT(err_.str(), HasSubstr("\"code\":\"UNAVAILABLE\""));
  EXPECT_EQ(Run({"update", "list", "--format=json", "--no-such"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), ::testing::StartsWith("{\"error\":{\"code\":\"INVALID_ARGUMENT\""));
  EXPECT_EQ(Run({"nothing", "--format=json"}), ExitCode::kBadInput);
  EXPECT_THAT(err_.str(), ::testing::StartsWith("{\"error\":"));
}

TEST_F(CommandLineTest, SaysItsVersion) {
  EXPECT_EQ(Run({"--version"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), ::testing::MatchesRegex("backfire [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(CommandLineTest, AnOrchestratorThatIsAwayExitsWithThree) {
  EXPECT_EQ(Run({"update", "list"}), ExitCode::kUnavailable);
  EXPECT_THAT(err_.str(), HasSubstr("nobody"));
  EXPECT_EQ(Run({"status"}), ExitCode::kUnavailable);
  EXPECT_THAT(out_.str(), HasSubstr("no mesh was started"));
  EXPECT_EQ(Run({"status", "--format", "json"}), ExitCode::kUnavailable);
  EXPECT_THAT(out_.str(), HasSubstr("\"processes\": []"));
}

TEST_F(CommandLineTest, EndingNoMeshIsFine) {
  EXPECT_EQ(Run({"down"}), ExitCode::kOk);
  EXPECT_EQ(out_.str(), "no mesh was up\n");
}

TEST_F(CommandLineTest, ProgramsBesideBackfireAreCommands) {
  const auto program = directory_ / "backfire-vision";
  EXPECT_EQ(ExternalCommand(directory_.path(), {"vision"}), std::nullopt);
  ASSERT_TRUE(WriteFileAtomically(program, "#!/bin/sh\n").ok());
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  EXPECT_EQ(ExternalCommand(directory_.path(), {"vision", "eval"}), program);
  EXPECT_EQ(ExternalCommand(directory_.path(), {"--help", "vision"}), std::nullopt);
  EXPECT_EQ(ExternalCommand(directory_.path(), {"status"}), std::nullopt);
  EXPECT_EQ(ExternalCommand(directory_.path(), {"../vision"}), std::nullopt);
  EXPECT_EQ(ExternalCommand(directory_.path(), {}), std::nullopt);
}

// On records it is a program of its own; on an update, `backfire` takes the evidence first.
TEST_F(CommandLineTest, AGateIsItsOwnProgramUnlessItIsOfAnUpdate) {
  const auto program = directory_.path() / "backfire-gate";
  ASSERT_TRUE(WriteFileAtomically(program, "#!/bin/sh\n").ok());
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  EXPECT_EQ(ExternalCommand(directory_.path(), {"gate", "--before", "x"}), program);
  EXPECT_EQ(ExternalCommand(directory_.path(), {"gate", "--help"}), program);
  EXPECT_EQ(ExternalCommand(directory_.path(), {"gate", "--wait", "--update", "3"}), std::nullopt);
  EXPECT_EQ(ExternalCommand(directory_.path(), {"gate", "--update=3"}), std::nullopt);
  EXPECT_EQ(ExternalCommand(directory_.path(), {"gate", "--propose", "car=sgbm"}), std::nullopt);
}

TEST(DefaultDataDirectoryTest, FollowsTheXdgSpecification) {
  EXPECT_EQ(DefaultDataDirectory("/state", "/home/me"), "/state/backfire");
  EXPECT_EQ(DefaultDataDirectory(nullptr, "/home/me"), "/home/me/.local/state/backfire");
  EXPECT_EQ(DefaultDataDirectory("relative", "/home/me"), "/home/me/.local/state/backfire");
  EXPECT_EQ(DefaultDataDirectory(nullptr, nullptr), ".backfire");
}

TEST(ResourceNameTest, TakesNumbersAndNames) {
  EXPECT_EQ(*ResourceName("updates", "3"), "updates/3");
  EXPECT_EQ(*ResourceName("updates", "updates/12"), "updates/12");
  for (const char* wrong : {"", "0", "-1", "releases/3", "updates/", "updates/x"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ResourceName("updates", wrong).status())) << wrong;
  }
}

}  // namespace
}  // namespace backfire::cli
