#pragma once

#include <string>

#include "backfire/v1/system.pb.h"

namespace backfire::study {

/// Leaves the detectors of one family in a system, and no output of the others: PointRCNN's
/// trainings take many times those of Frustum PointNet, so that each family is a study with pieces
/// of its own.
/// @param kept  `frustum-pointnet` or `point-rcnn`, with which its recipes' names begin.
void KeepFamily(const std::string& kept, v1::System& system);

/// Puts a device in place of that of each process whose arguments name one (`--device=auto`).
/// False: none does.
bool SetDevice(const std::string& device, v1::System& system);

}  // namespace backfire::study
