"""What versions gave, as their own services state it: the digest of a split's outputs, and what pulled outputs are held to."""
import hashlib
import re

from backfire_requests import check, check_version_name, pb

SPLITS = ("train", "validation", "test", "population")


class OutputsHasher:
    """Computes an `outputs_digest` (docs/own-models.md), example by example."""

    def __init__(self):
        self.digest = hashlib.sha256()
        self.add_fields("backfire outputs 1")

    def add_fields(self, *fields):
        for field in fields:
            data = field if isinstance(field, bytes) else str(field).encode()
            self.digest.update(b"%d:" % len(data) + data)

    def add(self, example_id, cluster, outputs):
        """The next example; `outputs` has datatype, shape and bytes by name."""
        self.add_fields(example_id, cluster, len(outputs))
        for name, (datatype, shape, data) in sorted(outputs.items()):
            self.add_fields(name, datatype, ",".join(map(str, shape)), data)

    def finish(self):
        return self.digest.hexdigest()


class Commitments:
    """What a request says that versions gave, by their producers' word. Refuses what is malformed or said in two ways."""

    def __init__(self, context, messages):
        self.by_outputs = {}
        for i, message in enumerate(messages):
            check_version_name(context, f"commitments[{i}].version", message.version)
            check(context, message.split in SPLITS, "INVALID_ARGUMENT",
                  f"commitments[{i}].split must be one of {', '.join(SPLITS)}: got {message.split!r}")
            for field in ("version_digest", "dataset_digest", "outputs_digest"):
                check(context, re.fullmatch("[0-9a-f]{64}", getattr(message, field)), "INVALID_ARGUMENT",
                      f"commitments[{i}].{field} must have 64 lower-case hexadecimal digits: got {getattr(message, field)!r}")
            known = self.by_outputs.setdefault((message.version_digest, message.split), message)
            same = (known.dataset_digest, known.outputs_digest) == (message.dataset_digest, message.outputs_digest)
            check(context, same, "INVALID_ARGUMENT", f"commitments[{i}]: {message.version} on split {message.split} has two "
                  "commitments that differ")

    def of(self, parents, *splits):
        """Those to these parents' outputs on these splits, each once, by split and the version's digest."""
        digests = sorted({parent.digest for parent in parents})
        return [self.by_outputs[digest, split] for split in splits for digest in digests if (digest, split) in self.by_outputs]

    def names(self, parent):
        """Whether there is one to any split of a parent's outputs: its service commits, so that what it gives without is not to be
        trusted."""
        return any(digest == parent.digest for digest, _ in self.by_outputs)

    def on_split(self, split):
        """All of a split, for a parent that computes its outputs again."""
        return [message for (_, of), message in sorted(self.by_outputs.items(), key=lambda item: item[0]) if of == split]

    def hold(self, context, parent, split, target, dataset_digest, outputs_digest, count, observed=None):
        """Refuses outputs that a parent's service did not commit to. Of a service that commits to other splits, and not to this one, what
        came is added to `observed`, for `Version.trained_on`, or refused if that is None. What never commits is taken as it is."""
        committed = self.by_outputs.get((parent.digest, split))
        if committed is None:
            if self.names(parent):
                check(context, observed is not None, "FAILED_PRECONDITION",
                      f"commitments must have one to {parent.version} on split {split}, as they have of its other splits")
                pulled = pb.OutputsCommitment(version=parent.version, version_digest=parent.digest, split=split,
                                              dataset_digest=dataset_digest, example_count=count, outputs_digest=outputs_digest)
                known = [(one.version_digest, one.split, one.outputs_digest) for one in observed]
                if (parent.digest, split, outputs_digest) not in known:  # It may feed two inputs.
                    observed.append(pulled)
            return
        check(context, committed.dataset_digest == dataset_digest, "FAILED_PRECONDITION",
              f"services read different datasets: {parent.version} committed to outputs on digest {committed.dataset_digest}, and "
              f"has {dataset_digest} at {target}; give all services the same data")
        check(context, committed.outputs_digest == outputs_digest, "DATA_LOSS",
              f"{parent.version} gives other outputs on split {split} at {target} (digest {outputs_digest}) than its service "
              f"committed to ({committed.outputs_digest}): another process answers there, a disk is damaged, or they were computed "
              "again on another machine, to other last bits; then retry the update: the service commits anew, and what depends on "
              "it is evaluated again")
