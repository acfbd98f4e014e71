#include "orchestrator/fsck/fsck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "orchestrator/cli/command_line.h"
#include "orchestrator/store/row_seal.h"
#include "orchestrator/store/sqlite_connection.h"
#include "orchestrator/store/sqlite_repository.h"
#include "services/base/digest.h"
#include "services/base/file.h"
#include "services/base/seal.h"
#include "services/runtime/job_file.h"
#include "services/runtime/loaded_file.h"
#include "services/runtime/outputs/example_file.h"
#include "services/runtime/version_file.h"
#include "tests/support/temporary_directory.h"

namespace backfire::fsck {
namespace {

using cli::ExitCode;
using ::testing::HasSubstr;

// A store, a service with a version, and a job of it, as their programs leave them.
class FsckTest : public ::testing::Test {
 protected:
  FsckTest() {
    EXPECT_TRUE(store::SqliteRepository::Open(Make("orchestrator/orchestrator.sqlite")).ok());
    v1::Version version;
    version.set_name("models/m/versions/1");
    version.set_seed(7);
    version.set_input_key(runtime::ComputeInputKey("models/m", version));
    version.set_digest(runtime::ComputeDigest(version.input_key(), "weights"));
    EXPECT_TRUE(runtime::WriteVersionFile(version_, version).ok());
    EXPECT_TRUE(WriteFileAtomically(version_ / runtime::kWeightsFile, "weights").ok());
    EXPECT_TRUE(WriteFileAtomically(version_.parent_path() / runtime::kSealedMark, "").ok());
    google::protobuf::Any request;
    request.PackFrom(v1::TrainRequest());
    EXPECT_TRUE(runtime::WriteRequestFile(job_, request).ok());
    v1::Job job;
    job.set_name("jobs/a");
    EXPECT_TRUE(runtime::WriteJobFile(job_, job).ok());
    EXPECT_TRUE(WriteFileAtomically(job_.parent_path() / runtime::kSealedMark, "").ok());
  }

  std::string Make(const std::string& name) {
    const std::filesystem::path path = directory_ / name;
    std::filesystem::create_directories(path.parent_path());
    return path;
  }
  void Flip(const std::filesystem::path& path, size_t at) {
    std::string content = *ReadFile(path);
    content.at(at) ^= 1;
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  }
  // What `backfire fsck` exits with; its answer is `text`.
  ExitCode Run(std::vector<std::string> arguments, std::string& text) {
    std::ostringstream out, err;
    cli::Session session;
    session.out = &out;
    session.err = &err;
    arguments.insert(arguments.begin(), "fsck");
    const ExitCode code = cli::RunCommandLine(session, arguments);
    text = out.str() + err.str();
    return code;
  }

  const testing::TemporaryDirectory directory_;
  const std::filesystem::path version_ = directory_ / "car/models/m/versions/1";
  const std::filesystem::path job_ = directory_ / "car/jobs/0123abcd";
};

TEST_F(FsckTest, FindsAllThatIsKept) {
  const auto findings = CheckFolder(directory_.path());
  ASSERT_TRUE(findings.ok()) << findings.status();
  ASSERT_EQ(findings->size(), 3u);
  for (const Finding& finding : *findings) EXPECT_TRUE(finding.status.ok()) << finding.status;
  std::string text;
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kOk);
  EXPECT_EQ(text, "1 job, 1 store, 1 version: sound\n");
}

TEST_F(FsckTest, NamesWhatIsDamaged) {
  const std::string folder = directory_.path();
  std::string text;
  Flip(version_ / runtime::kWeightsFile, 3);
  EXPECT_EQ(Run({folder}, text), ExitCode::kFailed);
  EXPECT_THAT(text, HasSubstr("DATA_LOSS version " + version_.string()));
  EXPECT_THAT(text, HasSubstr("1 job, 1 store, 1 version: 1 faulty\n"));
  Flip(version_ / runtime::kWeightsFile, 3);
  Flip(version_ / runtime::kVersionFile, 100);
  EXPECT_EQ(Run({folder}, text), ExitCode::kFailed);
  Flip(version_ / runtime::kVersionFile, 100);
  Flip(job_ / runtime::kJobFile, 2);
  EXPECT_EQ(Run({folder, "--format", "json"}, text), ExitCode::kFailed);
  EXPECT_THAT(text, HasSubstr("\"DATA_LOSS\""));
  Flip(job_ / runtime::kJobFile, 2);
  Flip(directory_ / "orchestrator/orchestrator.sqlite", 60);
  EXPECT_EQ(Run({folder}, text), ExitCode::kFailed);
  EXPECT_THAT(text, HasSubstr("DATA_LOSS store"));
}

// An older program's files have no checksums: nothing is written to them, and none is demanded.
TEST_F(FsckTest, HoldsOldFilesAgainstWhatIsKnownOfThem) {
  const std::string unsealed =
      *Unseal(*ReadFile(version_ / runtime::kVersionFile), SealForm::kJsonMember, "version.json");
  std::ofstream(version_ / runtime::kVersionFile, std::ios::trunc) << unsealed;
  std::string text;
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kFailed) << "it has lost it";
  std::filesystem::remove(version_.parent_path() / runtime::kSealedMark);
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kOk) << text;
  EXPECT_EQ(*ReadFile(version_ / runtime::kVersionFile), unsealed);
  Flip(version_ / runtime::kWeightsFile, 0);
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kFailed);
}

