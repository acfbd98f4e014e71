#include "services/gateway/release_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/toy_system.h"

namespace backfire::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::UnorderedElementsAre;

// Releases 1 and 2, 1 live.
v1::ReleaseSnapshot Snapshot() {
  v1::ReleaseSnapshot snapshot;
  *snapshot.mutable_system() =
      testing::ToySystem([](const std::string& name) { return "unix:" + name; });
  for (const v1::Vertex& vertex : snapshot.system().vertices()) {
    (*snapshot.mutable_models())[vertex.name()].set_name("models/" + vertex.model());
  }
  for (int number = 1; number <= 2; ++number) {
    v1::Release& release = *snapshot.add_releases();
    release.set_name("releases/" + std::to_string(number));
    for (const v1::Vertex& vertex : snapshot.system().vertices()) {
      (*release.mutable_versions())[vertex.name()] =
          "models/" + vertex.model() + "/versions/" + std::to_string(10 + number);
    }
  }
  snapshot.set_live(1);
  snapshot.set_epoch(7);
  return snapshot;
}

TEST(ReleaseViewTest, HasEveryReleaseByVertex) {
  const auto view = MakeReleaseView(Snapshot());
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ((*view)->live, 1);
  EXPECT_EQ((*view)->epoch, 7);
  EXPECT_EQ((*view)->releases.at(2).at("sum"), 12);
}

TEST(ReleaseViewTest, AReleaseThatCannotBeServedLeavesTheOthersAlone) {
  v1::ReleaseSnapshot snapshot = Snapshot();
  (*snapshot.mutable_releases(1)->mutable_versions())["sum"] = "models/second/versions/two";
  const auto view = MakeReleaseView(snapshot);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_THAT((*view)->releases, UnorderedElementsAre(Key(1)));
}

TEST(ReleaseViewTest, ALiveReleaseThatCannotBeServedIsRefused) {
  v1::ReleaseSnapshot snapshot = Snapshot();
  snapshot.mutable_releases(0)->mutable_versions()->erase("sum");
  const auto view = MakeReleaseView(snapshot);
  EXPECT_TRUE(absl::IsInternal(view.status())) << view.status();
  EXPECT_THAT(std::string(view.status().message()), HasSubstr("the live release 1"));
}

}  // namespace
}  // namespace backfire::gateway
