// Parents that send what no parent should.
#include "services/runtime/outputs/parent_outputs.h"

#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include "backfire/v1/model_service.grpc.pb.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;
using Pieces = std::vector<v1::MaterializeResponse>;

// Answers every Materialize with the same pieces, over and over if it should never stop.
class Parent final : public v1::ModelService::Service {
 public:
  Parent(Pieces pieces, bool endless) : pieces_(std::move(pieces)), endless_(endless) {}
  grpc::Status Materialize(grpc::ServerContext* context, const v1::MaterializeRequest*,
                           grpc::ServerWriter<v1::MaterializeResponse>* writer) override {
    do {
      for (const v1::MaterializeResponse& piece : pieces_) {
        if (!writer->Write(piece)) return grpc::Status::CANCELLED;
      }
    } while (endless_ && !context->IsCancelled());
    return grpc::Status::OK;
  }

 private:
  const Pieces pieces_;
  const bool endless_;
};

class ParentOutputsTest : public ::testing::Test {
 protected:
  static v1::MaterializeResponse Piece(const std::string& datatype, std::vector<int64_t> shape,
                                       const std::string& data, bool last = true) {
    v1::MaterializeResponse piece;
    piece.set_output("disparity");
    piece.set_datatype(datatype);
    piece.mutable_shape()->Assign(shape.begin(), shape.end());
    piece.set_data(data);
    piece.set_last_piece(last);
    return piece;
  }

  absl::Status Pull(Pieces pieces, bool endless = false) {
    const std::string target = "unix:" + (directory_ / "parent").string();
    Parent parent(std::move(pieces), endless);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(target, grpc::InsecureServerCredentials());
    builder.RegisterService(&parent);
    const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    v1::MaterializeRequest request;
    request.set_version("models/disparity/versions/1");
    (*request.mutable_endpoints()->mutable_by_model())["models/disparity"] = target;
    ChannelPool channels;
    const auto writer = ExampleFileWriter::Create(path_);
    if (!writer.ok()) return writer.status();
    OutputsHasher hasher;
    absl::Status status = PullParentOutputs(
        channels, request, 1, [] { return false; }, [](int64_t) {}, **writer, hasher);
    return status.ok() ? (*writer)->Finish() : status;
  }

  std::string Fault(Pieces pieces, bool endless = false) {
    const absl::Status status = Pull(std::move(pieces), endless);
    EXPECT_TRUE(absl::IsInternal(status)) << status;
    EXPECT_FALSE(std::filesystem::exists(path_));
    return std::string(status.message());
  }

  const testing::TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_ / "outputs.examples";
};

TEST_F(ParentOutputsTest, KeepsWhatIsSoundInPieces) {
  v1::MaterializeResponse rest = Piece("", {}, std::string(16, 'b'));
  ASSERT_TRUE(Pull({Piece("FP32", {2, 3}, std::string(8, 'a'), false), rest}).ok());
  const auto file = ExampleFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->Get(0)->at("disparity").data, std::string(8, 'a') + std::string(16, 'b'));
}

TEST_F(ParentOutputsTest, RefusesWhatShapesDoNotSay) {
  constexpr int64_t kTwoTo32 = int64_t{1} << 32;
  EXPECT_THAT(Fault({Piece("FP32", {2, 3}, std::string(23, 'a'))}),
              HasSubstr("output \"disparity\" of example 0: raw contents must have 24 bytes"));
  EXPECT_THAT(Fault({Piece("FP32", {kTwoTo32, kTwoTo32}, "")}), HasSubstr("may have at most"));
  EXPECT_THAT(Fault({Piece("FP32", {int64_t{1} << 62, 4}, "")}), HasSubstr("may have at most"));
  EXPECT_THAT(Fault({Piece("FP32", {-1, -4}, std::string(16, 'a'))}), HasSubstr(">= 0"));
  EXPECT_THAT(Fault({Piece("FP32", {0, int64_t{1} << 40}, "")}), HasSubstr("empty tensor"));
  EXPECT_THAT(Fault({Piece("FLOAT", {1}, "")}), HasSubstr("datatype must be"));
}

TEST_F(ParentOutputsTest, RefusesStreamsThatAreNone) {
  EXPECT_THAT(Fault({Piece("FP32", {2}, std::string(8, 'a')), Piece("FP32", {2}, "")}),
              HasSubstr("there twice"));
  v1::MaterializeResponse other = Piece("FP32", {}, "");
  other.set_output("other");
  EXPECT_THAT(Fault({Piece("FP32", {2}, "1234", false), other}),
              HasSubstr("before the last piece"));
  other.set_output("");
  EXPECT_THAT(Fault({other}), HasSubstr("without a name"));
  EXPECT_THAT(Fault({Piece("FP32", {2}, "1234", false)}), HasSubstr("has no last piece"));
}

TEST_F(ParentOutputsTest, AParentThatNeverStopsFillsNothing) {
  EXPECT_THAT(Fault({Piece("UINT8", {1 << 20}, std::string(1 << 16, 'a'), false)}, true),
              HasSubstr("more bytes than its shape says"));
  EXPECT_THAT(Fault({Piece("UINT8", {1 << 20}, "", false)}, true),
              HasSubstr("a piece without bytes that is not its last"));
  v1::MaterializeResponse second = Piece("UINT8", {1}, "a");
  second.set_example(1);
  const absl::Status more = Pull({Piece("UINT8", {1}, "a"), second});
  EXPECT_TRUE(absl::IsFailedPrecondition(more)) << more;
  EXPECT_THAT(std::string(more.message()), HasSubstr("has more than 1 examples"));
}

}  // namespace
}  // namespace backfire::runtime
