#!/usr/bin/python3
"""A service on services/python that breaks one promise of a model service, by --sabotage KIND; without it, an honest one.

--list prints the kinds. Argument PYTHON: the folder of backfire_stock.py.
"""
import argparse
import math
import os
import sys
import time
import types

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--python", required=True)
parser.add_argument("--sabotage", default="")
parser.add_argument("--list", action="store_true")
options, rest = parser.parse_known_args()
sys.argv[1:] = rest
sys.path.insert(0, options.python)

import numpy  # noqa: E402
import backfire_service  # noqa: E402
import backfire_stock  # noqa: E402
import backfire_store  # noqa: E402
from backfire_stock import Parameter, StockModel, StockService, pb, serve, sha256  # noqa: E402


class RandomFeatures(StockModel):
    """Ridge regression on random features, which the seed draws; judged by two losses."""
    name = "features"
    inputs = {"feature": ("FP64", [-1]), "teacher": ("FP64", [-1])}
    outputs = {"y": ("FP64", [-1]), "size": ("FP64", [1])}
    losses = {"loss": ("1", math.inf), "far": ("1", 1.0)}
    targets = ["teacher"]
    recipes = {"ridge": [Parameter("width", 6, "Random features.", minimum=1, maximum=100),
                         Parameter("alpha", 0.5, "Penalty of large weights.", minimum=1e-6)]}

    def fit(self, data, parameters, seed):
        random = numpy.random.default_rng(seed)
        directions = random.normal(size=(data["feature"].shape[1], parameters.width))
        hidden = numpy.tanh(data["feature"] @ directions)
        squares = hidden.T @ hidden + parameters.alpha * numpy.eye(parameters.width)
        return {"directions": directions, "weights": numpy.linalg.solve(squares, hidden.T @ data["teacher"])}

    def predict(self, weights, data, parameters):
        y = numpy.tanh(data["feature"] @ weights["directions"]) @ weights["weights"]
        return {"y": y, "size": abs(y).sum(axis=1, keepdims=True)}

    def loss(self, outputs, data):
        distance = abs(outputs["y"] - data["teacher"]).mean(axis=1)
        return {"loss": distance, "far": distance > 0.7}


SABOTAGES = {}


def sabotage(function):
    """A way to spoil a service, by its function's name."""
    SABOTAGES[function.__name__.replace("_", "-")] = function
    return function


def replace(holder, name, make):
    """Puts `make(old)` in the place of a function."""
    setattr(holder, name, make(getattr(holder, name)))


# What it states of its outputs, and holds its parents to.

@sabotage
def commitments_to_other_outputs(service):
    replace(backfire_stock.OutputsHasher, "finish", lambda old: lambda self: sha256(old(self)))


@sabotage
def parents_are_not_held_to_commitments(service):
    replace(backfire_service.Commitments, "hold", lambda old: lambda *arguments: None)


# What a version is known by, and what it is learnt from.

def key_of(keep):
    """Has an input_key be of what `keep` leaves of model, recipe, parameters, build, commitments and lineage."""
    replace(backfire_store, "sha256", lambda old: lambda kind, *rest: old(kind, *rest[:2], *keep(rest[2:])) if kind == "trained" else
            old(kind, *rest))


@sabotage
def key_without_parents(service):
    key_of(lambda made: made[:-1])


@sabotage
def key_of_first_parent(service):
    key_of(lambda made: (*made[:-1], made[-1][:1]))


@sabotage
def key_without_outputs(service):
    key_of(lambda made: (*made[:-1], [(fed, digest) for fed, _, digest in made[-1]]))


@sabotage
def key_without_inputs(service):
    key_of(lambda made: (*made[:-1], sorted(digest + output[-2:] for _, output, digest in made[-1])))


@sabotage
def key_without_parameters(service):
    key_of(lambda made: (*made[:2], *made[3:]))


@sabotage
def key_of_one_parameter(service):
    key_of(lambda made: (*made[:2], made[2]["width"], *made[3:]))


@sabotage
def key_without_seed(service):
    replace(backfire_store, "sha256", lambda old: lambda kind, *rest: old(kind, *rest[:1], *rest[2:])
            if kind == "trained" else old(kind, *rest))


