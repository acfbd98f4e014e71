#include "services/detection/pointnet2/point_ops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "services/detection/pointnet2/plain_point_ops.h"
#include "services/detection/pointnet2/row_kernels.h"
#include "services/detection/pointnet2/searchable_cloud.h"

namespace backfire::pointnet2 {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr int64_t kRowGrain = 256;    // Rows that are worth a thread.
constexpr int64_t kSearchGrain = 32;  // Searches that are.

at::Tensor LongTensor(const std::vector<int64_t>& values, const at::Tensor& like) {
  return at::tensor(values, at::kLong).to(like.device());
}

// The rows start[i] to start[i + 1].
at::Tensor CloudOf(const Clouds& clouds, int64_t i) {
  const int64_t first = clouds.start[static_cast<size_t>(i)];
  return clouds.xyz.narrow(0, first, clouds.start[static_cast<size_t>(i) + 1] - first);
}

std::vector<std::unique_ptr<SearchableCloud>> Arrange(const Clouds& clouds, const float* xyz) {
  std::vector<std::unique_ptr<SearchableCloud>> arranged(static_cast<size_t>(clouds.count()));
  at::parallel_for(0, clouds.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = clouds.start[static_cast<size_t>(i)];
      arranged[static_cast<size_t>(i)] = std::make_unique<SearchableCloud>(
          xyz + 3 * first, clouds.start[static_cast<size_t>(i) + 1] - first);
    }
  });
  return arranged;
}

// The cloud of every row.
std::vector<int64_t> CloudOfRows(const std::vector<int64_t>& start) {
  std::vector<int64_t> cloud(static_cast<size_t>(start.back()));
  for (size_t i = 0; i + 1 < start.size(); ++i) {
    std::fill(cloud.begin() + start[i], cloud.begin() + start[i + 1], static_cast<int64_t>(i));
  }
  return cloud;
}

// Turns a table of indices within clouds, [groups, samples] with `kept` of each filled, into
// groups.
Groups MakeGroups(const int64_t* table, const std::vector<int64_t>& kept, const Ball& ball,
                  const Clouds& clouds, const Clouds& centres, const std::vector<int64_t>& cloud) {
  const auto groups = static_cast<int64_t>(kept.size());
  Groups result;
  result.start = at::empty({groups + 1}, at::kLong);
  auto* start = result.start.data_ptr<int64_t>();
  start[0] = 0;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t found = std::max<int64_t>(kept[static_cast<size_t>(g)], 1);
    start[g + 1] = start[g] + (ball.fill_up ? ball.samples : found);
  }
  result.index = at::empty({start[groups]}, at::kLong);
  result.offset = at::empty({start[groups], 3}, at::kFloat);
  auto* index = result.index.data_ptr<int64_t>();
  auto* offset = result.offset.data_ptr<float>();
  const auto *xyz = clouds.xyz.data_ptr<float>(), *centre = centres.xyz.data_ptr<float>();
  at::parallel_for(0, groups, kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const int64_t base = clouds.start[static_cast<size_t>(cloud[static_cast<size_t>(g)])];
      const int64_t found = kept[static_cast<size_t>(g)];
      for (int64_t e = start[g]; e < start[g + 1]; ++e) {
        const int64_t k = e - start[g];
        const int64_t local = found == 0 ? 0 : table[g * ball.samples + (k < found ? k : 0)];
        index[e] = base + local;
        for (int axis = 0; axis < 3; ++axis) {
          offset[3 * e + axis] = xyz[3 * index[e] + axis] - centre[3 * g + axis];
        }
      }
    }
  });
  return result;
}

