#include "services/runtime/request_bounds.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backfire/v1/evidence.pb.h"
#include "backfire/v1/model_service.pb.h"
#include "backfire/v1/orchestrator.pb.h"
#include "inference/open_inference.pb.h"

namespace backfire::runtime {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::ServiceDescriptor;
using ::testing::HasSubstr;

constexpr int kDepth = 6;  // Of messages in messages: values of a Struct hold each other.

// Calls `visit` once for each place of a message that takes a text, while it is too long there, or
// a list of numbers, while it has two million; with the place's path.
void ForEachExcess(Message& part, const std::string& path, int depth,
                   const std::function<void(const std::string& path)>& visit) {
  const auto& reflection = *part.GetReflection();
  for (int i = 0; i < part.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *part.GetDescriptor()->field(i);
    const std::string here = path.empty() ? field.name() : path + "." + field.name();
    const bool is_text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (field.name().size() > 9 && field.name().rfind("_contents") == field.name().size() - 9) {
      continue;  // Of tensors.
    }
    const std::string text(is_text ? (field.name() == "data" ? 5 << 20 : 65 << 10) : 0, 'x');
    if (is_text && field.is_repeated()) {
      reflection.AddString(&part, &field, text);
      visit(here);
    } else if (is_text) {
      reflection.SetString(&part, &field, text);
      visit(here);
    } else if (is_message && depth > 0) {
      Message* next = field.is_repeated() ? reflection.AddMessage(&part, &field)
                                          : reflection.MutableMessage(&part, &field);
      ForEachExcess(*next, here, depth - 1, visit);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_INT64 && field.is_repeated()) {
      for (int n = 0; n < 2'000'000; ++n) reflection.AddInt64(&part, &field, 1);
      visit(here);
    }
    reflection.ClearField(&part, &field);
  }
}

// Every request of every service, and every place in it: none is without a bound.
TEST(RequestBoundsTest, NoFieldOfAnyRequestIsWithoutABound) {
  int places = 0;
  for (const ServiceDescriptor* service :
       {v1::GetModelRequest::descriptor()->file()->service(0),
        v1::GetUpdateRequest::descriptor()->file()->service(0),
        v1::ExportEvidenceRequest::descriptor()->file()->service(0),
        inference::ModelInferRequest::descriptor()->file()->service(0)}) {
    for (int i = 0; i < service->method_count(); ++i) {
      const Descriptor& type = *service->method(i)->input_type();
      const std::unique_ptr<Message> request(
          MessageFactory::generated_factory()->GetPrototype(&type)->New());
      ForEachExcess(*request, "", kDepth, [&](const std::string& path) {
        ++places;
        const absl::Status status = CheckBounds(*request);
        EXPECT_TRUE(absl::IsInvalidArgument(status)) << type.full_name() << " " << path;
        EXPECT_THAT(std::string(status.message()), HasSubstr("must have at most")) << path;
        EXPECT_LT(status.message().size(), 500u);
      });
      EXPECT_TRUE(CheckBounds(*request).ok()) << type.full_name();
    }
  }
  EXPECT_GT(places, 100);
}

TEST(RequestBoundsTest, NamesTheFieldAndTheBound) {
  v1::TrainRequest request;
  request.mutable_dataset()->set_uri(std::string(64 << 10, 'u'));
  EXPECT_TRUE(CheckBounds(request).ok());
  request.mutable_dataset()->mutable_uri()->push_back('u');
  EXPECT_EQ(std::string(CheckBounds(request).message()),
            "dataset.uri must have at most 65536 bytes: got 65537");
  request.Clear();
  for (int i = 0; i < 10'001; ++i) request.add_lineage();
  EXPECT_EQ(std::string(CheckBounds(request).message()),
            "lineage must have at most 10000 entries: got 10001");
}

TEST(RequestBoundsTest, TensorsAreNotItsBusinessAndUnknownFieldsAre) {
  inference::ModelInferRequest infer;
  infer.add_raw_input_contents(std::string(100 << 20, 'x'));
  EXPECT_TRUE(CheckBounds(infer).ok());
  v1::GetModelRequest request;
  request.GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(
      1000, std::string(1 << 20, 'x'));
  EXPECT_THAT(std::string(CheckBounds(request).message()), HasSubstr("unknown fields"));
}

}  // namespace
}  // namespace backfire::runtime
