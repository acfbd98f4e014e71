#pragma once

namespace backfire::page {

/// The page's style sheet: light and dark, wide and narrow, on a screen and on paper.
extern const char kStyle[];

/// A drawing that is not shown, and has the symbols by which results are told apart without colour.
extern const char kSymbols[];

}  // namespace backfire::page