@sabotage
def key_without_commitments(service):
    key_of(lambda made: (*made[:4], made[-1]))


@sabotage
def key_of_order(service):  # In which the lineage is listed.
    order = []

    def train(old):
        def call(request, context):
            order[:] = [parent.input for parent in request.lineage]
            return old(request, context)
        return call
    replace(service, "Train", train)
    key_of(lambda made: (*made, *order))


@sabotage
def key_of_each_request(service):
    key_of(lambda made: (*made, os.urandom(8).hex()))


@sabotage
def parameter_ignored(service):
    replace(service.model, "fit", lambda old: lambda data, parameters, seed:
            old(data, types.SimpleNamespace(width=6, alpha=parameters.alpha), seed))


@sabotage
def all_parameters_ignored(service):
    replace(service.model, "fit", lambda old: lambda data, parameters, seed:
            old(data, types.SimpleNamespace(width=6, alpha=0.5), seed))


@sabotage
def parameter_not_kept(service):
    def train(old):
        def call(request, context):
            job = old(request, context)
            job.version.recipe.parameters["alpha"] = 0.5
            return job
        return call
    replace(service, "Train", train)


@sabotage
def unseeded(service):
    replace(service.model, "fit", lambda old: lambda data, parameters, seed:
            old(data, parameters, int.from_bytes(os.urandom(4), "big")))


@sabotage
def seed_of_few_bits(service):
    replace(service.model, "fit", lambda old: lambda data, parameters, seed: old(data, parameters, seed % 8))


@sabotage
def warm_start(service):  # What is learnt depends on what was learnt before.
    before = {}

    def fit(old):
        def call(data, parameters, seed):
            learnt = old(data, parameters, seed)
            shape = learnt["weights"].shape
            learnt["weights"] = learnt["weights"] + 1e-6 * before.get(shape, 0)
            before[shape] = learnt["weights"]
            return learnt
        return call
    replace(service.model, "fit", fit)


@sabotage
def seed_ignored_in_part(service):  # It learns by the seed, and says of each that it was 0.
    replace(service.store, "add", lambda old: lambda model, version, weights:
            (setattr(version, "seed", 0), old(model, version, weights))[1])


# Who feeds it.

def pulling(change):
    """Puts `change(pull, parent, request, split, ...)` in the place of `pull`; what follows is for `pull`."""
    replace(backfire_stock, "pull", lambda old: lambda parent, request, split, *rest: change(old, parent, request, split, *rest))


def changed(parent, **fields):
    other = pb.Parent()
    other.CopyFrom(parent)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


@sabotage
def pull_without_digest(service):
    pulling(lambda old, parent, *rest: old(changed(parent, digest=""), *rest))


@sabotage
def pull_first_version(service):
    pulling(lambda old, parent, *rest: old(changed(parent, version=parent.version.rpartition("/")[0] + "/1", digest=""), *rest))


@sabotage
def pull_one_split(service):
    pulling(lambda old, parent, request, split, *rest: old(parent, request, "test", *rest))


@sabotage
def trained_on_test(service):
    replace(service, "gather", lambda old: lambda lineage, request, split, *rest, **named:
            old(lineage, request, "test" if isinstance(request, pb.TrainRequest) else split, *rest, **named))


@sabotage
def parents_kept_by_name(service):
    kept = {}

    def by_name(old, parent, request, split, *rest):
        key = (parent.version, parent.output, split, request.dataset.uri)
        if key not in kept:
            kept[key] = old(parent, request, split, *rest)
        return kept[key]
    pulling(by_name)


@sabotage
def lineage_said_and_not_used(service):  # It pulls whom it is told to, and learns from whom it knew first.
    first = {}

    def gather(old):
        def call(lineage, request, split, context=None, observed=None):
            data, *rest = old(lineage, request, split, context, observed)
            if isinstance(request, pb.TrainRequest):
                data = first.setdefault(split, data)
            return data, *rest
        return call
    replace(service, "gather", gather)


@sabotage
def parent_lost_at_once(service):
    backfire_service.PATIENCE_SECONDS = 0


@sabotage
def damage_accepted(service):
    def patient(old):
        def call(stub, parent, *rest):
            try:
                return old(stub, parent, *rest)
            except backfire_service.Refusal:
                return old(stub, changed(parent, version=parent.version.rpartition("/")[0] + "/1", digest=""), *rest)
        return call
    replace(backfire_service, "pull_patiently", patient)


