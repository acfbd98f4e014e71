#include "services/runtime/versions/version_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/str_replace.h"
#include "services/base/file.h"
#include "services/base/seal.h"
#include "services/runtime/recipe.h"
#include "tests/support/temporary_directory.h"

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;

v1::Version MakeVersion(int64_t seed) {
  v1::Version version;
  version.mutable_recipe()->set_name("r");
  version.set_seed(seed);
  version.set_input_key(ComputeInputKey("models/m", version));
  return version;
}

class VersionStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<VersionStore> Open() {
    auto store = VersionStore::Open(directory_.path(), "models/m");
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  backfire::testing::TemporaryDirectory directory_;
};

TEST_F(VersionStoreTest, KeepsWhatWasAddedOverARestart) {
  const auto added = Open()->Add(MakeVersion(1), "weights");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(added->name(), "models/m/versions/1");
  const auto store = Open();
  EXPECT_EQ(store->Get(1)->digest(), added->digest());
  EXPECT_EQ(*store->ReadWeights(1), "weights");
}

TEST_F(VersionStoreTest, TheSameInputsAreTheSameVersion) {
  const auto store = Open();
  const auto first = store->Add(MakeVersion(1), "weights");
  const auto again = store->Add(MakeVersion(1), "other weights");
  EXPECT_EQ(again->name(), first->name());
  EXPECT_EQ(store->List().size(), 1u);
}

// Weights may be a gigabyte, and a disk slow: a request must not wait for another's import.
TEST_F(VersionStoreTest, IsReadWhileAVersionIsWritten) {
  const auto store = Open();
  const auto small = store->Add(MakeVersion(1), "weights");
  ASSERT_TRUE(small.ok()) << small.status();
  const std::string weights(size_t{64} << 20, ' ');
  const auto is_being_written = [&](int64_t number) {
    return std::filesystem::exists(directory_ / ("tmp." + std::to_string(number)));
  };
  bool read_meanwhile = false;
  for (int64_t number = 2; number < 22 && !read_meanwhile; ++number) {
    std::atomic<bool> has_ended{false};
    std::thread writer([&] {
      EXPECT_TRUE(store->Add(MakeVersion(number), weights).ok());
      has_ended = true;
    });
    while (!has_ended && !read_meanwhile) {
      const bool had_begun = is_being_written(number);
      EXPECT_EQ(store->Get(1)->digest(), small->digest());
      EXPECT_TRUE(store->FindByInputKey(small->input_key()).has_value());
      EXPECT_GE(store->List().size(), 1u);
      read_meanwhile = had_begun && is_being_written(number);
    }
    writer.join();
    EXPECT_TRUE(store->Delete(number).ok());
  }
  EXPECT_TRUE(read_meanwhile) << "each read waited until the version was written";
}

TEST_F(VersionStoreTest, ACopyKeepsItsNumberAndIsWhatItWasCopiedFrom) {
  const auto store = Open();
  ASSERT_TRUE(store->Add(MakeVersion(1), "one").ok());
  const auto second = store->Add(MakeVersion(2), "two");
  ASSERT_TRUE(second.ok()) << second.status();

  const backfire::testing::TemporaryDirectory elsewhere;
  auto copies = VersionStore::Open(elsewhere.path(), "models/m");
  ASSERT_TRUE(copies.ok()) << copies.status();
  EXPECT_TRUE(absl::IsDataLoss((*copies)->AddCopy(*second, "tow")));
  EXPECT_TRUE((*copies)->List().empty());
  ASSERT_TRUE((*copies)->AddCopy(*second, "two").ok());
  EXPECT_EQ((*copies)->Get(2)->digest(), second->digest());
  EXPECT_EQ(*(*copies)->ReadWeights(2), "two");
  // It goes, and can come again: also over one that is damaged.
  ASSERT_TRUE((*copies)->Delete(2).ok());
  ASSERT_TRUE((*copies)->AddCopy(*second, "two").ok());
  std::ofstream(elsewhere.path() / "2" / "weights.bin") << "t";
  ASSERT_TRUE((*copies)->AddCopy(*second, "two").ok());
  copies = VersionStore::Open(elsewhere.path(), "models/m");
  EXPECT_EQ(*(*copies)->ReadWeights(2), "two");
}

TEST(InputKeyTest, OfAnImportIsWhatItIsMadeOfAndWhoItIsFedBy) {
  v1::Version version;
  version.mutable_recipe()->set_name("r");
  version.set_imported_digest("one");
  const std::string key = ComputeInputKey("models/m", version);
  v1::Version other = version;
  // Where and how it was imported does not matter.
  other.set_build_fingerprint("another build");
  other.set_seed(3);
  EXPECT_EQ(ComputeInputKey("models/m", other), key);
  other.set_imported_digest("two");
  EXPECT_NE(ComputeInputKey("models/m", other), key);
  other = version;
  other.add_lineage()->set_digest("parent");
  EXPECT_NE(ComputeInputKey("models/m", other), key);
  other = version;
  SetParameter(*other.mutable_recipe(), "p", 1);
  EXPECT_NE(ComputeInputKey("models/m", other), key);
  other = version;
  other.clear_imported_digest();
  EXPECT_NE(ComputeInputKey("models/m", other), key);
}

