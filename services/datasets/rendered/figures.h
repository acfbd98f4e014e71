#pragma once

#include "services/base/random.h"
#include "services/datasets/rendered/mesh.h"

namespace backfire::datasets {

/// Sizes of a labelled thing, metres.
struct Extent {
  double height = 0, width = 0, length = 0;
};

/// Sizes as KITTI's labels have them. Cars: 1.53 +- 0.13, 1.63 +- 0.10, 3.88 +- 0.42 m.
Extent CarExtent(Random& random);
/// Delivery vans, which KITTI labels Van and counts neither way: 2.2, 1.9, 5.1 m.
Extent VanExtent(Random& random);
/// 1.76 +- 0.11, 0.66 +- 0.13, 0.84 +- 0.22 m.
Extent PedestrianExtent(Random& random);

/// Adds a car (or van) that stands at `origin`, the middle of its bottom: hood, cabin with panes,
/// wheels, lights and number plates. Returns it with its box.
SceneObject AddCar(Mesh& mesh, const Vector3& origin, double rotation_y, const Extent& extent,
                   bool van, Random random);

/// Adds a person with head, arms and legs, walking or standing.
SceneObject AddPedestrian(Mesh& mesh, const Vector3& origin, double rotation_y,
                          const Extent& extent, Random random);

/// Things that are not labelled, standing at `origin`.
void AddTree(Mesh& mesh, const Vector3& origin, Random& random);
void AddBush(Mesh& mesh, const Vector3& origin, double height, double radius, Random& random);
void AddLampPost(Mesh& mesh, const Vector3& origin, double rotation_y, Random& random);
void AddTrafficSign(Mesh& mesh, const Vector3& origin, double rotation_y, Random& random);
void AddBin(Mesh& mesh, const Vector3& origin, double rotation_y, Random& random);
void AddBollard(Mesh& mesh, const Vector3& origin, Random& random);
void AddAdvertisingColumn(Mesh& mesh, const Vector3& origin, Random& random);

/// A colour in linear light from the one that people name, 0 to 255 each.
Rgb Linear(int red, int green, int blue);

}  // namespace backfire::datasets
