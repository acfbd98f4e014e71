#!/usr/bin/env python3
"""Reads an update as `backfire update show --format json` prints it.

  outcome.py running    one line for each running step with progress: KIND VERTEX PERCENT STEP TOTAL STAGE
  outcome.py result     what came of it, for a comparison with another run: state, verdict, every loss with all its
                        digits, and the digest of every version; without what may differ, such as times and names of jobs
"""

import json
import sys


def running(update):
    for step in update["steps"]:
        progress = step.get("progress") or {}
        total = int(progress.get("total_steps", 0))
        if step["state"] == "RUNNING" and total > 0:
            done = int(progress["step"])
            print(step["kind"], step["vertex"], 100 * done // total, done, total, progress["stage"].replace(" ", "_"))


def result(update):
    steps = {}
    for step in update["steps"]:
        steps[step["id"]] = {
            "state": step["state"],
            "digest": (step.get("version") or {}).get("digest"),
            "losses": [
                [loss["loss"], loss["slice"], repr(loss["value"])]
                for loss in (step.get("evaluation") or {}).get("losses", [])
            ],
        }
    verdict = update["verdict"]
    outcome = {
        "state": update["state"],
        "outcome": verdict["outcome"],
        "comparisons": [
            {name: repr(value) if isinstance(value, float) else value for name, value in comparison.items()}
            for comparison in verdict["comparisons"]
        ],
        "steps": steps,
    }
    if not any(step["digest"] for step in steps.values()) or not any(step["losses"] for step in steps.values()):
        sys.exit("outcome.py: the update has no versions or no losses: nothing to compare")
    json.dump(outcome, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    text = sys.stdin.read()
    if not text:
        sys.exit("outcome.py: there is no update")
    {"running": running, "result": result}[sys.argv[1]](json.loads(text))