TEST(InputKeyTest, AStartingPointCountsByItsDigestNotItsNumber) {
  v1::Version version;
  version.mutable_recipe()->set_name("r");
  SetParameter(*version.mutable_recipe(), kInitializeFrom, "models/m/versions/3");
  version.set_initial_digest("d");
  const std::string key = ComputeInputKey("models/m", version);
  v1::Version other = version;
  SetParameter(*other.mutable_recipe(), kInitializeFrom, "models/m/versions/4");
  EXPECT_EQ(ComputeInputKey("models/m", other), key);
  other.set_initial_digest("e");
  EXPECT_NE(ComputeInputKey("models/m", other), key);
}

TEST_F(VersionStoreTest, ANumberIsNeverUsedTwice) {
  ASSERT_TRUE(Open()->Add(MakeVersion(1), "a").ok());
  ASSERT_TRUE(Open()->Delete(1).ok());
  const auto store = Open();
  EXPECT_TRUE(absl::IsNotFound(store->Get(1).status()));
  EXPECT_EQ(store->Add(MakeVersion(2), "b")->name(), "models/m/versions/2");
}

// The process may be killed between the removal of a version's two files.
TEST_F(VersionStoreTest, WhatADeletionLeftBehindIsInNobodysWay) {
  const auto leave = [&] {
    std::filesystem::create_directories(directory_.path() / "2");
    std::ofstream(directory_.path() / "2" / "weights.bin") << "left over";
  };
  const auto second = Open()->Add(MakeVersion(2), "two");
  leave();
  const auto store = Open();
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "2" / "weights.bin"));
  leave();
  EXPECT_TRUE(store->Delete(2).ok());
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "2" / "weights.bin"));
  leave();
  v1::Version copy = *second;
  copy.set_name("models/m/versions/2");
  EXPECT_TRUE(store->AddCopy(copy, "two").ok());
  EXPECT_EQ(*store->ReadWeights(2), "two");
}

TEST_F(VersionStoreTest, TruncatedWeightsAreDataLossAndNameTheFile) {
  const auto store = Open();
  ASSERT_TRUE(store->Add(MakeVersion(1), "weights").ok());
  std::filesystem::resize_file(directory_.path() / "1" / "weights.bin", 3);
  const auto weights = store->ReadWeights(1);
  EXPECT_TRUE(absl::IsDataLoss(weights.status()));
  EXPECT_THAT(std::string(weights.status().message()), HasSubstr("1/weights.bin"));
}

TEST_F(VersionStoreTest, ADamagedVersionDoesNotStopTheOthers) {
  ASSERT_TRUE(Open()->Add(MakeVersion(1), "a").ok());
  ASSERT_TRUE(Open()->Add(MakeVersion(2), "b").ok());
  std::ofstream(directory_.path() / "1" / "version.json") << "{\"name\": ";
  const auto store = Open();
  EXPECT_TRUE(absl::IsDataLoss(store->Get(1).status()));
  EXPECT_EQ(*store->ReadWeights(2), "b");
}

// Both files, bit by bit: the store says what it said before, or that something is lost.
TEST_F(VersionStoreTest, AFlippedBitChangesNothingSilently) {
  v1::Version version = MakeVersion(7);
  version.mutable_dataset()->set_uri("toy:1");
  version.set_training_seconds(1.5);
  ASSERT_TRUE(Open()->Add(version, "weights").ok());
  const std::string expected = Open()->Get(1)->ShortDebugString() + *Open()->ReadWeights(1);
  for (const char* name : {kVersionFile, kWeightsFile}) {
    const std::filesystem::path path = directory_.path() / "1" / name;
    const std::string sound = *ReadFile(path);
    for (size_t bit = 0; bit < sound.size() * 8; bit += 3) {
      std::string flipped = sound;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      std::ofstream(path, std::ios::binary | std::ios::trunc) << flipped;
      const auto store = Open();
      const auto found = store->Get(1);
      const auto weights = store->ReadWeights(1);
      EXPECT_TRUE(absl::IsDataLoss(weights.status()) &&
                  (found.ok() || weights.status() == found.status()))
          << bit;
      EXPECT_TRUE(!found.ok() || found->ShortDebugString() + "weights" == expected) << bit;
    }
    std::ofstream(path, std::ios::binary | std::ios::trunc) << sound;
  }
  EXPECT_EQ(Open()->Get(1)->ShortDebugString() + *Open()->ReadWeights(1), expected);
}