// The indices within clouds that MakeGroups reads, by plain operators.
at::Tensor PlainTable(const Clouds& clouds, const Clouds& centres, const Ball& ball,
                      std::vector<int64_t>& kept) {
  std::vector<at::Tensor> tables;
  for (int64_t i = 0; i < clouds.count(); ++i) {
    tables.push_back(
        plain::WithinRadius(CloudOf(clouds, i), CloudOf(centres, i), ball.radius, ball.samples));
  }
  const at::Tensor table = at::cat(tables).to(at::kCPU).contiguous();
  const at::Tensor counts = table.ge(0).sum(1);
  kept.assign(counts.data_ptr<int64_t>(), counts.data_ptr<int64_t>() + counts.size(0));
  return table;
}

struct GatherFunction : Function<GatherFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& table,
                            const at::Tensor& index) {
    context->save_for_backward({index});
    context->saved_data["rows"] = table.size(0);
    const at::Tensor source = table.contiguous();
    const int64_t channels = table.size(1);
    at::Tensor out = at::empty({index.size(0), channels}, table.options());
    at::parallel_for(0, index.size(0), kRowGrain, [&](int64_t begin, int64_t end) {
      GatherRows(source.data_ptr<float>(), channels, index.data_ptr<int64_t>(), begin, end,
                 out.data_ptr<float>());
    });
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor index = context->get_saved_variables()[0];
    const at::Tensor gradient = gradients[0].contiguous();
    const int64_t rows = context->saved_data["rows"].toInt(), channels = gradient.size(1);
    at::Tensor out = at::empty({rows, channels}, gradient.options());
    at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
      SumRowsByTarget(gradient.data_ptr<float>(), channels, index.data_ptr<int64_t>(),
                      index.size(0), nullptr, 1, begin, end, out.data_ptr<float>());
    });
    return {out, at::Tensor()};
  }
};

struct InterpolateFunction : Function<InterpolateFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& table,
                            const at::Tensor& index, const at::Tensor& weight) {
    context->save_for_backward({index, weight});
    context->saved_data["rows"] = table.size(0);
    const at::Tensor source = table.contiguous();
    const int64_t channels = table.size(1);
    at::Tensor out = at::empty({index.size(0), channels}, table.options());
    at::parallel_for(0, index.size(0), kRowGrain, [&](int64_t begin, int64_t end) {
      WeightedRows(source.data_ptr<float>(), channels, index.data_ptr<int64_t>(),
                   weight.data_ptr<float>(), begin, end, out.data_ptr<float>());
    });
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient = gradients[0].contiguous();
    const int64_t rows = context->saved_data["rows"].toInt(), channels = gradient.size(1);
    at::Tensor out = at::empty({rows, channels}, gradient.options());
    at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
      SumRowsByTarget(gradient.data_ptr<float>(), channels, saved[0].data_ptr<int64_t>(),
                      saved[0].numel(), saved[1].data_ptr<float>(), 3, begin, end,
                      out.data_ptr<float>());
    });
    return {out, at::Tensor(), at::Tensor()};
  }
};

struct GroupMaxFunction : Function<GroupMaxFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& rows,
                            const at::Tensor& start) {
    const at::Tensor source = rows.contiguous();
    const int64_t groups = start.size(0) - 1, channels = rows.size(1);
    at::Tensor out = at::empty({groups, channels}, rows.options());
    at::Tensor which = at::empty({groups, channels}, start.options());
    at::parallel_for(0, groups, kSearchGrain, [&](int64_t begin, int64_t end) {
      GroupMaximum(source.data_ptr<float>(), channels, start.data_ptr<int64_t>(), begin, end,
                   out.data_ptr<float>(), which.data_ptr<int64_t>());
    });
    context->save_for_backward({start, which});
    context->saved_data["rows"] = rows.size(0);
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient = gradients[0].contiguous();
    const int64_t groups = gradient.size(0), channels = gradient.size(1);
    at::Tensor out = at::empty({context->saved_data["rows"].toInt(), channels}, gradient.options());
    at::parallel_for(0, groups, kSearchGrain, [&](int64_t begin, int64_t end) {
      SpreadToMaximum(gradient.data_ptr<float>(), saved[1].data_ptr<int64_t>(), channels,
                      saved[0].data_ptr<int64_t>(), begin, end, out.data_ptr<float>());
    });
    return {out, at::Tensor()};
  }
};

}  // namespace

