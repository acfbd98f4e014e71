#!/usr/bin/env python3
"""Trains an encoder of digits and two classifiers on its code, five times, and writes the losses of every test example."""
import argparse

import numpy
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, LogisticRegression

from backfire_records import RecordWriter

CODE_SIZE = 9
SEEDS = 5


def train_encoder(kind, images, digits):
    """Returns a function from images to codes."""
    if kind == "pca":
        return PCA(CODE_SIZE, svd_solver="full").fit(images).transform
    return LinearDiscriminantAnalysis(n_components=CODE_SIZE).fit(images, digits).transform


def main():
    """Writes a file of records per seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", choices=("lda", "pca"), required=True)
    parser.add_argument("--out", required=True, help="folder for the records")
    arguments = parser.parse_args()

    images, digits = load_digits(return_X_y=True)
    images = images / 16
    # A fixed test set: the same examples for every seed, before and after.
    is_test = numpy.random.RandomState(0).permutation(len(images)) < 600
    names = [f"digit-{i}" for i in numpy.flatnonzero(is_test)]
    round_digits = ["round" if digit in (0, 6, 8, 9) else None for digit in digits[is_test]]

    for seed in range(SEEDS):
        # Another seed is another training set of the same size, and all that follows from it.
        pool = numpy.flatnonzero(~is_test)
        chosen = numpy.random.RandomState(seed).choice(pool, 800, replace=False)
        encode = train_encoder(arguments.encoder, images[chosen], digits[chosen])
        code, test_code = encode(images[chosen]), encode(images[is_test])
        decoder = LinearRegression().fit(code, images[chosen])
        reconstruction = ((decoder.predict(test_code) - images[is_test]) ** 2).mean(axis=1)

        def errors(truth):
            scale = code.std(axis=0)
            model = LogisticRegression(C=10, max_iter=3000).fit(code / scale, truth[chosen])
            return model.predict(test_code / scale) != truth[is_test]

        with RecordWriter(f"{arguments.out}/seed{seed}.jsonl.gz") as records:
            records.add("encoder", seed, {"reconstruction_mse": reconstruction}, examples=names)
            records.add("digit", seed, {"error": errors(digits)}, examples=names, slices=round_digits)
            records.add("parity", seed, {"error": errors(digits % 2)}, examples=names)


if __name__ == "__main__":
    main()
