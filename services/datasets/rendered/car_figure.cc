// Cars: a body and a cabin of flat panels, after a side view in fractions of length and height.
#include <algorithm>

#include "services/datasets/rendered/figures.h"

namespace backfire::datasets {
namespace {

using Point = MeshBuilder::Point;

double Bell(Random& random, double mean, double spread) {
  return mean + spread * std::clamp(BellCurve(random), -2.2, 2.2);
}

Rgb Paint(Random& random) {
  // As often as on a European street: mostly silver, grey, black, white.
  static const std::array<Rgb, 14> kPaints = {
      {Linear(168, 171, 176), Linear(150, 153, 158), Linear(120, 123, 128), Linear(88, 91, 97),
       Linear(60, 62, 66), Linear(38, 39, 42), Linear(28, 28, 32), Linear(215, 216, 216),
       Linear(226, 226, 224), Linear(150, 32, 28), Linear(36, 56, 120), Linear(44, 78, 70),
       Linear(112, 140, 168), Linear(172, 146, 84)}};
  Rgb paint = kPaints[static_cast<size_t>(random.Below(kPaints.size()))];
  const double tone = random.Uniform(0.8, 1.2);
  for (float& channel : paint) channel *= static_cast<float>(tone * random.Uniform(0.97, 1.03));
  return paint;
}

// A side view, in fractions of length (from the middle, forwards) and height.
struct Shape {
  double windshield_base, windshield_top, roof_end, rear_window_base;
  double hood_edge, belt, deck;  // Heights: front of the hood, waist, top of the trunk.
};

Shape RandomShape(bool van, Random& random) {
  const double kind = random.Uniform();
  Shape shape;
  if (van) {
    shape = {0.36, 0.26, -0.46, -0.49, 0.42, 0.52, 0.50};
  } else if (kind < 0.35) {  // Saloon.
    shape = {0.23, 0.09, -0.20, -0.34, 0.48, 0.60, 0.62};
  } else if (kind < 0.75) {  // Hatchback.
    shape = {0.27, 0.12, -0.35, -0.46, 0.48, 0.59, 0.57};
  } else {  // Estate, or off-roader.
    shape = {0.25, 0.12, -0.42, -0.485, 0.50, 0.60, 0.58};
  }
  const auto vary = [&random](double& value, double by) { value += random.Uniform(-by, by); };
  vary(shape.windshield_base, 0.02);
  vary(shape.windshield_top, 0.02);
  vary(shape.roof_end, 0.02);
  vary(shape.hood_edge, 0.02);
  vary(shape.belt, 0.015);
  return shape;
}

}  // namespace

Extent CarExtent(Random& random) {
  // Long cars are often wide, seldom high.
  const double size = BellCurve(random);
  Extent extent;
  extent.length = std::clamp(3.88 + 0.42 * (0.8 * size + 0.6 * BellCurve(random)), 2.9, 4.9);
  extent.width = std::clamp(1.63 + 0.10 * (0.6 * size + 0.8 * BellCurve(random)), 1.4, 1.95);
  extent.height = std::clamp(Bell(random, 1.53, 0.12), 1.3, 1.9);
  return extent;
}

Extent VanExtent(Random& random) {
  return {Bell(random, 2.2, 0.25), Bell(random, 1.9, 0.1), Bell(random, 5.0, 0.5)};
}

SceneObject AddCar(Mesh& mesh, const Vector3& origin, double rotation_y, const Extent& extent,
                   bool van, Random random) {
  const double length = extent.length, width = extent.width, height = extent.height;
  SceneObject object;
  object.type = van ? "Van" : "Car";
  object.first_face = static_cast<uint32_t>(mesh.faces.size());
  MeshBuilder builder(mesh);
  builder.Place(origin, rotation_y);
  const auto texture = static_cast<uint32_t>(random.Bits());
  const auto add_surface = [&](const Rgb& colour, std::array<float, 3> contrast,
                               float reflectance = 0) {
    Surface surface;
    surface.reflectance = reflectance;
    surface.colour = colour;
    surface.contrast = contrast;
    surface.texture = texture + static_cast<uint32_t>(mesh.surfaces.size());
    return builder.AddSurface(surface);
  };
  const Rgb colour = Paint(random);
  const uint32_t paint = add_surface(colour, {0.05f, 0.09f, 0.12f}, /*reflectance=*/0.05f);
  const uint32_t glass =
      add_surface(Linear(46, 54, 62), {0.06f, 0.35f, 0.35f}, /*reflectance=*/0.08f);
  const uint32_t trim = add_surface(Linear(40, 41, 43), {0.12f, 0.15f, 0.1f});
  const uint32_t lamp = add_surface(Linear(225, 228, 225), {0.2f, 0.2f, 0.0f});
  const uint32_t tail = add_surface(Linear(150, 22, 20), {0.2f, 0.2f, 0.0f});
  const uint32_t plate = add_surface(Linear(224, 224, 214), {0.35f, 0.1f, 0.0f});

  const Shape shape = RandomShape(van, random);
  const Point inside = {0, 0.5 * height, 0};
  const double half = 0.488 * width;  // The wheels' outer faces are the width.
  struct Station {
    double along, up;
    uint32_t surface;  // Of the panel from here to the next.
  };
  // The body, from the front's bottom over the hood and the deck to the back's bottom.
  const std::vector<Station> body = {
      {0.485 * length, 0.16 * height, trim},
      {0.5 * length, 0.30 * height, paint},
      {0.47 * length, shape.hood_edge * height, paint},
      {shape.windshield_base * length, shape.belt * height, paint},
      {shape.rear_window_base * length, (shape.belt + shape.deck) / 2 * height, paint},
      {-0.488 * length, shape.deck * height - 0.03 * height, paint},
      {-0.5 * length, 0.34 * height, trim},
      {-0.485 * length, 0.18 * height, trim}};
  for (const double side : {-1.0, 1.0}) {
    std::vector<Point> outline;
    for (const Station& station : body) {
      outline.push_back({station.along, station.up, side * half});
    }
    builder.AddPolygon(outline, inside, paint);
  }
  for (size_t i = 0; i + 1 < body.size(); ++i) {
    const Station &a = body[i], &b = body[i + 1];
    builder.AddPolygon({{a.along, a.up, -half},
                        {a.along, a.up, half},
                        {b.along, b.up, half},
                        {b.along, b.up, -half}},
                       inside, a.surface);
  }

  // The cabin: narrower towards the roof, so that its sides are flat.
  const double low = shape.belt * height - 0.02 * height, top = 0.97 * height;
  const auto half_at = [&](double up) {
    return width * (0.475 + (0.385 - 0.475) * (up - low) / (height - low));
  };
  const std::vector<Station> cabin = {
      {shape.windshield_base * length, low, glass},
      {shape.windshield_top * length, top, paint},
      {(shape.windshield_top + shape.roof_end) / 2 * length, height, paint},
      {shape.roof_end * length, top, van ? paint : glass},
      {shape.rear_window_base * length, low, paint}};
  for (const double side : {-1.0, 1.0}) {
    std::vector<Point> outline;
    for (const Station& station : cabin) {
      outline.push_back({station.along, station.up, side * half_at(station.up)});
    }
    builder.AddPolygon(outline, inside, paint);
    // Panes, a centimetre outside, between pillars.
    const double sill = low + 0.05 * height, head = 0.92 * height;
    const auto front_at = [&](double up) {
      const double t = (up - low) / (top - low);
      return length * (shape.windshield_base + t * (shape.windshield_top - shape.windshield_base)) -
             0.10;
    };
    const auto back_at = [&](double up) {
      const double t = (up - low) / (top - low);
      return length * (shape.rear_window_base + t * (shape.roof_end - shape.rear_window_base)) +
             0.12;
    };
    const auto pane = [&](double front_low, double front_high, double back_low, double back_high) {
      const double w_low = side * (half_at(sill) + 0.01), w_high = side * (half_at(head) + 0.01);
      builder.AddPolygon({{front_low, sill, w_low},
                          {front_high, head, w_high},
                          {back_high, head, w_high},
                          {back_low, sill, w_low}},
                         inside, glass);
    };
    const double pillar = (front_at(sill) + back_at(sill)) / 2 + 0.1;
    pane(front_at(sill), front_at(head), pillar + 0.04, pillar + 0.04);
    if (!van) pane(pillar - 0.04, pillar - 0.04, back_at(sill), back_at(head));
  }
  for (size_t i = 0; i + 1 < cabin.size(); ++i) {
    const Station &a = cabin[i], &b = cabin[i + 1];
    const double wa = half_at(a.up), wb = half_at(b.up);
    builder.AddPolygon(
        {{a.along, a.up, -wa}, {a.along, a.up, wa}, {b.along, b.up, wb}, {b.along, b.up, -wb}},
        inside, a.surface);
  }

  // Wheels.
  const double radius = std::min(0.205 * height, 0.34);
  Surface wheel;
  wheel.colour = Linear(30, 30, 31);
  wheel.contrast = {0.3f, 0.2f, 0.0f};
  wheel.pattern = Pattern::kWheel;
  wheel.texture = texture;
  for (const double along : {-0.31 * length, 0.315 * length}) {
    wheel.shape = {static_cast<float>(radius), static_cast<float>(radius),
                   static_cast<float>(along), 0};
    const uint32_t disc = builder.AddSurface(wheel);
    for (const double side : {-1.0, 1.0}) {
      constexpr int kSides = 12;
      std::vector<Point> rim;
      const Point hub = {along, radius, 0};
      for (int i = 0; i < kSides; ++i) {
        const double angle = 2 * kPi * i / kSides;
        rim.push_back({along + radius * ExactCosine(angle), radius + radius * ExactSine(angle),
                       side * 0.5 * width});
      }
      builder.AddPolygon(rim, hub, disc);
      for (int i = kSides / 2; i < kSides; ++i) {  // The tread below the body.
        const Point a = rim[static_cast<size_t>(i)], b = rim[static_cast<size_t>((i + 1) % kSides)];
        builder.AddPolygon({a, b, {b.along, b.up, b.aside * 0.72}, {a.along, a.up, a.aside * 0.72}},
                           {along, radius, side * 0.43 * width}, trim);
      }
    }
  }

  // Lamps and number plates, upright, a little in front of the slanted panels.
  const auto patch = [&](double along, double from_aside, double to_aside, double from_up,
                         double to_up, uint32_t surface) {
    builder.AddPolygon({{along, from_up * height, from_aside * width},
                        {along, from_up * height, to_aside * width},
                        {along, to_up * height, to_aside * width},
                        {along, to_up * height, from_aside * width}},
                       inside, surface);
  };
  for (const double side : {-1.0, 1.0}) {
    patch(0.4995 * length, side * 0.27, side * 0.46, 0.345, shape.hood_edge - 0.035, lamp);
    patch(-0.4995 * length, side * 0.34, side * 0.475, 0.40, 0.53, tail);
  }
  patch(-0.4998 * length, -0.15, 0.15, 0.36, 0.43, plate);
  patch(0.4998 * length, -0.15, 0.15, 0.24, 0.31, plate);
  patch(0.4990 * length, -0.22, 0.22, 0.335, 0.40, trim);  // Grille.

  object.face_count = static_cast<uint32_t>(mesh.faces.size()) - object.first_face;
  object.box = EnclosingBox(mesh, object.first_face, origin, rotation_y);
  return object;
}

}  // namespace backfire::datasets