Clouds StackClouds(const at::Tensor& xyz) {
  Clouds clouds;
  clouds.xyz = xyz.reshape({-1, 3}).contiguous();
  for (int64_t i = 0; i <= xyz.size(0); ++i) clouds.start.push_back(i * xyz.size(1));
  return clouds;
}

Sampling SampleAndGroup(const Clouds& clouds, int64_t count, const std::vector<Ball>& balls,
                        bool in_farthest_order) {
  const at::NoGradGuard no_gradient;
  const bool on_cpu = clouds.xyz.device().is_cpu();
  const at::Tensor xyz = clouds.xyz.contiguous();
  std::vector<std::unique_ptr<SearchableCloud>> arranged;
  if (on_cpu) arranged = Arrange(clouds, xyz.data_ptr<float>());

  Sampling sampling;
  Clouds& centres = sampling.centres;
  centres.start.push_back(0);
  for (int64_t i = 0; i < clouds.count(); ++i) {
    const auto at = static_cast<size_t>(i);
    centres.start.push_back(centres.start.back() +
                            std::min(count, clouds.start[at + 1] - clouds.start[at]));
  }
  std::vector<int64_t> chosen(static_cast<size_t>(centres.start.back()));
  at::parallel_for(0, on_cpu ? clouds.count() : 0, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<size_t>(i);
      int64_t* rows = chosen.data() + centres.start[at];
      const int64_t wanted = centres.start[at + 1] - centres.start[at];
      if (in_farthest_order) {
        for (int64_t k = 0; k < wanted; ++k) rows[k] = k;
      } else {
        arranged[at]->FarthestPoints(wanted, rows);
      }
      for (int64_t k = 0; k < wanted; ++k) rows[k] += clouds.start[at];
    }
  });
  if (on_cpu) {
    sampling.index = LongTensor(chosen, clouds.xyz);
  } else {
    std::vector<at::Tensor> parts;
    for (int64_t i = 0; i < clouds.count(); ++i) {
      parts.push_back(plain::FarthestPoints(CloudOf(clouds, i), count) +
                      clouds.start[static_cast<size_t>(i)]);
    }
    sampling.index = at::cat(parts);
  }
  centres.xyz = clouds.xyz.index_select(0, sampling.index);

  const std::vector<int64_t> cloud = CloudOfRows(centres.start);
  const Clouds here{xyz.to(at::kCPU), clouds.start};
  const Clouds centres_here{centres.xyz.to(at::kCPU), centres.start};
  for (const Ball& ball : balls) {
    std::vector<int64_t> kept(cloud.size());
    at::Tensor table;
    if (on_cpu) {
      table = at::empty({static_cast<int64_t>(cloud.size()), ball.samples}, at::kLong);
      auto* rows = table.data_ptr<int64_t>();
      const auto* centre = centres.xyz.data_ptr<float>();
      at::parallel_for(0, table.size(0), kSearchGrain, [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g) {
          const auto at = static_cast<size_t>(g);
          kept[at] = arranged[static_cast<size_t>(cloud[at])]->WithinRadius(
              centre + 3 * g, ball.radius, ball.samples, rows + g * ball.samples);
        }
      });
    } else {
      table = PlainTable(clouds, centres, ball, kept);
    }
    Groups groups = MakeGroups(table.data_ptr<int64_t>(), kept, ball, here, centres_here, cloud);
    if (!on_cpu) {
      groups.start = groups.start.to(clouds.xyz.device());
      groups.index = groups.index.to(clouds.xyz.device());
      groups.offset = groups.offset.to(clouds.xyz.device());
    }
    sampling.groups.push_back(std::move(groups));
  }
  return sampling;
}