// A store of the program before there were checksums.
TEST_F(VersionStoreTest, AnOldStoreIsVerifiedByItsWeightsOnceAndThenSealed) {
  for (const int64_t seed : {1, 2, 3}) ASSERT_TRUE(Open()->Add(MakeVersion(seed), "w").ok());
  const auto unseal = [&](const char* number) {
    const std::filesystem::path path = directory_.path() / number / kVersionFile;
    const std::string json = *Unseal(*ReadFile(path), SealForm::kJsonMember, "version.json");
    std::ofstream(path, std::ios::trunc) << json;
    return path;
  };
  for (const char* number : {"1", "2", "3"}) unseal(number);
  std::filesystem::remove(directory_.path() / "sealed");
  // Somebody edited the seed of one, and the weights of another.
  const std::filesystem::path edited = directory_.path() / "2" / kVersionFile;
  const std::string text = absl::StrReplaceAll(*ReadFile(edited), {{"\"2\"", "\"5\""}});
  std::ofstream(edited, std::ios::trunc) << text;
  std::ofstream(directory_.path() / "3" / kWeightsFile) << "v";
  for (int open = 0; open < 2; ++open) {
    const auto store = Open();
    EXPECT_TRUE(store->Get(1).ok()) << store->Get(1).status();
    EXPECT_TRUE(absl::IsDataLoss(store->Get(2).status()));
    EXPECT_TRUE(absl::IsDataLoss(store->Get(3).status()));
  }
  EXPECT_TRUE(HasSeal(*ReadFile(directory_.path() / "1" / kVersionFile), SealForm::kJsonMember));
  // From now on a description without a checksum has lost it.
  unseal("1");
  EXPECT_THAT(std::string(Open()->Get(1).status().message()), HasSubstr("has no checksum"));
}

TEST_F(VersionStoreTest, WhatANewerProgramMadeIsSaid) {
  ASSERT_TRUE(Open()->Add(MakeVersion(1), "w").ok());
  const std::filesystem::path path = directory_.path() / "1" / kVersionFile;
  const std::string json = *Unseal(*ReadFile(path), SealForm::kJsonMember, "version.json");
  std::ofstream(path, std::ios::trunc)
      << Seal("{\n \"invented_later\": 1," + json.substr(1), SealForm::kJsonMember);
  const absl::Status status = Open()->Get(1).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("a newer program made it"));
}

TEST_F(VersionStoreTest, WhatIsNoFileCostsItself) {
  for (const int64_t seed : {1, 2, 3}) ASSERT_TRUE(Open()->Add(MakeVersion(seed), "w").ok());
  const std::filesystem::path loop = directory_.path() / "1" / kVersionFile;
  std::filesystem::remove(loop);
  std::filesystem::create_symlink(loop, loop);
  std::filesystem::remove(directory_.path() / "2" / kVersionFile);
  std::filesystem::create_directory(directory_.path() / "2" / kVersionFile);
  const auto store = Open();
  EXPECT_TRUE(absl::IsDataLoss(store->Get(1).status())) << store->Get(1).status();
  EXPECT_TRUE(absl::IsDataLoss(store->Get(2).status())) << store->Get(2).status();
  EXPECT_EQ(*store->ReadWeights(3), "w");
}

TEST_F(VersionStoreTest, WhatACrashLeftHalfWrittenIsRemoved) {
  ASSERT_TRUE(WriteFileAtomically(directory_.path() / "tmp.1" / "weights.bin", "half").ok());
  const auto store = Open();
  EXPECT_TRUE(store->List().empty());
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "tmp.1"));
}

TEST(InputKeyTest, EveryPartCountsAndTheParentsNamesDoNot) {
  v1::Version base = MakeVersion(1);
  v1::Parent& parent = *base.add_lineage();
  parent.set_input("x");
  parent.set_output("y");
  parent.set_digest(std::string(64, 'a'));
  parent.set_version("models/p/versions/1");
  SetParameter(*base.mutable_recipe(), "steps", 10);
  const std::string key = ComputeInputKey("models/m", base);

  v1::Version same = base;
  same.mutable_lineage(0)->set_version("models/p/versions/7");
  EXPECT_EQ(ComputeInputKey("models/m", same), key);

  v1::Version other = base;
  SetParameter(*other.mutable_recipe(), "steps", 11);
  EXPECT_NE(ComputeInputKey("models/m", other), key);
  other = base;
  other.mutable_lineage(0)->set_digest(std::string(64, 'b'));
  EXPECT_NE(ComputeInputKey("models/m", other), key);
  other = base;
  other.mutable_lineage(0)->set_output("z");
  EXPECT_NE(ComputeInputKey("models/m", other), key);
  other = base;
  other.mutable_dataset()->set_digest("d");
  EXPECT_NE(ComputeInputKey("models/m", other), key);
  other = base;
  other.set_build_fingerprint("f");
  EXPECT_NE(ComputeInputKey("models/m", other), key);
  EXPECT_NE(ComputeInputKey("models/n", base), key);
}

TEST(VersionNameTest, RefusesWhatIsMalformed) {
  EXPECT_EQ(ParseVersionName("models/m/versions/12")->number, 12);
  for (const char* name :
       {"", "models/m", "models/m/versions/0", "models/m/versions/-1", "models/m/versions/x",
        "models//versions/1", "models/m/versions/1/2", "models/m/versions/01",
        "models/m/versions/+1", "models/m/versions/ 1", "models/m/versions/1 "}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseVersionName(name).status())) << name;
  }
}

}  // namespace
}  // namespace backfire::runtime
