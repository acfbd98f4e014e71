#include "orchestrator/study/stereo_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace backfire::study {
namespace {

using ::testing::ElementsAre;

struct Vertex {
  const char *name, *recipe;
};

v1::System SystemOf(const std::vector<Vertex>& vertices) {
  v1::System system;
  for (const Vertex& one : vertices) {
    v1::Vertex& vertex = *system.add_vertices();
    vertex.set_name(one.name);
    vertex.mutable_recipe()->set_name(one.recipe);
    (*system.mutable_outputs())[one.name] = std::string(one.name) + ".detections";
  }
  return system;
}

std::vector<std::string> NamesIn(const v1::System& system) {
  std::vector<std::string> names;
  for (const v1::Vertex& vertex : system.vertices()) names.push_back(vertex.name());
  return names;
}

TEST(StereoSystemTest, OneFamilyStaysWithItsOutputs) {
  const v1::System both = SystemOf({{"root", "psmnet-depth-mae"},
                                    {"car", "frustum-pointnet"},
                                    {"car-rcnn", "point-rcnn-small"},
                                    {"near", "frustum-pointnet-full"},
                                    {"near-rcnn", "point-rcnn"}});
  v1::System frustum = both, rcnn = both;
  KeepFamily("frustum-pointnet", frustum);
  EXPECT_THAT(NamesIn(frustum), ElementsAre("root", "car", "near"));
  EXPECT_EQ(frustum.outputs().size(), 3u);
  EXPECT_EQ(frustum.outputs().count("car-rcnn"), 0u);
  KeepFamily("point-rcnn", rcnn);
  EXPECT_THAT(NamesIn(rcnn), ElementsAre("root", "car-rcnn", "near-rcnn"));
  EXPECT_EQ(rcnn.outputs().count("car-rcnn"), 1u);
  EXPECT_EQ(rcnn.outputs().count("car"), 0u);
}

TEST(StereoSystemTest, ADeviceIsForThoseThatHaveOne) {
  v1::System system = SystemOf({{"root", "r"}, {"child", "r"}});
  EXPECT_FALSE(SetDevice("cuda:0", system));
  auto& process = *system.mutable_vertices(1)->mutable_process();
  process.add_arguments("--jobs=1");
  process.add_arguments("--device=auto");
  EXPECT_TRUE(SetDevice("cuda:0", system));
  EXPECT_THAT(process.arguments(), ElementsAre("--jobs=1", "--device=cuda:0"));
  EXPECT_TRUE(system.vertices(0).process().arguments().empty());
}

}  // namespace
}  // namespace backfire::study
