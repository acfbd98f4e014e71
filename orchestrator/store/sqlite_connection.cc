#include "orchestrator/store/sqlite_connection.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "orchestrator/store/row_seal.h"
#include "services/base/status.h"

namespace backfire::store {
namespace {

// Somebody may look into the file, or copy it.
constexpr int kBusyMilliseconds = 10'000;

absl::Status FaultOf(sqlite3* database, const std::string& what) {
  const std::string message = absl::StrCat(what, ": ", sqlite3_errmsg(database));
  const int cause = sqlite3_system_errno(database);
  if (sqlite3_errcode(database) == SQLITE_IOERR && cause != 0) {
    const std::string reason = absl::StrCat(message, ": ", std::strerror(cause));
    const bool no_room = cause == ENOSPC || cause == EDQUOT || cause == EFBIG;
    return no_room ? absl::ResourceExhaustedError(reason) : absl::InternalError(reason);
  }
  switch (sqlite3_errcode(database)) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_ERROR:  // Statements are fixed: it is the schema that is not as it was made.
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::PermissionDeniedError(message);
    default:
      return absl::InternalError(message);
  }
}

}  // namespace

SqliteStatement::~SqliteStatement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

SqliteStatement& SqliteStatement::Bind(int64_t value) {
  sqlite3_bind_int64(statement_, ++bound_, value);
  return *this;
}

SqliteStatement& SqliteStatement::Bind(const std::string& value) {
  sqlite3_bind_blob64(statement_, ++bound_, value.data(), value.size(), SQLITE_TRANSIENT);
  return *this;
}

SqliteStatement& SqliteStatement::BindText(const std::string& value) {
  sqlite3_bind_text(statement_, ++bound_, value.data(), static_cast<int>(value.size()),
                    SQLITE_TRANSIENT);
  return *this;
}

SqliteStatement& SqliteStatement::BindNull() {
  sqlite3_bind_null(statement_, ++bound_);
  return *this;
}

absl::Status SqliteStatement::Run() {
  if (statement_ != nullptr && sqlite3_step(statement_) == SQLITE_DONE) return absl::OkStatus();
  return FaultOf(database_, "the store");
}

absl::StatusOr<bool> SqliteStatement::Next() {
  if (statement_ == nullptr) return FaultOf(database_, "the store");
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return FaultOf(database_, "the store");
}

int64_t SqliteStatement::Integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string SqliteStatement::Bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? "" : std::string(static_cast<const char*>(data), size);
}

absl::StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(const std::string& path) {
  sqlite3* database = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &database,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(database));
  if (result != SQLITE_OK) return FaultOf(database, path);
  sqlite3_busy_timeout(database, kBusyMilliseconds);
  BACKFIRE_RETURN_IF_ERROR(AddSealFunctions(database));
  BACKFIRE_RETURN_IF_ERROR(
      Annotate(connection->Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                                   "PRAGMA foreign_keys = ON"),
               path));
  return connection;
}

SqliteConnection::~SqliteConnection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(database_);
}

SqliteStatement SqliteConnection::Prepare(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr) {
    sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  }
  return {database_, statement};
}

absl::Status SqliteConnection::Execute(const std::string& sql) {
  if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return FaultOf(database_, "the store");
}

absl::StatusOr<std::string> SqliteConnection::ReadText(const std::string& sql) {
  std::string text;
  const auto append = [](void* to, int columns, char** values, char**) {
    auto& out = *static_cast<std::string*>(to);
    if (columns > 0) absl::StrAppend(&out, out.empty() ? "" : "\n", values[0] ? values[0] : "");
    return 0;
  };
  if (sqlite3_exec(database_, sql.c_str(), append, &text, nullptr) == SQLITE_OK) return text;
  return FaultOf(database_, "the store");
}

int64_t SqliteConnection::changes() const { return sqlite3_changes(database_); }

}  // namespace backfire::store
