#!/usr/bin/env python3
"""Checks the dashboards.

  check.py structure           what can be seen in the files alone; needs no Prometheus
  check.py queries URL SECONDS sends every panel's query to the Prometheus at URL, over the last so many seconds, and
                               names the panels that have no data; --allow-empty TITLE (repeated) for some
  check.py rules               prints a file of rules with every query, for the grammar of `promtool check rules`
  check.py typescript          prints them as TypeScript, for what schema/ has of Grafana's own types

Exits 1 if anything is wrong, with a line for each fault.
"""

import argparse
import json
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

FOLDER = pathlib.Path(__file__).parent / "dashboards"
# What panels of this kind may have in `options`, and in a field's `custom`: a misspelt one has no effect in Grafana.
OPTIONS = {
    "stat": {"reduceOptions", "colorMode", "graphMode", "justifyMode", "orientation", "textMode"},
    "timeseries": {"legend", "tooltip"},
    "table": {"showHeader", "cellHeight"},
    "bargauge": {"displayMode", "orientation", "showUnfilled", "valueMode", "namePlacement", "sizing", "minVizHeight",
                 "minVizWidth", "maxVizHeight", "reduceOptions"},
    "state-timeline": {"mergeValues", "showValue", "rowHeight", "alignValue", "legend", "tooltip"},
}
CUSTOM = {
    "stat": set(),
    "timeseries": {"drawStyle", "lineWidth", "fillOpacity", "showPoints", "spanNulls", "stacking"},
    "table": {"align", "cellOptions"},
    "bargauge": set(),
    "state-timeline": {"fillOpacity", "lineWidth"},
}
UNITS = {"short", "none", "s", "bytes", "Bps", "percentunit", "reqps"}
COLUMNS = 24