TEST_F(FsckTest, SaysWhatANewerProgramMadeAndWhatIsNotThere) {
  const std::string json =
      *Unseal(*ReadFile(version_ / runtime::kVersionFile), SealForm::kJsonMember, "version.json");
  std::ofstream(version_ / runtime::kVersionFile, std::ios::trunc)
      << Seal("{\n \"invented_later\": 1," + json.substr(1), SealForm::kJsonMember);
  std::string text;
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kWrongState);
  EXPECT_THAT(text, HasSubstr("a newer program made it"));
  EXPECT_EQ(Run({(directory_ / "none").string()}, text), ExitCode::kBadInput);
}

TEST_F(FsckTest, TheListOfWhatServesIsLookedAt) {
  const std::filesystem::path loaded = version_.parent_path().parent_path() / runtime::kLoadedFile;
  ASSERT_TRUE(runtime::WriteLoadedFile(loaded, {1, 2}).ok());
  std::string text;
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kOk);
  EXPECT_EQ(text, "1 job, 1 loaded, 1 store, 1 version: sound\n");
  for (size_t at = 0; at < ReadFile(loaded)->size(); ++at) {
    Flip(loaded, at);
    EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kFailed) << at;
    EXPECT_THAT(text, HasSubstr("DATA_LOSS loaded " + loaded.string()));
    Flip(loaded, at);
  }
  std::ofstream(loaded, std::ios::trunc) << "1\n2\n";
  EXPECT_TRUE(runtime::ReadLoadedFile(loaded).ok()) << "an older program's";
  std::ofstream(loaded, std::ios::trunc) << "";
  EXPECT_TRUE(absl::IsDataLoss(runtime::ReadLoadedFile(loaded).status()));
}

// As services/python/backfire_database.py makes it.
TEST_F(FsckTest, StoresOfServicesInPythonAreLookedAt) {
  const std::string path = Make("nearest/state.db");
  auto store = store::SqliteConnection::Open(path);
  ASSERT_TRUE(store.ok()) << store.status();
  const std::string key(64, '1');
  v1::Version version;
  version.set_name("models/nearest");
  version.set_input_key(key);
  version.set_digest(Sha256Hex("[\"" + key + "\", \"" + Sha256Hex("weights") + "\"]"));
  ASSERT_TRUE((*store)
                  ->Execute("CREATE TABLE jobs (request_id TEXT PRIMARY KEY, asked BLOB NOT NULL, "
                            "job BLOB NOT NULL, checksum TEXT NOT NULL DEFAULT ''); CREATE TABLE "
                            "versions (number INTEGER PRIMARY KEY AUTOINCREMENT, input_key TEXT "
                            "UNIQUE NOT NULL, version BLOB NOT NULL, loaded INTEGER NOT NULL "
                            "DEFAULT 0, checksum TEXT NOT NULL DEFAULT ''); CREATE TABLE weights "
                            "(number INTEGER PRIMARY KEY, weights BLOB NOT NULL); CREATE TABLE "
                            "totals (name TEXT PRIMARY KEY, rows INTEGER NOT NULL, checksum TEXT "
                            "NOT NULL DEFAULT ''); PRAGMA user_version = 1; INSERT INTO weights "
                            "VALUES (1, CAST('weights' AS BLOB))")
                  .ok());
  ASSERT_TRUE((*store)
                  ->Prepare("INSERT INTO versions (input_key, version) VALUES (?, ?)")
                  .BindText(key)
                  .Bind(version.SerializeAsString())
                  .Run()
                  .ok());
  ASSERT_TRUE(store::SealAllRows(**store).ok());
  std::string text;
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kOk) << text;
  EXPECT_EQ(text, "1 job, 2 stores, 1 version: sound\n");
  ASSERT_TRUE((*store)->Execute("UPDATE weights SET weights = CAST('Weights' AS BLOB)").ok());
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kFailed);
  EXPECT_THAT(text, HasSubstr("DATA_LOSS store " + path + ": version 1 does not"));
  ASSERT_TRUE((*store)->Execute("UPDATE versions SET loaded = 1").ok());
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kFailed);
  EXPECT_THAT(text, HasSubstr("a row of table versions is damaged"));
  ASSERT_TRUE((*store)->Execute("PRAGMA user_version = 2").ok());
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kWrongState);
}

TEST_F(FsckTest, KeptOutputsAreReadToTheirEnd) {
  const std::filesystem::path file = Make("car/outputs/1111-2222-test.examples");
  auto writer = runtime::ExampleFileWriter::Create(file);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->Append({{"y", runtime::MakeTensor(runtime::Datatype::kFp64, {3})}}).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  std::ofstream(file.string() + ".seconds") << "1.5";
  std::string text;
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kOk);
  EXPECT_EQ(text, "1 job, 1 outputs, 1 store, 1 version: sound\n");
  Flip(file, 30);
  EXPECT_EQ(Run({directory_.path().string()}, text), ExitCode::kFailed);
  EXPECT_THAT(text, HasSubstr("DATA_LOSS outputs " + file.string()));
  EXPECT_THAT(text, HasSubstr("computes it anew"));
}

}  // namespace
}  // namespace backfire::fsck
