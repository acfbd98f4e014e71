#!/usr/bin/python3
"""Who may call a service in Python: the mesh's token, and TLS. Argument: the folder of binaries; skipped without Debian's gRPC."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

BIN = sys.argv.pop(1)
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
try:
    sys.path.insert(0, os.path.dirname(os.path.realpath(os.path.join(BIN, "nearest-neighbour-service"))))
    import grpc
    from backfire_service import pb, rpc
except ImportError:
    sys.exit(77)

SECONDS = 60
TOKEN = "t" * 64


class SecurityTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.token = os.path.join(self.folder, "token")
        self.write(TOKEN)

    def write(self, token):
        with open(f"{self.token}.new", "w", encoding="utf-8") as file:
            os.chmod(file.name, 0o600)
            file.write(f"{token}\n")
        os.replace(f"{self.token}.new", self.token)

    def start(self, listen, **environment):
        log = open(os.path.join(self.folder, "log"), "w", encoding="utf-8")
        self.addCleanup(log.close)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BACKFIRE_")}
        process = subprocess.Popen([os.path.join(BIN, "nearest-neighbour-service"), "--listen", listen,
                                    "--data-dir", os.path.join(self.folder, "data")], env={**clean, **environment}, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def code(self, channel, token=None):
        """What GetModel comes to; waits until the server is there."""
        metadata = [("authorization", f"Bearer {token}")] if token else None
        try:
            rpc.ModelServiceStub(channel).GetModel(pb.GetModelRequest(), metadata=metadata, timeout=SECONDS, wait_for_ready=True)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def test_calls_without_the_token_are_refused(self):
        place = f"unix:{self.folder}/socket"
        self.start(place, BACKFIRE_TOKEN_FILE=self.token)
        with grpc.insecure_channel(place) as channel:
            self.assertEqual(self.code(channel, TOKEN), grpc.StatusCode.OK)
            self.assertEqual(self.code(channel), grpc.StatusCode.UNAUTHENTICATED)
            self.assertEqual(self.code(channel, "x" * 64), grpc.StatusCode.UNAUTHENTICATED)
            with self.assertRaises(grpc.RpcError) as refused:  # A stream as well.
                list(rpc.ModelServiceStub(channel).Materialize(pb.MaterializeRequest(), timeout=SECONDS))
            self.assertEqual(refused.exception.code(), grpc.StatusCode.UNAUTHENTICATED)
            self.write("n" * 64)  # It is read again.
            self.assertEqual(self.code(channel, "n" * 64), grpc.StatusCode.OK)
            self.assertEqual(self.code(channel, TOKEN), grpc.StatusCode.UNAUTHENTICATED)

    def test_a_token_that_others_can_read_is_refused(self):
        os.chmod(self.token, 0o644)
        self.assertEqual(self.start(f"unix:{self.folder}/socket", BACKFIRE_TOKEN_FILE=self.token).wait(SECONDS), 1)

    def test_nothing_listens_beyond_the_machine_in_the_open(self):
        self.assertEqual(self.start("0.0.0.0:0").wait(SECONDS), 1)
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
            self.assertIn("BACKFIRE_ALLOW_INSECURE", log.read())

    @unittest.skipUnless(shutil.which("openssl"), "needs openssl")
    def test_mutual_tls(self):
        certs = os.path.join(self.folder, "certs")
        for folder in (certs, f"{certs}-of-others"):
            subprocess.run([os.path.join(ROOT, "deploy/certs/certs.sh"), folder, "model/nearest", "orchestrator/o"],
                           check=True, stdout=subprocess.DEVNULL)
        place = f"localhost:{free_port()}"
        self.start(place, BACKFIRE_TLS_CERTIFICATE=f"{certs}/nearest.pem", BACKFIRE_TLS_KEY=f"{certs}/nearest.key",
                   BACKFIRE_TLS_CA=f"{certs}/ca.pem")

        def shown(folder):
            return [pathlib.Path(folder, name).read_bytes() for name in ("o.key", "o.pem")]
        authority = pathlib.Path(certs, "ca.pem").read_bytes()
        # A stock client, with its options of TLS and nothing of ours.
        with grpc.secure_channel(place, grpc.ssl_channel_credentials(authority, *shown(certs))) as channel:
            self.assertEqual(self.code(channel), grpc.StatusCode.OK)
        for credentials in (grpc.ssl_channel_credentials(authority),
                            grpc.ssl_channel_credentials(authority, *shown(f"{certs}-of-others"))):
            with grpc.secure_channel(place, credentials) as channel:
                with self.assertRaises(grpc.RpcError) as refused:
                    rpc.ModelServiceStub(channel).GetModel(pb.GetModelRequest(), timeout=SECONDS)
                self.assertEqual(refused.exception.code(), grpc.StatusCode.UNAVAILABLE)


def free_port():
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


if __name__ == "__main__":
    unittest.main()
