#pragma once

#include "services/base/random.h"
#include "services/datasets/render_profile.h"
#include "services/datasets/rendered/mesh.h"

namespace backfire::datasets {

/// One side of a street: distances from the camera's path, metres, growing away from it.
struct StreetSide {
  double kerb = 0;             ///< Edge of the carriageway.
  double parking = 0;          ///< Edge of the parking strip (= kerb without one).
  double sidewalk = 0;         ///< Far edge of the sidewalk.
  double houses = 0;           ///< Where house fronts begin, at the least.
  bool parked_across = false;  ///< Cars stand square to the street.
};

/// How a street runs: what is where is given by `d`, metres right of the camera's path, and depth
/// z.
struct Street {
  double heading = 0, curvature = 0;  ///< x = d + heading z + curvature z^2 / 2.
  double slope = 0;                   ///< Rise of the ground per metre.
  double camera_height_m = 1.65;
  double centre = -1.7;    ///< d of the line between the two lanes.
  StreetSide right, left;  ///< The left one's distances are negated: kerb 5 is d = -5.
  double crossing = 1e9;   ///< Where a side street begins; kCrossingWidthM wide.

  /// The ground at a place; `up` metres above the carriageway.
  Vector3 At(double d, double z, double up = 0) const;
  /// rotation_y of what looks along the street, away from the camera.
  double Direction(double z) const;
  /// Height of the ground above the carriageway: that of sidewalks.
  double Kerb(double d, double z) const;
  bool InCrossing(double z, double margin = 0) const {
    return z > crossing - margin && z < crossing + kCrossingWidthM + margin;
  }
  const StreetSide& Side(double d) const { return d < centre ? left : right; }

  static constexpr double kCrossingWidthM = 8;
  static constexpr double kKerbM = 0.12;
};

/// Invents how a street runs.
Street MakeStreet(const RenderProfile& profile, Random& random);
/// Adds carriageway, sidewalks and what is beyond them.
void AddGround(Mesh& mesh, const Street& street, Random& random);
/// A house's footprint and height, for its shadow.
struct House {
  double d_low, d_high, z_low, z_high, height;
};
/// Adds houses on both sides, hedges and fences before them, and what is far behind.
std::vector<House> AddHouses(Mesh& mesh, const Street& street, Random& random);

}  // namespace backfire::datasets
