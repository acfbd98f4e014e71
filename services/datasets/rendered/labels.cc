#include "services/datasets/rendered/labels.h"

#include <algorithm>

#include "services/datasets/kitti_objects.h"
#include "services/datasets/rendered/frame_stream.h"
#include "services/datasets/rendered_world.h"

namespace backfire::datasets {

std::vector<metrics::Object> MakeLabels(const Scene& scene, const Camera& camera, View& view) {
  const size_t count = scene.objects.size();
  // Of each object: pixels in view, pixels that it would have were nothing before it, and its box
  // in the image, unclipped.
  std::vector<int64_t> visible(count, 0), covered(count, 0);
  std::vector<metrics::Box2d> whole(count, {1e9, 1e9, -1e9, -1e9});
  std::vector<int> owner(scene.mesh.faces.size(), -1);
  std::vector<int> stamp(static_cast<size_t>(camera.width) * camera.height, -1);
  for (size_t i = 0; i < count; ++i) {
    const SceneObject& object = scene.objects[i];
    for (uint32_t face = object.first_face; face < object.first_face + object.face_count; ++face) {
      owner[face] = static_cast<int>(i);
      const ScreenPolygon& polygon = view.polygons[face];
      if (polygon.count == 0) continue;
      whole[i] = {std::min(whole[i].left, polygon.left), std::min(whole[i].top, polygon.top),
                  std::max(whole[i].right, polygon.right),
                  std::max(whole[i].bottom, polygon.bottom)};
      view.centres.ForEachSpan(polygon, [&](int y, int first, int last) {
        int* row = &stamp[static_cast<size_t>(y) * camera.width];
        for (int x = first; x < last; ++x) {
          covered[i] += row[x] != static_cast<int>(i);
          row[x] = static_cast<int>(i);
        }
      });
    }
  }
  for (int y = 0; y < camera.height; ++y) {
    const uint32_t* faces = view.centres.faces(y);
    for (int x = 0; x < camera.width; ++x) {
      const int object = owner[faces[x]];
      if (object >= 0) ++visible[static_cast<size_t>(object)];
    }
  }

  std::vector<metrics::Object> labels;
  for (size_t i = 0; i < count; ++i) {
    if (visible[i] == 0) continue;
    metrics::Object label;
    label.box_2d = {std::max(whole[i].left, 0.0), std::max(whole[i].top, 0.0),
                    std::min(whole[i].right, camera.width - 1.0),
                    std::min(whole[i].bottom, camera.height - 1.0)};
    if (!(label.box_2d.width() > 0) || !(label.box_2d.height() > 0)) continue;
    const double fraction = static_cast<double>(visible[i]) / static_cast<double>(covered[i]);
    if (visible[i] < 8 || fraction < 0.15) {
      label.type = "DontCare";
      label.box_3d = {-1, -1, -1, -1000, -1000, -1000, -10};
    } else {
      label.type = scene.objects[i].type;
      label.box_3d = scene.objects[i].box;
      label.alpha = ObservationAngle(label.box_3d);
      label.truncation =
          1 - label.box_2d.width() * label.box_2d.height() / (whole[i].width() * whole[i].height());
      label.occlusion = fraction >= 0.85 ? 0 : fraction >= 0.5 ? 1 : 2;
    }
    labels.push_back(std::move(label));
  }
  // As in KITTI, areas that nobody should care about come last.
  std::stable_partition(labels.begin(), labels.end(),
                        [](const metrics::Object& label) { return label.type != "DontCare"; });
  return labels;
}

std::vector<metrics::Object> RenderLabels(const RenderProfile& profile, uint64_t seed,
                                          runtime::Split split, int64_t index) {
  Random random = StreamOf(seed, split, index).Scene();
  const Scene scene = MakeScene(profile, random);
  const Camera camera = LeftCamera(profile);
  View view = PaintView(scene, camera, /*contrast=*/1, /*reflection=*/0, /*with_image=*/false);
  return MakeLabels(scene, camera, view);
}

}  // namespace backfire::datasets
