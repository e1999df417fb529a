"""Experiments cut short, and a data set in the form of the course's file."""

import re
from dataclasses import replace
from types import MappingProxyType

from fastnn.course import datasets, experiments
from fastnn.course.experiments import EXPERIMENTS

TITLES = {experiment.title: name for name, experiment in EXPERIMENTS.items()}

PUBLISHED = {
    "gd-update-lr": "gd, update_lr",
    "gd-decay": "gd, schedule_lr_decay",
    "momentum-decay": "momentum, schedule_lr_decay",
    "adam-decay": "adam, schedule_lr_decay",
}


def table(text):
    """Read the rows of a printed table: name of the experiment -> (marked, cells)."""
    rows = {}
    for line in text.splitlines():
        cells = re.split(r" {2,}", line.strip())
        title = cells[0].removesuffix(" *")
        if line.startswith("  ") and title in TITLES and len(cells) == 7:
            rows[TITLES[title]] = (cells[0] != title, cells[1:])
    return rows


def cut_short(monkeypatch, folder):
    """Work in an empty folder on experiments of two iterations, drawn from few points."""

    def cut(experiment):
        return replace(experiment, settings={**experiment.settings, experiment.counts: 2})

    shortened = MappingProxyType({name: cut(experiment) for name, experiment in EXPERIMENTS.items()})
    monkeypatch.setattr(experiments, "EXPERIMENTS", shortened)
    monkeypatch.setattr(experiments, "GRID_POINTS", 400)
    monkeypatch.chdir(folder)
    return shortened


def save_football(file, **changes):
    """Write a data set as the course's file has it."""
    from scipy.io import savemat

    data = datasets.football_stand_in()
    arrays = dict(zip(("X", "y", "Xval", "yval"), (array.T for array in data), strict=True))
    file.parent.mkdir(parents=True, exist_ok=True)
    savemat(file, {name: array for name, array in {**arrays, **changes}.items() if array is not None})
