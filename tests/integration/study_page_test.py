#!/usr/bin/python3
"""docs/results/stereo.md has the tables and figures that `backfire study stereo --tables` makes of the evidence beside it.

Arguments: the folder of backfire's binaries, the folder of the sources; `--write` writes them anew. A part of the page between
`<!-- FOLDER: begin -->` and `<!-- FOLDER: end -->` is made of the pieces in docs/results/FOLDER. Exits 77 (skipped) where
backfire-study is not built.
"""
import os
import re
import subprocess
import sys
import tempfile

BIN, SOURCE = sys.argv[1:3]
WRITE = "--write" in sys.argv
PROGRAM = os.path.join(BIN, "backfire-study")
RESULTS = os.path.join(SOURCE, "docs/results")
PAGE = os.path.join(RESULTS, "stereo.md")
PART = re.compile(r"(<!-- (?P<folder>[a-z-]+): begin -->\n).*?(<!-- (?P=folder): end -->)", re.DOTALL)
NO_PIECE = "No piece has been committed.\n"


def read(path):
    """A file's text; None: there is none."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    """Replaces a file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def part_of(folder, faults):
    """The figures and tables of the pieces in a folder."""
    evidence = os.path.join(RESULTS, folder)
    if not any(name.isdigit() for name in (os.listdir(evidence) if os.path.isdir(evidence) else [])):
        return NO_PIECE
    with tempfile.TemporaryDirectory() as figures:
        made = subprocess.run([PROGRAM, "stereo", "--tables", "--out", evidence, "--figures", figures], check=False,
                              capture_output=True, text=True)
        if made.returncode != 0:
            faults.append(f"{folder}: exit code {made.returncode}: {made.stderr.strip()}")
            return NO_PIECE
        links = []
        for name in sorted(os.listdir(figures)):
            kept, svg = f"{folder}-{name}", read(os.path.join(figures, name))
            links.append(f"![{re.search('aria-label=.([^>]*?).>', svg).group(1)}]({kept})\n\n")
            if WRITE:
                write(os.path.join(RESULTS, kept), svg)
            elif read(os.path.join(RESULTS, kept)) != svg:
                faults.append(f"docs/results/{kept} is not what the evidence says: write it anew with --write")
    return "".join(links) + made.stdout


def main():
    if not os.path.exists(PROGRAM):
        return 77
    faults, page = [], read(PAGE)
    folders = [part["folder"] for part in PART.finditer(page)]
    if not folders:
        faults.append("docs/results/stereo.md: no part is made of evidence: <!-- FOLDER: begin -->")
    text = PART.sub(lambda part: part[1] + part_of(part["folder"], faults) + part[3], page)
    if WRITE:
        write(PAGE, text)
    elif text != page:
        faults.append("docs/results/stereo.md is not what the evidence says: write it anew with --write")
    print("\n".join(faults) or f"docs/results/stereo.md: {', '.join(folders)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
