#!/usr/bin/env python3
"""Draws the dashboards from their JSON and a Prometheus' data, as pictures: for those who want to see one without a
Grafana, and for the documentation. It knows the five kinds of panel that the dashboards have, and of their options those
that decide what is seen: it is no Grafana.

  draw.py URL SECONDS OUT [--system stereo] [--board NAME]... [--overview NAME]

asks the Prometheus at URL for the last so many seconds, and writes OUT/NAME.png by a headless Chromium; OUT/NAME.html where there
is none. An overview is the first row of all dashboards in one picture; the tiles in it that are orange or red are printed, a
line each.
"""

import argparse
import html
import math
import pathlib
import re
import shutil
import subprocess
import sys
import time

import check

WIDTH, ROW, GAP = 1280, 30, 6
COLORS = ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300",
          "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62"]
THRESHOLDS = {"green": "#2f9e44", "orange": "#e8890c", "red": "#d6336c", "yellow": "#d9b310", "blue": "#2b6cb0", "purple": "#8f3bb8"}
WARNING_COLORS = {THRESHOLDS["orange"], THRESHOLDS["red"]}
STYLE = """body{margin:0;background:#111217;color:#ccccdc;font:12px 'DejaVu Sans',sans-serif;width:%dpx}
h1{font-size:18px;margin:10px 12px 2px}p{margin:0 12px 6px;color:#8e8ea0}
.panel{position:absolute;background:#181b1f;border:1px solid #2c3235;border-radius:3px;overflow:hidden;box-sizing:border-box}
.title{font-weight:bold;font-size:12px;padding:5px 8px 3px}table{border-collapse:collapse;width:100%%;font-size:11px}
td,th{padding:2px 8px;text-align:left;border-bottom:1px solid #2c3235;white-space:nowrap}th{color:#8e8ea0}
.stat{position:absolute;left:6px;right:6px;bottom:6px;top:26px;border-radius:3px;display:flex;align-items:center;
justify-content:center;font-size:30px;font-weight:bold;color:#fff}.legend{position:absolute;left:8px;right:8px;bottom:4px;font-size:10px;
line-height:14px;overflow:hidden}.legend span{margin-right:12px;white-space:nowrap;display:inline-block}""" % WIDTH


def shown(value, defaults):
    """A number in the panel's unit, as a person would write it."""
    if value is None or math.isnan(value):
        return "-"
    unit, decimals = defaults.get("unit", "none"), defaults.get("decimals")
    if unit == "percentunit":
        return f"{100 * value:.{1 if decimals is None else decimals}f} %"
    if unit in ("bytes", "Bps"):
        for name in ("B", "KiB", "MiB", "GiB"):
            if abs(value) < 1024 or name == "GiB":
                return f"{value:.3g} {name}" + ("/s" if unit == "Bps" else "")
            value /= 1024
    if unit == "s":
        if abs(value) < 1:
            return f"{1000 * value:.3g} ms"
        return f"{value:.3g} s" if value < 120 else f"{value / 60:.3g} min"
    text = f"{value:.{decimals}f}" if decimals is not None else f"{value:.4g}"
    return text + (" req/s" if unit == "reqps" else "")


def name_of(target, metric):
    return re.sub(r"{{(\w+)}}", lambda found: metric.get(found.group(1), ""), target["legendFormat"]).strip()


def threshold_color(value, defaults):
    color = "blue"
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    return THRESHOLDS[color]


def mapped(value, defaults):
    for mapping in defaults.get("mappings", []):
        if value in mapping["options"]:
            return mapping["options"][value]["text"], THRESHOLDS[mapping["options"][value]["color"]]
    return value, None


class Data:
    """What a Prometheus has for a span of time."""

    def __init__(self, url, system, start, end):
        self.url, self.system, self.start, self.end = url, system, start, end
        self.warnings = []  # What is drawn in orange or red.
        self.step = max(1.0, (end - start) / 400)

    def now(self, target):
        expression = check.substituted(target["expr"], self.system)
        return [(series["metric"], float(series["value"][1])) for series in check.ask(self.url, "query", query=expression, time=self.end)]

    def over_time(self, expression):
        expression = check.substituted(expression, self.system)
        return [(series["metric"], [(float(at), float(value)) for at, value in series["values"]])
                for series in check.ask(self.url, "query_range", query=expression, start=self.start, end=self.end, step=self.step)]


