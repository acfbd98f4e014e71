#pragma once

#include <string>

#include "backfire/v1/orchestrator.pb.h"

namespace backfire::report {

/// A parameter's value as JSON; a text without its quotes.
std::string ValueText(const google::protobuf::Value& value);

/// `name (a=1, b=fast)`, or just the name.
std::string RecipeText(const v1::Recipe& recipe);

/// What a system's vertices can be trained by: each recipe's parameters with their defaults, what
/// they may be, and what they mean.
/// @param vertex  Of this one alone; empty: of all.
std::string RecipesText(const v1::GetSystemResponse& system, const std::string& vertex);

}  // namespace backfire::report
