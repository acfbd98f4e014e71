#!/usr/bin/python3
"""k nearest neighbours as a model of a Backfire system: it learns to imitate a teacher.

It reads no dataset: both its inputs come from other vertices, `feature` (what it looks at) and `teacher` (what it should
say). docs/own-models.md walks through it.
"""
import numpy
from backfire_service import VersionMethods, check, pb, pull, resample, rpc, serve, sha256, v2, v2_rpc

MODEL = pb.Model(name="models/nearest", kind=pb.Model.MODEL, description="k nearest neighbours, taught by a vertex.",
                 capabilities=[pb.LOAD_VERSION, pb.LIST_VERSIONS, pb.INFER], build_fingerprint=sha256(open(__file__).read()))
for tensor in (MODEL.inputs.add(name="feature"), MODEL.inputs.add(name="teacher"), MODEL.outputs.add(name="y")):
    tensor.datatype, tensor.shape[:] = "FP64", [-1]
MODEL.recipes.add(name="nearest").parameters.update({"k": 3})
MODEL.losses.add(name="disagreement", unit="1", maximum=float("inf"), description="Mean of |y - teacher|.")


def predict(version, weights, feature):
    distances = ((numpy.array(weights["feature"]) - feature) ** 2).sum(axis=1)
    nearest = distances.argsort(kind="stable")[:int(version.recipe.parameters["k"])]
    return numpy.array(weights["teacher"])[nearest].mean(axis=0)


class NearestNeighbour(VersionMethods, rpc.ModelServiceServicer, v2_rpc.GRPCInferenceServiceServicer):
    def __init__(self, store):
        self.store = store

    def GetModel(self, request, context):
        check(context, request.name in ("", MODEL.name), "NOT_FOUND", f"no {request.name} here; there is {MODEL.name}")
        return MODEL

    def GetJob(self, request, context):
        return self.store.job(request.name, context)

    def Train(self, request, context):
        given = dict(request.recipe.parameters)
        check(context, request.recipe.name == "nearest" and set(given) <= {"k"}, "INVALID_ARGUMENT",
              f"recipe must be nearest, with parameter k: got {request.recipe.name!r} with {sorted(given)}")
        k = given.get("k", 3)
        check(context, k in range(1, 1001), "INVALID_ARGUMENT", f"recipe.parameters.k must be 1 to 1000: got {k}")
        parents = {parent.input: parent for parent in request.lineage}
        check(context, set(parents) == {"feature", "teacher"}, "INVALID_ARGUMENT", "lineage must feed feature and teacher")
        check(context, request.dataset.uri, "INVALID_ARGUMENT", "dataset.uri must not be empty")

        def work(job):
            version, weights = job.version, {}
            for name in sorted(parents):
                rows, version.dataset.digest = pull(parents[name], request, "train")
                weights[name] = rows.tolist()
                version.lineage.append(parents[name])
            version.recipe.name, version.dataset.uri = "nearest", request.dataset.uri
            version.recipe.parameters.update({"k": k})
            version.build_fingerprint = MODEL.build_fingerprint
            version.input_key = sha256(k, version.dataset.digest, version.build_fingerprint,
                                       [(parent.input, parent.output, parent.digest) for parent in version.lineage])
            self.store.add(MODEL.name, version, weights)
        return self.store.run(request, context, work)

    def Evaluate(self, request, context):
        version, weights = self.store.version(request.version, context)
        check(context, request.split in ("train", "validation", "test"), "INVALID_ARGUMENT",
              f"split must be train, validation or test: got {request.split!r}")

        def work(job):
            parents = {parent.input: parent for parent in request.swapped_parents or version.lineage}
            features, _ = pull(parents["feature"], request, request.split)
            teacher, job.evaluation.dataset_digest = pull(parents["teacher"], request, request.split)
            answers = numpy.array([predict(version, weights, feature) for feature in features])
            errors = abs(answers - teacher).mean(axis=1)
            job.evaluation.example_count = len(errors)
            resampled = [errors[resample(request.bootstrap, b, len(errors))].mean()
                         for b in range(request.bootstrap.resample_count)]
            job.evaluation.losses.add(loss="disagreement", value=errors.mean(), resampled=resampled, judged=True)
            job.version.CopyFrom(version)
        return self.store.run(request, context, work)

    def Materialize(self, request, context):
        version, weights = self.store.version(request.version, context)
        check(context, request.digest in ("", version.digest), "DATA_LOSS", f"{version.name} has digest {version.digest}")
        features, _ = pull(version.lineage[0], request, request.split, context)  # Sorted: `feature` is the first.
        for example in request.examples or range(len(features)):
            check(context, 0 <= example < len(features), "INVALID_ARGUMENT", f"examples must be below {len(features)}")
            y = predict(version, weights, features[example])
            yield pb.MaterializeResponse(example=example, example_id=f"{example:06}", output="y", datatype="FP64",
                                         shape=y.shape, data=y.astype("<f8").tobytes(), last_piece=True)

    def LoadVersion(self, request, context):  # What is on disk is in memory already.
        self.store.version(request.name, context)
        return pb.LoadVersionResponse()

    def UnloadVersion(self, request, context):
        return pb.UnloadVersionResponse()

    def ModelInfer(self, request, context):
        number = request.model_version or str(len(self.store.state["versions"]))
        version, weights = self.store.version(f"models/{request.model_name}/versions/{number}", context)
        raw = dict(zip((tensor.name for tensor in request.inputs), request.raw_input_contents))
        width = len(weights["feature"][0])
        check(context, len(raw.get("feature", b"")) == 8 * width, "INVALID_ARGUMENT",
              f"input \"feature\" must be {width} numbers, FP64, as raw contents")
        y = predict(version, weights, numpy.frombuffer(raw["feature"], "<f8"))
        response = v2.ModelInferResponse(model_name=request.model_name, model_version=number, id=request.id,
                                         raw_output_contents=[y.astype("<f8").tobytes()])
        response.outputs.add(name="y", datatype="FP64", shape=y.shape)
        return response


if __name__ == "__main__":
    serve(NearestNeighbour, __doc__.splitlines()[0])
