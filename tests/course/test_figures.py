"""Cost curves and decision boundaries: whose figures they are, and when they are shown."""

import threading

import numpy as np
import numpy.testing as npt
import published
import pytest
from course_cases import draw_data

from fastnn.reference import initialization, optimization, regularization
from fastnn.reference.course import figures

pytestmark = pytest.mark.usefixtures("closed_figures")


def test_plots_without_matplotlib(monkeypatch, capsys):
    monkeypatch.setattr(figures, "_available", lambda: False)
    X, Y = draw_data(2, 1, 4)
    initialization.model(X, Y, num_iterations=1)
    with pytest.raises(ImportError, match="plot_decision_boundary needs matplotlib"):
        initialization.plot_decision_boundary(lambda points: points[:, 0] > 0, X, Y)


def test_cost_curve_is_one_reused_figure(capsys):
    import matplotlib.pyplot as plt

    X, Y = draw_data(2, 1, 4)
    initialization.model(X, Y, num_iterations=1001)
    optimization.model(X, Y, [2, 2, 1], "gd", num_epochs=201)
    assert len(plt.get_fignums()) == 1
    axes = plt.gca()
    assert [len(line.get_xdata()) for line in axes.lines] == [3]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epochs (per 100)", "cost")
    assert axes.get_title() == "Learning rate = 0.0007"
    plt.close("all")
    initialization.model(X, Y, num_iterations=1, print_cost=False)
    assert plt.get_fignums() == []


def test_cost_curve_is_drawn_into_the_figure_that_waits_for_it(capsys):
    import matplotlib.pyplot as plt

    X, Y = draw_data(2, 1, 4)
    theirs = plt.figure(figsize=(2, 3))
    initialization.model(X, Y, num_iterations=1)
    assert plt.get_fignums() == [theirs.number]
    assert len(theirs.gca().lines) == 1
    initialization.model(X, Y, num_iterations=1)  # what is drawn already stays
    ours = plt.gcf()
    assert ours is not theirs
    assert len(theirs.gca().lines) == len(ours.gca().lines) == 1
    plt.close("all")
    left, right = plt.subplots(1, 2)[1]
    left.plot([1, 2])
    initialization.model(X, Y, num_iterations=1)
    assert plt.gcf() is right.figure
    assert (len(left.lines), len(right.lines)) == (1, 1)


def test_a_title_lands_on_the_data_set_and_the_next_one_on_the_boundary(capsys):
    import matplotlib.pyplot as plt

    X, Y = regularization.load_planar_dataset(0.1, 1, is_plot=True)
    plt.title("data")
    data = plt.gcf()
    parameters = optimization.model(X, Y, [2, 2, 1], "gd", num_epochs=1)
    costs = plt.gcf()
    assert costs is not data
    assert costs.gca().get_title() == "Learning rate = 0.0007"
    plt.title("boundary")
    initialization.plot_decision_boundary(lambda points: initialization.predict_dec(parameters, points.T), X / 50, Y)
    assert plt.gcf() is costs
    assert costs.gca().get_title() == "boundary"
    assert not costs.gca().lines
    assert data.gca().get_title() == "data"
    assert len(data.gca().collections) == 1
    regularization.load_planar_dataset(0.1, 2, is_plot=True)
    assert len(plt.get_fignums()) == 2


@pytest.mark.parametrize("side", published.SIDES)
def test_titles_of_cost_curves(side, capsys):
    import matplotlib.pyplot as plt

    X, Y = draw_data(2, 1, 4)
    init, reg, opt = (published.course(side, name) for name in ("initialization", "regularization", "optimization"))
    old, new = (published.course(side, f"{version}.optimization") for version in ("v1", "v2021"))
    asked = []

    def decay(rate, epoch, decay_rate):
        asked.append(epoch)
        return rate / (2 + epoch)

    titles = {
        "Learning rate =0.01": lambda: init.model(X, Y, num_iterations=1),
        "Learning rate =1": lambda: reg.model(X, Y, 1, num_iterations=1),
        "Learning rate = 0.0007": lambda: opt.model(X, Y, [2, 1], "gd", num_epochs=1),
        "Learning rate = 2": lambda: old.model(X, Y, [2, 1], "gd", 2, num_epochs=1),
        "Learning rate = 3": lambda: new.model(X, Y, [2, 1], "gd", 3, num_epochs=1),
        "Learning rate = 0.25": lambda: new.model(X, Y, [2, 1], "gd", 1, num_epochs=3, decay=decay),
    }
    for title, train in titles.items():
        train()
        assert plt.gca().get_title() == title
    assert asked == [0, 1, 2]


