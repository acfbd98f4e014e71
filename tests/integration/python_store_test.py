#!/usr/bin/python3
"""What services/python promises of what it keeps: whatever the disk has changed is refused, and fsck finds it.

Argument: the folder of backfire's binaries; see python_service_kit.py.
"""
import contextlib
import os
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from python_service_kit import PROGRAM, SECONDS, ServiceCase  # noqa: E402
from backfire_service import pb  # noqa: E402
from backfire_database import row_checksum  # noqa: E402
import grpc  # noqa: E402


class PythonStoreTest(ServiceCase):
    def damage(self, statement, *values):
        """Writes to the store what no service would."""
        with contextlib.closing(sqlite3.connect(f"{self.directory}/data/state.db", isolation_level=None)) as database:
            return database.execute(statement, values).fetchall()

    def test_whatever_is_kept_is_what_was_written(self):
        version, request = self.loaded(), self.train_request("train")
        (kept,), = self.damage("SELECT version FROM versions")
        (job,), = self.damage("SELECT job FROM jobs")
        self.stop()
        other = pb.Version.FromString(kept)
        other.recipe.parameters["k"] = 7
        for column, value, fault in (("version", other.SerializeToString(), "does not match its checksum"), ("loaded", 0, "checksum"),
                                     ("input_key", "1" * 64, "checksum"), ("version", None, "")):
            if value is None:  # With a checksum that is right.
                self.damage("UPDATE versions SET version = ?, checksum = ?", other.SerializeToString(),
                            row_checksum("versions", 1, version.input_key, other.SerializeToString(), 1))
                fault = "has the input_key of another content"
            else:
                self.damage(f"UPDATE versions SET {column} = ?", value)
            self.start()
            for call, asked in ((self.stub.GetVersion, pb.GetVersionRequest(name=version.name)),
                                (self.stub.LoadVersion, pb.LoadVersionRequest(name=version.name)),
                                (self.stub.Evaluate, self.evaluate_request(version))):
                self.assert_refused(grpc.StatusCode.DATA_LOSS, fault, call, asked)
            self.assertEqual(list(self.stub.ListVersions(pb.ListVersionsRequest(model="models/nearest")).versions), [])
            self.stop()
            self.damage("UPDATE versions SET version = ?, loaded = 1, input_key = ?, checksum = ?", kept, version.input_key,
                        row_checksum("versions", 1, version.input_key, kept, 1))
        # A job is done anew, to the same result.
        self.damage("UPDATE jobs SET job = ?", job[:-1] + bytes([job[-1] ^ 1]))
        self.start()
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "jobs/train", self.stub.GetJob, pb.GetJobRequest(name="jobs/train"))
        again = self.ended(self.stub.Train, request)
        self.assertEqual((again.state, again.version.digest), (pb.Job.SUCCEEDED, version.digest))
        self.inference.ModelInfer(self.infer_request([1, 1]), timeout=SECONDS)
        # What is damaged can be deleted, and trained again.
        self.damage("UPDATE versions SET loaded = 0")
        self.stub.DeleteVersion(pb.DeleteVersionRequest(name=version.name), timeout=SECONDS)
        request.request_id = "again"
        self.assertEqual(self.ended(self.stub.Train, request).version.name, "models/nearest/versions/2")

    def test_fsck_reads_what_it_keeps(self):
        program = os.path.join(sys.argv[1], "backfire")
        if not os.path.exists(program):
            self.skipTest("there is no backfire")
        version = self.loaded()

        def fsck():
            return subprocess.run([program, "fsck", self.directory], capture_output=True, text=True, timeout=SECONDS, check=False)
        for end in (None, self.stop):
            if end:
                end()
            self.assertEqual(fsck().stdout, "1 store: sound\n")
        with open(f"{self.directory}/data/state.db", "rb") as file:
            content = file.read()
        for what in (version.digest.encode(), b"jobs/train", b"made-up"):
            at = content.index(what)
            with open(f"{self.directory}/data/state.db", "wb") as file:
                file.write(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:])
            self.assertNotEqual(fsck().returncode, 0)

    def test_a_store_of_another_program_is_refused(self):
        self.stop()
        for statement, words in (("PRAGMA user_version = 9", "a newer program made it"), ("PRAGMA user_version = 0", "an older program")):
            self.damage(statement)
            refused = subprocess.run([PROGRAM, "--listen", f"unix:{self.directory}/x", "--data-dir", f"{self.directory}/data"],
                                     capture_output=True, text=True, timeout=SECONDS, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn(words, refused.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
