"""The course's notebooks in the form of each version, with their helper files; the code is ours, and unchecked."""

import json
import re
import shutil
from pathlib import Path

from main_cases import save_football

SOURCES = Path(__file__).parents[1] / "course_notebooks"
TOPICS = ("initialization", "regularization", "gradient_checking", "optimization")
VERSIONS = ("v1", "v1b", "2021")
NOTEBOOKS = [(topic, version) for topic in TOPICS for version in VERSIONS]
HELPERS = (
    "common_utils", "init_utils", "reg_utils", "gc_utils", "opt_utils", "opt_utils_v1a", "testCases", "public_tests",
)  # fmt: skip


def cells_of(topic, version):
    """Yield (cell type, text, tolerance) of a notebook.

    A cell begins with `# %%` and says whose it is, if not everybody's; a line says so at its end, behind `#:`.
    `again=NAME TAG` is the cell that defines NAME once more, in the form of TAG. A tolerance says how far printed
    numbers may be from the plain code's where NumPy's would be, too, after a change of one last digit: random
    initialization, the fifth digit of a difference of 1e-7, and the last third of the 30000 iterations without
    regularization on the data that stand in for the football's.
    """
    pieces = re.split(r"^# %%(.*)\n", (SOURCES / f"{topic}.py").read_text(), flags=re.MULTILINE)[1:]
    cells = list(zip(pieces[::2], pieces[1::2], strict=True))
    for header, text in cells:
        words = header.split()
        if not {*VERSIONS} & {*words} or version in words:
            again = re.search(r"again=(\w+) (\w+)", header)
            form = again[2] if again else version
            if again:
                text = next(other for _, other in cells if other.startswith(f"def {again[1]}("))
            lines = [line.partition("  #: ") for line in text.strip("\n").split("\n")]
            kept = "\n".join(line for line, tagged, tags in lines if not tagged or form in tags.split())
            tolerance = re.search(r"tolerance=(\S+)", header)
            if "[markdown]" in words:
                yield "markdown", re.sub("^# ", "", kept, flags=re.MULTILINE), None
            else:
                yield "code", re.sub("^# %", "%", kept, flags=re.MULTILINE), tolerance and float(tolerance[1])


def notebook_of(cells, **metadata):
    """Return the JSON of a notebook, as Jupyter writes it."""
    return {
        "cells": [
            {
                "cell_type": kind,
                "metadata": {} if tolerance is None else {"tolerance": tolerance},
                "source": text.splitlines(keepends=True),
                **({"execution_count": None, "outputs": []} if kind == "code" else {}),
            }
            for kind, text, tolerance in cells
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, **metadata},
        "nbformat": 4,
        "nbformat_minor": 2,
    }


def shortened(text, length):
    """Cut the trainings of a cell to this many iterations or epochs."""
    if not re.search(r"= model\(train_X", text):
        return text
    counts = "num_epochs" if "layers_dims" in text else "num_iterations"
    text = re.sub(rf", {counts}=\d+", "", text)
    return re.sub(r"(= model\(train_X.*)\)$", rf"\1, {counts}={length})", text, flags=re.MULTILINE)


def write_notebook(folder, topic, version, length=None):
    """Write a notebook and the files that it needs into a folder; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in HELPERS:
        shutil.copy(SOURCES / f"{name}.py", folder)
    save_football(folder / "datasets" / "data.mat")
    cells = list(cells_of(topic, version))
    if length is not None:
        cells = [(kind, shortened(text, length), tolerance) for kind, text, tolerance in cells]
    path = folder / f"{topic}_{version}.ipynb"
    path.write_text(json.dumps(notebook_of(cells), indent=1))
    return path
