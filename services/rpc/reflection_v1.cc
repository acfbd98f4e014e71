#include "services/rpc/reflection_v1.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/impl/server_initializer.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "grpc/reflection/v1/reflection.grpc.pb.h"

namespace backfire::runtime {
namespace {

namespace reflection = grpc::reflection::v1;
using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

// A file, then all that it imports.
void AddFiles(const FileDescriptor& file, std::set<std::string>& added,
              reflection::FileDescriptorResponse& answer) {
  if (!added.insert(file.name()).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  answer.add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) AddFiles(*file.dependency(i), added, answer);
}

class Reflection final : public reflection::ServerReflection::Service {
 public:
  /// Before the first call.
  void SetServices(const std::vector<std::string>& names) { services_ = names; }

  grpc::Status ServerReflectionInfo(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<reflection::ServerReflectionResponse,
                               reflection::ServerReflectionRequest>* stream) override {
    reflection::ServerReflectionRequest question;
    while (stream->Read(&question)) {
      if (!stream->Write(Answer(question))) break;
    }
    return grpc::Status::OK;
  }

 private:
  reflection::ServerReflectionResponse Answer(
      const reflection::ServerReflectionRequest& question) const {
    reflection::ServerReflectionResponse answer;
    answer.set_valid_host(question.host());
    *answer.mutable_original_request() = question;
    switch (question.message_request_case()) {
      case reflection::ServerReflectionRequest::kListServices:
        for (const std::string& name : services_) {
          answer.mutable_list_services_response()->add_service()->set_name(name);
        }
        return answer;
      case reflection::ServerReflectionRequest::kFileByFilename:
        return WithFile(pool_.FindFileByName(question.file_by_filename()), answer);
      case reflection::ServerReflectionRequest::kFileContainingSymbol:
        return WithFile(pool_.FindFileContainingSymbol(question.file_containing_symbol()), answer);
      case reflection::ServerReflectionRequest::kFileContainingExtension: {
        const auto& asked = question.file_containing_extension();
        const Descriptor* type = pool_.FindMessageTypeByName(asked.containing_type());
        const FieldDescriptor* extension =
            type == nullptr ? nullptr : pool_.FindExtensionByNumber(type, asked.extension_number());
        return WithFile(extension == nullptr ? nullptr : extension->file(), answer);
      }
      case reflection::ServerReflectionRequest::kAllExtensionNumbersOfType:
        return WithExtensions(question.all_extension_numbers_of_type(), answer);
      case reflection::ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
        break;
    }
    return WithError(grpc::StatusCode::UNIMPLEMENTED, "message_request must be set", answer);
  }

  static reflection::ServerReflectionResponse WithError(
      grpc::StatusCode code, const std::string& message,
      reflection::ServerReflectionResponse& answer) {
    answer.mutable_error_response()->set_error_code(code);
    answer.mutable_error_response()->set_error_message(message);
    return std::move(answer);
  }

  static reflection::ServerReflectionResponse WithFile(
      const FileDescriptor* file, reflection::ServerReflectionResponse& answer) {
    if (file == nullptr) {
      return WithError(grpc::StatusCode::NOT_FOUND, "there is no such file, symbol or extension",
                       answer);
    }
    std::set<std::string> added;
    AddFiles(*file, added, *answer.mutable_file_descriptor_response());
    return std::move(answer);
  }

  reflection::ServerReflectionResponse WithExtensions(
      const std::string& type, reflection::ServerReflectionResponse& answer) const {
    const Descriptor* found = pool_.FindMessageTypeByName(type);
    if (found == nullptr) {
      return WithError(grpc::StatusCode::NOT_FOUND, "there is no such message", answer);
    }
    auto& numbers = *answer.mutable_all_extension_numbers_response();
    numbers.set_base_type_name(type);
    std::vector<const FieldDescriptor*> extensions;
    pool_.FindAllExtensions(found, &extensions);
    for (const FieldDescriptor* extension : extensions) {
      numbers.add_extension_number(extension->number());
    }
    return std::move(answer);
  }

  const DescriptorPool& pool_ = *DescriptorPool::generated_pool();
  std::vector<std::string> services_;
};

// As gRPC's own plugin for v1alpha: only a plugin is told which services a server has.
class Plugin final : public grpc::ServerBuilderPlugin {
 public:
  std::string name() override { return "reflection_v1"; }
  void InitServer(grpc::ServerInitializer* server) override {
    server->RegisterService(reflection_);
  }
  void Finish(grpc::ServerInitializer* server) override {
    reflection_->SetServices(*server->GetServiceList());
  }
  void ChangeArguments(const std::string&, void*) override {}
  bool has_sync_methods() const override { return true; }

 private:
  const std::shared_ptr<Reflection> reflection_ = std::make_shared<Reflection>();
};

}  // namespace

void InitReflectionV1ServerBuilderPlugin() {
  static const bool once = [] {
    grpc::ServerBuilder::InternalAddPluginFactory(
        []() -> std::unique_ptr<grpc::ServerBuilderPlugin> { return std::make_unique<Plugin>(); });
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace backfire::runtime
