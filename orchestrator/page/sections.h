#pragma once

#include "orchestrator/page/view.h"
#include "services/markup/markup.h"

namespace backfire::page {

/// The parts of a report, each of which writes a section, or nothing where there is nothing to be
/// said. All are pure functions of the view.

/// What happened, in a sentence and four numbers.
void AppendVerdict(const View& view, markup::Markup& to);
/// The system, coloured by outcome; each vertex leads to its evidence.
void AppendGraph(const View& view, markup::Markup& to);
/// Every comparison on one axis, worst first.
void AppendEvidence(const View& view, markup::Markup& to);
/// Each slice with its own examples and bounds.
void AppendSlices(const View& view, markup::Markup& to);
/// Before, swapped, after.
void AppendSwap(const View& view, markup::Markup& to);
/// The test examples that it made most of a difference to; of frames with pictures.
void AppendExamples(const View& view, markup::Markup& to);
/// Frames that detectors got worse on, as two releases see them; within the former.
void AppendFlips(const View& view, markup::Markup& to);
/// Which part of the error grew.
void AppendDiagnosis(const View& view, markup::Markup& to);
/// How trainings went, where somebody watched.
void AppendCurves(const View& view, markup::Markup& to);
/// How to get the same again, and what it cost.
void AppendMethod(const View& view, markup::Markup& to);
/// What can be done now.
void AppendNext(const View& view, markup::Markup& to);

}  // namespace backfire::page
