"""Data sets of the notebooks: what they hold, and what is said where a file or a library is missing."""

import importlib
import sys

import numpy as np
import numpy.testing as npt
import published
import pytest

from fastnn.reference import initialization, optimization, regularization

pytestmark = pytest.mark.usefixtures("closed_figures")

CATS = (("initialization", "load_cat_dataset"), ("regularization", "load_dataset"))


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
@pytest.mark.parametrize("load", [regularization.load_2D_dataset, regularization.load_dataset])
def test_a_path_that_is_none(load, path):
    with pytest.raises(TypeError, match="path must be a string or a path, got"):
        load(path)


def write_cats(folder, part, **arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / f"{part}_catvnoncat.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array


@pytest.mark.parametrize("side", published.SIDES)
def test_cats(side, tmp_path, monkeypatch):
    loaders = [getattr(published.course(side, module), name) for module, name in CATS]
    rng = np.random.default_rng(0)
    pictures = {part: rng.integers(0, 256, (m, 4, 4, 3), np.uint8) for part, m in (("train", 5), ("test", 2))}
    (tmp_path / "datasets").mkdir()
    for part, X in pictures.items():
        write_cats(
            tmp_path / "datasets", part,
            **{f"{part}_set_x": X, f"{part}_set_y": np.arange(len(X)) % 2, "list_classes": [b"non-cat", b"cat"]},
        )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for load in loaders:
        for found in (load(), load("datasets")):
            train_X, train_Y, test_X, test_Y, classes = found
            npt.assert_array_equal(train_X[:, 3], pictures["train"][3].ravel() / 255)
            npt.assert_array_equal(test_X[:, 1], pictures["test"][1].ravel() / 255)
            npt.assert_array_equal(train_Y, [[0, 1, 0, 1, 0]])
            npt.assert_array_equal(test_Y, [[0, 1]])
            assert list(classes) == [b"non-cat", b"cat"]
    write_cats(tmp_path / "datasets", "test", test_set_x=pictures["test"])
    with pytest.raises(ValueError, match="must hold test_set_x, test_set_y and list_classes, and lacks test_set_y, li"):
        loaders[0]()


@pytest.mark.parametrize("missing", ["train", "test"])
def test_cats_that_are_missing(missing, tmp_path):
    for part in {"train", "test"} - {missing}:
        (tmp_path / f"{part}_catvnoncat.h5").touch()
    with pytest.raises(FileNotFoundError, match=rf"looked for at .*{missing}_catvnoncat\.h5 and are not there.*path="):
        regularization.load_dataset(tmp_path)


def test_cats_need_h5py(tmp_path, monkeypatch):
    for part in ("train", "test"):
        (tmp_path / f"{part}_catvnoncat.h5").touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="the data set of cats needs h5py, which is not installed"):
        initialization.load_cat_dataset(tmp_path)


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
