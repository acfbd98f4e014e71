"""Writes into a folder what people have, with Python's own torch; then reads what Backfire wrote.

Usage: write_checkpoints.py write FOLDER | read FILE
"""
import argparse
import collections
import os
import sys

import torch


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def state(prefix=""):
    entries = collections.OrderedDict()
    entries[prefix + "a.weight"] = torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4
    entries[prefix + "a.bias"] = torch.tensor([-1.5, 2.5])
    entries[prefix + "n.num_batches_tracked"] = torch.tensor(7)
    return entries


def write(folder):
    def save(name, value, **options):
        torch.save(value, os.path.join(folder, name), **options)

    legacy = {"_use_new_zipfile_serialization": False}
    save("plain", state())
    save("plain_legacy", state(), **legacy)
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    rest = {
        "epoch": 12,
        "optimizer": optimizer.state_dict(),
        "arguments": argparse.Namespace(lr=0.1, model="stackhourglass"),
        "train_loss": torch.tensor(0.25),
    }
    save("nested", {"state_dict": state("module."), **rest})
    save("nested_legacy", {"state_dict": state("module."), **rest}, **legacy)
    save("protocol_4", {"model_state": state(), **rest}, pickle_protocol=4)
    save("parameters", {name: torch.nn.Parameter(value) if value.is_floating_point() else value
                        for name, value in state().items()})
    views = state()
    whole = torch.zeros(4, 5, dtype=torch.float32)
    whole[1:3, 1:4] = views["a.weight"]
    views["a.weight"] = whole[1:3, 1:4]
    transposed = torch.tensor([[-1.5, 0.0], [2.5, 0.0]]).t()
    views["a.bias"] = transposed[0]
    save("views", views)
    save("views_legacy", views, **legacy)
    save("half", {name: value.half() if value.is_floating_point() else value.int()
                  for name, value in state().items()})
    save("bfloat16", {name: value.bfloat16() if value.is_floating_point() else value
                      for name, value in state().items()})
    save("double", {name: value.double() if value.is_floating_point() else value
                    for name, value in state().items()})
    save("malicious", {"state_dict": Malicious(os.path.join(folder, "harm"))})
    save("malicious_beside", {"state_dict": state(), "x": Malicious(os.path.join(folder, "harm"))})
    save("whole_module", network)
    torch.jit.script(network).save(os.path.join(folder, "torchscript"))
    unusual = state()
    unusual["a.bias"] = torch.tensor([-1.5, 2.5]).to_sparse()
    unusual["a.step"] = 3
    save("unusual", unusual)


def read(path):
    for options in [{}] + ([{"weights_only": True}] if "weights_only" in
                           torch.load.__code__.co_varnames else []):
        loaded = torch.load(path, **options)
        assert list(loaded) == sorted(state()), list(loaded)
        for name, value in state().items():
            assert loaded[name].dtype == value.dtype, name
            assert torch.equal(loaded[name], value), name
    torch.nn.Linear(3, 2).load_state_dict(
        {name[2:]: value for name, value in loaded.items() if name.startswith("a.")})


if __name__ == "__main__":
    write(sys.argv[2]) if sys.argv[1] == "write" else read(sys.argv[2])
