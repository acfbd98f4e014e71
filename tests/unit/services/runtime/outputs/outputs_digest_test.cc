#include "services/runtime/outputs/outputs_digest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

namespace backfire::runtime {
namespace {

Tensor Number(double value) {
  Tensor tensor = MakeTensor(Datatype::kFp64, {1});
  *tensor.MutableAs<double>() = value;
  return tensor;
}

std::string DigestOf(const std::vector<std::tuple<std::string, std::string, TensorMap>>& examples) {
  OutputsHasher hasher;
  for (const auto& [id, cluster, outputs] : examples) hasher.Add(id, cluster, outputs);
  return hasher.Finish();
}

TEST(OutputsDigestTest, IsWhatTheDocumentationSays) {
  // As docs/own-models.md has it, computed by Python's hashlib.
  EXPECT_EQ(DigestOf({{"a", "", {{"y", Number(2)}}}}),
            "3ca93367f7b5ba319cbbaa4078b7f5898ab5cfb0e97b698a78d2104c35602d1d");
}

TEST(OutputsDigestTest, AnythingThatDiffersMakesAnother) {
  const std::string digest = DigestOf({{"a", "c", {{"y", Number(2)}}}, {"b", "c", {}}});
  Tensor flat = Number(2);
  flat.shape = {};
  Tensor integer = Number(2);
  integer.datatype = Datatype::kInt64;
  EXPECT_NE(digest, DigestOf({{"b", "c", {}}, {"a", "c", {{"y", Number(2)}}}})) << "order";
  EXPECT_NE(digest, DigestOf({{"a", "c", {{"y", Number(2)}}}})) << "count";
  EXPECT_NE(digest, DigestOf({{"a", "d", {{"y", Number(2)}}}, {"b", "c", {}}})) << "cluster";
  EXPECT_NE(digest, DigestOf({{"a", "c", {{"z", Number(2)}}}, {"b", "c", {}}})) << "name";
  EXPECT_NE(digest, DigestOf({{"a", "c", {{"y", flat}}}, {"b", "c", {}}})) << "shape";
  EXPECT_NE(digest, DigestOf({{"a", "c", {{"y", integer}}}, {"b", "c", {}}})) << "type";
  EXPECT_NE(digest,
            DigestOf({{"a", "c", {{"y", Number(std::nextafter(2.0, 3.0))}}}, {"b", "c", {}}}))
      << "the last bit";
}

}  // namespace
}  // namespace backfire::runtime
