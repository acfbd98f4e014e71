#include "orchestrator/report/progress_report.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "orchestrator/report/numbers.h"
#include "orchestrator/report/update_report.h"

namespace backfire::report {
namespace {

using v1::Step;
using v1::Update;

std::string Action(const Step& step) {
  std::string kind;
  switch (step.kind()) {
    case Step::TRAIN:
      kind = "train";
      break;
    case Step::EVALUATE:
      kind = "evaluate";
      break;
    case Step::EVALUATE_SWAPPED:
      kind = "evaluate swapped";
      break;
    case Step::LOAD:
      kind = "load";
      break;
    case Step::EVALUATE_TRUE:
      kind = "evaluate on the population";
      break;
    case Step::COMMIT:
      return absl::StrCat("commit ", step.vertex(), " #", step.replicate(), " on ", step.split());
    case Step::TRAIN_REFERENCE:
      return absl::StrCat("train ", step.vertex(), "'s ", step.reference());
    case Step::EVALUATE_REFERENCE:
      return absl::StrCat("evaluate ", step.vertex(), "'s ", step.reference());
    default:  // Of a newer orchestrator.
      kind = absl::AsciiStrToLower(Step::Kind_Name(step.kind()));
  }
  return absl::StrCat(kind, " ", step.vertex(), " #", step.replicate());
}

/// `1200 of 3000`, the stage's name before it.
std::string StageText(const v1::Progress& progress) {
  std::string text = progress.stage();
  if (progress.total_steps() > 0) {
    absl::StrAppend(&text, text.empty() ? "" : " ", progress.step(), "/", progress.total_steps());
  }
  return text;
}

/// The loss of a step's first judged evaluation, if it has one.
std::string ResultText(const Step& step) {
  std::string text;
  for (const v1::LossEstimate& loss : step.evaluation().losses()) {
    if (!loss.slice().empty()) continue;
    absl::StrAppend(&text, "  ", loss.loss(), " ", FormatNumber(loss.value()));
  }
  return text;
}

}  // namespace

bool HasEnded(const Update& update) {
  switch (update.state()) {
    case Update::DECIDED:
    case Update::PROMOTED:
    case Update::REJECTED:
    case Update::FAILED:
    case Update::CANCELLED:
      return true;
    default:
      return false;
  }
}

std::string StepLine(const Step& step) {
  std::string line = Action(step);
  switch (step.state()) {
    case Step::RUNNING: {
      const v1::Progress& progress = step.progress();
      if (const std::string stage = StageText(progress); !stage.empty()) {
        absl::StrAppend(&line, "  ", stage);
      }
      // 0 is proto3's way to say unset.
      if (!std::isnan(progress.loss()) && progress.loss() != 0) {
        absl::StrAppend(&line, "  loss ", FormatNumber(progress.loss()));
      }
      if (progress.eta_seconds() > 0) {
        absl::StrAppend(&line, "  ", FormatSeconds(progress.eta_seconds()), " left");
      }
      break;
    }
    case Step::SUCCEEDED:
      absl::StrAppend(&line, "  done");
      if (step.compute_seconds() > 0) {
        absl::StrAppend(&line, " in ", FormatSeconds(step.compute_seconds()));
      }
      absl::StrAppend(&line, ResultText(step));
      break;
    case Step::FAILED:
      absl::StrAppend(&line, "  failed: ", step.error_message());
      break;
    default:
      absl::StrAppend(&line, "  ", absl::AsciiStrToLower(Step::State_Name(step.state())));
  }
  return line;
}

std::vector<std::string> ProgressLines(const Update& update, std::optional<double> seconds_left) {
  int done = 0;
  for (const Step& step : update.steps()) done += step.state() == Step::SUCCEEDED ? 1 : 0;
  std::vector<std::string> lines = {absl::StrCat(update.name(), " (", BriefUpdateTitle(update),
                                                 ")  ", Update::State_Name(update.state()), "  ",
                                                 done, "/", update.steps_size(), " steps done")};
  // Less than a second is none: what is left then has no length that is known, as loading.
  if (seconds_left.value_or(0) >= 1 && !HasEnded(update)) {
    absl::StrAppend(&lines.front(), ", about ", FormatSeconds(*seconds_left), " left");
  }
  for (const Step& step : update.steps()) {
    if (step.state() == Step::RUNNING) lines.push_back(absl::StrCat("  ", StepLine(step)));
  }
  return lines;
}

std::vector<std::string> ProgressLog::Next(const Update& update,
                                           std::optional<double> seconds_left) {
  std::vector<std::string> lines;
  if (update.state() != state_) {
    state_ = update.state();
    lines.push_back(ProgressLines(update, seconds_left).front());
  }
  for (const Step& step : update.steps()) {
    if (step.state() == Step::WAITING || step.state() == Step::RUNNING) {
      ended_.erase(step.id());  // It is done again.
    } else if (ended_.insert(step.id()).second) {
      lines.push_back(absl::StrCat("  ", StepLine(step)));
    }
  }
  return lines;
}

std::vector<std::string> PacedLog::Next(const Update& update, double now_seconds,
                                        std::optional<double> seconds_left) {
  std::vector<std::string> lines;
  const bool is_due = now_seconds - told_seconds_ >= pace_seconds_ && !HasEnded(update);
  if (update.state() != state_ || is_due) {
    const std::vector<std::string> progress = ProgressLines(update, seconds_left);
    lines.push_back(progress.front());
    if (is_due && progress.size() > 1) absl::StrAppend(&lines.back(), ";", progress[1].substr(1));
    state_ = update.state();
    told_seconds_ = now_seconds;
  }
  for (const Step& step : update.steps()) {
    if (step.state() != Step::FAILED) {
      failed_.erase(step.id());
    } else if (failed_.insert(step.id()).second) {
      lines.push_back(absl::StrCat("  ", StepLine(step)));
    }
  }
  return lines;
}

}  // namespace backfire::report