def draw_stat(panel, data, width, height):
    values = [value for target in panel["targets"] for _, value in data.now(target)]
    value = values[0] if values else math.nan
    defaults = panel["fieldConfig"]["defaults"]
    color = "#444" if math.isnan(value) else threshold_color(value, defaults)
    if color in WARNING_COLORS:
        data.warnings.append(panel["title"])
    return f'<div class="stat" style="background:{color}">{shown(value, defaults)}</div>'


def draw_table(panel, data, width, height):
    defaults = panel["fieldConfig"]["defaults"]
    rows = {}
    for target in panel["targets"]:
        column = f"Value #{target['refId']}" if len(panel["targets"]) > 1 else "Value"
        for metric, value in data.now(target):
            metric = {key: text for key, text in metric.items() if key != "__name__" or len(panel["targets"]) == 1}
            rows.setdefault(tuple(sorted(metric.items())), {})[column] = value
    organize = [step["options"] for step in panel.get("transformations", []) if step["id"] == "organize"][0]
    excluded, order, names = organize["excludeByName"], organize["indexByName"], organize["renameByName"]
    columns = sorted({name for key, values in rows.items() for name in list(dict(key)) + list(values)} - {n for n, out in excluded.items() if out},
                     key=lambda name: order.get(name, 99))
    colored = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]} or {names.get(c, c) for c in columns}
    lines = ["<tr>" + "".join(f"<th>{html.escape(names.get(column, column))}</th>" for column in columns) + "</tr>"]
    for key, values in sorted(rows.items(), key=lambda row: [dict(row[0]).get(name, "") for name in ("role", "vertex", "model", "version", "loss")]):
        cells = {**dict(key), **values}
        line = ""
        for column in columns:
            cell = cells.get(column)
            text = shown(cell, defaults) if isinstance(cell, float) and column != "Value" or isinstance(cell, float) and "decimals" in defaults else cell
            text = f"{cell:g}" if isinstance(text, float) else text
            text, color = mapped(text if text is not None else "-", defaults)
            style = f"background:{color};color:#fff" if color and names.get(column, column) in colored else ""
            if style and color in WARNING_COLORS:
                data.warnings.append(f"{panel['title']}: {text}")
            line += f'<td style="{style}">{html.escape(str(text))}</td>'
        lines.append(f"<tr>{line}</tr>")
    return f"<table>{''.join(lines)}</table>"


def draw_bars(panel, data, width, height):
    defaults = panel["fieldConfig"]["defaults"]
    low, high = defaults["min"], defaults["max"]
    bars = sorted((name_of(target, metric), value) for target in panel["targets"] for metric, value in data.now(target))
    inner = ""
    for name, value in bars:
        share = (min(max(value, low), high) - low) / (high - low)
        color = threshold_color(value, defaults)
        inner += (f'<div style="display:flex;align-items:center;margin:4px 8px"><div style="width:200px">{html.escape(name)}</div>'
                  f'<div style="flex:1;background:#24282d;height:18px"><div style="width:{100 * share:.1f}%;height:18px;background:{color}"></div></div>'
                  f'<div style="width:70px;text-align:right;color:{color}">{shown(value, defaults)}</div></div>')
    return inner


def clock(at):
    return time.strftime("%H:%M:%S", time.localtime(at))


def axis(low, high):
    """Round numbers between two, a handful."""
    span = high - low
    if span <= 0:
        return [low]
    unit = 10 ** math.floor(math.log10(span / 4))
    unit *= min((1, 2, 5, 10), key=lambda factor: abs(span / (factor * unit) - 4))
    first = math.ceil(low / unit)
    return [unit * i for i in range(first, math.floor(high / unit) + 1)]


