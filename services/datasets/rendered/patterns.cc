#include "services/datasets/rendered/patterns.h"

#include <algorithm>
#include <cmath>

namespace backfire::datasets {
namespace {

// How much of a pixel about x lies in [low, high]; 0 to 1.
float Coverage(float x, float low, float high, float footprint) {
  const float half = 0.5f * footprint;
  const float overlap = std::min(x + half, high) - std::max(x - half, low);
  return std::clamp(overlap / std::max(footprint, 1e-6f), 0.0f, 1.0f);
}

int32_t Cell(float x) {
  const auto i = static_cast<int32_t>(x);
  return i - (static_cast<float>(i) > x);
}

// The same for a pattern that repeats.
float Repeated(float x, float period, float low, float high, float footprint) {
  if (footprint >= period) return (high - low) / period;
  const float t = x - static_cast<float>(Cell(x / period)) * period;
  return std::min(1.0f, Coverage(t, low, high, footprint) +
                            Coverage(t, low - period, high - period, footprint) +
                            Coverage(t, low + period, high + period, footprint));
}

// A number in [-1, 1] of a cell.
float CellTone(int32_t i, int32_t j, uint32_t texture) {
  uint32_t hash =
      static_cast<uint32_t>(i) * 0x9E3779B1u + static_cast<uint32_t>(j) * 0x85EBCA77u + texture;
  hash = (hash ^ (hash >> 15)) * 0x2C1B3C6Du;
  return static_cast<float>((hash >> 8) & 0xFFFF) / 32768.0f - 1;
}

}  // namespace

Rgb ApplyPattern(const Surface& surface, const TexturePoint& point, const Rgb& lit, float grain) {
  const auto& shape = surface.shape;
  Rgb colour = lit;
  const float a = point.a, b = point.b;
  // How bright this surface would be if it were white.
  const float light = lit[1] / std::max(surface.colour[1], 1e-3f);
  switch (surface.pattern) {
    case Pattern::kPlain:
      break;
    case Pattern::kRoad: {
      const float fa = point.footprint_a;
      float line = Coverage(a, shape[0] + 0.10f, shape[0] + 0.22f, fa) +
                   Coverage(a, shape[2] - 0.22f, shape[2] - 0.10f, fa);
      line += Coverage(a, shape[1] - 0.06f, shape[1] + 0.06f, fa) *
              Repeated(b, 9, 0, 4.5f, point.footprint_b);
      // Wheels polish two tracks in each lane.
      const float worn = 0.8f + 0.2f * std::clamp(std::abs(a - shape[1]) - 0.9f, 0.0f, 1.0f);
      for (float& channel : colour) channel *= worn + 0.1f;
      Mix(colour, {0.62f * light, 0.62f * light, 0.60f * light}, 0.85f * std::min(line, 1.0f));
      break;
    }
    case Pattern::kZebra:
      Mix(colour, {0.62f * light, 0.62f * light, 0.60f * light},
          0.85f * Repeated(a, 2 * shape[0], 0, shape[0], point.footprint_a));
      break;
    case Pattern::kPaving: {
      const float joint = std::max(Repeated(a, shape[0], 0, 0.018f, point.footprint_a),
                                   Repeated(b, shape[1], 0, 0.018f, point.footprint_b));
      const float detail = std::clamp(
          2 - 4 * std::max(point.footprint_a / shape[0], point.footprint_b / shape[1]), 0.0f, 1.0f);
      const float tone =
          1 + 0.12f * detail * CellTone(Cell(a / shape[0]), Cell(b / shape[1]), surface.texture);
      for (float& channel : colour) channel *= tone * (1 - 0.5f * joint);
      break;
    }
    case Pattern::kFacade: {
      const float across = (shape[0] - shape[2]) / 2;
      const float up = 0.5f * (shape[1] - shape[3]) + 0.15f;
      const float window = Repeated(a, shape[0], across, across + shape[2], point.footprint_a) *
                           Repeated(b, shape[1], up, up + shape[3], point.footprint_b);
      const float pane =
          Repeated(a, shape[0], across + 0.07f, shape[0] / 2 - 0.03f, point.footprint_a) +
          Repeated(a, shape[0], shape[0] / 2 + 0.03f, across + shape[2] - 0.07f, point.footprint_a);
      const float glass =
          pane * Repeated(b, shape[1], up + 0.07f, up + shape[3] - 0.07f, point.footprint_b);
      Mix(colour, {0.55f * light, 0.55f * light, 0.52f * light}, window);  // The frame.
      const float inside =
          0.045f + 0.05f * (1 + CellTone(Cell(a / shape[0]), Cell(b / shape[1]), surface.texture));
      Mix(colour, {inside * light, 1.1f * inside * light, 1.25f * inside * light}, glass);
      break;
    }
    case Pattern::kSlats: {
      const float gap = 1 - Repeated(a, shape[0], 0, shape[1], point.footprint_a);
      for (float& channel : colour) channel *= 1 - 0.8f * gap;
      break;
    }
    case Pattern::kWheel: {
      const float da = a - shape[2], db = b - shape[1];
      const float r = std::sqrt(da * da + db * db);
      const float fa = std::max(point.footprint_a, point.footprint_b);
      Mix(colour, {0.30f * light, 0.30f * light, 0.31f * light},
          Coverage(r, 0.12f * shape[0], 0.62f * shape[0], fa));
      break;
    }
    case Pattern::kSky: {
      const float up = std::clamp(b / 110, 0.0f, 1.0f);
      Mix(colour, {0.26f, 0.42f, 0.72f}, 0.75f * up);
      const float cloud = std::clamp(0.9f * grain * 4 + 0.1f, 0.0f, 0.7f);
      Mix(colour, {0.9f, 0.9f, 0.9f}, cloud * 0.8f);
      return colour;
    }
  }
  const float tone = std::clamp(1 + grain, 0.1f, 2.5f);
  for (float& channel : colour) channel *= tone;
  return colour;
}

}  // namespace backfire::datasets
