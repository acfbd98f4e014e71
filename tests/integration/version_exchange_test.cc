// Versions that come from files and go to files, at a model service that is a process of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "services/base/digest.h"
#include "services/runtime/file_stream.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/toy_client.h"

namespace backfire {
namespace {

using ::testing::HasSubstr;
using testing::ToyClient;

class VersionExchangeTest : public ::testing::Test {
 protected:
  VersionExchangeTest() { Restart(); }
  void Restart(const std::vector<std::string>& more = {}) {
    service_.reset();
    std::vector<std::string> command{BACKFIRE_TOY_SERVICE, "--listen=" + target_,
                                     "--data-dir=" + (directory_ / "data").string()};
    command.insert(command.end(), more.begin(), more.end());
    service_ = std::make_unique<testing::ChildProcess>(command, directory_ / "log");
    ASSERT_TRUE(testing::WaitUntilReady(target_, *service_)) << service_->Log();
    stub_ = v1::ModelService::NewStub(runtime::MakeChannel(target_));
  }

  static v1::ImportVersionRequest Description(const std::string& file) {
    v1::ImportVersionRequest request;
    request.set_model("models/first");
    request.mutable_recipe()->set_name("least-squares");
    request.set_file_bytes(static_cast<int64_t>(file.size()));
    request.set_file_digest(Sha256Hex(file));
    return request;
  }

  // Sends a description and pieces of a file.
  absl::StatusOr<v1::Version> Import(const v1::ImportVersionRequest& description,
                                     const std::vector<std::string>& pieces) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, absl::Minutes(1));
    v1::Version version;
    const auto writer = stub_->ImportVersion(&context, &version);
    bool alive = writer->Write(description);
    for (const std::string& data : pieces) {
      v1::ImportVersionRequest piece;
      piece.set_data(data);
      alive = alive && writer->Write(piece);
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    if (!status.ok()) return runtime::FromGrpcStatus(status);
    return version;
  }
  absl::StatusOr<v1::Version> ImportFile(const std::string& file) {
    return Import(Description(file), {file});
  }

  absl::StatusOr<std::string> Export(const std::string& name) {
    grpc::ClientContext context;
    runtime::SetDeadline(context, absl::Minutes(1));
    v1::ExportVersionRequest request;
    request.set_name(name);
    const auto reader = stub_->ExportVersion(&context, request);
    std::string file;
    v1::ExportVersionResponse piece;
    while (reader->Read(&piece)) file += piece.data();
    const grpc::Status status = reader->Finish();
    if (!status.ok()) return runtime::FromGrpcStatus(status);
    return file;
  }

  testing::TemporaryDirectory directory_;
  const std::string target_ = "unix:" + (directory_ / "service").string();
  std::unique_ptr<testing::ChildProcess> service_;
  std::unique_ptr<v1::ModelService::Stub> stub_;
};

TEST_F(VersionExchangeTest, TheSameFileTwiceIsTheSameVersion) {
  const auto first = ImportFile("2.5");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->name(), "models/first/versions/1");
  EXPECT_EQ(first->imported_digest(), Sha256Hex("2.5"));
  EXPECT_FALSE(first->has_dataset());
  // In other pieces, and after a restart.
  EXPECT_EQ(Import(Description("2.5"), {"2", ".", "", "5"})->name(), first->name());
  Restart();
  EXPECT_EQ(ImportFile("2.5")->digest(), first->digest());
  EXPECT_EQ(ImportFile("2.75")->name(), "models/first/versions/2");
  // Another recipe makes another version of it.
  v1::ImportVersionRequest other = Description("2.5");
  runtime::SetParameter(*other.mutable_recipe(), "offset", 1);
  EXPECT_EQ(Import(other, {"2.5"})->name(), "models/first/versions/3");
}