def frame_of_time(data, width, height, left, bottom):
    def x_of(at):
        return left + (at - data.start) / (data.end - data.start) * (width - left - 10)
    marks = ""
    for i in range(5):
        at = data.start + (data.end - data.start) * (0.06 + i * 0.22)
        marks += f'<text x="{x_of(at):.0f}" y="{height - bottom + 13:.0f}" fill="#8e8ea0" font-size="10" text-anchor="middle">{clock(at)}</text>'
    return x_of, marks


def draw_lines(panel, data, width, height, annotations):
    defaults = panel["fieldConfig"]["defaults"]
    series = [(name_of(target, metric), points) for target in panel["targets"] for metric, points in data.over_time(target["expr"])]
    series = [(name, [(at, value) for at, value in points if math.isfinite(value)]) for name, points in series]
    series = sorted((name, points) for name, points in series if points)
    if not series:
        return '<div style="text-align:center;color:#8e8ea0;margin-top:40px">No data</div>'
    entries = [f'<span><b style="color:{COLORS[i % len(COLORS)]}">&#9644;</b> {html.escape(name)}: {shown(points[-1][1], defaults)}</span>'
               for i, (name, points) in enumerate(series)]
    legend_rows = min(7, math.ceil(sum(len(re.sub("<.*?>", "", e)) * 6.2 + 30 for e in entries) / (width - 20)))
    plot = height - 26 - 14 * legend_rows - 8
    values = [value for _, points in series for _, value in points]
    low, high = defaults.get("min", min(values)), defaults.get("max", max(values))
    if "min" not in defaults and low > 0 and low < 0.6 * high:
        low = 0
    if high == low:
        low, high = (low - 1 if low else 0), high + 1
    margin = (high - low) * 0.06
    top, base, left, bottom = high + margin, low - (margin if low < 0 else 0), 62, 18
    x_of, marks = frame_of_time(data, width, plot, left, bottom)

    def y_of(value):
        return 4 + (top - value) / (top - base) * (plot - bottom - 4)
    body = ""
    ticks = axis(base, top)
    if defaults.get("decimals") == 0 and defaults.get("unit") != "percentunit":
        ticks = [value for value in ticks if value == round(value)]
    for value in ticks:
        body += (f'<line x1="{left}" x2="{width - 10}" y1="{y_of(value):.1f}" y2="{y_of(value):.1f}" stroke="#2c3235"/>'
                 f'<text x="{left - 5}" y="{y_of(value) + 4:.1f}" fill="#8e8ea0" font-size="10" text-anchor="end">{shown(value, defaults)}</text>')
    for at in annotations:
        body += f'<line x1="{x_of(at):.1f}" x2="{x_of(at):.1f}" y1="2" y2="{plot - bottom:.0f}" stroke="#b877d9" stroke-dasharray="4 3" stroke-width="1.5"/>'
    for i, (name, points) in enumerate(series):
        path, before = "", None
        for at, value in points:
            gap = before is None or at - before > 2.5 * data.step
            path += f"{'M' if gap else 'L'}{x_of(at):.1f} {y_of(value):.1f}"
            before = at
        dash = ""
        for override in panel["fieldConfig"]["overrides"]:
            if re.fullmatch(override["matcher"]["options"], name):
                dash = ' stroke-dasharray="6 6" stroke-width="1"'
        body += f'<path d="{path}" fill="none" stroke="{COLORS[i % len(COLORS)]}"{dash or " stroke-width=&quot;2&quot;".replace("&quot;", chr(34))}/>'
    return f'<svg width="{width}" height="{plot}">{body}{marks}</svg><div class="legend" style="max-height:{14 * legend_rows}px">{"".join(entries)}</div>'