def dashboards():
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def overlaps(a, b):
    return (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


def panel_faults(panel):
    kind = panel["type"]
    if kind not in OPTIONS:
        yield f"unknown type {kind}"
        return
    for unknown in set(panel["options"]) - OPTIONS[kind]:
        yield f"unknown option {unknown}"
    defaults = panel["fieldConfig"]["defaults"]
    for unknown in set(defaults.get("custom", {})) - CUSTOM[kind]:
        yield f"unknown field option {unknown}"
    if defaults.get("unit", "none") not in UNITS:
        yield f"unknown unit {defaults['unit']}"
    if kind in ("timeseries", "bargauge") and "unit" not in defaults:
        yield "no unit"
    if not panel.get("description"):
        yield "no description"
    if not panel["targets"]:
        yield "no query"
    references = [target["refId"] for target in panel["targets"]]
    if len(set(references)) != len(references):
        yield "a refId twice"
    for target in panel["targets"]:
        expression = target["expr"]
        if target["datasource"]["uid"] != "${datasource}":
            yield "its data source is fixed"
        if "$system" not in expression:
            yield f"its query does not choose the system: {expression}"
        if target.get("format") != "table" and not target["legendFormat"]:
            yield "a series without a name for people"
        # What the name uses must be among what the query keeps.
        kept = re.search(r"(?:by|BY) \(([^)]*)\)", expression)
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            if kept and label not in [name.strip() for name in kept.group(1).split(",")]:
                yield f"the name uses {label}, which the query drops"
    grid = panel["gridPos"]
    if grid["x"] + grid["w"] > COLUMNS:
        yield "too wide"
    if kind != "stat" and grid["w"] < 8:
        yield "too narrow to read at 1280 pixels"


def structure():
    faults = []
    boards = dashboards()
    uids = [board["uid"] for board in boards.values()]
    if len(boards) < 4 or len(set(uids)) != len(uids):
        faults.append(f"four dashboards with uids of their own: got {uids}")
    for name, board in boards.items():
        def fault(text, name=name):
            faults.append(f"{name}: {text}")
        if {variable["name"] for variable in board["templating"]["list"]} != {"datasource", "system"}:
            fault("variables must be datasource and system")
        linked = {link["url"] for link in board["links"]}
        if linked != {f"/d/{uid}" for uid in uids if uid != board["uid"]}:
            fault(f"links must lead to all others: got {sorted(linked)}")
        ids = [panel["id"] for panel in board["panels"]]
        if len(set(ids)) != len(ids):
            fault("a panel's id twice")
        for i, panel in enumerate(board["panels"]):
            for text in panel_faults(panel):
                fault(f"{panel['title']}: {text}")
            for other in board["panels"][:i]:
                if overlaps(panel["gridPos"], other["gridPos"]):
                    fault(f"{panel['title']} lies over {other['title']}")
    return faults


def ask(url, path, **parameters):
    address = f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(address, timeout=30) as response:
            return json.load(response)["data"]["result"]
    except urllib.error.HTTPError as error:
        raise ValueError(json.load(error).get("error", str(error))) from error


def substituted(expression, system):
    return expression.replace("$system", system)


def panel_data(url, target, system, start, end, step):
    """The series that a panel's query has: values over time, or now if the panel only shows that."""
    expression = substituted(target["expr"], system)
    if target.get("instant"):
        return ask(url, "query", query=expression, time=end)
    return ask(url, "query_range", query=expression, start=start, end=end, step=step)


def queries(url, seconds, system, allowed):
    faults, asked = [], 0
    end = time.time()
    for name, board in dashboards().items():
        for panel in board["panels"]:
            found = False
            for target in panel["targets"]:
                asked += 1
                expression = substituted(target["expr"], system)
                try:
                    # Also what a panel shows as of now must have been there at some time.
                    found |= bool(ask(url, "query_range", query=expression, start=end - seconds, end=end, step=2))
                except ValueError as error:
                    faults.append(f"{name}: {panel['title']}: {error}: {expression}")
            if not found and panel["title"] not in allowed:
                faults.append(f"{name}: {panel['title']}: no data")
    print(f"{asked} queries of {sum(len(board['panels']) for board in dashboards().values())} panels")
    return faults


def as_rules():
    """Every query of panels and annotations as a recording rule."""
    rules = []
    for name, board in dashboards().items():
        asked = [(f"panel_{panel['id']}_{target['refId']}", target["expr"]) for panel in board["panels"] for target in panel["targets"]]
        asked += [(f"annotation_{i}", annotation["expr"]) for i, annotation in enumerate(board["annotations"]["list"])]
        rules.append({"name": name, "rules": [{"record": f"{name.removesuffix('.json')}:{record}", "expr": substituted(expression, "any")}
                                              for record, expression in asked]})
    return json.dumps({"groups": rules}, indent=1)  # YAML as well.


def as_typescript():
    """Each panel and each board as a constant of its type in schema/panels.ts."""
    lines = ["import type * as panels from './panels';"]
    for name, board in dashboards().items():
        name = name.removesuffix(".json")
        for panel in board.pop("panels"):
            kind = "".join(word.capitalize() for word in panel["type"].split("-"))
            lines.append(f"export const {name}_{panel['id']}: panels.{kind} = {json.dumps(panel, indent=1)};")
        lines.append(f"export const {name}: panels.Board = {json.dumps(board, indent=1)};")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("structure", "rules", "typescript"):
        commands.add_parser(name)
    against = commands.add_parser("queries")
    against.add_argument("url")
    against.add_argument("seconds", type=float)
    against.add_argument("--system", default="stereo")
    against.add_argument("--allow-empty", action="append", default=[])
    arguments = parser.parse_args()
    faults = []
    if arguments.command == "structure":
        faults = structure()
    elif arguments.command == "rules":
        print(as_rules())
    elif arguments.command == "typescript":
        print(as_typescript())
    else:
        faults = queries(arguments.url, arguments.seconds, arguments.system, arguments.allow_empty)
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
