#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/store/repository.h"

namespace backfire::testing {

/// Does what another repository does, which is borrowed: for what differs from it in one thing.
class ForwardingRepository : public store::Repository {
 public:
  explicit ForwardingRepository(store::Repository& inner) : inner_(inner) {}

  absl::Status Write(const records::Change& change) override { return inner_.Write(change); }
  absl::StatusOr<store::Beginning> ReadBeginning() const override { return inner_.ReadBeginning(); }
  absl::StatusOr<records::UpdateRecord> ReadUpdate(int64_t number) const override {
    return inner_.ReadUpdate(number);
  }
  absl::StatusOr<std::vector<v1::Update>> ListUpdates(const store::UpdateFilter& filter,
                                                      const store::Page& page) const override {
    return inner_.ListUpdates(filter, page);
  }
  absl::StatusOr<std::optional<int64_t>> FindProposal(const std::string& id) const override {
    return inner_.FindProposal(id);
  }
  absl::StatusOr<std::vector<int64_t>> FindUpdatesWithVersion(
      const std::string& version) const override {
    return inner_.FindUpdatesWithVersion(version);
  }
  absl::StatusOr<int64_t> CountJudged(const std::string& split, int64_t before) const override {
    return inner_.CountJudged(split, before);
  }
  absl::StatusOr<std::map<v1::Update::State, int64_t>> CountUpdates() const override {
    return inner_.CountUpdates();
  }
  absl::StatusOr<std::map<v1::Release::State, int64_t>> CountReleases() const override {
    return inner_.CountReleases();
  }
  absl::StatusOr<std::optional<v1::Update>> ReadLatestVerdict() const override {
    return inner_.ReadLatestVerdict();
  }
  absl::StatusOr<std::shared_ptr<const records::Standing>> ReadStanding(
      int64_t update) const override {
    return inner_.ReadStanding(update);
  }
  absl::StatusOr<v1::Evaluation> ReadEvaluation(records::StepRef step) const override {
    return inner_.ReadEvaluation(step);
  }
  absl::StatusOr<records::ReleaseRecord> ReadRelease(int64_t number) const override {
    return inner_.ReadRelease(number);
  }
  absl::StatusOr<std::vector<v1::Release>> ListReleases(const store::Page& page) const override {
    return inner_.ListReleases(page);
  }
  absl::StatusOr<std::optional<records::RequestRecord>> FindRequest(
      const std::string& id) const override {
    return inner_.FindRequest(id);
  }
  absl::StatusOr<std::vector<v1::Event>> ListEvents(const store::EventFilter& filter,
                                                    const store::Page& page) const override {
    return inner_.ListEvents(filter, page);
  }

 private:
  store::Repository& inner_;
};

}  // namespace backfire::testing
