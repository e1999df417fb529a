"""The experiments of the main job, and their data."""

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.testing as npt
import published
import pytest
from main_cases import PUBLISHED, TITLES, cut_short, save_football, table

from fastnn.__main__ import main
from fastnn.course import datasets, experiments
from fastnn.course.experiments import COMPILED, EXPERIMENTS, REFERENCE

pytest.importorskip("sklearn")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")


@pytest.fixture
def short(monkeypatch, tmp_path):
    return cut_short(monkeypatch, tmp_path)


@pytest.mark.parametrize("place", ["default", "file", "folder"])
def test_football_data_is_found(short, capsys, place):
    file = Path("datasets/data.mat" if place == "default" else "elsewhere/data.mat")
    save_football(file)
    options = {"default": [], "file": ["--data", str(file)], "folder": ["--data", str(file.parent)]}[place]
    assert main(["--experiment", "none,gd", "--no-reference", *options]) == 0
    printed = capsys.readouterr().out
    assert not any(marked for marked, _ in table(printed).values())
    assert "stand-in" not in printed


def test_stand_in_is_marked(short, capsys):
    assert main(["--experiment", "none,l2,dropout,gd", "--no-reference"]) == 0
    printed = capsys.readouterr().out
    assert [marked for marked, _ in table(printed).values()] == [True, True, True, False]
    assert "\n* stand-in data: datasets/data.mat was not found; --data says where it is.\n" in printed


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"yval": None}, "must hold arrays X, y, Xval and yval, and lacks yval"),
        ({"X": np.zeros((211, 3))}, r"X of shape \(m, 2\) and y of shape \(m, 1\), got shapes \(211, 3\)"),
        ({"y": np.zeros((210, 1))}, r"got shapes \(211, 2\) and \(210, 1\)"),
        ({"Xval": np.full((200, 2), np.nan)}, "finite numbers in Xval"),
        ({"y": np.full((211, 1), 2)}, "only 0 and 1 in y"),
    ],
    ids=["missing", "three coordinates", "labels short", "nan", "third class"],
)
def test_foreign_data_file_is_refused(tmp_path, changes, sentence):
    save_football(tmp_path / "data.mat", **changes)
    with pytest.raises(ValueError, match=sentence):
        datasets.football(tmp_path / "data.mat")


def test_data_equals_the_notebooks(tmp_path):
    import matplotlib

    from fastnn.reference import initialization, optimization, regularization

    save_football(tmp_path / "data.mat")
    backend = matplotlib.get_backend()
    matplotlib.use("agg")  # the notebooks' loaders draw
    try:
        pairs = [
            (datasets.circles(), initialization.load_dataset()),
            (datasets.moons()[:2], optimization.load_dataset()),
            (datasets.football(tmp_path / "data.mat"), regularization.load_2D_dataset(tmp_path)),
        ]
    finally:
        matplotlib.use(backend)
    for ours, theirs in pairs:
        for a, b in zip(ours, theirs, strict=True):
            npt.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def test_stand_in_has_the_shape_of_the_football_data():
    before = np.random.get_state()[1].copy()
    data = datasets.football_stand_in()
    npt.assert_array_equal(before, np.random.get_state()[1])
    assert [array.shape for array in data] == [(2, 211), (1, 211), (2, 200), (1, 200)]
    assert [array.dtype for array in data] == [np.float64, np.uint8, np.float64, np.uint8]
    assert all(array.flags.c_contiguous for array in data)
    for X, Y in (data[:2], data[2:]):
        assert -0.7 < X.min() < -0.5
        assert 0.4 < X.max() < 0.6
        assert 0.4 < Y.mean() < 0.6
    for a, b in zip(data, datasets.football_stand_in(), strict=True):
        npt.assert_array_equal(a, b)


@pytest.mark.needs_jit
def test_stand_in_shows_overfitting_and_its_cure():
    data = datasets.football_stand_in()
    predict_dec = published.course(COMPILED, "regularization").predict_dec
    gaps = {}
    for name in ("none", "l2", "dropout"):
        parameters = experiments.train(COMPILED, EXPERIMENTS[name], data)
        train, test = (np.mean(predict_dec(parameters, X) == Y) for X, Y in (data[:2], data[2:]))
        gaps[name] = train - test
    assert gaps["none"] > 0.05
    assert max(gaps["l2"], gaps["dropout"]) < 0.03


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_settings_are_the_published_runs(name):
    experiment, run = EXPERIMENTS[name], published.RUNS[PUBLISHED.get(name, name)]
    assert (experiment.module, experiment.data) == (run.module, run.data)
    model = inspect.signature(published.course(REFERENCE, run.module).model)
    bound = model.bind(None, None, **run.settings, **({"decay": run.decay} if run.decay else {}))
    bound.apply_defaults()
    expected = {
        key: value for key, value in bound.arguments.items() if key not in ("X", "Y", "print_cost", "warn_redefined")
    }
    assert experiment.arguments == expected


