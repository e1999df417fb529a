"""Run the course's notebooks as their readers do, in Jupyter's kernel: with their own code, and switched to fastnn.

python tests/notebooks.py                      all twelve, with an empty and a warm cache; takes a quarter of an hour
python tests/notebooks.py optimization 2021    those of a topic, of a version, or both
python tests/notebooks.py --short 101          trainings of 101 iterations or epochs
python tests/notebooks.py --warm               only with the cache of this machine
python tests/notebooks.py --json times.json    the numbers in a file, too

Prints tables of the seconds that each cell takes, and where what is printed differs; then it ends with 1. Times count
on a machine that does nothing else.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS / "helpers"), str(TESTS.parent)]

from notebook_cases import NOTEBOOKS, TOPICS, VERSIONS, write_notebook  # noqa: E402

SHOWN_SECONDS = 0.05
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\binf\b|\bnan\b)")
RELATIVE = 1e-9


@dataclass
class CellRun:
    """What a code cell did."""

    source: str
    seconds: float
    printed: str
    figures: int
    tolerance: float


def environment(cache=None):
    """Return the environment of a reader's kernel, who has fastnn installed; None is this machine's own cache."""
    paths = filter(None, [str(TESTS.parent), os.environ.get("PYTHONPATH")])
    changed = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    changed.pop("MPLBACKEND", None)
    return changed if cache is None else {**changed, "NUMBA_CACHE_DIR": str(cache)}


def run(path, cache=None):
    """Run a notebook from top to bottom in a new kernel; return its code cells."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=1800, resources={"metadata": {"path": str(path.parent)}}, extra_arguments=["--log-level=40"]
    )
    client.execute(env=environment(cache))
    return [_cell_run(cell) for cell in notebook.cells if cell.cell_type == "code"]


def _cell_run(cell):
    times = cell.metadata.execution
    begin, end = (datetime.fromisoformat(times[f"iopub.status.{state}"]) for state in ("busy", "idle"))
    printed = "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
    figures = sum("image/png" in output.get("data", {}) for output in cell.outputs)
    tolerance = cell.metadata.get("tolerance", RELATIVE)
    return CellRun(cell.source, (end - begin).total_seconds(), printed, figures, tolerance)


def switch(path):
    """Make the switched copy of a notebook with the command."""
    command = [sys.executable, "-m", "fastnn", "notebook", str(path), "--write"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path.with_name(f"{path.stem}.fastnn.ipynb")


def difference(plain, switched):
    """Say how what a cell prints and draws differs from what it did with its own code; None if it does not."""
    if plain.figures != switched.figures:
        return f"{switched.figures} figures in place of {plain.figures}"
    texts = [" ".join(NUMBER.sub("#", cell.printed).split()) for cell in (plain, switched)]
    if texts[0] != texts[1]:
        return f"{texts[1]!r} in place of {texts[0]!r}"
    for ours, own in zip(*(NUMBER.findall(cell.printed) for cell in (switched, plain)), strict=True):
        a, b = float(ours), float(own)
        if ours != own and not abs(a - b) <= max(1.01 * _last_digit(own), plain.tolerance * abs(b)):
            return f"{ours} in place of {own}"
    return None


def _last_digit(number):
    """What one more in the last printed digit is worth."""
    mantissa, _, exponent = number.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals) if math.isfinite(float(number)) else 0.0


def compare(topic, version, folder, length=None, warm_only=False):
    """Run a notebook plain and switched, with an empty cache and with it filled, or with this machine's own.

    Returns
    -------
    dict
        Seconds of each cell by run, and {cell: how it differs}.
    """
    path = write_notebook(folder, topic, version, length)
    switched = switch(path)
    caches = {"warm": None} if warm_only else dict.fromkeys(("empty", "warm"), folder / "cache")
    runs = {"plain": run(path)}
    for name, cache in caches.items():
        if name == "warm":
            warm_up = [sys.executable, "-c", "import fastnn; fastnn.warmup('float64')"]
            subprocess.run(warm_up, env=environment(cache), check=True)
        runs[name] = run(switched, cache)
    cells = [
        {
            "cell": number,
            "begins": _begins(own[0].source),
            **{name: cell.seconds for name, cell in zip(runs, own, strict=True)},
        }
        for number, own in enumerate(zip(*runs.values(), strict=True), start=1)
    ]
    differing = {
        f"{name}, cell {number}": said
        for name in runs
        for number, (own, other) in enumerate(zip(runs["plain"], runs[name], strict=True), start=1)
        if (said := difference(own, other))
    }
    total = {name: sum(cell.seconds for cell in done) for name, done in runs.items()}
    alike = sum(own.printed == other.printed for own, other in zip(runs["plain"], runs["warm"], strict=True))
    return {
        "topic": topic, "version": version, "cells": cells, "total": total, "differences": differing,
        "printed_alike": alike,
    }  # fmt: skip


def _begins(source):
    """Return a cell's first line of code that says what it does."""
    lines = [line for line in source.split("\n") if line.strip() and not line.startswith(("#", "layers_dims"))]
    return (lines or [source])[0][:70]


def table(result):
    """Return a notebook's times as a table in Markdown."""
    runs = list(result["total"])
    head = " | ".join(runs)
    lines = [f"### {result['topic']}, {result['version']}", "", f"| cell | | {head} | plain / warm |"]
    lines.append("|--:|---|" + "--:|" * (len(runs) + 1))
    rows = [(cell["cell"], f"`{cell['begins']}`", cell) for cell in result["cells"]]
    for number, begins, seconds in [*rows, ("", "all cells", result["total"])]:
        if max(seconds[name] for name in runs) >= SHOWN_SECONDS:
            times = " | ".join(f"{seconds[name]:.2f} s" for name in runs)
            lines.append(f"| {number} | {begins} | {times} | {seconds['plain'] / seconds['warm']:.1f}x |")
    lines += [
        "",
        f"{result['printed_alike']} of {len(rows)} cells print the same characters, the others the same numbers.",
    ]
    lines += [f"DIFFERENT: {where}: {said}" for where, said in result["differences"].items()]
    return "\n".join(lines)


def main():
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chosen", nargs="*", metavar="TOPIC|VERSION")
    parser.add_argument("--short", type=int, metavar="N")
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if unknown := {*options.chosen} - {*TOPICS, *VERSIONS}:
        parser.error(f"must be topics ({', '.join(TOPICS)}) and versions ({', '.join(VERSIONS)}), got {unknown}")
    topics = [topic for topic in TOPICS if topic in options.chosen] or TOPICS
    versions = [version for version in VERSIONS if version in options.chosen] or VERSIONS
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for topic, version in NOTEBOOKS:
            if topic in topics and version in versions:
                folder = Path(scratch) / f"{topic}-{version}"
                results.append(compare(topic, version, folder, options.short, options.warm))
                print(table(results[-1]) + "\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 1 if any(result["differences"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
