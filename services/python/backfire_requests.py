"""What refuses a request, and the contract's messages (`pb`)."""
import hashlib
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "stubs"))
from backfire.v1 import model_service_pb2 as pb  # noqa: E402, F401


class Refusal(Exception):
    """What ends a call with a status, or a job as FAILED: a code's name and a sentence."""

    def __init__(self, code, message):
        super().__init__(message[:4000])  # It may quote what came, which may be long.
        self.code = code


def sha256(*fields):
    """A digest of anything that JSON can hold: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def check(context, holds, code, message):
    """Refuses, in a call as in a job's work, unless something holds. `context` is the call's, which may have ended."""
    if not holds:
        raise Refusal(code, message)


def log(line):
    """Writes a line about what happened. It may quote others, who are not to end it or to steer a terminal."""
    sys.stderr.write(re.sub("[\x00-\x1f\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", line) + "\n")  # At once: threads do.
    sys.stderr.flush()


def check_version_name(context, field, name):
    """Refuses what is no version's name; `field` says where it was."""
    check(context, re.fullmatch(r"models/[^/]+/versions/[1-9][0-9]{0,17}", name), "INVALID_ARGUMENT",
          f"{field} must be models/{{model}}/versions/{{number}}: got {name!r}")


def number_of(name):
    """The number in `models/{model}/versions/{number}`."""
    return int(name.rpartition("/")[2])
