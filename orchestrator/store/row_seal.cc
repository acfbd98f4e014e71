#include "orchestrator/store/row_seal.h"

#include <sqlite3.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/digest.h"
#include "services/base/status.h"

namespace backfire::store {
namespace {

constexpr char kTotals[] = "totals";

std::string_view BytesOf(sqlite3_value* value) {
  const auto* bytes = static_cast<const char*>(sqlite3_value_blob(value));
  const auto size = static_cast<size_t>(sqlite3_value_bytes(value));
  return bytes == nullptr ? std::string_view() : std::string_view(bytes, size);
}

// Of a table's name and a row's values.
std::string Checksum(int count, sqlite3_value** values) {
  Sha256 digest;
  digest.UpdateField("backfire row 1");
  for (int i = 0; i < count; ++i) {
    const int type = sqlite3_value_type(values[i]);
    digest.UpdateField(absl::StrCat(type)).UpdateField(BytesOf(values[i]));
  }
  return digest.Finish();
}

void RowChecksum(sqlite3_context* context, int count, sqlite3_value** values) {
  const std::string checksum = Checksum(count, values);
  sqlite3_result_text(context, checksum.data(), static_cast<int>(checksum.size()),
                      SQLITE_TRANSIENT);
}

void Sealed(sqlite3_context* context, int count, sqlite3_value** values) {
  if (count < 2) return sqlite3_result_error(context, "sealed() takes a checksum and a table", -1);
  const std::string checksum(BytesOf(values[0]));
  const std::string table(BytesOf(values[1]));
  if (checksum == Checksum(count - 1, values + 1)) return sqlite3_result_int(context, 1);
  const std::string fault =
      absl::StrCat("a row of table ", table, " is damaged: it ",
                   checksum.empty() ? "has no checksum" : "does not match its checksum",
                   "; restore the store from a backup");
  sqlite3_result_error(context, fault.c_str(), static_cast<int>(fault.size()));
  sqlite3_result_error_code(context, SQLITE_CORRUPT);
}

struct SealedTable {
  std::string name;
  std::vector<std::string> columns;  // But for the checksum.

  // `"a", "b"`; with a prefix, `NEW."a", NEW."b"`.
  std::string Columns(const std::string& prefix = "") const {
    return absl::StrJoin(columns, ", ", [&](std::string* out, const std::string& column) {
      absl::StrAppend(out, prefix, "\"", column, "\"");
    });
  }
  std::string RowChecksum(const std::string& prefix = "") const {
    return absl::StrCat("row_checksum('", name, "', ", Columns(prefix), ")");
  }
  std::string Sealed(const std::string& prefix = "") const {
    return absl::StrCat("sealed(", prefix, "checksum, '", name, "', ", Columns(prefix), ")");
  }
};

absl::StatusOr<std::vector<SealedTable>> SealedTables(SqliteConnection& connection) {
  std::vector<SealedTable> tables;
  auto rows = connection.Prepare(
      "SELECT schema.name, info.name FROM main.sqlite_schema AS schema, "
      "pragma_table_info(schema.name) AS info WHERE schema.type = 'table' AND info.name != "
      "'checksum' AND EXISTS (SELECT 1 FROM pragma_table_info(schema.name) WHERE name = "
      "'checksum') ORDER BY schema.name, info.cid");
  while (true) {
    BACKFIRE_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) return tables;
    if (tables.empty() || tables.back().name != rows.Bytes(0)) {
      tables.push_back({rows.Bytes(0), {}});
    }
    tables.back().columns.push_back(rows.Bytes(1));
  }
}

}  // namespace

absl::Status AddSealFunctions(sqlite3* database) {
  // SQLite would put the constant of `judged = 1` in the place of the column everywhere, also among
  // what a checksum is of, and that before it has looked whether the row has it.
  constexpr unsigned kPropagateConstants = 0x8000;  // SQLITE_PropagateConst.
  sqlite3_test_control(SQLITE_TESTCTRL_OPTIMIZATIONS, database, kPropagateConstants);
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
  const bool added = sqlite3_create_function(database, "row_checksum", -1, kFlags, nullptr,
                                             RowChecksum, nullptr, nullptr) == SQLITE_OK &&
                     sqlite3_create_function(database, "sealed", -1, kFlags, nullptr, Sealed,
                                             nullptr, nullptr) == SQLITE_OK;
  return added ? absl::OkStatus() : absl::InternalError("SQLite takes no functions");
}