@sabotage
def swap_ignored(service):
    def evaluate(old):
        def call(request, context):
            request.ClearField("swapped_parents")
            return old(request, context)
        return call
    replace(service, "Evaluate", evaluate)


@sabotage
def swap_read_and_ignored(service):
    def evaluate(old):
        def call(request, context):
            for parent in request.swapped_parents:
                backfire_stock.pull(parent, request, request.split, context)
            request.ClearField("swapped_parents")
            return old(request, context)
        return call
    replace(service, "Evaluate", evaluate)


@sabotage
def swap_of_one_input(service):
    def evaluate(old):
        def call(request, context):
            version = service.store.describe(request.version, context)
            for parent, own in zip(request.swapped_parents[1:], version.lineage[1:]):
                parent.CopyFrom(own)
            return old(request, context)
        return call
    replace(service, "Evaluate", evaluate)


@sabotage
def swap_by_position(service):
    def evaluate(old):
        def call(request, context):
            version = service.store.describe(request.version, context)
            for parent, own in zip(request.swapped_parents, version.lineage):
                parent.input = own.input
            return old(request, context)
        return call
    replace(service, "Evaluate", evaluate)


@sabotage
def swap_learns(service):  # It looks at what the swapped parents gave for the training split.
    def gather(old):
        def call(lineage, request, split, context=None, observed=None):
            if getattr(request, "swapped_parents", None):
                old(lineage, request, "train", context, observed)
            return old(lineage, request, split, context, observed)
        return call
    replace(service, "gather", gather)


@sabotage
def swap_kept(service):
    kept = {}

    def gather(old):
        def call(lineage, request, split, context=None, observed=None):
            swapped = getattr(request, "swapped_parents", None)
            if swapped:
                kept[request.version, split] = old(lineage, request, split, context)
            return kept.get((getattr(request, "version", ""), split)) or old(lineage, request, split, context)
        return call
    replace(service, "gather", gather)


@sabotage
def commitments_unheld_in_training(service):
    def without(old, parent, request, split, *rest):
        if isinstance(request, pb.TrainRequest):
            unheld = pb.TrainRequest()
            unheld.CopyFrom(request)
            unheld.ClearField("commitments")
            request = unheld
        return old(parent, request, split, *rest)
    pulling(without)


@sabotage
def trained_on_unsaid(service):
    replace(service.store, "add", lambda old: lambda model, version, weights:
            (version.ClearField("trained_on"), old(model, version, weights))[1])


@sabotage
def evaluated_on_unsaid(service):
    replace(backfire_stock.Commitments, "of", lambda old: lambda self, parents, *splits:
            [] if splits == ("test",) else old(self, parents, *splits))


# What is judged.

def drawing(make):
    replace(backfire_service, "draw", make)


@sabotage
def resample_generator(service):
    drawing(lambda old: lambda seed, n: numpy.random.default_rng(seed % 2**64).integers(0, n, n))


@sabotage
def resample_seed_ignored(service):
    drawing(lambda old: lambda seed, n: old(seed % 1000, n))  # Of 1000 resamples each seed has the same ones, turned round.


@sabotage
def resample_off_by_one(service):
    drawing(lambda old: lambda seed, n: numpy.minimum(old(seed, n) + (seed % 3 == 0), n - 1))


@sabotage
def resample_without_replacement(service):
    drawing(lambda old: lambda seed, n: numpy.unique(old(seed, n)))


@sabotage
def resample_reversed(service):
    drawing(lambda old: lambda seed, n: n - 1 - old(seed, n))


def clustering(change):
    replace(backfire_service.Resampling, "__init__", lambda old: lambda self, bootstrap, clusters: change(old, self, bootstrap, clusters))


@sabotage
def clusters_ignored(service):
    clustering(lambda old, self, bootstrap, clusters: old(self, bootstrap, [""] * len(clusters)))


@sabotage
def clusters_by_name(service):
    def sort(old, self, bootstrap, clusters):
        old(self, bootstrap, clusters)
        names = [name or f"{i:09}" for i, name in enumerate(clusters)]
        numbers = {name: number for number, name in enumerate(sorted(set(names)))}
        self.cluster_of = numpy.array([numbers[name] for name in names])
    clustering(sort)


