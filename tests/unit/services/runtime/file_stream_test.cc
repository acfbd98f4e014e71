#include "services/runtime/file_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/base/digest.h"

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;

v1::ImportVersionRequest Description(int64_t file_bytes) {
  v1::ImportVersionRequest message;
  message.set_model("models/m");
  message.set_file_bytes(file_bytes);
  return message;
}

v1::ImportVersionRequest Piece(const std::string& data) {
  v1::ImportVersionRequest message;
  message.set_data(data);
  return message;
}

TEST(ImportedFileTest, PiecesAreJoined) {
  ImportedFile file;
  v1::ImportVersionRequest first = Description(5);
  first.set_file_digest("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  first.set_data("he");
  ASSERT_TRUE(file.Add(first).ok());
  ASSERT_TRUE(file.Add(Piece("")).ok());
  ASSERT_TRUE(file.Add(Piece("llo")).ok());
  EXPECT_EQ(file.description().model(), "models/m");
  EXPECT_EQ(file.description().data(), "");
  // The digest is that of `printf hello | sha256sum`.
  EXPECT_EQ(file.Finish().value_or("?"), "hello");
}

TEST(ImportedFileTest, WhatDoesNotAddUpIsRefused) {
  EXPECT_EQ(ImportedFile().Finish().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(ImportedFile().Add(Description(0)).message()), HasSubstr("file_bytes"));
  EXPECT_THAT(std::string(ImportedFile(10).Add(Description(11)).message()), HasSubstr("[1, 10]"));
  EXPECT_FALSE(ImportedFile().Add(Piece("data before its description")).ok());

  ImportedFile short_one;
  ASSERT_TRUE(short_one.Add(Description(5)).ok());
  ASSERT_TRUE(short_one.Add(Piece("hel")).ok());
  EXPECT_FALSE(short_one.Add(Description(5)).ok()) << "described twice";
  EXPECT_EQ(short_one.Finish().status().code(), absl::StatusCode::kDataLoss);

  ImportedFile long_one;
  ASSERT_TRUE(long_one.Add(Description(5)).ok());
  EXPECT_EQ(long_one.Add(Piece("hello!")).code(), absl::StatusCode::kInvalidArgument);

  ImportedFile large_piece;
  ASSERT_TRUE(large_piece.Add(Description(2 * kPieceBytes)).ok());
  EXPECT_FALSE(large_piece.Add(Piece(std::string(kPieceBytes + 1, 'x'))).ok());

  ImportedFile changed;
  v1::ImportVersionRequest first = Description(5);
  first.set_file_digest(std::string(64, '0'));
  ASSERT_TRUE(changed.Add(first).ok());
  ASSERT_TRUE(changed.Add(Piece("hello")).ok());
  EXPECT_EQ(changed.Finish().status().code(), absl::StatusCode::kDataLoss);
}

TEST(SendExportedFileTest, LargeFilesComeInPieces) {
  v1::Version version;
  version.set_name("models/m/versions/1");
  std::string file(2 * kPieceBytes + 3, 'a');
  file.back() = 'z';
  std::vector<v1::ExportVersionResponse> pieces;
  EXPECT_TRUE(SendExportedFile(version, file, [&](const v1::ExportVersionResponse& piece) {
    pieces.push_back(piece);
    return true;
  }));
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[0].version().name(), version.name());
  EXPECT_EQ(pieces[0].file_bytes(), 2 * kPieceBytes + 3);
  EXPECT_EQ(pieces[0].file_digest(), Sha256Hex(file));
  EXPECT_FALSE(pieces[1].has_version());
  EXPECT_EQ(pieces[0].data() + pieces[1].data() + pieces[2].data(), file);
}

TEST(SendExportedFileTest, StopsWhenTheCallerHasGoneAndSendsEmptyFiles) {
  int written = 0;
  const auto write = [&](const v1::ExportVersionResponse&) { return ++written < 2; };
  EXPECT_FALSE(SendExportedFile({}, std::string(5 * kPieceBytes, 'a'), write));
  EXPECT_EQ(written, 2);
  written = 0;
  EXPECT_TRUE(SendExportedFile({}, "", write));
  EXPECT_EQ(written, 1);
}

}  // namespace
}  // namespace backfire::runtime
