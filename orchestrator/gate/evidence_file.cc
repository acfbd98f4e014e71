#include "orchestrator/gate/evidence_file.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "orchestrator/evidence_messages/evidence_messages.h"
#include "orchestrator/gate/line_reader.h"
#include "orchestrator/gate/policy.h"
#include "services/base/digest.h"
#include "services/base/status.h"

namespace backfire::gate {

absl::StatusOr<EvidenceFile> ReadEvidenceFile(const std::string& path) {
  BACKFIRE_ASSIGN_OR_RETURN(LineReader reader, LineReader::Open(path));
  const auto at_line = [&](const absl::Status& status) {
    return Annotate(status, absl::StrCat(path, ":", reader.line_number()));
  };
  EvidenceFile file;
  Sha256 digest;
  absl::string_view line;
  BACKFIRE_ASSIGN_OR_RETURN(const bool any, reader.Next(line));
  if (!any) return absl::InvalidArgumentError(absl::StrCat(path, ":1: the file is empty"));
  if (const auto read = evidence::FromLine(std::string(line), file.header); !read.ok()) {
    return at_line(read);
  }
  digest.UpdateField({line.data(), line.size()});
  auto assembler = evidence::EvidenceAssembler::Begin(file.header);
  if (!assembler.ok()) return at_line(assembler.status());
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, reader.Next(line));
    if (!more) break;
    v1::EvidenceRecord record;
    absl::Status added = evidence::FromLine(std::string(line), record);
    if (added.ok()) added = assembler->Add(record);
    if (!added.ok()) return at_line(added);
    digest.UpdateField({line.data(), line.size()});
  }
  absl::StatusOr<verdict::Evidence> evidence = assembler->Finish();
  if (!evidence.ok()) return at_line(evidence.status());
  file.evidence = *std::move(evidence);
  file.digest = digest.Finish();
  return file;
}

absl::Status CheckAgreement(const v1::GatePolicy& policy, const v1::EvidenceHeader& header) {
  std::vector<std::string> faults;
  if (policy.alpha() != 0 && policy.alpha() != header.alpha()) {
    faults.push_back(
        absl::StrCat("alpha: is ", policy.alpha(), ", and in the evidence ", header.alpha()));
  }
  if (!policy.looks().empty() &&
      !std::equal(policy.looks().begin(), policy.looks().end(), header.look_replicates().begin(),
                  header.look_replicates().end())) {
    faults.emplace_back("looks: are not those that the evidence was planned with");
  }
  std::map<std::pair<std::string, std::string>, const v1::ComparedLoss*> compared;
  for (const v1::ComparedLoss& loss : header.losses()) {
    if (loss.slice().empty()) compared[{loss.vertex(), loss.loss()}] = &loss;
  }
  for (const v1::GateVertex& vertex : policy.vertices()) {
    for (const v1::GateLoss& loss : vertex.losses()) {
      const auto found = compared.find({vertex.name(), loss.name()});
      if (found == compared.end()) continue;  // It is of a vertex that the update did not reach.
      const v1::ComparedLoss& has = *found->second;
      const std::string path =
          absl::StrCat("vertices[", vertex.name(), "].losses[", loss.name(), "]");
      const bool same_margin = has.has_margin() && has.margin() == loss.margin();
      if (loss.has_margin() && !same_margin) {
        faults.push_back(
            absl::StrCat(path, ".margin: is ", loss.margin(), ", and in the evidence ",
                         has.has_margin() ? absl::StrCat(has.margin()) : "the default"));
      }
      if (IsBlocking(loss) != has.judged()) {
        faults.push_back(absl::StrCat(path, ".role: is ", loss.role(),
                                      ", and in the evidence it is ",
                                      has.judged() ? "blocking" : "advisory"));
      }
    }
  }
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      absl::StrJoin(faults, "\n"), "\nA system's file says what its updates are judged by"));
}

}  // namespace backfire::gate
