#!/usr/bin/python3
"""Honest services of other kinds, for the conformance test. Arguments: the folder of backfire_stock.py, a name of MODELS."""
import sys

FOLDER, NAME = sys.argv[1:3]
del sys.argv[1:3]
sys.path.insert(0, FOLDER)

import numpy  # noqa: E402
from backfire_stock import Parameter, StockModel, read_arrays, serve_model  # noqa: E402


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


MODELS = {"labels": Labels, "labels-fed": LabelsFed, "median": Median}

if __name__ == "__main__":
    serve_model(MODELS[NAME]())
