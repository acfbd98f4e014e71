#!/usr/bin/python3
"""What services/python promises of a service: jobs, versions, and requests that are refused.

Argument: the folder of backfire's binaries; see python_service_kit.py.
"""
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from python_service_kit import DIGEST, GRACE_SECONDS, PROGRAM, SECONDS, ServiceCase  # noqa: E402
import backfire_roots  # noqa: E402
import backfire_security  # noqa: E402
import grpc  # noqa: E402
import numpy  # noqa: E402
from backfire_service import NUMBERS, Refusal, pb, read_inputs, rpc, v2  # noqa: E402
from backfire_stock import StockModel, StockService  # noqa: E402


class PythonServiceTest(ServiceCase):
    def test_the_same_request_is_the_same_job_while_it_runs(self):
        self.parent.may_answer.clear()
        both = [self.stub.Train.future(self.train_request("train"), timeout=SECONDS) for _ in range(2)]
        self.assertEqual([job.result().state for job in both], [pb.Job.RUNNING] * 2)
        other = self.train_request("train")
        other.seed = 1
        self.assert_refused(grpc.StatusCode.ALREADY_EXISTS, "jobs/train", self.stub.Train, other)
        self.parent.may_answer.set()
        self.trained()
        self.assertEqual(self.parent.pulls, 2)  # Of its two inputs.

    def test_files_of_datasets_are_read_from_the_roots_alone(self):
        honest = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../support/honest_services.py")

        def at(*names):
            return os.path.join(self.directory, *names)

        def write(name):
            os.makedirs(at(name))
            for split in ("train", "validation", "test"):
                numpy.savez(at(name, split), feature=numpy.eye(2), label=numpy.ones((2, 1)))

        def resolve(uri, *flags):
            """The code and the message of what a service that is started with these flags says of a recipe with this dataset."""
            with tempfile.TemporaryDirectory() as here:
                process = subprocess.Popen([sys.executable, honest, os.path.dirname(os.path.realpath(PROGRAM)), "labels", "--listen",
                                            f"unix:{here}/service", "--data-dir", f"{here}/data", *flags])
                try:
                    with grpc.insecure_channel(f"unix:{here}/service", [("grpc.max_reconnect_backoff_ms", 100)]) as channel:
                        grpc.channel_ready_future(channel).result(SECONDS)
                        request = pb.ResolveRecipeRequest(model="models/labels", dataset=pb.Dataset(uri=uri))
                        request.recipe.name = "ridge"
                        rpc.ModelServiceStub(channel).ResolveRecipe(request)
                        return grpc.StatusCode.OK, ""
                except grpc.RpcError as error:
                    return error.code(), error.details()
                finally:
                    process.kill()
                    process.wait()

        write("data/inside")
        write("outside")
        write("data/links")
        os.symlink("data", at("root"))
        os.symlink(at("outside"), at("data/away"))
        os.remove(at("data/links/test.npz"))
        os.symlink(at("outside/test.npz"), at("data/links/test.npz"))
        self.assertEqual(resolve(f"arrays:{at('outside')}"), (grpc.StatusCode.OK, ""))  # By a socket the owner asks.
        for root in (at("data"), at("root"), f"{at('outside')}:{at('data')}"):
            self.assertEqual(resolve(f"arrays:{at('data/inside')}", "--dataset-root", root), (grpc.StatusCode.OK, ""))
        for name in ("outside", "data/../outside", "data/away", "root/away", "data/links", "nothing", "data/away/nothing"):
            code, details = resolve(f"arrays:{at(name)}", "--dataset-root", at("root"))
            self.assertEqual(code, grpc.StatusCode.PERMISSION_DENIED, f"{name}: {details}")
            self.assertIn(f"({at('root')}): put it there, or start the service with --dataset-root", details)
        wrong = subprocess.run([PROGRAM, "--listen", f"unix:{at('other')}", "--data-dir", at("other-data"), "--dataset-root",
                                at("nothing")], capture_output=True, text=True, check=False)
        self.assertEqual((wrong.returncode, wrong.stderr), (1, f"--dataset-root: {at('nothing')}: no such directory\n"))

    def test_without_roots_a_port_without_a_token_reads_no_file(self):
        for restricted in ("localhost:7000", "0.0.0.0:7000", "127.0.0.1:0"):
            self.assertFalse(backfire_security.is_owners(restricted), restricted)
        self.assertTrue(backfire_security.is_owners("unix:/a/socket"))
        self.addCleanup(backfire_roots.restrict, [], True)
        backfire_roots.restrict([""], False)
        with self.assertRaisesRegex(Refusal, "was given no folder for datasets") as refused:
            backfire_roots.check_dataset_uri(f"arrays:{self.directory}")
        self.assertEqual(refused.exception.code, "PERMISSION_DENIED")
        for pathless in ("toy:8", "made-up", "rendered:tiny?frames=8&seed=1", "arrays:", ""):
            backfire_roots.check_dataset_uri(pathless)
        for named in ("a:b/c", "a:..", "a:b?labels=/etc/passwd", "a:b?x=1&labels=../c"):
            with self.assertRaises(Refusal, msg=named):
                backfire_roots.check_dataset_uri(named)

    def test_a_data_directory_is_one_process_and_what_is_in_it_is_verified(self):
        other = subprocess.run([PROGRAM, "--listen", f"unix:{self.directory}/other", "--data-dir", f"{self.directory}/data"],
                               capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual((other.returncode, other.stderr), (1, f"--data-dir {self.directory}/data: can't be used: another process uses "
                                                               "the data directory\n"))
        version = self.trained()
        self.stub.LoadVersion(pb.LoadVersionRequest(name=version.name, digest=version.digest))
        self.stop()
        database = sqlite3.connect(f"{self.directory}/data/state.db")
        (weights,), = database.execute("SELECT weights FROM weights").fetchall()
        middle = len(weights) // 2
        damaged = weights[:middle] + bytes([weights[middle] ^ 1]) + weights[middle + 1:]
        database.execute("UPDATE weights SET weights = ?", (damaged,))
        database.commit()
        self.start()
        for call, request in ((self.stub.LoadVersion, pb.LoadVersionRequest(name=version.name)),
                              (self.stub.Evaluate, self.evaluate_request(version)),
                              (self.stub.ExportVersion, pb.ExportVersionRequest(name=version.name)),
                              (self.inference.ModelInfer, self.infer_request([1, 1]))):
            self.assert_refused(grpc.StatusCode.DATA_LOSS, f"{version.name} in {self.directory}/data/state.db does not match its digest",
                                call, request)
        database.execute("UPDATE weights SET weights = ?", (weights,))
        database.commit()
        database.close()
        self.stub.LoadVersion(pb.LoadVersionRequest(name=version.name))
        self.inference.ModelInfer(self.infer_request([1, 1]))

    def test_numbers_are_of_the_own_models_versions(self):
        version = self.loaded()
        for method, message in ((self.stub.DeleteVersion, pb.DeleteVersionRequest), (self.stub.UnloadVersion, pb.UnloadVersionRequest)):
            self.assert_refused(grpc.StatusCode.NOT_FOUND, "models/other", method, message(name="models/other/versions/1"))
        self.assertTrue(self.stub.GetVersion(pb.GetVersionRequest(name=version.name), timeout=SECONDS).loaded)

    def test_typed_inputs_are_those_of_their_datatype(self):
        def read(datatype, shape, **fields):
            request = v2.ModelInferRequest()
            request.inputs.add(name="x", datatype=datatype, shape=shape, contents=v2.InferTensorContents(**fields))
            return read_inputs(None, request, [pb.TensorSignature(name="x", datatype=datatype, shape=shape)])["x"]

        for datatype, field, values in (("BOOL", "bool", [True, False]), ("INT8", "int", [-128, 127]), ("INT16", "int", [-32768, 32767]),
                                        ("INT32", "int", [-2**31, 2**31 - 1]), ("INT64", "int64", [-2**63, 2**63 - 1]),
                                        ("UINT8", "uint", [0, 255]), ("UINT16", "uint", [0, 65535]), ("UINT32", "uint", [0, 2**32 - 1]),
                                        ("UINT64", "uint64", [0, 2**64 - 1]), ("FP32", "fp32", [0.5, -2]), ("FP64", "fp64", [0.1, 2])):
            array = read(datatype, [2, 1], **{f"{field}_contents": values})
            self.assertEqual((array.dtype, array[:, 0].tolist()), (numpy.dtype(NUMBERS[datatype]), values))
            self.assertEqual(read(datatype, [0, 3]).shape, (0, 3))
        for datatype, fields, words in (("INT8", {"int_contents": [128]}, "-128 to 127"), ("UINT16", {"uint_contents": [65536]}, "0 to 65535"),
                                        ("INT16", {"int_contents": [-40000]}, "-32768 to"), ("FP16", {}, "has no typed contents"),
                                        ("INT8", {"bytes_contents": [b"a"]}, "must have 1 elements in int_contents: got 0, and 1")):
            with self.assertRaisesRegex(Refusal, words):
                read(datatype, [1], **fields)

    def test_large_messages_pass(self):
        self.loaded()
        # The refusal is the model's own: gRPC let 10 MB pass.
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "feature must have shape [2]", self.inference.ModelInfer,
                            self.infer_request([0.0] * (10 << 17)))

    def test_bad_requests_are_refused(self):
        invalid, not_found = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
        self.assert_refused(not_found, "there is no such version", self.inference.ModelInfer, self.infer_request([1, 1]))
        version = self.loaded()

        def train(**changes):
            request = self.train_request("bad")
            for path, value in changes.items():
                *names, last = path.split("__")
                target = request
                for name in names:
                    target = target[int(name)] if name.isdigit() else getattr(target, name)
                setattr(target, last, value)
            return request

        no_endpoint = self.train_request("no-endpoint")
        del no_endpoint.endpoints.by_model["models/feature"]
        job = self.ended(self.stub.Train, no_endpoint)
        self.assertEqual(job.error_code, grpc.StatusCode.FAILED_PRECONDITION.value[0])
        self.assertIn("endpoints.by_model", job.error_message)

        twice, nan = train(), train()
        twice.lineage.add().CopyFrom(twice.lineage[0])
        nan.recipe.parameters["k"] = float("nan")
        for words, request in (("request_id", train(request_id="")), ("request_id", train(request_id="a b")),
                               ("lineage[0].version", train(lineage__0__version="models/feature")),
                               ("lineage[1].output", train(lineage__1__output="")),
                               ("lineage[1].digest", train(lineage__1__digest="0")), ("lineage", twice),
                               ("recipe.parameters.k", nan), ("seed", train(seed=-1)),
                               ("dataset.uri", train(dataset__uri=""))):
            with self.subTest(words):
                self.assert_refused(invalid, words, self.stub.Train, request)
        self.assert_refused(not_found, "models/other", self.stub.Train, train(model="models/other"))

        for words, change in (("split", {"split": "all"}), ("resample_count", {"bootstrap": {"resample_count": 10001}}),
                              ("resample_count", {"bootstrap": {"resample_count": -1}}),
                              ("swapped_parents", {"swapped_parents": [{"input": "feature"}]}),
                              ("a version's name", {"version": "models/nearest/versions/one"})):
            with self.subTest(words):
                request = self.evaluate_request(version)
                for name, value in change.items():
                    request.ClearField(name)
                    request.MergeFrom(pb.EvaluateRequest(**{name: value}))
                self.assert_refused(invalid, words, self.stub.Evaluate, request)

        for words, method, request in (
                ("page_token", self.stub.ListVersions, pb.ListVersionsRequest(model="models/nearest", page_token="x")),
                ("page_size", self.stub.ListVersions, pb.ListVersionsRequest(model="models/nearest", page_size=-1)),
                ("a version's name", self.stub.GetVersion, pb.GetVersionRequest(name="1")),
                ("split", self.stub.Materialize, pb.MaterializeRequest(version=version.name, split="all"))):
            with self.subTest(words):
                self.assert_refused(invalid, words, method, request)
        self.assert_refused(not_found, "there is no job", self.stub.GetJob, pb.GetJobRequest(name="bad/train"))

        def infer(**changes):
            request = self.infer_request([1, 1])
            for name, value in changes.items():
                if name.startswith("input_"):
                    request.inputs[0].ClearField(name[6:])
                    request.inputs[0].MergeFrom(v2.ModelInferRequest.InferInputTensor(**{name[6:]: value}))
                else:
                    request.ClearField(name)
                    request.MergeFrom(v2.ModelInferRequest(**{name: value}))
            return request

        for words, request in (("['feature'] are missing", infer(inputs=[], raw_input_contents=[])),
                               ("there is no such input", infer(input_name="magic")),
                               ("datatype must be FP64", infer(input_datatype="FP32")),
                               ("shape must be [-1]", infer(input_shape=[1, 2])),
                               ("shape must be [-1]", infer(input_shape=[-1])),
                               ("raw contents must have 24 bytes", infer(input_shape=[3])),
                               ("must have 2 elements in fp64_contents: got 0", infer(raw_input_contents=[])),
                               ("raw_input_contents must have an entry for each", infer(raw_input_contents=[b"", b""])),
                               ("typed contents although raw", infer(input_contents={"fp64_contents": [1, 1]})),
                               ("no parameter 'priority'", infer(parameters={"priority": v2.InferParameter(int64_param=1)})),
                               ("outputs", infer(outputs=[{"name": "magic"}])),
                               ("a version's name", infer(model_version="one"))):
            with self.subTest(words):
                self.assert_refused(invalid, words, self.inference.ModelInfer, request)
        def typed(**fields):
            request = infer(input_contents=fields)
            request.ClearField("raw_input_contents")
            return request

        for words, fields in (("got 0, and 2 in all", {"fp32_contents": [1, 1]}), ("got 3, and 3", {"fp64_contents": [1, 1, 1]}),
                              ("got 2, and 4", {"fp64_contents": [1, 1], "int_contents": [1, 1]})):
            with self.subTest(words):
                self.assert_refused(invalid, words, self.inference.ModelInfer, typed(**fields))
        self.assertEqual(self.inference.ModelInfer(typed(fp64_contents=[1, 1])).raw_output_contents,
                         self.inference.ModelInfer(infer()).raw_output_contents)
        self.assert_refused(not_found, "models/other", self.inference.ModelInfer, infer(model_name="other"))
        self.assertTrue(self.health())

    def test_versions_are_exported_imported_and_deleted(self):
        version = self.loaded()
        pieces = list(self.stub.ExportVersion(pb.ExportVersionRequest(name=version.name), timeout=SECONDS))
        file = b"".join(piece.data for piece in pieces)
        self.assertEqual((pieces[0].file_bytes, pieces[0].version.digest), (len(file), version.digest))

        def imported(data, **changes):
            request = pb.ImportVersionRequest(model="models/nearest", recipe=version.recipe, lineage=version.lineage,
                                              file_bytes=len(data), data=data[:100])
            for name, value in changes.items():
                setattr(request, name, value)
            return self.stub.ImportVersion(iter([request, pb.ImportVersionRequest(data=data[100:])]), timeout=SECONDS)

        taken = imported(file)
        self.assertNotEqual((taken.name, taken.input_key), (version.name, version.input_key))
        self.assertEqual(imported(file).name, taken.name)
        for code, words, data, changes in (
                (grpc.StatusCode.INVALID_ARGUMENT, "must be a .npz file", b"root:x:0:0:root:/root:/bin/bash", {}),
                (grpc.StatusCode.INVALID_ARGUMENT, "must be a .npz file", file[:200], {}),
                (grpc.StatusCode.DATA_LOSS, "send it again", file, {"file_bytes": len(file) + 1}),
                (grpc.StatusCode.DATA_LOSS, "send it again", file, {"file_digest": DIGEST}),
                (grpc.StatusCode.NOT_FOUND, "models/other", file, {"model": "models/other"})):
            with self.assertRaises(grpc.RpcError) as refused:
                imported(data, **changes)
            self.assertEqual((refused.exception.code(), words in refused.exception.details()), (code, True), words)

        delete = pb.DeleteVersionRequest(name=version.name)
        self.assert_refused(grpc.StatusCode.FAILED_PRECONDITION, "is loaded", self.stub.DeleteVersion, delete)
        self.stub.UnloadVersion(pb.UnloadVersionRequest(name=version.name), timeout=SECONDS)
        for _ in range(2):
            self.stub.DeleteVersion(delete, timeout=SECONDS)
        self.assert_refused(grpc.StatusCode.NOT_FOUND, version.name, self.stub.GetVersion, pb.GetVersionRequest(name=version.name))
        again = self.ended(self.stub.Train, self.train_request("again"))
        self.assertEqual((again.version.name, again.version.digest), ("models/nearest/versions/3", version.digest))
        self.assertGreater(again.compute_seconds, 0)
        self.assertGreater(again.compute_seconds, again.version.training_seconds)
        known = self.ended(self.stub.Train, self.train_request("known"))
        self.assertEqual((known.compute_seconds, known.saved_seconds), (0, again.version.training_seconds))

    def test_jobs_are_watched_until_they_end(self):
        self.parent.may_answer.clear()
        self.assertEqual(self.stub.Train(self.train_request("train"), timeout=SECONDS).state, pb.Job.RUNNING)
        request = pb.WatchJobRequest(name="jobs/train")
        left = [self.stub.WatchJob(request) for _ in range(24)]  # As many as may watch.
        for one in left:
            self.assertEqual(next(one).state, pb.Job.RUNNING)
        self.assert_refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "GetJob", self.stub.WatchJob, request)
        for one in left:
            one.cancel()
        watch, give_up = None, time.monotonic() + SECONDS
        while watch is None:  # Those who have gone hold no place, once the service has heard of it.
            try:
                watch = self.stub.WatchJob(request, timeout=SECONDS)
                self.assertEqual(next(watch).state, pb.Job.RUNNING)
            except grpc.RpcError as error:
                self.assertEqual(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
                self.assertLess(time.monotonic(), give_up)
                watch = None
        self.parent.may_answer.set()
        (ended,) = watch
        self.assertEqual((ended.state, ended.version.name), (pb.Job.SUCCEEDED, "models/nearest/versions/1"))
        self.assertEqual(list(self.stub.WatchJob(request, timeout=SECONDS)), [ended])
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "jobs/none", self.stub.WatchJob, pb.WatchJobRequest(name="jobs/none"))

    def test_a_watch_does_not_hold_up_the_end(self):
        self.stub.Train(self.train_request("hung", self.hung_endpoint()), timeout=SECONDS)
        watch = self.stub.WatchJob(pb.WatchJobRequest(name="jobs/hung"))
        self.assertEqual(next(watch).state, pb.Job.RUNNING)
        begin = time.monotonic()
        self.stop()
        self.assertLess(time.monotonic() - begin, GRACE_SECONDS)
        with self.assertRaises(grpc.RpcError) as ended:
            next(watch)
        self.assertEqual(ended.exception.code(), grpc.StatusCode.UNAVAILABLE)

    def test_what_is_kept_grows_by_what_is_added(self):
        version = self.trained()
        request = self.evaluate_request(version)
        written = []
        for i in range(20):
            request.request_id = f"evaluate/{i}"
            before = self.written()
            self.assertEqual(self.ended(self.stub.Evaluate, request).state, pb.Job.SUCCEEDED)
            written.append(self.written() - before)
        self.assertLess(sum(written[10:]), 2 * sum(written[:10]))  # The whole state would be more each time.

    def written(self):
        """Bytes that the service has written so far."""
        with open(f"/proc/{self.process.pid}/io", encoding="ascii") as file:
            return int(dict(line.split(": ") for line in file.read().splitlines())["wchar"])

    def test_values_are_checked_before_anything_runs(self):
        request = pb.ResolveRecipeRequest(model="models/nearest", recipe=pb.Recipe(name="nearest"))
        self.assertEqual(dict(self.stub.ResolveRecipe(request, timeout=SECONDS).recipe.parameters), {"k": 3})
        for k in (0, 1001, 2.5, "three", True):
            request.recipe.parameters["k"] = k
            self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "recipe.parameters.k must be", self.stub.ResolveRecipe, request)


class ShapesTest(unittest.TestCase):
    """What a model's functions return is held against its description, before it can be stretched."""

    class Flat(StockModel):
        """Says what it is fed, without its last axis."""
        name, inputs, outputs = "flat", {"x": ("FP64", [-1])}, {"y": ("FP64", [-1])}
        targets = ["x"]

        def predict(self, weights, data, parameters):
            return {"y": data["x"][:, 0]}

    def test_an_output_or_a_loss_of_another_shape_is_refused(self):
        service, data = StockService(self.Flat(), None), {"x": numpy.ones((3, 1))}
        with self.assertRaisesRegex(Refusal, r"y of shape \[3, -1\], a row for each example .*: got \[3\]"):
            service.predict(None, {"input.x": [1]}, data, None)
        self.assertEqual(list(service.losses({"y": numpy.zeros((3, 1))}, data, 3)["loss"]), [1, 1, 1])
        with self.assertRaisesRegex(Refusal, r"each of the 3 examples: loss has shape \[4\]"):
            service.losses({"y": numpy.zeros((4, 1))}, {"x": numpy.zeros((4, 1))}, 3)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
