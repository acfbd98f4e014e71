#!/usr/bin/python3
"""What others see of a service on services/python: metrics, health, reflection, metadata; and the copies that a replica serves.

Argument: the folder of backfire's binaries; see python_service_kit.py.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from python_service_kit import DIGEST, PROGRAM, SECONDS, ServiceCase  # noqa: E402
import grpc  # noqa: E402
from backfire_service import pb, rpc, v2, v2_rpc  # noqa: E402
from backfire_standard import reflection  # noqa: E402
from google.protobuf import descriptor_pb2  # noqa: E402


class PythonWatchingTest(ServiceCase):
    def reflect(self, **question):
        """The answer to one question, which is the same by both names of reflection."""
        answers = []
        for name in ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"):
            call = self.channel.stream_stream(f"/{name}/ServerReflectionInfo", reflection.ServerReflectionRequest.SerializeToString,
                                              reflection.ServerReflectionResponse.FromString)
            answers += call(iter([reflection.ServerReflectionRequest(**question)]), timeout=SECONDS)
        self.assertEqual(*answers)
        return answers[0]

    def start_watched(self):
        """A service with /metrics, in place of the one that every test has. Returns where its page is."""
        watched = subprocess.Popen([PROGRAM, "--listen", f"unix:{self.directory}/watched", "--data-dir", f"{self.directory}/w",
                                    "--metrics-listen", "localhost:0"], stderr=subprocess.PIPE, text=True)
        self.addCleanup(watched.stderr.close)
        self.addCleanup(watched.wait)
        self.addCleanup(watched.kill)
        place = watched.stderr.readline().split("metrics=")[1].strip()
        self.channel = grpc.insecure_channel(f"unix:{self.directory}/watched")
        self.addCleanup(self.channel.close)
        self.stub, self.inference = rpc.ModelServiceStub(self.channel), v2_rpc.GRPCInferenceServiceStub(self.channel)
        self.stub.GetModel(pb.GetModelRequest(), timeout=SECONDS, wait_for_ready=True)
        return place

    @staticmethod
    def page(place):
        with urllib.request.urlopen(f"http://{place}/metrics", timeout=SECONDS) as answer:
            return answer.read().decode()

    def page_with(self, place, part):
        """The page once it has something: a call is counted once its answer is on its way."""
        give_up = time.monotonic() + SECONDS
        while part not in (text := self.page(place)) and time.monotonic() < give_up:
            pass  # Each look waits for the service.
        self.assertIn(part, text)
        return text

    def test_metrics_are_those_that_are_documented(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/metrics.md"), encoding="utf-8") as file:
            _, every, service, _ = re.split("\n## (?:Every process|Model services|Gateway)\n", file.read())
        documented = {}
        for line in (every + service).splitlines():
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) == 6 and cells[1].startswith("`"):
                documented[cells[1].strip("`")] = (cells[2], set(filter(None, cells[3].split(", "))))
        # What there is none of: a certificate, a listener of our own, kept outputs, batches, places to run, progress.
        for name in list(documented):
            if re.match("backfire_(tls|calls_refused|connections|outputs|training|inference_(batch|running|waiting))", name):
                del documented[name]
        place = self.start_watched()
        version = self.trained()
        self.stub.LoadVersion(pb.LoadVersionRequest(name=version.name), timeout=SECONDS)
        self.inference.ModelInfer(self.infer_request([1, 1]), timeout=SECONDS)
        job = self.ended(self.stub.Evaluate, self.evaluate_request(version))
        self.assertEqual(job.state, pb.Job.SUCCEEDED, job.error_message)
        with self.assertRaises(grpc.RpcError):
            self.stub.GetVersion(pb.GetVersionRequest(name="models/nearest/versions/9"), timeout=SECONDS)
        with self.assertRaises(grpc.RpcError):
            self.channel.unary_unary("/attack.Service/Guess")(b"", timeout=SECONDS)

        text, found = self.page_with(place, 'handled_total{grpc_code="NotFound"'), {}
        promtool = shutil.which("promtool")
        if promtool is not None:  # Of the package prometheus, which nothing else needs.
            lint = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=SECONDS, check=False)
            self.assertEqual((lint.returncode, lint.stdout + lint.stderr), (0, ""))
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                found[name] = (kind, set())
            elif not line.startswith("#"):
                name = line.split("{")[0].split(" ")[0]
                name = next(known for known in found if name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") == known
                            or name == known)
                found[name][1].update(set(re.findall(r'(\w+)="', line)) - {"le"})
        self.assertEqual(found, documented)
        for line in ('grpc_server_handled_total{grpc_code="NotFound",grpc_method="GetVersion",'
                     'grpc_service="backfire.v1.ModelService",grpc_type="unary"} 1.0',
                     'backfire_version_loaded{model="nearest",version="1"} 1.0',
                     'backfire_inference_seconds_count{model="nearest",version="1"} 1.0',
                     'backfire_jobs_ended_total{code="OK",kind="training",state="SUCCEEDED"} 1.0',
                     'backfire_jobs_ended_total{code="OK",kind="evaluation",state="SUCCEEDED"} 1.0',
                     'backfire_jobs_ended_total{code="Internal",kind="training",state="FAILED"} 0.0',
                     'backfire_jobs{kind="training",state="running"} 0.0'):
            self.assertIn(line + "\n", text)
        self.assertIn('backfire_version_loss{judged="true",loss="disagreement",model="nearest",slice="",version="1"}', text)
        self.assertNotIn("Guess", text)
        taken = subprocess.run([PROGRAM, "--listen", f"unix:{self.directory}/x", "--data-dir", f"{self.directory}/x.d",
                                "--metrics-listen", place], capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(taken.returncode, 1)
        self.assertIn("--metrics-listen: cannot listen on", taken.stderr)

    def test_metrics_count_calls_of_both_sides(self):
        place = self.start_watched()
        self.parent.failures = [grpc.StatusCode.UNAVAILABLE]
        request = self.train_request("train")
        self.assertEqual(self.ended(self.stub.Train, request).state, pb.Job.SUCCEEDED)
        labels = 'grpc_method="{}",grpc_service="backfire.v1.ModelService",grpc_type="{}"}}'.format
        text = self.page_with(place, "grpc_server_handling_seconds_count{" + labels("Train", "unary"))

        def value(series):
            return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(series + " ")), None)
        # Two inputs, one of which was asked for twice.
        self.assertEqual(value("grpc_client_started_total{" + labels("Materialize", "server_stream")), 3)
        self.assertEqual(value('grpc_client_handled_total{grpc_code="OK",' + labels("Materialize", "server_stream")), 2)
        self.assertEqual(value('grpc_client_handled_total{grpc_code="Unavailable",' + labels("Materialize", "server_stream")), 1)
        self.assertEqual(value("grpc_client_in_flight{" + labels("Materialize", "server_stream")), 0)
        self.assertEqual(value('grpc_client_handled_total{grpc_code="OK",' + labels("GetVersion", "unary")), 3)
        self.assertGreater(value("grpc_client_msg_received_bytes_total{" + labels("Materialize", "server_stream")), 7 * 16)
        self.assertGreater(value("grpc_client_msg_sent_bytes_total{" + labels("GetVersion", "unary")), 0)
        calls = value("grpc_server_started_total{" + labels("Train", "unary"))
        self.assertEqual(value("grpc_server_msg_received_bytes_total{" + labels("Train", "unary")), calls * request.ByteSize())

    def test_a_version_that_is_unloaded_has_no_series(self):
        place = self.start_watched()
        name = self.trained().name
        for loaded in (True, True, False, False):
            method, request = ((self.stub.LoadVersion, pb.LoadVersionRequest) if loaded else
                               (self.stub.UnloadVersion, pb.UnloadVersionRequest))
            method(request(name=name), timeout=SECONDS)
            self.assertEqual(self.stub.GetVersion(pb.GetVersionRequest(name=name), timeout=SECONDS).loaded, loaded)
            request = self.infer_request([1, 1])
            request.model_version = "1"
            if loaded:
                self.inference.ModelInfer(request, timeout=SECONDS)
            else:
                self.assert_refused(grpc.StatusCode.UNAVAILABLE, "is not loaded", self.inference.ModelInfer, request)
            for series in ("backfire_version_loaded{", "backfire_inference_seconds_count{"):
                self.assertEqual(series + 'model="nearest",version="1"}' in self.page(place), loaded)

    def test_tools_find_what_it_serves(self):
        names = [one.name for one in self.reflect(list_services="").list_services_response.service]
        self.assertEqual(names, ["backfire.v1.ModelService", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                                 "grpc.reflection.v1alpha.ServerReflection",
                                 "inference.GRPCInferenceService"])
        for name in names:
            answer = self.reflect(file_containing_symbol=name)
            files = [descriptor_pb2.FileDescriptorProto.FromString(one) for one in answer.file_descriptor_response.file_descriptor_proto]
            self.assertIn(name, [f"{files[0].package}.{service.name}" for service in files[0].service])
            self.assertLessEqual({one for file in files for one in file.dependency}, {file.name for file in files})
            self.assertEqual(self.reflect(file_by_filename=files[0].name).file_descriptor_response, answer.file_descriptor_response)
        self.assertEqual(self.reflect(all_extension_numbers_of_type="backfire.v1.Job").all_extension_numbers_response.base_type_name,
                         "backfire.v1.Job")
        for question in ({"file_containing_symbol": "no.Such"}, {"file_by_filename": "../../etc/passwd"},
                         {"file_containing_extension": {"containing_type": "backfire.v1.Job"}}, {}):
            self.assertEqual(self.reflect(**question).error_response.error_code, grpc.StatusCode.NOT_FOUND.value[0], question)

    def test_clients_of_the_open_inference_protocol_find_their_way(self):
        self.assertTrue(self.inference.ServerLive(v2.ServerLiveRequest(), timeout=SECONDS).live)
        self.assertTrue(self.inference.ServerReady(v2.ServerReadyRequest(), timeout=SECONDS).ready)
        self.assertEqual(self.inference.ServerMetadata(v2.ServerMetadataRequest(), timeout=SECONDS).name, "nearest-neighbour-service")
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "none is loaded", self.inference.ModelReady, v2.ModelReadyRequest(name="nearest"))
        self.trained()
        one = v2.ModelReadyRequest(name="nearest", version="1")
        self.assert_refused(grpc.StatusCode.UNAVAILABLE, "is not loaded", self.inference.ModelReady, one)
        self.loaded()
        for request in (one, v2.ModelReadyRequest(name="nearest")):
            self.assertTrue(self.inference.ModelReady(request, timeout=SECONDS).ready)
        for code, words, request in ((grpc.StatusCode.NOT_FOUND, "models/other", {"name": "other"}),
                                     (grpc.StatusCode.NOT_FOUND, "versions/9", {"name": "nearest", "version": "9"}),
                                     (grpc.StatusCode.INVALID_ARGUMENT, "a version's name", {"name": "nearest", "version": "one"})):
            self.assert_refused(code, words, self.inference.ModelReady, v2.ModelReadyRequest(**request))
            self.assert_refused(code, words, self.inference.ModelMetadata, v2.ModelMetadataRequest(**request))
        metadata = self.inference.ModelMetadata(v2.ModelMetadataRequest(name="nearest"), timeout=SECONDS)
        self.assertEqual((list(metadata.versions), [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in metadata.inputs],
                          [tensor.name for tensor in metadata.outputs]), (["1"], [("feature", "FP64", [-1])], ["y"]))

    def test_health_goes_by_name(self):
        for name in ("", "liveness", "readiness", "nearest"):
            self.assertTrue(self.health(name), name)
        with self.assertRaises(grpc.RpcError) as refused:
            self.health("nobody")
        self.assertEqual(refused.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_a_replica_serves_copies_and_nothing_else(self):
        version, first = self.loaded(), self.infer_request([1, 1])
        expected = self.inference.ModelInfer(first, timeout=SECONDS).raw_output_contents
        primary, directory = self.stub, f"{self.directory}/replica.d"
        load = pb.LoadVersionRequest(name=version.name, digest=version.digest)
        self.become_replica(directory)
        self.assertTrue(self.health() and self.health("liveness"))
        self.assertFalse(self.health("readiness"))
        self.assert_refused(grpc.StatusCode.DATA_LOSS, "has digest", self.stub.LoadVersion,
                            pb.LoadVersionRequest(name=version.name, digest=DIGEST))
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "versions/9", self.stub.LoadVersion,
                            pb.LoadVersionRequest(name="models/nearest/versions/9"))
        for _ in range(2):
            self.stub.LoadVersion(load, timeout=SECONDS)
        self.assertTrue(self.health("readiness"))
        version.loaded = True
        self.assertEqual(self.stub.GetVersion(pb.GetVersionRequest(name=version.name), timeout=SECONDS), version)
        self.assertEqual(self.inference.ModelInfer(first, timeout=SECONDS).raw_output_contents, expected)
        for method, request in ((self.stub.Train, self.train_request("replica")), (self.stub.Evaluate, self.evaluate_request(version)),
                                (self.stub.Materialize, pb.MaterializeRequest(version=version.name, split="test")),
                                (self.stub.DeleteVersion, pb.DeleteVersionRequest(name=version.name))):
            self.assert_refused(grpc.StatusCode.FAILED_PRECONDITION, f"is a replica and only serves requests: ask unix:{self.directory}/service",
                                method, request)

        # Without its primary it serves on, also after a restart; and what it unloads it has no longer.
        primary.UnloadVersion(pb.UnloadVersionRequest(name=version.name), timeout=SECONDS)
        self.primary.send_signal(signal.SIGKILL)
        self.primary.wait()
        self.stop()
        self.become_replica(directory)
        self.assertEqual(self.inference.ModelInfer(first, timeout=SECONDS).raw_output_contents, expected)
        for digest in (version.digest, ""):
            self.stub.LoadVersion(pb.LoadVersionRequest(name=version.name, digest=digest), timeout=SECONDS)
        self.stub.UnloadVersion(pb.UnloadVersionRequest(name=version.name), timeout=SECONDS)
        self.assertFalse(self.health("readiness"))
        self.assertEqual(list(self.stub.ListVersions(pb.ListVersionsRequest(model="models/nearest"), timeout=SECONDS).versions), [])
        self.assert_refused(grpc.StatusCode.UNAVAILABLE, f"unix:{self.directory}/service", self.stub.LoadVersion, load)

        for place, arguments, words in ((f"{self.directory}/data", ["--replica-of", "unix:x"], "versions that were trained there"),
                                        (directory, [], "--replica-of")):
            refused = subprocess.run([PROGRAM, "--listen", f"unix:{self.directory}/x", "--data-dir", place, *arguments],
                                     capture_output=True, text=True, timeout=SECONDS, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn(words, refused.stderr)

    def become_replica(self, directory):
        """Starts a replica of the service that every test has, and talks to it from now on."""
        if "replica" not in self.__dict__:
            self.primary = self.process
        self.replica = self.process = subprocess.Popen([PROGRAM, "--listen", f"unix:{self.directory}/replica", "--data-dir", directory,
                                                        "--replica-of", f"unix:{self.directory}/service"])
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.channel = grpc.insecure_channel(f"unix:{self.directory}/replica", [("grpc.max_reconnect_backoff_ms", 100)])
        self.addCleanup(self.channel.close)
        grpc.channel_ready_future(self.channel).result(SECONDS)
        self.stub, self.inference = rpc.ModelServiceStub(self.channel), v2_rpc.GRPCInferenceServiceStub(self.channel)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
