"""Data sets of the notebooks: what they hold, and what is said where a file or a library is missing."""

import importlib
import sys

import numpy as np
import numpy.testing as npt
import published
import pytest

from fastnn.reference import initialization, optimization, regularization

pytestmark = pytest.mark.usefixtures("closed_figures")


def test_planar_data_set():
    X, Y = regularization.load_planar_dataset(0.0, 1)
    assert X.shape == (2, 50)
    assert Y.dtype == np.uint8
    npt.assert_array_equal(Y[0], [0] * 25 + [1] * 25)
    t = np.linspace(1, 4 * 3.1415, 25)
    npt.assert_allclose(X[:, 25:], 0.2 * t**2 * np.array([np.cos(t), np.sin(t)]), rtol=1e-14)
    np.random.seed(9)
    noise = np.random.randn(50)
    noisy, _ = regularization.load_planar_dataset(0.5, 9)
    # Where t is large the radius is positive, and so the distance from the origin.
    npt.assert_allclose(np.hypot(*noisy)[10:25] - np.hypot(*X)[10:25], 0.5 * noise[10:25], atol=1e-12)


def test_loaded_data_sets_equal_the_published_ones():
    X, Y, test_X, test_Y = initialization.load_dataset()
    npt.assert_array_equal(X, published.circles()[0])
    npt.assert_array_equal(Y, published.circles()[1])
    npt.assert_array_equal(test_X, published.circles(100, 2)[0])
    assert test_Y.shape == (1, 100)
    X, Y = optimization.load_dataset()
    npt.assert_array_equal(X, published.moons()[0])
    npt.assert_array_equal(Y, published.moons()[1])


def test_football_data_set(tmp_path, monkeypatch):
    file = published.football_file()
    for path in (file, str(file), file.parent):
        train_X, train_Y, test_X, test_Y = regularization.load_2D_dataset(path)
        assert (train_X.shape, train_Y.shape, test_X.shape, test_Y.shape) == (
            (2, 211),
            (1, 211),
            (2, 200),
            (1, 200),
        )
        assert train_Y.dtype == test_Y.dtype == np.uint8
        assert all(array.flags.c_contiguous for array in (train_X, train_Y, test_X, test_Y))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "data.mat").write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    npt.assert_array_equal(optimization.load_2D_dataset()[0], train_X)


@pytest.mark.parametrize("side", ["fastnn", "fastnn.reference"])
def test_loaders_draw_if_they_are_asked_to(side, tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    rng = np.random.default_rng(0)
    football = {"X": rng.random((9, 2)), "y": np.eye(9, 1), "Xval": rng.random((4, 2)), "yval": np.eye(4, 1)}
    pytest.importorskip("scipy.io").savemat(tmp_path / "data.mat", football)
    loaders = [
        ("initialization", "load_dataset", (), True),
        ("optimization", "load_dataset", (), True),
        ("optimization", "load_2D_dataset", (tmp_path,), True),
        ("regularization", "load_2D_dataset", (tmp_path,), True),
        ("regularization", "load_planar_dataset", (0.1, 3), False),
    ]
    for module, name, arguments, usual in loaders:
        load = getattr(importlib.import_module(f"{side}.{module}"), name)
        for options, drawn in (({"is_plot": False}, False), ({"is_plot": True}, True), ({}, usual)):
            pyplot.close("all")
            found = load(*arguments, **options)
            assert bool(pyplot.get_fignums()) is drawn, (name, options)
            if drawn:
                assert len(pyplot.gca().collections[0].get_offsets()) == found[0].shape[1]
            for array, same in zip(found, load(*arguments, is_plot=False), strict=True):
                npt.assert_array_equal(array, same)
        with pytest.raises(TypeError, match="is_plot must be True or False, got 'no'"):
            load(*arguments, is_plot="no")
    pyplot.close("all")


@pytest.mark.parametrize("path", [False, 3, ["data.mat"]])
def test_a_path_that_is_none(path):
    with pytest.raises(TypeError, match="path must be a string or a path, got"):
        regularization.load_2D_dataset(path)


def test_football_data_set_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"datasets.data\.mat.*path="):
        regularization.load_2D_dataset()
    (tmp_path / "data.mat").write_bytes(b"")
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(tmp_path / "data.mat", {"X": np.ones((2, 2))})
    with pytest.raises(ValueError, match="lacks y, Xval, yval"):
        regularization.load_2D_dataset(tmp_path)


@pytest.mark.parametrize(
    ("library", "call"),
    [
        ("sklearn", lambda: initialization.load_dataset()),
        ("sklearn", lambda: optimization.load_dataset()),
        ("scipy", lambda: regularization.load_2D_dataset(published.football_file())),
    ],
)
def test_missing_library_is_named(library, call, monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"load_\w+ needs sci[\w-]+, which is not installed"):
        call()