def test_cost_curve_is_drawn_on_the_main_thread_only(capsys):
    import matplotlib.pyplot as plt

    X, Y = draw_data(2, 1, 4)
    trained = []
    thread = threading.Thread(target=lambda: trained.append(initialization.model(X, Y, num_iterations=1)))
    thread.start()
    thread.join()
    assert set(trained[0]) == {"W1", "b1", "W2", "b2", "W3", "b3"}
    assert plt.get_fignums() == []


def test_failing_plot_does_not_lose_the_parameters(monkeypatch, capsys):
    def fail(plt):
        raise OSError("no display")

    monkeypatch.setattr(figures, "_show", fail)
    X, Y = draw_data(2, 1, 4)
    with pytest.warns(RuntimeWarning, match="cost curve could not be drawn: no display"):
        parameters = initialization.model(X, Y, num_iterations=1)
    assert set(parameters) == {"W1", "b1", "W2", "b2", "W3", "b3"}


def test_decision_boundary_is_drawn_into_the_current_axes(capsys):
    import matplotlib.pyplot as plt

    X, Y = draw_data(2, 1, 30)
    parameters = initialization.model(X, Y, num_iterations=1)
    plt.title("mine")
    plt.gca().set_xlim([-1.5, 2.5])
    asked = []

    def decide(points):
        asked.append(points.shape)
        return initialization.predict_dec(parameters, points.T)

    initialization.plot_decision_boundary(decide, X, Y)
    axes = plt.gca()
    extents = np.ptp(X, axis=1) + 2
    assert asked == [(int(np.prod(np.ceil(extents / 0.01))), 2)]
    assert axes.get_title() == "mine"
    assert axes.get_xlim() == (-1.5, 2.5)
    assert not axes.lines
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x1", "x2")
    initialization.plot_decision_boundary(lambda points: np.zeros(len(points), bool), X, Y[0])


def test_grid_of_a_huge_range_is_coarser(monkeypatch):
    monkeypatch.setattr(figures, "_MAX_GRID_POINTS", 250_000)
    monkeypatch.setattr(figures, "_MAX_AXIS_POINTS", 500)
    x1, x2 = figures._grid(np.array([[0.0, 3.0], [0.0, 3.0]]))
    assert x1.shape == x2.shape == (500, 500)
    npt.assert_allclose(x1[0, 1] - x1[0, 0], 0.01)
    x1, x2 = figures._grid(np.array([[0.0, 6.0], [0.0, 0.5]]))
    assert x1.shape == (250, 800)  # longer than an axis limit, within the limit of points
    x1, x2 = figures._grid(np.array([[0.0, 1e9], [0.0, 1.0]]))
    assert x1.size <= 250_000
    assert x1[0, 0] == -1
    assert x1[0, -1] > 0.99e9
    npt.assert_allclose(x2[1, 0] - x2[0, 0], 0.01)


def test_a_backend_with_windows_is_shown_from_the_main_thread_only(monkeypatch, capsys):
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "get_backend", lambda: "QtAgg")
    monkeypatch.setattr(plt, "show", lambda: shown.append(len(plt.get_fignums())))
    X, Y = draw_data(2, 1, 4)
    initialization.model(X, Y, num_iterations=1)
    assert shown == [1]
    plt.close("all")
    regularization.load_planar_dataset(0.1, 1, is_plot=True)  # a title may follow
    assert shown == [1]
    plt.close("all")
    draw = lambda: initialization.plot_decision_boundary(lambda points: points[:, 0] > 0, X, Y)  # noqa: E731
    draw()
    assert shown == [1, 1]
    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert shown == [1, 1]
