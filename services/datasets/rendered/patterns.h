#pragma once

#include "services/datasets/rendered/mesh.h"

namespace backfire::datasets {

/// A place on a surface, and how much of it a pixel covers; metres.
struct TexturePoint {
  float a = 0, b = 0, footprint_a = 0, footprint_b = 0;
};

/// The colour at a place of a surface whose own colour, with its light, is `lit`. Patterns are
/// averaged over the pixel, so that what is too small to see fades instead of flickering.
/// @param grain  The surface's noise there, relative to its colour.
Rgb ApplyPattern(const Surface& surface, const TexturePoint& point, const Rgb& lit, float grain);

}  // namespace backfire::datasets
