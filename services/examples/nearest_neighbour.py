#!/usr/bin/python3
"""k nearest neighbours as a model of a Backfire system: docs/own-models.md walks through it."""
import numpy
from backfire_stock import Parameter, StockModel, serve_model


class NearestNeighbour(StockModel):
    """k nearest neighbours, taught by a vertex: says what the teacher said of what looked alike."""
    name = "nearest"
    inputs = {"feature": ("FP64", [-1]), "teacher": ("FP64", [-1])}
    outputs = {"y": ("FP64", [-1])}
    targets = ["teacher"]
    recipes = {"nearest": [Parameter("k", 3, "How many neighbours have a say.", minimum=1, maximum=1000)]}
    losses = {"disagreement": ("1", float("inf"))}
    uses_seed = False

    def fit(self, data, parameters, seed):
        return {"feature": data["feature"], "teacher": data["teacher"]}

    def predict(self, weights, data, parameters):
        distances = ((data["feature"][:, numpy.newaxis] - weights["feature"]) ** 2).sum(axis=2)
        nearest = distances.argsort(axis=1, kind="stable")[:, :parameters.k]
        return {"y": weights["teacher"][nearest].mean(axis=1)}


if __name__ == "__main__":
    serve_model(NearestNeighbour())
