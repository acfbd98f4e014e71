#include "orchestrator/fsck/python_store.h"

#include "absl/strings/str_cat.h"
#include "backfire/v1/model_service.pb.h"
#include "orchestrator/store/row_seal.h"
#include "orchestrator/store/sqlite_connection.h"
#include "services/base/digest.h"
#include "services/base/status.h"

namespace backfire::fsck {
namespace {

using store::SqliteConnection;

constexpr char kSchema[] = "1";

// As backfire_requests.sha256 has it of two texts without quotes in them: of the list as JSON.
std::string PythonDigest(const std::string& input_key, const std::string& weights) {
  return Sha256Hex(absl::StrCat("[\"", input_key, "\", \"", Sha256Hex(weights), "\"]"));
}

absl::Status CheckWeights(SqliteConnection& connection) {
  auto rows = connection.Prepare(
      "SELECT versions.number, input_key, version, coalesce(weights, x'') FROM versions LEFT JOIN "
      "weights USING (number) ORDER BY versions.number");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) return absl::OkStatus();
    v1::Version version;
    if (!version.ParseFromString(rows.Bytes(2)) || version.input_key() != rows.Bytes(1) ||
        version.digest() != PythonDigest(version.input_key(), rows.Bytes(3))) {
      return absl::DataLossError(absl::StrCat("version ", rows.Integer(0),
                                              " does not match its digest; restore it from a "
                                              "backup, or delete the version and train it again"));
    }
  }
}

}  // namespace

absl::Status CheckPythonStore(const std::string& path) {
  BACKFIRE_ASSIGN_OR_RETURN(const auto connection, SqliteConnection::Open(path));
  const auto check = [&]() -> absl::Status {
    BACKFIRE_ASSIGN_OR_RETURN(const std::string finding,
                              connection->ReadText("PRAGMA integrity_check(1)"));
    if (finding != "ok") {
      return absl::DataLossError(absl::StrCat("it is damaged: ", finding));
    }
    BACKFIRE_ASSIGN_OR_RETURN(const std::string schema,
                              connection->ReadText("PRAGMA user_version"));
    if (schema != kSchema) {
      return absl::FailedPreconditionError(
          absl::StrCat("it has schema ", schema, ", this program knows ", kSchema));
    }
    BACKFIRE_RETURN_IF_ERROR(store::VerifyAllRows(*connection));
    return CheckWeights(*connection);
  };
  return Annotate(check(), path);
}

}  // namespace backfire::fsck
