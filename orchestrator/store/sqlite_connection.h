#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace backfire::store {

/// One use of a prepared statement; binds in the order of its question marks. Ends with its scope,
/// after which the statement can be used again. Borrowed from its connection.
class SqliteStatement {
 public:
  SqliteStatement(sqlite3* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}
  ~SqliteStatement();
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  SqliteStatement& Bind(int64_t value);
  /// As a BLOB.
  SqliteStatement& Bind(const std::string& value);
  SqliteStatement& BindText(const std::string& value);
  SqliteStatement& BindNull();
  absl::Status Run();
  /// Whether there is a row.
  absl::StatusOr<bool> Next();
  int64_t Integer(int column) const;
  std::string Bytes(int column) const;

 private:
  sqlite3* const database_;
  sqlite3_stmt* const statement_;  // Null: it could not be prepared.
  int bound_ = 0;
};

/// A connection to a database. One thread at a time.
class SqliteConnection {
 public:
  /// Opens or makes it, in WAL mode, so that others read while one writes; a write is on disk when
  /// it returns. Has row_seal.h's functions. DATA_LOSS: no database. PERMISSION_DENIED: it can't be
  /// opened.
  static absl::StatusOr<std::unique_ptr<SqliteConnection>> Open(const std::string& path);
  ~SqliteConnection();
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  /// @param sql  A literal: prepared once, and kept.
  SqliteStatement Prepare(const char* sql);
  /// Any number of statements without parameters.
  absl::Status Execute(const std::string& sql);
  /// First column of a query's rows, one a line, as text: of one that is asked once.
  absl::StatusOr<std::string> ReadText(const std::string& sql);
  /// Rows that the last statement changed.
  int64_t changes() const;

 private:
  explicit SqliteConnection(sqlite3* database) : database_(database) {}
  sqlite3* const database_;
  std::map<const char*, sqlite3_stmt*> statements_;
};

}  // namespace backfire::store
