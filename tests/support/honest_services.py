#!/usr/bin/python3
"""Honest services of other kinds, for the conformance test. Arguments: the folder of backfire_stock.py, a name of MODELS."""
import sys

FOLDER, NAME = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, FOLDER)

import backfire_stock  # noqa: E402
import numpy  # noqa: E402
from backfire_stock import Parameter, StockModel, check, read_arrays, serve_model  # noqa: E402


class Labels(StockModel):
    """Ridge regression on what a dataset says by itself."""
    name = "labels"
    inputs = {"feature": ("FP64", [2])}
    outputs = {"y": ("FP64", [1])}
    recipes = {"ridge": [Parameter("alpha", 1.0, "Penalty of large weights.", minimum=0)]}
    uses_seed = False

    def read(self, uri, split):
        return read_arrays(uri, split)

    def fit(self, data, parameters, seed):
        features = data["feature"]
        squares = features.T @ features + parameters.alpha * numpy.eye(2)
        return {"weights": numpy.linalg.solve(squares, features.T @ data["label"])}

    def predict(self, weights, data, parameters):
        return {"y": data["feature"] @ weights["weights"]}

    def loss(self, outputs, data):
        return abs(outputs["y"] - data["label"])[:, 0]


class LabelsFed(Labels):
    """The same, with a hint by another vertex."""
    inputs = {"feature": ("FP64", [2]), "hint": ("FP32", [1])}

    def fit(self, data, parameters, seed):
        return {**super().fit(data, parameters, seed), "trust": numpy.array(0.5 / (1 + parameters.alpha))}

    def predict(self, weights, data, parameters):
        return {"y": super().predict(weights, data, parameters)["y"] + weights["trust"] * data["hint"]}


class Median(StockModel):
    """Says a median of what the teacher said, and a class; judged by two losses, one of whole numbers."""
    name = "median"
    inputs = {"teacher": ("FP32", [3])}
    outputs = {"y": ("FP32", [3]), "class": ("INT64", [1])}
    targets = ["teacher"]
    recipes = {"quantile": [Parameter("quantile", 0.5, "Which of them.", minimum=0.0, maximum=1.0),
                            Parameter("sign", "as-is", "Whether it is turned.", choices=("as-is", "turned"))]}
    losses = {"distance": ("1", float("inf")), "wrong_class": ("1", 1.0)}
    uses_seed = False

    def fit(self, data, parameters, seed):
        quantile = numpy.quantile(data["teacher"], parameters.quantile, axis=0)
        return {"quantile": -quantile if parameters.sign == "turned" else quantile}

    def predict(self, weights, data, parameters):
        rows = len(next(iter(data.values())))
        y = numpy.tile(weights["quantile"], (rows, 1))
        return {"y": y, "class": (y.sum(axis=1, keepdims=True) > 0)}

    def loss(self, outputs, data):
        right = data["teacher"].sum(axis=1, keepdims=True) > 0
        return {"distance": abs(outputs["y"] - data["teacher"]).max(axis=1), "wrong_class": (outputs["class"] != right)[:, 0]}


class Fed(StockModel):
    """What those below have in common: a feature, a teacher of one number, and what they say in its place."""
    inputs = {"feature": ("FP64", [-1]), "teacher": ("FP64", [1])}
    outputs = {"y": ("FP64", [1])}
    targets = ["teacher"]
    recipes = {"plain": []}  # No parameters.
    uses_seed = False

    def fit(self, data, parameters, seed):
        return {"mean": data["teacher"].mean(axis=0)}

    def predict(self, weights, data, parameters):
        return {"y": data["feature"].mean(axis=1, keepdims=True) + weights["mean"]}


class Rule(Fed):
    """Learns nothing, and is judged: a rule that somebody wrote."""
    recipes = {"plain": [Parameter("bound", 1.0, "Where it cuts.", minimum=0)]}

    def fit(self, data, parameters, seed):
        return {}

    def predict(self, weights, data, parameters):
        return {"y": data["feature"].mean(axis=1, keepdims=True).clip(-parameters.bound, parameters.bound)}


class Constant(Fed):
    """Says the same whatever it is fed, and has a loss of its own size."""

    def fit(self, data, parameters, seed):
        return {}

    def predict(self, weights, data, parameters):
        return {"y": numpy.full((len(data["feature"]), 1), 3.0)}

    def loss(self, outputs, data):
        return abs(outputs["y"])[:, 0]


class Idle(Fed):
    """Has a parameter of what there is none of: a noise of labels, where labels are numbers."""
    recipes = {"plain": [Parameter("label_noise", 0.0, "Chance that a label is flipped.", minimum=0, maximum=0.5),
                         Parameter("shift", 0.0, "What is added.")]}

    def predict(self, weights, data, parameters):
        return {"y": super().predict(weights, data, parameters)["y"] + parameters.shift}