TEST_F(VersionExchangeTest, AnImportServesAndIsEvaluatedLikeAnyOther) {
  ToyClient client(target_);
  const auto version = ImportFile("2.5");
  ASSERT_TRUE(version.ok()) << version.status();
  ASSERT_TRUE(client.Load(version->name()).ok());
  EXPECT_EQ(ToyClient::Number(*client.Infer("first", "1", "x", 4)), 10);
  const auto job = client.Evaluate(ToyClient::EvaluateRequest("e", version->name()));
  ASSERT_EQ(job->state(), v1::Job::SUCCEEDED) << job->error_message();
  // The truth is 2x with x uniform in [0, 1]: off by 0.5 x.
  EXPECT_NEAR(job->evaluation().losses(0).value(), 0.25, 0.05);
}

TEST_F(VersionExchangeTest, WhatIsExportedComesBackAsTheSameWeights) {
  ToyClient client(target_);
  const auto job = client.Train(ToyClient::TrainRequest("t", "first"));
  ASSERT_TRUE(job.ok()) << job.status();
  const auto file = Export(job->version().name());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*Export(job->version().name()), *file);
  const auto imported = ImportFile(*file);
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_NE(imported->name(), job->version().name()) << "it was imported, not trained";
  EXPECT_EQ(*Export(imported->name()), *file);
}

TEST_F(VersionExchangeTest, AFaultyImportIsRefusedAndLeavesNothing) {
  EXPECT_EQ(ImportFile("no number").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ImportFile("").status().code(), absl::StatusCode::kInvalidArgument);
  v1::ImportVersionRequest request = Description("2.5");
  request.mutable_recipe()->set_name("magic");
  EXPECT_THAT(std::string(Import(request, {"2.5"}).status().message()), HasSubstr("magic"));
  request = Description("2.5");
  request.set_model("models/third");
  EXPECT_EQ(Import(request, {"2.5"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Import(Description("2.5"), {"2."}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Import(Description("2.5"), {"2.6"}).status().code(), absl::StatusCode::kDataLoss);
  request = Description("2.5");
  request.add_lineage()->set_input("y");
  EXPECT_THAT(std::string(Import(request, {"2.5"}).status().message()), HasSubstr("lineage[0]"));
  {  // A caller that goes away in the middle.
    grpc::ClientContext context;
    runtime::SetDeadline(context, absl::Minutes(1));
    v1::Version version;
    const auto writer = stub_->ImportVersion(&context, &version);
    writer->Write(Description("2.5"));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  ToyClient client(target_);
  v1::ListVersionsRequest list;
  list.set_model("models/first");
  EXPECT_EQ(client.Call(&v1::ModelService::Stub::ListVersions, list)->versions_size(), 0);
  EXPECT_EQ(Export("models/first/versions/9").status().code(), absl::StatusCode::kNotFound);
}

// Without a bound, each import in flight could hold a file of a gibibyte.
TEST_F(VersionExchangeTest, WhatImportsHoldTogetherIsBounded) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  Restart({"--rpc-memory-bytes=" + std::to_string(64 * kMiB)});
  const std::string piece(kMiB, 'x');
  v1::ImportVersionRequest description = Description("");
  description.set_file_bytes(128 * kMiB);
  grpc::ClientContext context;
  runtime::SetDeadline(context, absl::Minutes(1));
  v1::Version version;
  const auto writer = stub_->ImportVersion(&context, &version);
  ASSERT_TRUE(writer->Write(description));
  v1::ImportVersionRequest data;
  data.set_data(piece);
  int64_t sent = 0;
  while (sent < 128 && writer->Write(data)) ++sent;
  const grpc::Status refused = writer->Finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << refused.error_message();
  EXPECT_THAT(refused.error_message(), HasSubstr("calls in flight hold 64 MiB"));
  const auto other = ImportFile("too little to count");
  EXPECT_FALSE(absl::IsResourceExhausted(other.status())) << "what was held is given back";
}

TEST_F(VersionExchangeTest, TheModelSaysThatItCanDoIt) {
  ToyClient client(target_);
  v1::GetModelRequest request;
  request.set_name("models/first");
  const auto model = client.Call(&v1::ModelService::Stub::GetModel, request);
  EXPECT_THAT(model->capabilities(), ::testing::Contains(v1::IMPORT_VERSION));
  EXPECT_THAT(model->capabilities(), ::testing::Contains(v1::EXPORT_VERSION));
}

}  // namespace
}  // namespace backfire
