#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "backfire/v1/gate.pb.h"
#include "orchestrator/gate/policy.h"
#include "orchestrator/gate/record_files.h"
#include "tests/support/temporary_directory.h"

namespace backfire::gate {

using backfire::testing::TemporaryDirectory;

inline constexpr char kPolicy[] = R"(candidate: encoder
vertices:
- name: encoder
  losses:
  - {name: mse, margin: 0.01}
- name: reader
  parents: [encoder]
  losses:
  - {name: wer, numerator: wrong, denominator: words, unit: fraction, margin: 0.02}
  - {name: accuracy, column: right, direction: higher, role: advisory}
  required_slices: [night]
- name: other
  losses:
  - {name: error}
)";

/// A policy of YAML text, checked; fails the test if it is faulty.
inline v1::GatePolicy PolicyOf(const std::string& text) {
  auto policy = ParsePolicy(text, "p.yaml", "", PolicyUse::kRecords);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.ok() ? *std::move(policy) : v1::GatePolicy();
}

inline void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace backfire::gate
