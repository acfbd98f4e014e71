// What happened.
#include <utility>
#include <vector>

#include "orchestrator/api/answer.h"
#include "orchestrator/api/orchestrator_service.h"
#include "orchestrator/api/paging.h"
#include "orchestrator/store/row.h"
#include "services/base/status.h"
#include "services/rpc/rpc_status.h"
#include "services/runtime/request_bounds.h"

namespace backfire::api {

grpc::Status OrchestratorService::ListEvents(grpc::ServerContext*,
                                             const v1::ListEventsRequest* request,
                                             v1::ListEventsResponse* response) {
  BACKFIRE_CHECK_BOUNDS(*request);
  const auto list = [&]() -> absl::StatusOr<v1::ListEventsResponse> {
    BACKFIRE_ASSIGN_OR_RETURN(const store::Page page,
                              PageOf(request->page_size(), request->page_token()));
    const store::EventFilter filter{store::Nanoseconds(request->since()), request->subject()};
    BACKFIRE_ASSIGN_OR_RETURN(std::vector<v1::Event> events,
                              plane_.ledger().history().ListEvents(filter, page));
    v1::ListEventsResponse listed;
    listed.set_next_page_token(CutPage(page, events));
    for (v1::Event& event : events) *listed.add_events() = std::move(event);
    return listed;
  };
  return Answer(list(), response);
}

}  // namespace backfire::api