at::Tensor Gather(const at::Tensor& table, const at::Tensor& index) {
  if (!table.device().is_cpu()) return table.index_select(0, index);
  return GatherFunction::apply(table, index);
}

at::Tensor GroupMax(const at::Tensor& rows, const at::Tensor& start) {
  if (!rows.device().is_cpu()) return plain::GroupMax(rows, start);
  return GroupMaxFunction::apply(rows, start);
}

Neighbours ThreeNearest(const Clouds& queries, const Clouds& known) {
  const at::NoGradGuard no_gradient;
  Neighbours neighbours;
  if (queries.xyz.device().is_cpu()) {
    const at::Tensor known_xyz = known.xyz.contiguous(), query_xyz = queries.xyz.contiguous();
    const auto arranged = Arrange(known, known_xyz.data_ptr<float>());
    const std::vector<int64_t> cloud = CloudOfRows(queries.start);
    const auto rows = static_cast<int64_t>(cloud.size());
    neighbours.index = at::empty({rows, 3}, at::kLong);
    neighbours.squared_distance = at::empty({rows, 3}, at::kFloat);
    auto* index = neighbours.index.data_ptr<int64_t>();
    auto* distance = neighbours.squared_distance.data_ptr<float>();
    const auto* xyz = query_xyz.data_ptr<float>();
    at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const auto at = static_cast<size_t>(cloud[static_cast<size_t>(r)]);
        arranged[at]->ThreeNearest(xyz + 3 * r, index + 3 * r, distance + 3 * r);
        for (int k = 0; k < 3; ++k) index[3 * r + k] += known.start[at];
      }
    });
  } else {
    std::vector<at::Tensor> indices, distances;
    for (int64_t i = 0; i < known.count(); ++i) {
      const plain::Nearest nearest = plain::ThreeNearest(CloudOf(queries, i), CloudOf(known, i));
      indices.push_back(nearest.index + known.start[static_cast<size_t>(i)]);
      distances.push_back(nearest.squared_distance);
    }
    neighbours.index = at::cat(indices);
    neighbours.squared_distance = at::cat(distances);
  }
  const at::Tensor closeness = (neighbours.squared_distance.sqrt() + 1e-8).reciprocal();
  neighbours.weight = closeness / closeness.sum(1, /*keepdim=*/true);
  return neighbours;
}

at::Tensor Interpolate(const at::Tensor& table, const Neighbours& neighbours) {
  if (table.device().is_cpu()) {
    return InterpolateFunction::apply(table, neighbours.index, neighbours.weight);
  }
  const at::Tensor rows = table.index_select(0, neighbours.index.reshape({-1}));
  return (rows.view({-1, 3, table.size(1)}) * neighbours.weight.unsqueeze(2)).sum(1);
}

at::Tensor GroupedLayer(const at::Tensor& table, const Groups& groups, const at::Tensor& weight,
                        const at::Tensor& bias) {
  const at::NoGradGuard no_gradient;
  if (!groups.offset.device().is_cpu()) {
    const at::Tensor sums = at::addmm(bias, groups.offset, weight.t());
    return (table.defined() ? sums + table.index_select(0, groups.index) : sums).relu();
  }
  const int64_t rows = groups.index.size(0), channels = weight.size(0);
  const at::Tensor by_axis = weight.t().contiguous(), shift = bias.contiguous();
  const at::Tensor features = table.defined() ? table.contiguous() : table;
  at::Tensor out = at::empty({rows, channels}, groups.offset.options());
  at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
    pointnet2::GroupedLayer(features.defined() ? features.data_ptr<float>() : nullptr, channels,
                            groups.index.data_ptr<int64_t>(), groups.offset.data_ptr<float>(),
                            by_axis.data_ptr<float>(), shift.data_ptr<float>(), begin, end,
                            out.data_ptr<float>());
  });
  return out;
}

}  // namespace backfire::pointnet2
