#pragma once

#include <functional>
#include <string>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::testing {

/// A system of toy models (toy_models.h): `left` and `right` multiply the request's x, `sum`
/// multiplies left's product. Service `a` has left and right, `b` has sum.
/// @param target  The address of a service, by its name.
inline v1::System ToySystem(const std::function<std::string(const std::string&)>& target) {
  v1::System system;
  system.set_name("toy");
  system.set_dataset("toy:50");
  system.set_replicates(1);
  auto* x = system.add_request();
  x->set_name("x");
  x->set_datatype("FP64");
  x->add_shape(1);
  const auto add = [&](const char* name, const char* service, const char* model, const char* input,
                       const char* source) {
    v1::Vertex* vertex = system.add_vertices();
    vertex->set_name(name);
    vertex->set_endpoint(target(service));
    vertex->set_model(model);
    (*vertex->mutable_inputs())[input] = source;
    vertex->mutable_recipe()->set_name("least-squares");
  };
  add("left", "a", "first", "x", "request.x");
  add("right", "a", "first", "x", "request.x");
  add("sum", "b", "second", "y", "left.y");
  (*system.mutable_outputs())["sum"] = "sum.y";
  (*system.mutable_outputs())["right"] = "right.y";
  return system;
}

}  // namespace backfire::testing
