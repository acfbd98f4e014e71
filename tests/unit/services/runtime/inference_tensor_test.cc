#include "services/runtime/inference_tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace backfire::runtime {
namespace {

using ::testing::HasSubstr;

TensorSignatures Signature() {
  TensorSignatures signature;
  auto* image = signature.Add();
  image->set_name("image");
  image->set_datatype("UINT8");
  for (const int64_t size : {-1, -1, 3}) image->add_shape(size);
  auto* scale = signature.Add();
  scale->set_name("scale");
  scale->set_datatype("FP32");
  scale->add_shape(2);
  return signature;
}

inference::ModelInferRequest RawRequest() {
  inference::ModelInferRequest request;
  Tensor image = MakeTensor(Datatype::kUint8, {1, 2, 3});
  for (int i = 0; i < 6; ++i) image.MutableAs<uint8_t>()[i] = static_cast<uint8_t>(250 + i);
  AddInput("image", image, request);
  Tensor scale = MakeTensor(Datatype::kFp32, {2});
  scale.MutableAs<float>()[1] = 0.5f;
  AddInput("scale", scale, request);
  return request;
}

inference::ModelInferRequest TypedRequest() {
  inference::ModelInferRequest request = RawRequest();
  request.clear_raw_input_contents();
  for (uint32_t i = 0; i < 6; ++i) {
    request.mutable_inputs(0)->mutable_contents()->add_uint_contents(250 + i);
  }
  request.mutable_inputs(1)->mutable_contents()->add_fp32_contents(0);
  request.mutable_inputs(1)->mutable_contents()->add_fp32_contents(0.5f);
  return request;
}

std::string Fault(inference::ModelInferRequest request) {
  const auto inputs = TakeInputs(Signature(), request);
  EXPECT_TRUE(absl::IsInvalidArgument(inputs.status())) << inputs.status();
  return std::string(inputs.status().message());
}

TEST(InferenceTensorTest, RawAndTypedContentsGiveTheSameTensors) {
  auto raw_request = RawRequest();
  auto typed_request = TypedRequest();
  const auto raw = TakeInputs(Signature(), raw_request);
  const auto typed = TakeInputs(Signature(), typed_request);
  ASSERT_TRUE(raw.ok() && typed.ok()) << raw.status() << typed.status();
  for (const char* name : {"image", "scale"}) {
    EXPECT_EQ(raw->at(name).data, typed->at(name).data);
    EXPECT_EQ(raw->at(name).shape, typed->at(name).shape);
  }
  EXPECT_EQ(raw->at("scale").As<float>()[1], 0.5f);
}

TEST(InferenceTensorTest, EachFaultIsNamed) {
  auto request = RawRequest();
  request.mutable_inputs(0)->set_name("picture");
  EXPECT_THAT(Fault(request), HasSubstr("no such input; there are image, scale"));
  request = RawRequest();
  request.mutable_inputs(0)->set_datatype("FP32");
  EXPECT_THAT(Fault(request),
              HasSubstr("inputs[0] \"image\": datatype must be UINT8: got \"FP32\""));
  request = RawRequest();
  request.mutable_inputs(0)->set_shape(2, 4);
  EXPECT_THAT(Fault(request), HasSubstr("shape must be [-1, -1, 3] (-1: any size): got [1, 2, 4]"));
  request = RawRequest();
  request.mutable_inputs(0)->set_shape(0, -1);
  EXPECT_THAT(Fault(request), HasSubstr("got [-1, 2, 3]"));
  request = RawRequest();
  request.mutable_inputs(0)->set_shape(0, int64_t{1} << 62);
  EXPECT_THAT(Fault(request), HasSubstr("a tensor may have at most"));
  request = RawRequest();
  request.mutable_raw_input_contents(0)->pop_back();
  EXPECT_THAT(Fault(request), HasSubstr("must have 6 bytes"));
  request = RawRequest();
  request.mutable_inputs(0)->mutable_contents();
  EXPECT_THAT(Fault(request), HasSubstr("typed contents although raw_input_contents is used"));
  request = RawRequest();
  request.mutable_raw_input_contents()->RemoveLast();
  EXPECT_THAT(Fault(request), HasSubstr("an entry for each of the 2 inputs: got 1"));
  request = RawRequest();
  request.mutable_inputs()->RemoveLast();
  request.mutable_raw_input_contents()->RemoveLast();
  EXPECT_THAT(Fault(request), HasSubstr("\"scale\" is missing"));
  request = RawRequest();
  *request.mutable_inputs(1) = request.inputs(0);
  *request.mutable_raw_input_contents(1) = request.raw_input_contents(0);
  EXPECT_THAT(Fault(request), HasSubstr("is there twice"));
  request = TypedRequest();
  request.mutable_inputs(0)->mutable_contents()->set_uint_contents(2, 256);
  EXPECT_THAT(Fault(request), HasSubstr("contents[2] must be in [0, 255]: got 256"));
  request = TypedRequest();
  request.mutable_inputs(1)->mutable_contents()->add_fp64_contents(0.5);
  EXPECT_THAT(Fault(request), HasSubstr("must have 2 elements: got 3 in all its fields"));
  request = TypedRequest();
  request.mutable_inputs(1)->mutable_contents()->clear_fp32_contents();
  request.mutable_inputs(1)->mutable_contents()->add_fp64_contents(0);
  request.mutable_inputs(1)->mutable_contents()->add_fp64_contents(0.5);
  EXPECT_THAT(Fault(request), HasSubstr("must have 2 elements: got 0"));
  request = TypedRequest();
  request.mutable_inputs(0)->set_shape(0, 1 << 20);
  EXPECT_THAT(Fault(request), HasSubstr("must have 6291456 elements: got 6"));
  request = RawRequest();
  (*request.mutable_inputs(0)->mutable_parameters())["shared_memory_region"].set_string_param("r");
  EXPECT_THAT(Fault(request), HasSubstr("no parameter \"shared_memory_region\""));
  request = RawRequest();
  (*request.mutable_parameters())["priority"].set_int64_param(1);
  EXPECT_THAT(Fault(request), HasSubstr("no parameter \"priority\""));
  request = TypedRequest();
  request.mutable_inputs(1)->mutable_contents()->add_fp32_contents(1);
  EXPECT_THAT(Fault(request), HasSubstr("must have 2 elements: got 3"));
}

TEST(InferenceTensorTest, OutputsComeInTheOrderAskedForAndAlwaysRaw) {
  TensorMap outputs;
  outputs["image"] = MakeTensor(Datatype::kUint8, {1, 1, 3});
  outputs["scale"] = MakeTensor(Datatype::kFp32, {2});
  inference::ModelInferRequest request;
  request.add_outputs()->set_name("scale");
  request.add_outputs()->set_name("image");
  const auto names = RequestedOutputs(Signature(), request);
  ASSERT_TRUE(names.ok());
  inference::ModelInferResponse response;
  ASSERT_TRUE(PutOutputs(*names, outputs, response).ok());
  EXPECT_EQ(response.outputs(0).name(), "scale");
  EXPECT_EQ(response.raw_output_contents(0).size(), 8u);
  EXPECT_FALSE(response.outputs(0).has_contents());
  inference::ModelInferResponse copy = response;
  const auto taken = TakeOutputs(copy);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->at("image").shape, outputs["image"].shape);
  inference::ModelInferResponse twice = response;
  *twice.add_outputs() = response.outputs(0);
  twice.add_raw_output_contents(std::string(8, '\0'));
  EXPECT_TRUE(absl::IsInternal(TakeOutputs(twice).status()));
  (*request.mutable_outputs(0)->mutable_parameters())["classification"].set_int64_param(3);
  EXPECT_TRUE(absl::IsInvalidArgument(RequestedOutputs(Signature(), request).status()));
  request.mutable_outputs(0)->clear_parameters();
  request.add_outputs()->set_name("depth");
  EXPECT_TRUE(absl::IsInvalidArgument(RequestedOutputs(Signature(), request).status()));
}

}  // namespace
}  // namespace backfire::runtime