@pytest.mark.parametrize("name", ["random", "dropout", "adam-decay"])
@pytest.mark.parametrize("side", [REFERENCE, COMPILED])
def test_training_equals_the_model(short, side, name):
    data = datasets.football_stand_in()
    experiment = short[name]
    module = published.course(side, experiment.module)
    arguments = experiment.arguments
    if arguments.get("decay"):
        arguments["decay"] = getattr(module, arguments["decay"])
    with np.errstate(all="ignore"):
        expected = module.model(data.train_X, data.train_Y, print_cost=False, **arguments)
    parameters = experiments.train(side, experiment, data)
    assert list(parameters) == list(expected)
    for key, array in expected.items():
        npt.assert_array_equal(parameters[key], array)


def test_run_reports_progress_up_to_one(short, monkeypatch):
    monkeypatch.setattr(experiments, "REFERENCE_SECONDS", 0.0)
    told = []
    outcome = experiments.run(
        short["l2"], datasets.football_stand_in(), advance=lambda stage, done: told.append((stage, done))
    )
    stages, parts = zip(*told, strict=True)
    assert list(parts) == sorted(parts)
    assert (parts[0], parts[-1]) == (0, 1)
    assert stages == ("training", *("timing", "timing NumPy") * 2, "done")
    assert outcome.reference_part == 2  # not even one of two iterations fits: the smallest part
    assert outcome.speed_up > 0
    assert outcome.curve.iterations == [0]


def test_reference_part_is_the_largest_that_fits(monkeypatch):
    experiment = replace(EXPERIMENTS["he"], settings={"num_iterations": 12})
    monkeypatch.setattr(experiments, "_seconds", lambda side, experiment, data, iterations: iterations * 1.0)
    parts = []
    for seconds in (100, 12, 11.9, 5, 1, 0.5):
        monkeypatch.setattr(experiments, "REFERENCE_SECONDS", seconds)
        parts.append(experiments._reference_part(experiment, None))
    assert parts == [1, 1, 2, 3, 12, 12]


def test_costs_that_are_not_finite_leave_a_gap(short):
    from fastnn.course import figures

    data = datasets.circles()
    random, he = (experiments.run(short[name], data, timed=False) for name in ("random", "he"))
    random.curve.iterations[:], random.curve.costs[:] = [0, 1000, 2000], [np.inf, 0.6, 0.5]
    he.curve.iterations[:], he.curve.costs[:] = [0, 1000, 2000], [0.9, 0.8, 0.7]
    (axes,) = figures.cost_curves([random, he]).axes
    drawn = [line.get_ydata() for line in axes.lines]
    npt.assert_array_equal(drawn, [[np.nan, 0.6, 0.5], [0.9, 0.8, 0.7]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["random x10 (inf at 0)", "He"]


def test_boundaries_have_a_panel_for_each_experiment(short):
    from fastnn.course import figures

    data = {"circles": datasets.circles(), "football": datasets.football_stand_in(), "moons": datasets.moons()}
    outcomes = [experiments.run(experiment, data[experiment.data], timed=False) for experiment in short.values()]
    figure = figures.decision_boundaries(outcomes, stand_in=True)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title().splitlines()[0] for axes in panels] == list(TITLES)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in panels)
    for axes, outcome in zip(panels, outcomes, strict=True):
        (image,) = axes.images
        left, right, bottom, top = image.get_extent()
        ticks = image.get_array().shape[0]
        grid = np.meshgrid(np.linspace(left, right, ticks), np.linspace(bottom, top, ticks))
        expected = outcome.classify(np.stack([part.ravel() for part in grid])).reshape(ticks, ticks)
        npt.assert_array_equal(image.get_array(), expected)
    assert "regularization (stand-in data)" in [part.get_suptitle() for part in figure.subfigs]
