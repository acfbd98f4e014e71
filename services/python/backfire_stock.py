"""A service from a model's own three functions: `fit`, `predict` and `loss`. docs/own-models.md walks through one."""
import hashlib
import io
import os
import sys
import types

import numpy
from backfire_commitments import Commitments, OutputsHasher
from backfire_metrics import VERSION
from backfire_model import Parameter, Split, StockModel, describe, read_arrays  # noqa: F401
from backfire_roots import check_dataset_uri
from backfire_service import (NUMBERS, Resampling, VersionMethods, check, check_evaluation, check_lineage, check_split, pb, pull,
                              read_inputs, rpc, serve, sha256, v2, v2_rpc)
from backfire_store import STOPPING, compute_input_key

MOST_FILE_BYTES, PIECE_BYTES = 1 << 30, 1 << 20


def example_id(example):
    """The name of an example, by its position in the split."""
    return f"{example:06}"


def pack(arrays):
    """A dict of arrays as the bytes of an .npz file; equal for equal arrays."""
    file = io.BytesIO()
    numpy.savez(file, **{name: numpy.asarray(arrays[name]) for name in sorted(arrays)})
    return file.getvalue()


def unpack(data):
    """The reverse. Runs no code of the file. ValueError: it is no such file."""
    try:
        with numpy.load(io.BytesIO(data), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # Of zipfile, numpy, struct ...
        raise ValueError(f"it must be a .npz file of arrays without objects: {error}") from error


class StockService(VersionMethods, rpc.ModelServiceServicer, v2_rpc.GRPCInferenceServiceServicer):
    """Serves a StockModel."""

    CAPABILITIES = [*VersionMethods.VERSION_CAPABILITIES, pb.INFER, pb.RESOLVE_RECIPE, pb.IMPORT_VERSION, pb.EXPORT_VERSION,
                    pb.COMMIT_OUTPUTS]

    def __init__(self, model, store):
        self.model, self.store, self.description = model, store, describe(model, self.CAPABILITIES)
        self.name = self.description.name

    def GetModel(self, request, context):
        check(context, request.name in ("", self.name), "NOT_FOUND", f"no {request.name} here; there is {self.name}")
        return self.description

    def resolve(self, recipe, context):
        """The complete recipe, and its parameters as the model's functions get them."""
        declared = self.model.recipes.get(recipe.name)
        check(context, declared is not None, "INVALID_ARGUMENT",
              f"recipe.name must be one of {sorted(self.model.recipes)}: got {recipe.name!r}")
        given, names = dict(recipe.parameters), sorted(parameter.name for parameter in declared)
        for name in sorted(set(given) - set(names)):
            check(context, False, "INVALID_ARGUMENT",
                  f"recipe.parameters.{name}: recipe {recipe.name} has no such parameter; it has {names}")
        values = {parameter.name: parameter.read(context, given.get(parameter.name, parameter.default)) for parameter in declared}
        complete = pb.Recipe(name=recipe.name)
        complete.parameters.update(values)
        return complete, types.SimpleNamespace(recipe=recipe.name, **values)

    def ResolveRecipe(self, request, context):
        self.GetModel(pb.GetModelRequest(name=request.model), context)
        complete, _ = self.resolve(request.recipe, context)
        if request.HasField("dataset"):
            check(context, request.dataset.uri, "INVALID_ARGUMENT", "dataset.uri must not be empty")
            self.read(request.dataset.uri, "train")
        return pb.ResolveRecipeResponse(recipe=complete)

    def read(self, uri, split):
        """What the model reads of a dataset that a request names: the one way to it."""
        check_dataset_uri(uri)
        return self.model.read(uri, split)

    def check_fed(self, context, field, lineage, uri):
        """Refuses parents that don't feed what the dataset leaves to be fed."""
        split = self.read(uri, "train")
        missing = set(self.model.inputs) - set(split.arrays if split else ())
        fed = {parent.input for parent in lineage}
        check_lineage(context, field, lineage, missing | (fed & set(self.model.inputs)))

    def gather(self, lineage, request, split, context=None, observed=None):
        """All arrays of a split, its dataset's digest, and the examples' clusters. `observed` as `pull` has it."""
        check_split(context, split)
        own = self.read(request.dataset.uri, split)
        data, clusters = dict(own.arrays) if own else {}, (own.clusters if own else None) or []
        digest, sources = own.digest if own else "", {name: "the dataset" for name in data}
        for parent in sorted(lineage, key=lambda parent: parent.input):
            data[parent.input], pulled, named = pull(parent, request, split, context, self.model.inputs[parent.input][0],
                                                               observed)
            digest, clusters, sources[parent.input] = digest or pulled, clusters or named, parent.version
        counts = {name: len(rows) for name, rows in data.items()}
        (first, count), *others = counts.items()
        for name, other in others:
            check(context, other == count, "FAILED_PRECONDITION", f"{first} has {count} examples and {name} {other}: "
                  f"do the services of {sources[first]} and {sources[name]} read the same dataset?")
        return data, digest, clusters or [""] * count

    def predict(self, context, weights, data, parameters):
        """Outputs as the signature has them."""
        own = {name[len("weights."):]: array for name, array in weights.items() if name.startswith("weights.")}
        for name in self.model.inputs:
            learnt = [int(size) for size in weights["input." + name]]
            check(context, name not in data or list(data[name].shape[1:]) == learnt, "INVALID_ARGUMENT",
                  f"{name} must have shape {learnt}, as in training: got {list(data[name].shape[1:]) if name in data else None}")
        given = self.model.predict(own, data, parameters)
        rows, outputs = len(next(iter(data.values()))), {}
        for name, (datatype, shape) in self.model.outputs.items():
            outputs[name] = numpy.ascontiguousarray(given[name], NUMBERS[datatype])
            got, wanted = list(numpy.shape(given[name])), [rows, *shape]
            # An array that lacks an axis would be stretched, by its targets for one, without a word.
            check(context, len(got) == len(wanted) and all(size in (-1, one) for one, size in zip(got, wanted)), "INTERNAL",
                  f"predict must return {name} of shape {wanted}, a row for each example (-1: any size): got {got}")
        return outputs

    def losses(self, outputs, data, count):
        """Of each judged loss a number for each of so many examples."""
        given, found = self.model.loss(outputs, data), {}
        for name in self.model.losses:
            found[name] = numpy.asarray(given[name] if isinstance(given, dict) else given, float)
            check(None, found[name].shape == (count,), "INTERNAL",
                  f"loss must return a number for each of the {count} examples: {name} has shape {list(found[name].shape)}")
        return found

    def Train(self, request, context):
        self.GetModel(pb.GetModelRequest(name=request.model), context)
        recipe, parameters = self.resolve(request.recipe, context)
        check(context, request.dataset.uri, "INVALID_ARGUMENT", "dataset.uri must not be empty")
        check(context, request.seed >= 0, "INVALID_ARGUMENT", f"seed must be >= 0: got {request.seed}")
        self.check_fed(context, "lineage", request.lineage, request.dataset.uri)
        held = Commitments(context, request.commitments)

        def work(job):
            version = pb.Version(recipe=recipe, build_fingerprint=self.description.build_fingerprint,
                                 lineage=sorted(request.lineage, key=lambda parent: parent.input),
                                 seed=request.seed if self.model.uses_seed else 0,
                                 trained_on=held.of(request.lineage, "train", "validation", "population"))
            observed = []
            data, version.dataset.digest, _ = self.gather(version.lineage, request, "train", observed=observed)
            version.trained_on.extend(observed)
            # What is written down is verified, though `fit` reads the training split alone.
            for parent in version.lineage:
                for split in ("validation", "population"):
                    if held.of([parent], split):
                        pull(parent, request, split, None, self.model.inputs[parent.input][0])
            version.dataset.uri = request.dataset.uri
            known = self.store.find(compute_input_key(self.name, version))
            if known:
                job.version.CopyFrom(known)
                job.saved_seconds = known.training_seconds
                return True
            start = os.times().elapsed
            learnt = self.model.fit(data, parameters, version.seed)
            version.training_seconds = os.times().elapsed - start
            weights = {f"weights.{name}": array for name, array in learnt.items()}
            weights.update({f"input.{name}": data[name].shape[1:] for name in self.model.inputs})
            self.store.add(self.name, version, pack(weights))
            job.version.CopyFrom(version)
        return self.store.run(request, context, work)

    def Evaluate(self, request, context):
        version, data = self.store.version(request.version, context, request.digest)
        check(context, request.digest in ("", version.digest), "DATA_LOSS", f"{version.name} has digest {version.digest}")
        check_evaluation(context, request, [parent.input for parent in version.lineage])
        held = Commitments(context, request.commitments)

        def work(job):
            weights, (_, parameters) = unpack(data), self.resolve(version.recipe, None)
            given, digest, clusters = self.gather(request.swapped_parents or version.lineage, request, request.split)
            resampling = Resampling(request.bootstrap, clusters)
            for name, values in self.losses(self.predict(None, weights, given, parameters), given, len(clusters)).items():
                resampling.add_loss(job.evaluation, name, values)
            job.evaluation.dataset_digest = digest
            job.evaluation.commitments.extend(held.of(request.swapped_parents or version.lineage, request.split))
            job.version.CopyFrom(version)
        return self.store.run(request, context, work)

    def outputs(self, version, data, request, context):
        """A version's outputs on a split, arrays by name; its dataset's digest; and the examples' clusters."""
        given, digest, clusters = self.gather(version.lineage, request, request.split, context)
        return self.predict(context, unpack(data), given, self.resolve(version.recipe, context)[1]), digest, clusters

    def CommitOutputs(self, request, context):
        version, data = self.store.version(request.version, context, request.digest)
        check_split(context, request.split)
        check(context, request.dataset.uri, "INVALID_ARGUMENT", "dataset.uri must not be empty")
        Commitments(context, request.commitments)

        def work(job):
            outputs, digest, clusters = self.outputs(version, data, request, None)
            hasher = OutputsHasher()
            for example, cluster in enumerate(clusters):
                hasher.add(example_id(example), cluster, {
                    name: (self.model.outputs[name][0], rows.shape[1:], rows[example].tobytes()) for name, rows in outputs.items()})
            job.commitment.version, job.commitment.version_digest = version.name, version.digest
            job.commitment.dataset_digest, job.commitment.split = digest, request.split
            job.commitment.example_count, job.commitment.outputs_digest = len(clusters), hasher.finish()
            job.version.CopyFrom(version)
        return self.store.run(request, context, work)

    def Materialize(self, request, context):
        version, data = self.store.version(request.version, context, request.digest)
        check(context, request.digest in ("", version.digest), "DATA_LOSS", f"{version.name} has digest {version.digest}")
        outputs, _, clusters = self.outputs(version, data, request, context)
        for example in request.examples:
            check(context, 0 <= example < len(clusters), "INVALID_ARGUMENT",
                  f"examples must be 0 to {len(clusters) - 1}: got {example}")
        for example in request.examples or range(len(clusters)):
            for position, (name, rows) in enumerate(outputs.items()):
                row, first = rows[example].tobytes(), True
                for at in range(0, max(len(row), 1), PIECE_BYTES):
                    piece = pb.MaterializeResponse(example=example, output=name, data=row[at:at + PIECE_BYTES],
                                                   last_piece=at + PIECE_BYTES >= len(row))
                    if first:
                        piece.datatype, piece.shape[:] = self.model.outputs[name][0], rows.shape[1:]
                        if position == 0:
                            piece.example_id, piece.cluster = example_id(example), clusters[example]
                    first = False
                    yield piece

    def served(self, model, number, context):
        """The name of the version that a request is for, without a number the newest that is loaded; refuses one that doesn't serve."""
        self.GetModel(pb.GetModelRequest(name=f"models/{model}"), context)
        loaded = self.store.loaded()
        check(context, number or loaded, "NOT_FOUND", f"there is no such version of {self.name}: none is loaded")
        name = f"{self.name}/versions/{number}" if number else loaded[-1]
        self.store.describe(name, context)
        check(context, name in loaded, "UNAVAILABLE", f"{name} is not loaded")
        return name

    def ServerLive(self, request, context):
        return v2.ServerLiveResponse(live=True)

    def ServerReady(self, request, context):
        return v2.ServerReadyResponse(ready=not STOPPING.is_set())

    def ModelReady(self, request, context):
        self.served(request.name, request.version, context)
        return v2.ModelReadyResponse(ready=True)

    def ServerMetadata(self, request, context):
        return v2.ServerMetadataResponse(name=os.path.basename(sys.argv[0]), version=VERSION)

    def ModelMetadata(self, request, context):
        self.served(request.name, request.version, context)
        response = v2.ModelMetadataResponse(name=request.name, platform="backfire_model",
                                            versions=[name.rpartition("/")[2] for name in self.store.loaded()])
        for tensors, model in ((response.inputs, self.model.inputs), (response.outputs, self.model.outputs)):
            for name, (datatype, shape) in model.items():
                if name not in self.model.targets:  # No request needs to bring these.
                    tensors.add(name=name, datatype=datatype, shape=shape)
        return response

    def ModelInfer(self, request, context):
        name = self.served(request.model_name, request.model_version, context)
        version, weights = self.store.version(name, context)
        wanted = [output.name for output in request.outputs] or list(self.model.outputs)
        unknown = sorted(set(wanted) - set(self.model.outputs))
        check(context, not unknown, "INVALID_ARGUMENT", f"outputs: there is {', '.join(self.model.outputs)}: got {unknown}")
        inputs = read_inputs(context, request, self.description.inputs, optional=set(self.model.targets))
        data = {name: array[numpy.newaxis] for name, array in inputs.items()}
        outputs = self.predict(context, unpack(weights), data, self.resolve(version.recipe, context)[1])
        response = v2.ModelInferResponse(model_name=request.model_name, model_version=name.rpartition("/")[2], id=request.id,
                                         raw_output_contents=[outputs[name][0].tobytes() for name in wanted])
        for name in wanted:
            response.outputs.add(name=name, datatype=self.model.outputs[name][0], shape=outputs[name].shape[1:])
        return response

    def ExportVersion(self, request, context):
        version, weights = self.store.version(request.name, context)
        digest = hashlib.sha256(weights).hexdigest()
        for at in range(0, len(weights), PIECE_BYTES):
            piece = pb.ExportVersionResponse(data=weights[at:at + PIECE_BYTES])
            if at == 0:
                piece.version.CopyFrom(version)
                piece.file_bytes, piece.file_digest = len(weights), digest
            yield piece

    def ImportVersion(self, requests, context):
        first = next(iter(requests), None)
        check(context, first is not None, "INVALID_ARGUMENT", "the import has no message")
        self.GetModel(pb.GetModelRequest(name=first.model), context)
        recipe, parameters = self.resolve(first.recipe, context)
        fed = {parent.input for parent in first.lineage}
        check_lineage(context, "lineage", first.lineage, fed & set(self.model.inputs))
        check(context, 0 < first.file_bytes <= MOST_FILE_BYTES, "INVALID_ARGUMENT",
              f"file_bytes must be 1 to {MOST_FILE_BYTES}: got {first.file_bytes}")
        data = bytearray(first.data)
        for request in requests:
            data += request.data
            check(context, len(data) <= first.file_bytes, "DATA_LOSS", f"more came than file_bytes, {first.file_bytes}")
        check(context, len(data) == first.file_bytes and first.file_digest in ("", hashlib.sha256(data).hexdigest()), "DATA_LOSS",
              f"{len(data)} bytes came, which are not the file of {first.file_bytes} that was announced; send it again")
        version = pb.Version(recipe=recipe, build_fingerprint=self.description.build_fingerprint,
                             lineage=sorted(first.lineage, key=lambda parent: parent.input))
        weights = self.check_file(context, bytes(data), parameters)
        version.imported_digest = hashlib.sha256(weights).hexdigest()
        self.store.add(self.name, version, weights)
        return version

    def check_file(self, context, data, parameters):
        """The weights in a file, if the model predicts by them."""
        try:
            weights = unpack(data)
            names = {"input." + name for name in self.model.inputs}
            check(context, names <= set(weights), "INVALID_ARGUMENT", f"the file must have the arrays {sorted(names)}, as an export")
            zeros = {name: numpy.zeros([1, *(int(size) for size in weights["input." + name])], NUMBERS[datatype])
                     for name, (datatype, _) in self.model.inputs.items()}
            self.predict(context, weights, zeros, parameters)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            check(context, False, "INVALID_ARGUMENT", f"the file is no version of recipe {parameters.recipe}: {error!r}")
        return pack(weights)


def serve_model(model):
    """A main: serves a StockModel until SIGTERM or SIGINT."""
    serve(lambda store: StockService(model, store), (type(model).__doc__ or model.name).strip().splitlines()[0])
