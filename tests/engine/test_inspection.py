"""Figures of trainings and of what was learned."""

import math
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import SGD, History, plot_decision_boundary, plot_history

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
plt = pytest.importorskip("matplotlib.pyplot")

SIDES = (fastnn.reference, fastnn)
side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.__name__)

RANDOM = np.random.RandomState(0)
POINTS = RANDOM.randn(30, 2)
LABELS = (POINTS[:, 0] > 0).astype(int) + (POINTS[:, 1] > 0)


@pytest.fixture(autouse=True)
def _no_figure_stays():
    yield
    plt.close("all")


class Classifier:
    """Counts the coordinates above 0, and calls the numbers by names."""

    def __init__(self, names=(0, 1, 2)):
        self.names = np.array(names)

    def predict(self, X):
        self.seen = X
        X = np.asarray(X)
        return self.names[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0)]


class Sure(Classifier):
    def predict_proba(self, X):
        return np.eye(3)[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0)]


class Regressor:
    def predict(self, X):
        return (np.asarray(X) ** 2).sum(axis=1)


def texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def drawn(axes):
    """Draw everything, and tell how many colours there are."""
    figure = axes.figure
    figure.canvas.draw()
    return len(np.unique(np.asarray(figure.canvas.buffer_rgba()).reshape(-1, 4), axis=0))


# Curves.


@pytest.mark.parametrize("epochs", [1, 5, 3000])
@pytest.mark.parametrize("names", [(), ("validation_loss",), ("validation_loss", "validation_score")], ids=str)
def test_curves(epochs, names):
    values = list(1 + RANDOM.rand(epochs))
    history = History(values, **dict.fromkeys(names, values))
    axes = plot_history(history)
    assert drawn(axes) > 5
    assert axes.figure.number in plt.get_fignums()
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("epoch", "loss", "linear")
    top = axes.figure.axes[-1]
    assert texts(top) == ["loss", *(name.replace("_", " ") for name in names)]
    assert (top is axes) == ("validation_score" not in names)
    assert list(axes.lines[0].get_xdata()) == list(range(1, epochs + 1))
    assert list(axes.lines[0].get_ydata()) == values
    assert (axes.lines[0].get_marker() == "o") == (epochs < 20)


def test_the_loss_axis_is_logarithmic_where_it_helps():
    for losses, scale in (([1, 0.01], "log"), ([1, 0.5], "linear"), ([1, 0], "linear"), ([1, -1], "linear")):
        assert plot_history(History(losses)).get_yscale() == scale


def test_losses_that_are_not_finite_leave_a_gap():
    axes = plot_history(History([1.0, math.inf, math.nan, 0.5], [math.nan] * 4))
    assert texts(axes) == ["loss (inf at 2)", "validation loss (nan at 1)"]
    assert drawn(axes) > 5


def test_curves_of_an_estimator_in_the_caller_s_axes():
    figure, (left, right) = plt.subplots(1, 2)
    estimator = type("Estimator", (), {"history_": History([1.0, 2.0])})()
    assert plot_history(estimator, axes=right) is right
    assert not left.lines
    assert plt.get_fignums() == [figure.number]


def test_bad_curves():
    for source in ([1.0, 2.0], Regressor(), None):
        with pytest.raises(TypeError, match=r"source must be a History or have one as history_, got \w+"):
            plot_history(source)
    with pytest.raises(ValueError, match="source must have an epoch at least, got an empty History"):
        plot_history(History())
    with pytest.raises(TypeError, match="axes must be None or matplotlib's Axes, got Figure"):
        plot_history(History([1.0]), axes=plt.figure())


# Regions and contours.


