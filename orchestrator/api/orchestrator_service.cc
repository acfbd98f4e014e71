#include "orchestrator/api/orchestrator_service.h"

#include <google/protobuf/util/message_differencer.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/runtime/cancellation_watch.h"
#include "services/runtime/rpc_status.h"

namespace backfire::api {
namespace {

using google::protobuf::util::MessageDifferencer;
using std::chrono::steady_clock;

constexpr int kDefaultPageSize = 100;
constexpr int kMaxPageSize = 1000;
// An update of many vertices is large, and changes with every progress of every step: a watcher
// sees it this often at most, and showing it takes a tenth of the time at most.
constexpr std::chrono::milliseconds kWatchPace(20);
constexpr int kWatchRest = 9;
// How long a stream that has nothing to say goes without asking whether its client is still there.
constexpr absl::Duration kStreamCheck = absl::Milliseconds(500);

template <typename T>
grpc::Status Answer(absl::StatusOr<T> result, T* response) {
  if (result.ok()) *response = *std::move(result);
  return runtime::ToGrpcStatus(result.status());
}

// Copies a page of `items`; the token is the position that the next page starts at.
template <typename Item, typename Add>
absl::StatusOr<std::string> Page(const std::vector<Item>& items, int32_t page_size,
                                 const std::string& token, const Add& add) {
  size_t start = 0;
  if (!token.empty() && !absl::SimpleAtoi(token, &start)) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_token is not one of this call's: \"", token, "\""));
  }
  if (page_size < 0) {
    return absl::InvalidArgumentError(absl::StrCat("page_size must be >= 0: got ", page_size));
  }
  const int count = page_size == 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize);
  const size_t end = std::min(items.size(), start + static_cast<size_t>(count));
  for (size_t i = start; i < end; ++i) add(items[i]);
  return end < items.size() ? absl::StrCat(end) : std::string();
}

bool NothingLeftToDo(const v1::Update& update) {
  switch (update.state()) {
    case v1::Update::DECIDED:
    case v1::Update::PROMOTED:
    case v1::Update::REJECTED:
    case v1::Update::FAILED:
    case v1::Update::CANCELLED:
      return true;
    default:
      return false;
  }
}

}  // namespace

grpc::Status OrchestratorService::ApplySystem(grpc::ServerContext*,
                                              const v1::ApplySystemRequest* request,
                                              v1::ApplySystemResponse* response) {
  return Answer(engine_.ApplySystem(*request), response);
}

grpc::Status OrchestratorService::GetSystem(grpc::ServerContext*, const v1::GetSystemRequest*,
                                            v1::GetSystemResponse* response) {
  return Answer(engine_.GetSystem(), response);
}

grpc::Status OrchestratorService::ProposeUpdate(grpc::ServerContext*,
                                                const v1::ProposeUpdateRequest* request,
                                                v1::Update* response) {
  return Answer(engine_.ProposeUpdate(*request), response);
}

grpc::Status OrchestratorService::GetUpdate(grpc::ServerContext*,
                                            const v1::GetUpdateRequest* request,
                                            v1::Update* response) {
  return Answer(engine_.GetUpdate(request->name()), response);
}

grpc::Status OrchestratorService::ListUpdates(grpc::ServerContext*,
                                              const v1::ListUpdatesRequest* request,
                                              v1::ListUpdatesResponse* response) {
  auto token = Page(engine_.ListUpdates(*request), request->page_size(), request->page_token(),
                    [&](const v1::Update& update) { *response->add_updates() = update; });
  if (token.ok()) response->set_next_page_token(*token);
  return runtime::ToGrpcStatus(token.status());
}