absl::Status VerifyWhatIsRead(SqliteConnection& connection) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<SealedTable> tables, SealedTables(connection));
  for (const SealedTable& table : tables) {
    BACKFIRE_RETURN_IF_ERROR(connection.Execute(
        absl::StrCat("CREATE TEMP VIEW \"", table.name, "\" AS SELECT ", table.Columns(),
                     " FROM main.\"", table.name, "\" WHERE ", table.Sealed())));
  }
  return absl::OkStatus();
}

absl::Status SealWhatIsWritten(SqliteConnection& connection) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<SealedTable> tables, SealedTables(connection));
  for (const SealedTable& table : tables) {
    const std::string& name = table.name;
    const std::string seal = absl::StrCat(
        "UPDATE \"", name, "\" SET checksum = ", table.RowChecksum(), " WHERE rowid = NEW.rowid; ");
    // Changing the checksum alone starts no trigger.
    const std::string of = absl::StrCat("OF ", table.Columns(), " ON main.\"", name, "\" BEGIN ");
    const auto count = [&](const char* step) {
      return absl::StrCat("UPDATE ", kTotals, " SET rows = rows ", step, " WHERE name = '", name,
                          "'; ");
    };
    std::string sql = absl::StrCat(
        "CREATE TEMP TRIGGER verify_", name, " BEFORE UPDATE ", of, "SELECT ", table.Sealed("OLD."),
        "; END; ", "CREATE TEMP TRIGGER seal_changed_", name, " AFTER UPDATE ", of, seal, "END; ");
    if (name != kTotals) {
      absl::StrAppend(&sql, "CREATE TEMP TRIGGER seal_new_", name, " AFTER INSERT ON main.\"", name,
                      "\" BEGIN ", seal, count("+ 1"), "END; CREATE TEMP TRIGGER count_gone_", name,
                      " AFTER DELETE ON main.\"", name, "\" BEGIN ", count("- 1"), "END;");
    }
    BACKFIRE_RETURN_IF_ERROR(connection.Execute(sql));
  }
  return absl::OkStatus();
}

absl::Status SealAllRows(SqliteConnection& connection) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<SealedTable> tables, SealedTables(connection));
  BACKFIRE_RETURN_IF_ERROR(connection.Execute(absl::StrCat("DELETE FROM ", kTotals)));
  for (const SealedTable& table : tables) {
    if (table.name == kTotals) continue;
    BACKFIRE_RETURN_IF_ERROR(connection.Execute(absl::StrCat(
        "UPDATE \"", table.name, "\" SET checksum = ", table.RowChecksum(), "; INSERT INTO ",
        kTotals, " (name, rows) SELECT '", table.name, "', count(*) FROM \"", table.name, "\"")));
  }
  for (const SealedTable& table : tables) {
    if (table.name != kTotals) continue;
    BACKFIRE_RETURN_IF_ERROR(connection.Execute(
        absl::StrCat("UPDATE \"", kTotals, "\" SET checksum = ", table.RowChecksum())));
  }
  return absl::OkStatus();
}

absl::Status VerifyAllRows(SqliteConnection& connection) {
  BACKFIRE_ASSIGN_OR_RETURN(const std::vector<SealedTable> tables, SealedTables(connection));
  for (const SealedTable& table : tables) {
    const auto number = [&](const std::string& sql) -> absl::StatusOr<int64_t> {
      BACKFIRE_ASSIGN_OR_RETURN(const std::string text, connection.ReadText(sql));
      int64_t number = 0;
      // A damaged count may be a text, or none.
      return absl::SimpleAtoi(text, &number) ? number : -1;
    };
    BACKFIRE_ASSIGN_OR_RETURN(const int64_t rows,
                              number(absl::StrCat("SELECT count(*) FROM main.\"", table.name,
                                                  "\" WHERE ", table.Sealed())));
    BACKFIRE_ASSIGN_OR_RETURN(const int64_t expected,
                              table.name == kTotals
                                  ? absl::StatusOr<int64_t>(static_cast<int64_t>(tables.size()) - 1)
                                  : number(absl::StrCat("SELECT rows FROM main.", kTotals,
                                                        " WHERE name = '", table.name, "'")));
    if (rows != expected) {
      return absl::DataLossError(absl::StrCat("the store is damaged: table ", table.name, " has ",
                                              rows, " rows of ", expected,
                                              "; restore it from a backup"));
    }
  }
  return absl::OkStatus();
}

}  // namespace backfire::store
