"""What a model is, as its author writes it: parameters, data, `fit`, `predict` and `loss`; and how it describes itself. It
serves nothing: backfire_stock does."""
import dataclasses
import hashlib
import math
import os
import sys
import typing

import numpy
from backfire_roots import check_dataset_path
from backfire_requests import check, pb, sha256

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A hyper-parameter of a recipe. A default that is an int takes whole numbers, a bool true and false, a str words."""
    name: str
    default: typing.Any
    meaning: str = ""
    minimum: float = None
    maximum: float = None
    choices: tuple = ()
    unit: str = ""

    def read(self, context, value):
        """A value of this parameter, as a function of the model gets it; refuses what it can't be."""
        kind, field = type(self.default), f"recipe.parameters.{self.name}"
        if kind in (int, float):
            check(context, isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and
                  (kind is float or value == int(value)), "INVALID_ARGUMENT",
                  f"{field} must be a {'whole ' if kind is int else ''}number: got {value}")
            low, high = self.minimum, self.maximum
            wanted = (f"{low} to {high}" if None not in (low, high) else f">= {low}" if low is not None else f"<= {high}")
            check(context, (low is None or value >= low) and (high is None or value <= high), "INVALID_ARGUMENT",
                  f"{field} must be {wanted}: got {value}")
        else:
            check(context, isinstance(value, kind), "INVALID_ARGUMENT",
                  f"{field} must be {'true or false' if kind is bool else 'a word'}: got {value!r}")
            check(context, not self.choices or value in self.choices, "INVALID_ARGUMENT",
                  f"{field} must be one of {', '.join(self.choices)}: got {value!r}")
        return kind(value)


@dataclasses.dataclass
class Split:
    """What a dataset holds of one split: arrays of [examples, ...] by name, the content's digest (64 hexadecimal digits, equal
    for all splits), and each example's cluster, "" where the dataset names none."""
    arrays: dict
    digest: str
    clusters: list = None


class StockModel:
    """What a model is. A subclass says `name`, `inputs`, `outputs` and `recipes`, and has fit and predict.

    `data` is a dict of arrays of [examples, ...]: the inputs by name, and in fit and loss whatever else the dataset holds.
    `weights` is a dict of arrays: with them versions move as files from which no code is run.
    """

    name = "model"  # Of models/{name}.
    inputs = {}  # Name: datatype and the shape of one example, as ("FP64", [-1]); -1: any size.
    outputs = {}
    targets = ()  # Inputs that say what is right: read in training and for losses, and not needed to predict.
    recipes = {}  # Name: a tuple of Parameters.
    losses = {"loss": ("1", math.inf)}  # Name: unit, and the greatest value there can be. Lower is better.
    uses_seed = True  # Whether a seed may change what fit learns. Where not, one version stands for all seeds.

    def fit(self, data, parameters, seed):
        """Learns. `parameters` has each as an attribute, and `recipe`. Randomness must come from `seed` alone."""
        raise NotImplementedError

    def predict(self, weights, data, parameters):
        """The outputs, a dict of arrays with a row for each example."""
        raise NotImplementedError

    def loss(self, outputs, data):
        """Of each loss, by name, a number for each example, whose mean it is; an array alone is the only loss. As it is here:
        the mean absolute difference between the only output and the only target."""
        (output,), target = outputs.values(), data[self.targets[0]]
        return abs(output - target).reshape(len(target), -1).mean(axis=1)

    def read(self, uri, split):
        """A Split of the dataset, for a model that reads one. Raise Refusal, or `check`, for a URI that is none, and ask
        `check_dataset_path` of each file that is opened: others send the URI."""
        return None


def read_arrays(uri, split):
    """A Split of `arrays:DIRECTORY`, which has train.npz, validation.npz and test.npz (numpy.savez); `cluster` in it, words."""
    scheme, _, directory = uri.partition(":")
    check(None, scheme == "arrays" and os.path.isdir(directory), "INVALID_ARGUMENT",
          f"dataset.uri must be arrays:DIRECTORY, of a directory with train.npz, validation.npz and test.npz: got {uri!r}")
    digest = hashlib.sha256()
    for one in SPLITS:
        path = os.path.join(directory, one + ".npz")
        check_dataset_path(path)
        try:
            with open(path, "rb") as file:
                digest.update(hashlib.sha256(file.read()).digest())
        except OSError as error:
            check(None, False, "NOT_FOUND", f"dataset.uri: {error}")
    with numpy.load(os.path.join(directory, split + ".npz"), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    clusters = arrays.pop("cluster", None)
    return Split(arrays, digest.hexdigest(), None if clusters is None else [str(name) for name in clusters])


def describe(model, capabilities):
    """The pb.Model of a StockModel. Its fingerprint covers the model's source, this library's, and NumPy's version."""
    library = os.path.dirname(os.path.realpath(__file__))
    sources = {sys.modules[type(model).__module__].__file__,
               *(os.path.join(library, f"backfire_{part}.py") for part in ("commitments", "model", "service", "stock", "store"))}
    texts = []
    for source in sorted(sources, key=os.path.basename):
        with open(source, encoding="utf-8") as file:
            texts.append(file.read())
    words = (type(model).__doc__ or model.name).strip()
    described = pb.Model(name=f"models/{model.name}", kind=pb.Model.MODEL, description=words.splitlines()[0],
                         build_fingerprint=sha256(*texts, numpy.__version__), capabilities=capabilities)
    for signatures, tensors in ((described.inputs, model.inputs), (described.outputs, model.outputs)):
        for name, (datatype, shape) in tensors.items():
            signatures.add(name=name, datatype=datatype, shape=shape)
    for name, parameters in model.recipes.items():
        recipe = described.recipes.add(name=name)
        recipe.parameters.update({parameter.name: parameter.default for parameter in parameters})
        for parameter in sorted(parameters, key=lambda parameter: parameter.name):
            recipe.described.add(name=parameter.name, description=parameter.meaning, unit=parameter.unit,
                                 minimum=parameter.minimum, maximum=parameter.maximum, choices=parameter.choices)
    for name, (unit, most) in model.losses.items():
        described.losses.add(name=name, unit=unit, maximum=most)
    return described
