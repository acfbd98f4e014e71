#pragma once

#include <string>
#include <vector>

namespace backfire {

/// How many letters must be put in, left out, replaced or swapped with their neighbour to make one
/// word of another: the optimal string alignment distance.
int EditDistance(const std::string& a, const std::string& b);

/// The word that somebody who wrote `word` may have meant: the nearest of those that are at most a
/// third of its letters away, and at least one; of equally near ones the first. Empty: none.
std::string Suggest(const std::string& word, const std::vector<std::string>& known);

/// `; did you mean "update"?`, or nothing.
std::string DidYouMean(const std::string& word, const std::vector<std::string>& known);

}  // namespace backfire