@sabotage
def unnamed_examples_together(service):
    clustering(lambda old, self, bootstrap, clusters: old(self, bootstrap, [name or "unnamed" for name in clusters]))


@sabotage
def clusters_shifted(service):
    clustering(lambda old, self, bootstrap, clusters: old(self, bootstrap, [*clusters[1:], *clusters[:1]]))


def adding(change):
    """Puts `change(estimate, evaluation)` behind each loss that is added."""
    def add_loss(old):
        def call(self, evaluation, loss, values, weights=None, **fields):
            old(self, evaluation, loss, values, weights, **fields)
            change(evaluation.losses[-1], evaluation)
        return call
    replace(backfire_service.Resampling, "add_loss", add_loss)


@sabotage
def resamples_shrunken(service):  # Twice as sure as it is.
    adding(lambda estimate, _: estimate.resampled.__setitem__(
        slice(None), [(estimate.value + value) / 2 for value in estimate.resampled]))


@sabotage
def one_loss_not_resampled(service):
    adding(lambda estimate, _: estimate.loss == "far" and estimate.resampled.__setitem__(
        slice(None), [estimate.value] * len(estimate.resampled)))


@sabotage
def resamples_swapped(service):  # Between the losses' names.
    def swap(estimate, evaluation):
        if estimate.loss == "far":
            first, second = list(evaluation.losses[0].resampled), list(estimate.resampled)
            evaluation.losses[0].resampled[:], estimate.resampled[:] = second, first
    adding(swap)


@sabotage
def losses_swapped_by_swapped_parents(service):
    swapping = []
    replace(service, "gather", lambda old: lambda lineage, request, *rest, **named: (
        swapping.__setitem__(slice(None), getattr(request, "swapped_parents", ())), old(lineage, request, *rest, **named))[1])
    replace(service, "losses", lambda old: lambda outputs, data, count: (
        lambda found: {"loss": found["far"], "far": found["loss"] % 1} if swapping else found)(old(outputs, data, count)))


@sabotage
def nan_losses(service):
    adding(lambda estimate, _: setattr(estimate, "value", math.nan))


@sabotage
def nan_resamples(service):
    adding(lambda estimate, _: estimate.loss == "far" and estimate.resampled.__setitem__(
        slice(None), [math.nan] * len(estimate.resampled)))


@sabotage
def infinite_resamples(service):
    adding(lambda estimate, _: len(estimate.resampled) > 9 and estimate.resampled.__setitem__(9, math.inf))


@sabotage
def slices_dropped(service):  # Where parents are swapped.
    def run(old):
        def call(request, context, work):
            def sliced(job):
                existed = work(job)
                if isinstance(request, pb.EvaluateRequest) and not request.swapped_parents:
                    one = job.evaluation.losses.add()
                    one.CopyFrom(job.evaluation.losses[0])
                    one.slice, one.judged = "all", False
                return existed
            return old(request, context, sliced)
        return call
    replace(service.store, "run", run)


@sabotage
def half_left_out(service):
    replace(backfire_service.Resampling, "add_loss", lambda old: lambda self, evaluation, loss, values:
            old(self, evaluation, loss, values, numpy.arange(len(values)) * 2 < len(values)))


@sabotage
def losses_drift(service):
    count = iter(range(1, 10**9))
    replace(service.model, "loss", lambda old: lambda outputs, data: (
        lambda losses: {**losses, "loss": losses["loss"] + 1e-9 * next(count)})(old(outputs, data)))


@sabotage
def evaluation_of_train(service):
    def evaluate(old):
        def call(request, context):
            if request.split == "test":
                request.split = "train"
            return old(request, context)
        return call
    replace(service, "Evaluate", evaluate)


@sabotage
def evaluation_kept(service):
    kept = {}

    def evaluate(old):
        def call(request, context):
            first = pb.EvaluateRequest(bootstrap=request.bootstrap, swapped_parents=request.swapped_parents)
            first = kept.setdefault((request.version, request.split), first)
            request.ClearField("bootstrap")
            request.ClearField("swapped_parents")
            request.MergeFrom(first)
            return old(request, context)
        return call
    replace(service, "Evaluate", evaluate)


