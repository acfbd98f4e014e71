#!/usr/bin/python3
"""k nearest neighbours as a model of a Backfire system: it learns to imitate a teacher.

It reads no dataset: both its inputs come from other vertices, `feature` (what it looks at) and `teacher` (what it should
say). docs/own-models.md walks through it.
"""
import numpy
from backfire_service import (VersionMethods, check, check_evaluation, check_lineage, check_split, pb, pull, read_inputs,
                              Resampling, rpc, serve, sha256, v2, v2_rpc)

MODEL = pb.Model(name="models/nearest", kind=pb.Model.MODEL, description="k nearest neighbours, taught by a vertex.",
                 capabilities=[pb.LOAD_VERSION, pb.LIST_VERSIONS, pb.INFER], build_fingerprint=sha256(open(__file__).read()))
for tensor in (MODEL.inputs.add(name="feature"), MODEL.inputs.add(name="teacher"), MODEL.outputs.add(name="y")):
    tensor.datatype, tensor.shape[:] = "FP64", [-1]
MODEL.recipes.add(name="nearest").parameters.update({"k": 3})
INPUTS = {"feature", "teacher"}
MODEL.losses.add(name="disagreement", unit="1", maximum=float("inf"), description="Mean of |y - teacher|.")


def predict(version, weights, feature):
    distances = ((numpy.array(weights["feature"]) - feature) ** 2).sum(axis=1)
    nearest = distances.argsort(kind="stable")[:int(version.recipe.parameters["k"])]
    return numpy.array(weights["teacher"])[nearest].mean(axis=0)


def check_counts(context, features, teacher):
    """Rows of both parents belong together."""
    check(context, len(features) == len(teacher), "FAILED_PRECONDITION",
          f"feature has {len(features)} examples and teacher {len(teacher)}: do their services read the same dataset?")


def check_width(context, name, rows, weights):
    """NumPy would stretch what has another size than in training."""
    width = len(weights[name][0])
    check(context, len(rows[0]) == width, "INVALID_ARGUMENT",
          f"{name} must have shape [{width}], as in training: got [{len(rows[0])}]")


class NearestNeighbour(VersionMethods, rpc.ModelServiceServicer, v2_rpc.GRPCInferenceServiceServicer):
    def __init__(self, store):
        self.store = store

    def GetModel(self, request, context):
        check(context, request.name in ("", MODEL.name), "NOT_FOUND", f"no {request.name} here; there is {MODEL.name}")
        return MODEL

    def GetJob(self, request, context):
        return self.store.job(request.name, context)

    def Train(self, request, context):
        self.GetModel(pb.GetModelRequest(name=request.model), context)
        given = dict(request.recipe.parameters)
        check(context, request.recipe.name == "nearest" and set(given) <= {"k"}, "INVALID_ARGUMENT",
              f"recipe must be nearest, with parameter k: got {request.recipe.name!r} with {sorted(given)}")
        k = given.get("k", 3)
        check(context, k in range(1, 1001), "INVALID_ARGUMENT", f"recipe.parameters.k must be 1 to 1000: got {k}")
        k = int(k)  # What a request carries is 3.0, and must be the same version as the default.
        check_lineage(context, "lineage", request.lineage, INPUTS)
        check(context, request.dataset.uri, "INVALID_ARGUMENT", "dataset.uri must not be empty")
        check(context, request.seed >= 0, "INVALID_ARGUMENT", f"seed must be >= 0: got {request.seed}")

        def work(job):
            version, weights = job.version, {}
            for parent in sorted(request.lineage, key=lambda parent: parent.input):
                rows, version.dataset.digest, _ = pull(parent, request, "train")
                weights[parent.input] = rows.tolist()
                version.lineage.append(parent)
            check_counts(context, weights["feature"], weights["teacher"])
            version.recipe.name, version.dataset.uri = "nearest", request.dataset.uri
            version.recipe.parameters.update({"k": k})
            version.build_fingerprint = MODEL.build_fingerprint
            version.input_key = sha256(k, version.dataset.digest, version.build_fingerprint,
                                       [(parent.input, parent.output, parent.digest) for parent in version.lineage])
            self.store.add(MODEL.name, version, weights)
        return self.store.run(request, context, work)

    def Evaluate(self, request, context):
        version, weights = self.store.version(request.version, context, request.digest)
        check_evaluation(context, request, INPUTS)

        def work(job):
            parents = {parent.input: parent for parent in request.swapped_parents or version.lineage}
            features, _, _ = pull(parents["feature"], request, request.split)
            teacher, job.evaluation.dataset_digest, clusters = pull(parents["teacher"], request, request.split)
            check_counts(context, features, teacher)
            check_width(context, "feature", features, weights)
            check_width(context, "teacher", teacher, weights)
            answers = numpy.array([predict(version, weights, feature) for feature in features])
            errors = abs(answers - teacher).mean(axis=1)
            Resampling(request.bootstrap, clusters).add_loss(job.evaluation, "disagreement", errors)
            job.version.CopyFrom(version)
        return self.store.run(request, context, work)

    def Materialize(self, request, context):
        version, weights = self.store.version(request.version, context, request.digest)
        check_split(context, request.split)
        features, _, clusters = pull(version.lineage[0], request, request.split, context)  # Sorted: `feature` is the first.
        check_width(context, "feature", features, weights)
        for example in request.examples:
            check(context, 0 <= example < len(features), "INVALID_ARGUMENT",
                  f"examples must be 0 to {len(features) - 1}: got {example}")
        for example in request.examples or range(len(features)):
            y = predict(version, weights, features[example])
            yield pb.MaterializeResponse(example=example, example_id=f"{example:06}", output="y", datatype="FP64",
                                         cluster=clusters[example], shape=y.shape, data=y.astype("<f8").tobytes(), last_piece=True)

    def ModelInfer(self, request, context):
        self.GetModel(pb.GetModelRequest(name=f"models/{request.model_name}"), context)
        number = request.model_version or str(len(self.store.state["versions"]))
        check(context, number != "0", "NOT_FOUND", f"there is no such version of {MODEL.name}")
        version, weights = self.store.version(f"{MODEL.name}/versions/{number}", context)
        unknown = sorted({output.name for output in request.outputs} - {"y"})
        check(context, not unknown, "INVALID_ARGUMENT", f"outputs: there is y: got {unknown}")
        inputs = read_inputs(context, request, MODEL.inputs, optional={"teacher"})  # Who asks need not know the answer.
        check_width(context, "feature", [inputs["feature"]], weights)
        y = predict(version, weights, inputs["feature"])
        response = v2.ModelInferResponse(model_name=request.model_name, model_version=number, id=request.id,
                                         raw_output_contents=[y.astype("<f8").tobytes()])
        response.outputs.add(name="y", datatype="FP64", shape=y.shape)
        return response


if __name__ == "__main__":
    serve(NearestNeighbour, __doc__.splitlines()[0])
