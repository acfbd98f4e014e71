#!/usr/bin/python3
"""What services/python promises of parents: ones that hang, are lost, refuse, or give what they did not state; and what a service
states of itself.

Argument: the folder of backfire's binaries; see python_service_kit.py.
"""
import os
import signal
import struct
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from python_service_kit import DIGEST, GRACE_SECONDS, SECONDS, ServiceCase  # noqa: E402
import grpc  # noqa: E402
from backfire_commitments import OutputsHasher  # noqa: E402
from backfire_service import Resampling, pb  # noqa: E402


class PythonParentsTest(ServiceCase):
    def test_a_hung_parent_holds_up_nothing_else(self):
        version = self.loaded()
        jobs = [self.stub.Train.future(self.train_request(f"hung/{i}", self.hung_endpoint(), 2), timeout=SECONDS)
                for i in range(16)]
        materialize = pb.MaterializeRequest(version=version.name, split="test")
        materialize.endpoints.by_model["models/feature"] = self.hung_endpoint()
        calls = [self.stub.Materialize(materialize) for _ in range(80)]  # More than it has threads.
        connection, _ = self.hung.accept()
        self.addCleanup(connection.close)
        self.assertEqual({job.result().state for job in jobs}, {pb.Job.RUNNING})
        self.assertTrue(self.health())
        response = self.inference.ModelInfer(self.infer_request([1, 1]), timeout=SECONDS)
        self.assertEqual(struct.unpack("<2d", response.raw_output_contents[0]), (1, 1))
        self.assertEqual(self.stub.GetJob(pb.GetJobRequest(name="jobs/hung/0"), timeout=SECONDS).state, pb.Job.RUNNING)
        for call in calls:
            call.cancel()

        begin = time.monotonic()
        self.stop()
        self.assertLess(time.monotonic() - begin, GRACE_SECONDS)  # Nobody waits for them.
        self.start()
        self.assertEqual(self.trained().digest, version.digest)
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "jobs/hung/0", self.stub.GetJob,
                            pb.GetJobRequest(name="jobs/hung/0"))
        again = self.ended(self.stub.Train, self.train_request("hung/0", version=2))  # It is done anew.
        self.assertEqual((again.version.name, again.version.digest), (version.name, version.digest))  # Of other numbers of parents' versions, but with the same digests.

    def test_a_call_that_waits_for_a_parent_ends_with_the_grace(self):
        request = pb.MaterializeRequest(version=self.trained().name, split="test")
        request.endpoints.by_model["models/feature"] = self.hung_endpoint()
        call = self.stub.Materialize(request, timeout=2 * SECONDS)
        connection, _ = self.hung.accept()
        self.addCleanup(connection.close)
        self.stop(signal.SIGINT)
        self.assertIn(call.code(), (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE))

    def test_a_parent_that_is_lost_is_asked_again(self):
        self.parent.failures = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                                grpc.StatusCode.RESOURCE_EXHAUSTED]
        self.trained()
        self.assertEqual(self.parent.pulls, 5)

    def commitments(self, split):
        """What FakeParent gives for each input, as its service would state it."""
        hasher = OutputsHasher()
        for example in range(3):
            hasher.add("", "ab"[example % 2], {"y": ("FP64", [2], struct.pack("<2d", example, example))})
        # FakeParent's versions have one digest, as their outputs are the same.
        return [pb.OutputsCommitment(version="models/feature/versions/1", version_digest=DIGEST, dataset_digest=DIGEST,
                                     split=split, example_count=3, outputs_digest=hasher.finish())]

    def test_the_digest_of_outputs_is_the_documented_one(self):
        hasher = OutputsHasher()
        hasher.add("a", "", {"y": ("FP64", [1], struct.pack("<d", 2))})
        self.assertEqual(hasher.finish(), "3ca93367f7b5ba319cbbaa4078b7f5898ab5cfb0e97b698a78d2104c35602d1d")

    def test_what_is_pulled_is_held_to_what_was_committed_to(self):
        free = self.trained()
        self.assertEqual(len(free.trained_on), 0)
        request = self.train_request("held")
        request.commitments.extend(self.commitments("train") + self.commitments("validation") + self.commitments("test"))
        job = self.ended(self.stub.Train, request)
        self.assertEqual(job.state, pb.Job.SUCCEEDED, job.error_message)
        self.assertEqual([held.split for held in job.version.trained_on], ["train", "validation"])
        self.assertNotEqual(job.version.input_key, free.input_key)

        evaluate = self.evaluate_request(job.version)
        evaluate.commitments.extend(self.commitments("test"))
        evaluated = self.ended(self.stub.Evaluate, evaluate)
        self.assertEqual(list(evaluated.evaluation.commitments), self.commitments("test"))

        # Other outputs than their service gives: by another process, or another machine.
        for split, other in (("train", "outputs_digest"), ("train", "dataset_digest"), ("validation", "outputs_digest"),
                             ("validation", "dataset_digest"), ("population", "outputs_digest"), ("test", "outputs_digest")):
            request = self.train_request(f"other-{split}-{other}")
            wrong = self.commitments(split)
            setattr(wrong[0], other, "1" * 64)
            request.commitments.extend(wrong)
            job = self.ended(self.stub.Train, request)
            if split == "test":
                self.assertEqual(job.state, pb.Job.SUCCEEDED, "a training does not read it")
                # The service commits, and not to what was read: what came is written down.
                (read,), (known,) = job.version.trained_on, self.commitments("train")
                self.assertEqual(read, known)
                continue
            self.assertEqual(job.state, pb.Job.FAILED)
            code = grpc.StatusCode.DATA_LOSS if other == "outputs_digest" else grpc.StatusCode.FAILED_PRECONDITION
            self.assertEqual(job.error_code, code.value[0])
            self.assertIn("models/feature/versions/1", job.error_message)

        evaluate.request_id, evaluate.split = "uncommitted", "validation"
        uncommitted = self.ended(self.stub.Evaluate, evaluate)
        self.assertEqual(uncommitted.error_code, grpc.StatusCode.FAILED_PRECONDITION.value[0], uncommitted)
        self.assertIn("on split validation, as they have of its other splits", uncommitted.error_message)

        request = self.train_request("malformed")
        request.commitments.extend(self.commitments("train"))
        request.commitments[0].outputs_digest = "1"
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "commitments[0].outputs_digest", self.stub.Train, request)

    def test_outputs_are_committed_to(self):
        version = self.trained()
        request = pb.CommitOutputsRequest(request_id="commit", version=version.name, digest=version.digest, split="test",
                                          dataset=pb.Dataset(uri="made-up"), commitments=self.commitments("test"))
        request.endpoints.CopyFrom(self.train_request("").endpoints)
        job = self.ended(self.stub.CommitOutputs, request)
        self.assertEqual(job.state, pb.Job.SUCCEEDED, job.error_message)
        hasher = OutputsHasher()
        for piece in self.stub.Materialize(pb.MaterializeRequest(
                version=version.name, split="test", dataset=request.dataset, endpoints=request.endpoints), timeout=SECONDS):
            self.assertTrue(piece.last_piece)
            hasher.add(piece.example_id, piece.cluster, {piece.output: (piece.datatype, list(piece.shape), piece.data)})
        self.assertEqual(job.commitment, pb.OutputsCommitment(
            version=version.name, version_digest=version.digest, dataset_digest=DIGEST, split="test", example_count=3,
            outputs_digest=hasher.finish()))
        # What its parents gave is what it computes on.
        request.request_id, request.commitments[0].outputs_digest = "commit-on-others", "1" * 64
        self.assertEqual(self.ended(self.stub.CommitOutputs, request).error_code, grpc.StatusCode.DATA_LOSS.value[0])

    def test_what_a_parent_refuses_fails_the_job(self):
        self.parent.failures = [grpc.StatusCode.DATA_LOSS]
        job = self.ended(self.stub.Train, self.train_request("train"))
        self.assertEqual((job.state, job.error_code), (pb.Job.FAILED, grpc.StatusCode.DATA_LOSS.value[0]))
        self.stop()
        self.start()
        self.assertEqual(self.stub.Train(self.train_request("train"), timeout=SECONDS), job)

    def test_outputs_that_do_not_fit_fail_the_job(self):
        version = self.trained()
        for what, change, words in (
                ("datatype", {"datatype": "FP32"}, "must be FP64"),
                ("no examples", {"counts": {"models/feature/versions/2": 0}}, "has no examples"),
                ("other counts", {"counts": {"models/feature/versions/2": 2}}, "feature has 2 examples and teacher 3")):
            with self.subTest(what):
                self.parent.datatype, self.parent.counts = "FP64", {}
                vars(self.parent).update(change)
                job = self.ended(self.stub.Train, self.train_request(what.replace(" ", "-"), version=2))
                self.assertEqual(job.state, pb.Job.FAILED)
                self.assertIn(words, job.error_message)
        for change, words in (({"hollow": True}, "a piece without bytes that is not its last"), ({"others": 1001}, "1000 outputs of one")):
            vars(self.parent).update({"hollow": False, "others": 0, "datatype": "FP64", "counts": {}, **change})
            job = self.ended(self.stub.Train, self.train_request("-".join(change), version=2))
            self.assertEqual((job.state, words in job.error_message), (pb.Job.FAILED, True), job.error_message)
        self.parent.hollow, self.parent.others = False, 0
        self.parent.width = 1  # It would be stretched to two.
        self.parent.datatype, self.parent.counts = "FP64", {}
        job = self.ended(self.stub.Evaluate, self.evaluate_request(version))
        self.assertEqual(job.state, pb.Job.FAILED)
        self.assertIn("feature must have shape [2]", job.error_message)

    def test_examples_of_a_cluster_are_drawn_together(self):
        request = self.evaluate_request(self.trained())
        request.bootstrap.resample_count = 5
        evaluation = self.ended(self.stub.Evaluate, request).evaluation
        loss = evaluation.losses[0]
        self.assertEqual((evaluation.example_count, evaluation.cluster_count), (3, 2))  # Clusters a, b, a.
        self.assertEqual((loss.example_count, loss.cluster_count, len(loss.resampled)), (3, 2, 5))
        self.assertAlmostEqual(loss.effective_cluster_count, (4 + 1)**2 / (16 + 1))

        # Resample 3 of seed 7 draws clusters 0 6 2 6 1 2 6 3 of eight, by exact integers outside of this program.
        names = [*"abcdefgh", "g", ""]
        resampling = Resampling(pb.Bootstrap(seed=7, resample_count=4), names[:-1])
        self.assertEqual(list(resampling.counts())[3].tolist(), [1, 1, 2, 1, 0, 0, 3, 0, 3])
        evaluation, values = pb.Evaluation(), [1.0, 2, 3, 4, 5, 6, 7, 8, 9]
        resampling.add_loss(evaluation, "mae", values, weights=[1, 1, 1, 1, 1, 1, 2, 1, 0])
        loss = evaluation.losses[0]
        self.assertAlmostEqual(loss.resampled[3], (1 + 2 + 6 + 4 + 3 * 2 * 7) / (5 + 6))
        self.assertEqual((loss.example_count, loss.cluster_count, loss.effective_cluster_count), (8, 8, 8))
        self.assertEqual(evaluation.cluster_count, 8)
        alone = Resampling(pb.Bootstrap(resample_count=1), ["", "", "a", ""])
        self.assertEqual((alone.drawn, alone.named), (4, True))
        self.assertFalse(Resampling(pb.Bootstrap(), ["", ""]).named)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