def draw_timeline(panel, data, width, height):
    options = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    series = sorted((name_of(target, metric), points) for target in panel["targets"] for metric, points in data.over_time(target["expr"]))
    plot, left, bottom = height - 30, 90, 18
    x_of, marks = frame_of_time(data, width, plot, left, bottom)
    body, row = "", (plot - bottom) / max(1, len(series))
    for i, (name, points) in enumerate(series):
        body += f'<text x="{left - 6}" y="{(i + 0.65) * row:.0f}" fill="#ccccdc" font-size="11" text-anchor="end">{html.escape(name)}</text>'
        for at, value in points:
            color = THRESHOLDS[options[f"{value:g}"]["color"]]
            body += f'<rect x="{x_of(at):.1f}" y="{i * row + 2:.1f}" width="{x_of(at + data.step) - x_of(at) + 0.6:.1f}" height="{row - 4:.1f}" fill="{color}"/>'
    return f'<svg width="{width}" height="{plot}">{body}{marks}</svg>'


def draw_panels(panels, data, annotations, above):
    """The panels of a board or of its first row, from `above` pixels on; and where they end."""
    parts, bottom = [], above
    for panel in panels:
        grid = panel["gridPos"]
        left, top = grid["x"] * WIDTH / check.COLUMNS, above + grid["y"] * ROW
        width, height = int(grid["w"] * WIDTH / check.COLUMNS - GAP), grid["h"] * ROW - GAP
        bottom = max(bottom, top + height + GAP)
        drawing = {"stat": draw_stat, "table": draw_table, "bargauge": draw_bars, "state-timeline": draw_timeline}.get(panel["type"])
        inner = drawing(panel, data, width, height) if drawing else draw_lines(panel, data, width, height, annotations)
        parts.append(f'<div class="panel" style="left:{left:.0f}px;top:{top}px;width:{width}px;height:{height}px">'
                     f'<div class="title">{html.escape(panel["title"])}</div>{inner}</div>')
    return "".join(parts), bottom


def page_of(title, inner):
    return f'<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>{inner}'


def draw_board(board, data):
    annotations = [at for annotation in board["annotations"]["list"] for _, points in data.over_time(annotation["expr"]) for at, _ in points]
    # The first point of each run of them.
    annotations = [at for i, at in enumerate(sorted(annotations)) if i == 0 or at - sorted(annotations)[i - 1] > 3 * data.step]
    inner, bottom = draw_panels(board["panels"], data, annotations, 58)
    return page_of(board["title"], f'<h1>{board["title"]}</h1><p>{html.escape(board["description"])} System: {data.system}.</p>{inner}'), bottom


def draw_overview(boards, data):
    """The first row of each board, one below the other."""
    parts, top = [], 0
    for board in boards:
        inner, bottom = draw_panels([panel for panel in board["panels"] if panel["gridPos"]["y"] == 0], data, [], top + 24)
        parts.append(f'<div style="position:absolute;left:8px;top:{top + 5}px;font-weight:bold;font-size:14px">{board["title"]}</div>{inner}')
        top = bottom
    return page_of("Overview", "".join(parts)), top


def write_picture(page, height, path):
    path = path.resolve()
    path.write_text(page)
    browser = shutil.which("chromium")
    if browser:
        subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={WIDTH},{height}",
                        f"--screenshot={path.with_suffix('.png')}", path.as_uri()], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        path.unlink()
        print(path.with_suffix(".png"), file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("seconds", type=float)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--system", default="stereo")
    parser.add_argument("--board", action="append", default=[], help="only this one: mesh, updates, ...; may be repeated")
    parser.add_argument("--overview", metavar="NAME", help="all first rows, as OUT/NAME.png")
    arguments = parser.parse_args()
    end = time.time()
    arguments.out.mkdir(parents=True, exist_ok=True)
    data = Data(arguments.url, arguments.system, end - arguments.seconds, end)
    boards = check.dashboards()
    if arguments.overview:
        page, height = draw_overview(boards.values(), data)
        write_picture(page, height, arguments.out / f"{arguments.overview}.html")
        print("\n".join(data.warnings))
    for name, board in boards.items():
        if name.removesuffix(".json") in arguments.board or not (arguments.board or arguments.overview):
            write_picture(*draw_board(board, data), (arguments.out / name).with_suffix(".html"))


if __name__ == "__main__":
    main()