@pytest.mark.parametrize("names", [(0, 1, 2), ("one", "three", "two"), (-1.5, 2.0, 7.5)], ids=str)
def test_regions(names):
    model = Classifier(names)
    model.classes_ = model.names
    y = model.names[LABELS]
    y[0] = model.names[(LABELS[0] + 1) % 3]
    axes = plot_decision_boundary(model, POINTS, y, resolution=50)
    assert texts(axes) == [str(name) for name in model.names]
    assert axes.get_title() == "Classifier: accuracy 0.967"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$x_1$", "$x_2$")
    assert sum(len(points.get_offsets()) for points in axes.collections[-3:]) == 30
    image = axes.images[0].get_array()
    assert len(np.unique(image.reshape(-1, 3), axis=0)) == 3
    for corner, code in (((0, 0), 0), ((0, -1), 1), ((-1, 0), 1), ((-1, -1), 2)):
        light, dark = image[corner], matplotlib.colors.to_rgb(fastnn.inspection._COLOURS[code])
        np.testing.assert_allclose(1 - light, 0.3 * (1 - np.array(dark)))
    left, right, bottom, top = axes.images[0].get_extent()
    assert left < axes.get_xlim()[0] < POINTS[:, 0].min() < POINTS[:, 0].max() < axes.get_xlim()[1] < right
    assert bottom < axes.get_ylim()[0] < POINTS[:, 1].min() < POINTS[:, 1].max() < axes.get_ylim()[1] < top
    assert drawn(axes) > 10


def test_paler_regions():
    X = np.array([[0.0, 0.0], [1.0, 1.0]])
    axes = plot_decision_boundary(Sure(), X, [0, 2], probabilities=True, resolution=20)
    strongest = 1 - axes.images[0].get_array()[0, 0]
    np.testing.assert_allclose(strongest, 0.5 * (1 - np.array(matplotlib.colors.to_rgb("#0072B2"))))
    with pytest.raises(TypeError, match="probabilities needs an estimator with predict_proba, got Classifier"):
        plot_decision_boundary(Classifier(), X, [0, 2], probabilities=True)


@pytest.mark.parametrize("classes", [1, 12])
def test_one_class_and_many(classes):
    class Striped:
        classes_ = np.arange(classes)

        def predict(self, X):
            return np.clip(X[:, 0].astype(int), 0, classes - 1)

    X = np.stack([np.arange(classes) + 0.5, np.zeros(classes)], axis=1)
    axes = plot_decision_boundary(Striped(), X, np.arange(classes), resolution=30)
    assert len(texts(axes)) == classes
    marks = axes.collections[-classes:]
    assert len({(mark.get_facecolor().tobytes(), mark.get_paths()[0].vertices.tobytes()) for mark in marks}) == classes
    assert drawn(axes) > 3


@pytest.mark.parametrize("constant", [False, True])
def test_contours(constant):
    class Flat:
        def predict(self, X):
            return np.ones((len(X), 1))

    model = Flat() if constant else Regressor()
    y = model.predict(POINTS).ravel()
    axes = plot_decision_boundary(model, POINTS, y, resolution=20)
    assert axes.get_title() == ("Flat" if constant else "Regressor: R2 1.000")
    assert axes.get_legend() is None
    assert len(axes.figure.axes) == 2
    assert axes.figure.axes[1].get_ylabel() == "value"
    assert drawn(axes) > 10