class Distilled(Labels):
    """Learns by a teacher, and is judged by the dataset's labels: nothing that the teacher says of a test matters."""
    inputs = {"feature": ("FP64", [2]), "teacher": ("FP64", [1])}
    targets = ["teacher"]

    def fit(self, data, parameters, seed):
        return super().fit({**data, "label": data["label"] + data["teacher"]}, parameters, seed)


class Sure(Fed):
    """A class that is always right: each of its losses is 0 on every resample."""
    inputs = {"teacher": ("FP32", [1])}
    outputs = {"class": ("INT32", [1])}
    targets = []

    def fit(self, data, parameters, seed):
        return {}

    def predict(self, weights, data, parameters):
        return {"class": data["teacher"] > 0}

    def loss(self, outputs, data):
        return (outputs["class"] != (data["teacher"] > 0))[:, 0]


class Classes(Fed):
    """The class whose mean is nearest, of ten; refuses others, and images that are too small."""
    inputs = {"image": ("FP32", [-1, -1, 3]), "teacher": ("INT64", [1])}
    outputs = {"class": ("INT64", [1])}
    recipes = {"plain": [Parameter("kind", "mean", "What of a class is compared."),
                         Parameter("least", 0, "Classes of fewer examples are left out.", minimum=0, maximum=100)]}

    def fit(self, data, parameters, seed):
        check(None, min(data["image"].shape[1:3]) >= 8, "INVALID_ARGUMENT", "image must have at least 8 x 8 pixels")
        check(None, 0 <= data["image"].min() and data["image"].max() <= 1, "FAILED_PRECONDITION", "image must be 0 to 1")
        check(None, len(data["image"]) >= 64, "FAILED_PRECONDITION", f"at least 64 examples are needed: got {len(data['image'])}")
        check(None, data["teacher"].max() > 1, "FAILED_PRECONDITION", "teacher must have more than two classes")
        classes = [c for c in range(10) if (data["teacher"] == c).sum() > parameters.least]
        means = [data["image"][data["teacher"][:, 0] == c].mean(axis=0) for c in classes]
        return {"classes": numpy.array(classes), "means": numpy.array(means).reshape(len(classes), -1)}

    def predict(self, weights, data, parameters):
        rows = data["image"].reshape(len(data["image"]), 1, -1)
        return {"class": weights["classes"][abs(rows - weights["means"]).sum(axis=2).argmin(axis=1)][:, None]}

    def loss(self, outputs, data):
        return (outputs["class"] != data["teacher"])[:, 0]


class Large(Fed):
    """Outputs of more than a megabyte, which travel in pieces."""
    outputs = {"y": ("FP64", [1]), "map": ("FP64", [400, 400])}

    def predict(self, weights, data, parameters):
        y = super().predict(weights, data, parameters)["y"]
        return {"y": y, "map": y[:, :, None] * numpy.linspace(-1, 1, 160000).reshape(1, 400, 400)}

    def loss(self, outputs, data):
        return abs(outputs["y"] - data["teacher"])[:, 0]


class Halves(Fed):
    """Of numbers of two bytes, and whole ones of one; what is computed at once is rounded as it comes."""
    inputs = {"feature": ("FP16", [3]), "level": ("INT8", [1]), "teacher": ("FP16", [1])}
    outputs = {"y": ("FP16", [1])}

    def predict(self, weights, data, parameters):
        y = data["feature"].astype("f8").sum(axis=1, keepdims=True) + data["level"] + weights["mean"].astype("f8")
        return {"y": y * (1 + 1e-4 * (len(y) == 1))}

    def loss(self, outputs, data):
        return abs(outputs["y"].astype("f8") - data["teacher"])[:, 0]


class Worst(Fed):
    """Judged by its worst example, which counts once however often a resample draws it."""

    class Resampling(backfire_stock.Resampling):
        """What it says of its examples' losses."""

        def add_loss(self, evaluation, loss, values, weights=None, **fields):
            super().add_loss(evaluation, loss, values, weights, **fields)
            evaluation.losses[-1].value = values.max()
            evaluation.losses[-1].resampled[:] = [values[counts > 0].max() for counts in self.counts()]

    def __init__(self):
        backfire_stock.Resampling = self.Resampling


class Unrepeatable(Fed):
    """Adds in no order, as some GPUs do, so that what it learns differs in its last bits."""

    def fit(self, data, parameters, seed):
        noise = 1e-7 * numpy.random.default_rng().normal(size=1)
        return {"mean": data["teacher"].mean(axis=0) + noise}


MODELS = {"labels": Labels, "labels-fed": LabelsFed, "median": Median, "no-parameters": Fed, "rule": Rule, "constant": Constant,
          "idle": Idle, "distilled": Distilled, "sure": Sure, "classes": Classes, "large": Large, "halves": Halves, "worst": Worst,
          "unrepeatable": Unrepeatable}

if __name__ == "__main__":
    serve_model(MODELS[NAME]())
