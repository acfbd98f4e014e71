#!/usr/bin/env python3
"""Asks a gateway for predictions of a planar system, so many a second, until it is told to end.

  traffic.py STUBS TARGET MODEL RATE     STUBS: the folder of gRPC's stubs for Python that a build makes
  traffic.py STUBS unload ADDRESS NAME   has every version of the service at ADDRESS unloaded, behind the orchestrator's back
  traffic.py STUBS load ADDRESS NAME VERSION...

`unload` prints the versions, which `load` takes. NAME is that of the service's certificate; this program shows that of
BACKFIRE_TLS_CERTIFICATE, BACKFIRE_TLS_KEY and BACKFIRE_TLS_CA, as all clients do.
"""
import os
import pathlib
import random
import signal
import struct
import sys
import threading
import time

import grpc

sys.path.insert(0, sys.argv[1])
from backfire.v1 import model_service_pb2 as pb, model_service_pb2_grpc as rpc  # noqa: E402
from inference import open_inference_pb2 as v2, open_inference_pb2_grpc as v2_rpc  # noqa: E402

SECONDS = 10


def channel_to(target, name=None):
    authority, key, chain = (pathlib.Path(os.environ[f"BACKFIRE_TLS_{file}"]).read_bytes() for file in ("CA", "KEY", "CERTIFICATE"))
    options = [("grpc.ssl_target_name_override", name)] if name else []
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(authority, key, chain), options)


def ask(target, model, rate):
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    stub = v2_rpc.GRPCInferenceServiceStub(channel_to(target))
    numbers, begun, asked, waiting = random.Random(1), time.monotonic(), 0, set()
    while not ended.is_set():
        request = v2.ModelInferRequest(model_name=model, raw_input_contents=[struct.pack("<2d", numbers.uniform(-2, 2), numbers.random())])
        request.inputs.add(name="point", datatype="FP64", shape=[2])
        call = stub.ModelInfer.future(request, timeout=SECONDS)  # What comes of it is the dashboards' to say.
        waiting.add(call)  # A call that nobody keeps is cancelled.
        call.add_done_callback(waiting.discard)
        asked += 1
        ended.wait(max(0.0, begun + asked / rate - time.monotonic()))


def unload(stub):
    for model in ("models/v", "models/w"):
        try:
            for version in stub.ListVersions(pb.ListVersionsRequest(model=model), timeout=SECONDS).versions:
                if version.loaded:
                    stub.UnloadVersion(pb.UnloadVersionRequest(name=version.name), timeout=SECONDS)
                    print(version.name)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise


def main():
    if sys.argv[2] in ("unload", "load"):
        stub = rpc.ModelServiceStub(channel_to(sys.argv[3], sys.argv[4]))
        if sys.argv[2] == "unload":
            unload(stub)
        for name in sys.argv[5:]:
            stub.LoadVersion(pb.LoadVersionRequest(name=name), timeout=SECONDS)
    else:
        ask(sys.argv[2], sys.argv[3], float(sys.argv[4]))


if __name__ == "__main__":
    main()