grpc::Status OrchestratorService::WatchUpdate(grpc::ServerContext* context,
                                              const v1::WatchUpdateRequest* request,
                                              grpc::ServerWriter<v1::Update>* writer) {
  v1::Update last;
  while (!context->IsCancelled()) {
    const int64_t seen = engine_.changes();
    const auto start = steady_clock::now();
    const absl::StatusOr<v1::Update> update = engine_.GetUpdate(request->name());
    if (!update.ok()) return runtime::ToGrpcStatus(update.status());
    // Other updates change as well.
    if (!MessageDifferencer::Equals(*update, last)) {
      last = *update;
      if (!writer->Write(last)) break;
    }
    if (NothingLeftToDo(*update)) return grpc::Status::OK;
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - start);
    runtime::WaitUnlessCancelled(std::max(kWatchPace, kWatchRest * took),
                                 [&] { return context->IsCancelled(); });
    if (!engine_.WaitForChange(seen, kStreamCheck)) {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the orchestrator is shutting down");
    }
  }
  return grpc::Status::CANCELLED;
}

grpc::Status OrchestratorService::CancelUpdate(grpc::ServerContext*,
                                               const v1::CancelUpdateRequest* request,
                                               v1::Update* response) {
  return Answer(engine_.CancelUpdate(*request), response);
}

grpc::Status OrchestratorService::RetryUpdate(grpc::ServerContext*,
                                              const v1::RetryUpdateRequest* request,
                                              v1::Update* response) {
  return Answer(engine_.RetryUpdate(*request), response);
}

grpc::Status OrchestratorService::PromoteUpdate(grpc::ServerContext*,
                                                const v1::PromoteUpdateRequest* request,
                                                v1::Release* response) {
  return Answer(engine_.PromoteUpdate(*request), response);
}

grpc::Status OrchestratorService::RollbackRelease(grpc::ServerContext*,
                                                  const v1::RollbackReleaseRequest* request,
                                                  v1::Release* response) {
  return Answer(engine_.RollbackRelease(*request), response);
}

grpc::Status OrchestratorService::ListReleases(grpc::ServerContext*,
                                               const v1::ListReleasesRequest* request,
                                               v1::ListReleasesResponse* response) {
  auto token = Page(engine_.ListReleases(), request->page_size(), request->page_token(),
                    [&](const v1::Release& release) { *response->add_releases() = release; });
  if (token.ok()) response->set_next_page_token(*token);
  return runtime::ToGrpcStatus(token.status());
}

grpc::Status OrchestratorService::GetRelease(grpc::ServerContext*,
                                             const v1::GetReleaseRequest* request,
                                             v1::Release* response) {
  return Answer(engine_.GetRelease(request->name()), response);
}

grpc::Status OrchestratorService::WatchReleases(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::ReleaseSnapshot, v1::GatewayReport>* stream) {
  v1::GatewayReport first;
  if (!stream->Read(&first)) return grpc::Status::OK;
  const std::string gateway = first.gateway();
  const bool observes = gateway.empty();
  if (!observes) {
    spdlog::info("gateway state=FOLLOWS gateway={}", gateway);
    engine_.Report(first);
  }
  std::atomic<bool> ended{false};
  std::thread reader([&] {
    v1::GatewayReport report;
    while (stream->Read(&report)) {
      if (observes) continue;
      report.set_gateway(gateway);
      engine_.Report(report);
    }
    ended = true;
  });
  v1::ReleaseSnapshot last;
  bool said_something = false;
  // An observer's end of writing is not the end of its interest.
  while (!context->IsCancelled() && !(ended && !observes)) {
    const int64_t seen = engine_.release_changes();
    const v1::ReleaseSnapshot snapshot = engine_.Snapshot(observes);
    if (!said_something || !MessageDifferencer::Equals(snapshot, last)) {
      said_something = true;
      last = snapshot;
      if (!stream->Write(last)) break;
    }
    if (!engine_.WaitForReleaseChange(seen, kStreamCheck)) break;
  }
  // The reader may wait for a client that has nothing to say; a client takes it for a lost
  // connection.
  if (!ended) context->TryCancel();
  reader.join();
  if (!observes) {
    spdlog::info("gateway state=GONE gateway={}", gateway);
    engine_.Disconnect(gateway);
  }
  return grpc::Status::OK;
}

}  // namespace backfire::api