def newest(service, request):
    request.version, request.digest = service.store.list(0, 1000)[-1].name, ""


@sabotage
def evaluation_of_newest(service):
    replace(service, "Evaluate", lambda old: lambda request, context: (newest(service, request), old(request, context))[1])


@sabotage
def evaluation_digest_unchecked(service):
    replace(service, "Evaluate", lambda old: lambda request, context: (setattr(request, "digest", ""), old(request, context))[1])


@sabotage
def commitment_digest_unchecked(service):
    replace(service, "CommitOutputs", lambda old: lambda request, context: (
        setattr(request, "digest", ""), old(request, context))[1])


def naming(service, more):
    """Has jobs kept under a name that `more(request)` is added to, so that another request by a request_id is another job."""
    kept = {}

    def plain(job, name):
        job.name = name
        return job

    def run(old):
        def call(request, context, work):
            name = f"jobs/{request.request_id}"
            request.request_id += more(request)
            kept[name] = f"jobs/{request.request_id}"
            return plain(old(request, context, work), name)
        return call
    replace(service.store, "run", run)
    replace(service.store, "job", lambda old: lambda name, context: plain(old(kept.get(name, name), context), name))


@sabotage
def evaluation_request_id_reused(service):
    naming(service, lambda request: sha256(request.split)[:8] if isinstance(request, pb.EvaluateRequest) else "")


# What it gives.

@sabotage
def materialize_unsorted(service):
    def materialize(old):
        def call(request, context):
            order = sorted(request.examples)
            del request.examples[:]
            request.examples.extend(order)
            yield from old(request, context)
        return call
    replace(service, "Materialize", materialize)


@sabotage
def materialize_digest_unchecked(service):
    def materialize(old):
        def call(request, context):
            request.digest = ""
            yield from old(request, context)
        return call
    replace(service, "Materialize", materialize)


@sabotage
def materialize_drifts(service):
    count = iter(range(1, 10**9))
    replace(service.model, "predict", lambda old: lambda weights, data, parameters: (
        lambda outputs: {**outputs, "y": outputs["y"] + 1e-12 * next(count)})(old(weights, data, parameters)))


@sabotage
def materialize_datatype(service):
    def materialize(old):
        def call(request, context):
            for piece in old(request, context):
                piece.data = numpy.frombuffer(piece.data, "<f8").astype("<f4").tobytes()
                yield piece
        return call
    replace(service, "Materialize", materialize)


@sabotage
def materialize_of_newest(service):
    replace(service, "Materialize", lambda old: lambda request, context: (newest(service, request), old(request, context))[1])


def truncating(service, is_cut):
    def materialize(old):
        def call(request, context):
            pieces = list(old(request, context))
            yield from [piece for piece in pieces if not is_cut(request) or piece.example != pieces[-1].example]
        return call
    replace(service, "Materialize", materialize)


@sabotage
def materialize_truncated(service):
    truncating(service, lambda request: not request.examples)


@sabotage
def materialize_some_truncated(service):
    truncating(service, lambda request: request.examples)


@sabotage
def predict_by_batch(service):  # What an example gets depends on those beside it.
    replace(service.model, "predict", lambda old: lambda weights, data, parameters:
            old(weights, {**data, "feature": data["feature"] - data["feature"].mean(axis=0)}, parameters))


def inferring(change):
    replace(service_class, "ModelInfer", lambda old: lambda self, request, context: change(old, self, request, context))


service_class = StockService


def answer(response, change):
    response.raw_output_contents[0] = change(numpy.frombuffer(response.raw_output_contents[0], "<f8")).tobytes()
    return response


@sabotage
def infer_raises(service):
    inferring(lambda old, self, request, context: [][0])


@sabotage
def infer_other(service):
    inferring(lambda old, self, request, context: answer(old(self, request, context), lambda y: y + 0.01))


@sabotage
def infer_datatype(service):
    inferring(lambda old, self, request, context: answer(old(self, request, context), lambda y: y.astype("<f4")))


@sabotage
def infer_latest(service):
    def latest(old, self, request, context):
        number, request.model_version = request.model_version, self.store.loaded()[-1].rpartition("/")[2]
        response = old(self, request, context)
        response.model_version = number
        return response
    inferring(latest)


