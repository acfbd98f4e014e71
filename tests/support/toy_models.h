#pragma once

#include <memory>
#include <string>

#include "services/runtime/model.h"

namespace backfire::testing {

/// A model small enough to check by hand, for tests of everything around models.
///
/// The dataset `toy:{n}` has n examples per split: x is a pseudo-random number in [0, 1) that
/// depends on split and example, and the truth is 2 x. Its request carries `x` (FP64 [1]). It says
/// that each is a cluster by itself; `toy:{n}/{c}` says so of c consecutive ones; c 0: of none.
/// `toy:endless` is being opened until nobody waits for it; `toy:@{path}` has as many examples as
/// the file of that path says.
///
/// The model multiplies its input by a slope: input `{input}` (FP64 [1]), output `y` (FP64 [1]).
/// Recipe `least-squares` fits the slope to the truth on the training split; parameter `offset` is
/// then added to the slope, so that a test can make a model as wrong as it wants; `seconds_of_work`
/// keeps the training busy, watching for cancellation; `fail` (1: yes) makes it fail;
/// `initialize_from` leads half the way from another version's slope, or
/// from that of the pretrained weights `steep`, 10 (`damaged` are none). Recipe `truth` is the
/// truth itself, whatever the seed: it can be evaluated, not served. Weights: the slope as text.
/// Judged loss: `mae`, of y against the truth.
std::unique_ptr<runtime::Model> MakeToyModel(const std::string& name, const std::string& input);

}  // namespace backfire::testing
