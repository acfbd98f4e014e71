#include "orchestrator/report/version_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace backfire::report {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

v1::Version Imported() {
  v1::Version version;
  version.set_name("models/car/versions/2");
  version.mutable_recipe()->set_name("frustum-pointnet");
  (*version.mutable_recipe()->mutable_parameters()->mutable_fields())["points"].set_number_value(
      512);
  version.set_imported_digest("i");
  version.set_digest("0123456789abcdef");
  version.set_input_key("abcdef");
  version.set_weights_bytes(20979414);
  version.set_loaded(true);
  for (const char* input : {"points", "rays"}) {
    v1::Parent& parent = *version.add_lineage();
    parent.set_input(input);
    parent.set_version("models/pointcloud/versions/9");
    parent.set_output(input);
    parent.set_digest("fedcba9876543210");
  }
  return version;
}

TEST(VersionReportTest, OneVersionInFull) {
  EXPECT_EQ(VersionText(Imported()),
            "models/car/versions/2: frustum-pointnet, imported, loaded\n"
            "  digest        0123456789abcdef\n"
            "  input key     abcdef\n"
            "  weights       21.0 MB\n"
            "  input points  models/pointcloud/versions/9.points (fedcba987654)\n"
            "  input rays    models/pointcloud/versions/9.rays (fedcba987654)\n"
            "  points        512\n");
}

TEST(VersionReportTest, AListSaysHowEachCameToBe) {
  v1::ListVersionsResponse versions;
  EXPECT_EQ(VersionListText(versions), "no versions\n");
  *versions.add_versions() = Imported();
  v1::Version& trained = *versions.add_versions();
  trained.set_name("models/car/versions/3");
  trained.set_seed(4);
  trained.set_weights_bytes(12);
  const std::string text = VersionListText(versions);
  EXPECT_THAT(text, AllOf(HasSubstr("imported"), HasSubstr("trained, seed 4"), HasSubstr("12 B"),
                          Not(HasSubstr("more:"))));
  EXPECT_THAT(text, HasSubstr("models/pointcloud/versions/9 ")) << "once, though it feeds twice";
  versions.set_next_page_token("3");
  EXPECT_THAT(VersionListText(versions), HasSubstr("more: --page-token 3\n"));
}

}  // namespace
}  // namespace backfire::report