@sabotage
def infer_shares_memory(service):  # Between the threads of its calls.
    held = {}

    def predict(old):
        def call(weights, data, parameters):
            held["feature"] = data["feature"]
            time.sleep(0.01)
            return old(weights, {**data, "feature": held["feature"]}, parameters)
        return call
    replace(service.model, "predict", predict)


@sabotage
def infer_all_outputs(service):
    inferring(lambda old, self, request, context: (request.ClearField("outputs"), old(self, request, context))[1])


@sabotage
def infer_unloaded(service):
    def served(old):
        def call(model, number, context):
            try:
                return old(model, number, context)
            except backfire_service.Refusal as refusal:
                if refusal.code != "UNAVAILABLE":
                    raise
                return f"models/{model}/versions/{number}"
        return call
    replace(service, "served", served)


@sabotage
def infer_constant(service):
    first = []
    inferring(lambda old, self, request, context: answer(old(self, request, context), lambda y: (first or first.append(y) or first)[0]))


@sabotage
def infer_unchecked(service):
    replace(backfire_stock, "read_inputs", lambda old: lambda context, request, signatures, optional=():
            {tensor.name: numpy.frombuffer(data[:len(data) // 8 * 8], "<f8") for tensor, data in
             zip(request.inputs, request.raw_input_contents)})


# Versions and jobs.

@sabotage
def import_anything(service):
    replace(service, "check_file", lambda old: lambda context, data, parameters:
            old(context, data, parameters) if data[:2] == b"PK" else data)


@sabotage
def import_loses_weights(service):
    replace(service, "check_file", lambda old: lambda context, data, parameters: backfire_stock.pack(
        {name: array * (0 if name == "weights.weights" else 1)
         for name, array in backfire_stock.unpack(old(context, data, parameters)).items()}))


@sabotage
def import_digest_unchecked(service):
    def without(requests):
        for request in requests:
            request.file_digest = ""
            yield request
    replace(service, "ImportVersion", lambda old: lambda requests, context: old(without(requests), context))


@sabotage
def import_lineage_lost(service):
    def without(requests):
        for request in requests:
            request.ClearField("lineage")
            yield request
    replace(service, "ImportVersion", lambda old: lambda requests, context: old(without(requests), context))


@sabotage
def load_digest_unchecked(service):
    replace(service, "LoadVersion", lambda old: lambda request, context: (
        setattr(request, "digest", ""), old(request, context))[1])


@sabotage
def loaded_deleted(service):
    replace(service, "DeleteVersion", lambda old: lambda request, context: (
        service.store.load(request.name, False), old(request, context))[1])


@sabotage
def loaded_untrue(service):
    replace(service, "GetVersion", lambda old: lambda request, context: (
        lambda version: (setattr(version, "loaded", True), version)[1])(old(request, context)))


@sabotage
def deleted_kept(service):
    replace(service.store, "delete", lambda old: lambda name: None)


@sabotage
def pages_lost(service):
    replace(service, "ListVersions", lambda old: lambda request, context: pb.ListVersionsResponse(
        versions=old(request, context).versions))


@sabotage
def unknown_parameter_taken(service):
    def resolve(old):
        def call(recipe, context):
            for name in set(recipe.parameters) - {"width", "alpha"}:
                del recipe.parameters[name]
            return old(recipe, context)
        return call
    replace(service, "resolve", resolve)


@sabotage
def negative_seed_taken(service):
    replace(service, "Train", lambda old: lambda request, context: (
        setattr(request, "seed", abs(request.seed)), old(request, context))[1])


@sabotage
def no_request_id_taken(service):
    replace(service.store, "run", lambda old: lambda request, context, work: (
        setattr(request, "request_id", request.request_id or "none"), old(request, context, work))[1])


@sabotage
def request_id_reused(service):
    naming(service, lambda request: sha256(request.recipe.name if isinstance(request, pb.TrainRequest) else "",
                                           getattr(request, "seed", 0))[:8])


def make(store):
    service = StockService(RandomFeatures(), store)
    if options.sabotage:
        SABOTAGES[options.sabotage](service)
    return service


if options.list:
    print("\n".join(SABOTAGES))
else:
    serve(make, __doc__.splitlines()[0])
