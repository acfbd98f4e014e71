"""A SQLite database whose rows have checksums, so that what the disk has changed is refused rather than believed."""
import contextlib
import fcntl
import hashlib
import os
import sqlite3
import threading

from backfire_requests import Refusal

# As an orchestrator's store has it (orchestrator/store/row_seal.h), so that `backfire fsck` reads both: a row's `checksum` is the SHA-256
# over its table's name and its other columns, each with its type, and `totals` says how many rows each table has. SQLite itself notices
# damage to its own structures only. Weights have their version's digest.
SCHEMA_NUMBER = 1
SCHEMA = (
    "CREATE TABLE jobs (request_id TEXT PRIMARY KEY, asked BLOB NOT NULL, job BLOB NOT NULL, checksum TEXT NOT NULL DEFAULT '')",
    "CREATE TABLE versions (number INTEGER PRIMARY KEY AUTOINCREMENT, input_key TEXT UNIQUE NOT NULL, version BLOB NOT NULL, "
    "loaded INTEGER NOT NULL DEFAULT 0, checksum TEXT NOT NULL DEFAULT '')",
    "CREATE TABLE weights (number INTEGER PRIMARY KEY, weights BLOB NOT NULL)",
    "CREATE TABLE totals (name TEXT PRIMARY KEY, rows INTEGER NOT NULL, checksum TEXT NOT NULL DEFAULT '')",
    f"PRAGMA user_version = {SCHEMA_NUMBER}",
)
FIRST_ROWS = ("INSERT INTO totals (name, rows) VALUES ('jobs', 0), ('versions', 0)",)
COLUMNS = {"jobs": "request_id, asked, job", "versions": "number, input_key, version, loaded", "totals": "name, rows"}
DAMAGED = "the disk is damaged, or the file was changed"


def row_checksum(table, *values):
    """The checksum of a row."""
    digest = hashlib.sha256()
    for field in ("backfire row 1", *(part for value in (table, *values) for part in typed(value))):
        data = field if isinstance(field, bytes) else str(field).encode(errors="surrogateescape")
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


def typed(value):
    """SQLite's number of a value's type, and the value."""
    return {int: 1, float: 2, str: 3, bytes: 4, type(None): 5}[type(value)], "" if value is None else value


def seals():
    """Statements by which whatever is written to a table has its checksum, and is counted; and nothing is written over a damaged row."""
    for table, columns in COLUMNS.items():
        seal = f"UPDATE {table} SET checksum = row_checksum('{table}', {columns}) WHERE rowid = NEW.rowid;"
        old = ", ".join(f"OLD.{column}" for column in columns.split(", "))
        yield (f"CREATE TEMP TRIGGER verify_{table} BEFORE UPDATE OF {columns} ON main.{table} WHEN OLD.checksum != "
               f"row_checksum('{table}', {old}) BEGIN "
               f"SELECT RAISE(ABORT, 'a row of table {table} does not match its checksum'); END")
        yield f"CREATE TEMP TRIGGER changed_{table} AFTER UPDATE OF {columns} ON main.{table} BEGIN {seal} END"
        for event, step, work in (("INSERT", "+ 1", seal), ("DELETE", "- 1", "")):
            count = f"UPDATE totals SET rows = rows {step} WHERE name = '{table}';"  # Of none of its own.
            yield f"CREATE TEMP TRIGGER {event}_{table} AFTER {event} ON main.{table} BEGIN {work} {count} END"


class Database:
    """A service's database in `directory`, which is its own as long as it runs. Thread-safe. `lock` is for more statements than one;
    no work is done under it."""

    def __init__(self, directory):
        self.held = lock(directory)
        self.path, self.lock = os.path.join(directory, "state.db"), threading.RLock()
        try:
            self.connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self.connection.text_factory = lambda text: text.decode(errors="surrogateescape")  # A damaged row has any bytes.
            self.connection.create_function("row_checksum", -1, row_checksum, deterministic=True)
            self.connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            self.prepare()
        except (sqlite3.Error, Refusal) as error:
            raise OSError(f"{self.path}: {error}") from error

    def prepare(self):
        """Makes the tables, or refuses those of another program; and has what is written get its checksum."""
        schema, = self.connection.execute("PRAGMA user_version").fetchone()
        tables, = self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if schema > SCHEMA_NUMBER:
            raise ValueError(f"state.db has schema {schema}, this program knows up to {SCHEMA_NUMBER}: a newer program made it")
        if schema < SCHEMA_NUMBER and tables:
            raise ValueError("state.db is of an older program, and has no checksums: take another directory")
        with self.lock, self.whole():
            for statement in [*(SCHEMA if not tables else ()), *seals(), *(FIRST_ROWS if not tables else ())]:
                self.rows(statement)

    def rows(self, statement, *values):
        """What a statement gives; it is on disk when this returns."""
        with self.lock:
            try:
                return self.connection.execute(statement, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise Refusal(code_of(error), f"{self.path}: {error}") from error

    def sealed(self, table, where, *values):
        """Rows of a table, each with whether its checksum is its own."""
        found = self.rows(f"SELECT {COLUMNS[table]}, checksum FROM {table} {where}", *values)
        return [(row, row_checksum(table, *row) == checksum) for *row, checksum in found]

    @contextlib.contextmanager
    def whole(self):
        """All of what is written in it, or nothing. Hold the lock."""
        self.rows("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        self.rows("COMMIT")


def lock(directory):
    """Holds a directory for as long as what is returned stays open: two services there would each forget what the other does."""
    held = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise ValueError("another process uses the data directory") from None
    return held


def code_of(error):
    """The code of what SQLite says. Its own codes are in Python since 3.11."""
    words = {"malformed": "DATA_LOSS", "not a database": "DATA_LOSS", "does not match its checksum": "DATA_LOSS",
             "is full": "RESOURCE_EXHAUSTED"}
    return next((code for text, code in words.items() if text in str(error)), "INTERNAL")