def test_predictions_that_are_not_finite_are_left_out():
    class Broken:
        def predict(self, X):
            return np.full(len(X), math.nan)

    for y in (POINTS[:, 0], np.full(30, math.nan)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plot_decision_boundary(Broken(), POINTS, y, resolution=5)


def test_frames_keep_their_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(POINTS, columns=["length", "width"], index=range(7, 37))
    model = Classifier()
    axes = plot_decision_boundary(model, frame, pandas.Series(LABELS, index=frame.index), resolution=10)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("length", "width")
    assert model.seen is frame
    linear = pytest.importorskip("sklearn.linear_model")
    plot_decision_boundary(linear.LogisticRegression().fit(frame, LABELS), frame, LABELS, probabilities=True)
    # Whole numbers as targets do not make a regressor a classifier.
    axes = plot_decision_boundary(linear.LinearRegression().fit(frame, LABELS), frame, LABELS)
    assert axes.get_legend() is None


@side
def test_networks_in_rows(side):
    net = side.Network([2, 8, 1], "tanh", dtype="float32", seed=0)
    targets = POINTS.sum(axis=1)
    history = side.train(net, POINTS.T, targets, epochs=50, optimizer=SGD(0.1))

    class Rows:
        def predict(self, X):
            assert X.dtype == "f4"
            return net.predict(X.T)[0]

    axes = plot_decision_boundary(Rows(), POINTS.astype("f4"), targets, resolution=20)
    assert float(axes.get_title().split()[-1]) > 0.8
    assert plot_history(history).get_title() == "Training history"


def test_in_the_caller_s_axes():
    figure, axes = plt.subplots()
    assert plot_decision_boundary(Regressor(), POINTS, POINTS[:, 0], axes=axes, resolution=5) is axes
    assert plt.get_fignums() == [figure.number]


def test_constant_features_have_a_margin():
    axes = plot_decision_boundary(Classifier(), np.full((3, 2), 1e6), [2, 2, 2], resolution=5)
    assert axes.get_xlim() == (0.5e6, 1.5e6)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"estimator": 3}, TypeError, "estimator must have predict for examples in rows, got int"),
        ({"estimator": fastnn.reference.Network([2, 1])}, TypeError, "for examples in rows, got Network"),
        ({"X": POINTS.T}, ValueError, r"X must have shape \(m, 2\) to be drawn in the plane, got shape \(2, 30\)"),
        ({"X": POINTS * math.nan}, ValueError, "X must be finite, got nan"),
        ({"X": POINTS.astype(str)}, TypeError, "X must hold real numbers"),
        ({"y": LABELS[1:]}, ValueError, r"y must have shape \(30,\), one value for each row of X, got shape \(29,\)"),
        ({"resolution": 1}, ValueError, "resolution must be at least 2, got 1"),
        ({"probabilities": 1}, TypeError, "probabilities must be True or False, got 1"),
        ({"axes": 1}, TypeError, "axes must be None or matplotlib's Axes, got int"),
    ],
)
def test_bad_arguments(arguments, kind, message):
    with pytest.raises(kind, match=message):
        plot_decision_boundary(**{"estimator": Classifier(), "X": POINTS, "y": LABELS, **arguments})
    assert plt.get_fignums() == []


def test_predictions_of_another_shape():
    class Pairs:
        def predict(self, X):
            return np.zeros((len(X), 2))

    with pytest.raises(ValueError, match=r"predict of estimator must return one value a row, got shape \(25, 2\) for"):
        plot_decision_boundary(Pairs(), POINTS, LABELS, resolution=5)


# Figures.


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    with pytest.raises(ImportError, match=r"^plot_history needs matplotlib, which is not installed$"):
        plot_history(History([1.0]))
    with pytest.raises(ImportError, match=r"^plot_decision_boundary needs matplotlib, which is not installed$"):
        plot_decision_boundary(Classifier(), POINTS, LABELS)


def test_off_the_main_thread_no_window_is_asked_for(tmp_path):
    made = []
    thread = threading.Thread(target=lambda: made.append(plot_history(History([1.0, 0.5]))))
    thread.start()
    thread.join()
    assert plt.get_fignums() == []
    made[0].figure.savefig(tmp_path / "figure.png")


def test_a_backend_without_its_display(tmp_path):
    code = (
        "import matplotlib; from fastnn import History, plot_history\n"
        "axes = plot_history(History([1.0, 0.5]))\n"
        f"axes.figure.savefig({str(tmp_path / 'figure.png')!r})\n"
    )
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60,
        env={**environment, "MPLBACKEND": "tkagg", "PYTHONPATH": str(fastnn.__path__[0]) + "/.."},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figure.png").stat().st_size > 1000
