"""The compiled `model`s against the reference's, and their published figures."""

import itertools
import math
import re
import threading

import numpy as np
import numpy.testing as npt
import published
import pytest
from conftest import JIT
from hypothesis import given
from hypothesis import strategies as st
from strategies import LAYOUTS, laid_out, numbers

from fastnn import gradient_checking, initialization, optimization, regularization
from fastnn.engine import slices
from fastnn.reference import gradient_checking as reference_checking
from fastnn.reference import initialization as reference_initialization
from fastnn.reference import optimization as reference_optimization
from fastnn.reference import regularization as reference_regularization
from fastnn.reference.course.settings import InitializationSettings, OptimizationSettings, RegularizationSettings

SIDES = {
    "initialization": (initialization, reference_initialization),
    "regularization": (regularization, reference_regularization),
    "optimization": (optimization, reference_optimization),
}
M = 83 if JIT else 21


def draw_data(n_x=2, n_y=1, m=M, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_x, m)), rng.integers(0, 2, (n_y, m))


def assert_same_parameters(out, ref, tolerance=1e-10):
    assert list(out) == list(ref)
    for key, array in ref.items():
        assert out[key].dtype == array.dtype == np.float64
        assert out[key].shape == array.shape
        assert out[key].flags.c_contiguous
        assert out[key].flags.owndata
        npt.assert_allclose(out[key], array, rtol=tolerance, atol=tolerance * np.abs(array).max(), err_msg=key)


def compare(module, *data, **settings):
    """Train on both sides; where numbers are infinite or NaN they are so on both."""
    settings = {"print_cost": False, **settings}
    with np.errstate(all="ignore"):
        out, ref = (side.model(*data, **settings) for side in SIDES[module])
    assert_same_parameters(out, ref)
    return out


# Short runs.


@pytest.mark.parametrize("start", ["he", "zeros", "random", "xavier"])
def test_initialization(start):
    # After three steps from weights ten times too large the last digits already differ by more.
    steps = 3 if start == "random" else 20
    compare("initialization", *draw_data(), initialization=start, num_iterations=steps, learning_rate=0.05)


@pytest.mark.parametrize("side", SIDES["initialization"])
def test_training_begins_with_the_initializer_of_that_name(side):
    X, Y = draw_data()
    for start in ("he", "zeros", "random", "xavier"):
        begun = getattr(side, f"initialize_parameters_{start}")([X.shape[0], 10, 5, 1])
        npt.assert_equal(side.model(X, Y, num_iterations=0, print_cost=False, initialization=start), begun)


@pytest.mark.parametrize("settings", [
    {}, {"lambd": 0.7}, {"lambd": 100}, {"keep_prob": 0.86}, {"keep_prob": 0.1}, {"keep_prob": 1e-9},
    {"keep_prob": 1, "lambd": 0},
], ids=str)  # fmt: skip
def test_regularization(settings):
    for m in (1, 15, 16, 17, 64, 65, M):
        compare("regularization", *draw_data(m=m), num_iterations=20, **settings)


@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam"])
@pytest.mark.parametrize("batch", [1, 7, 64, M, M + 1, 1000])
def test_optimizers_and_batch_sizes(optimizer, batch):
    compare(
        "optimization", *draw_data(), [2, 5, 2, 1], optimizer, learning_rate=0.02, mini_batch_size=batch,
        num_epochs=4 if JIT else 1,
    )  # fmt: skip


@pytest.mark.parametrize("decay", ["update_lr", "schedule_lr_decay", "own"])
@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam"])
def test_decay(optimizer, decay):
    rule = (lambda rate, epoch, k: rate * np.exp(-k * epoch)) if decay == "own" else getattr(optimization, decay)
    compare(
        "optimization", *draw_data(m=20), [2, 3, 1], optimizer, learning_rate=0.05, mini_batch_size=8,
        num_epochs=40 if JIT else 6, decay=rule, decay_rate=0.3,
    )  # fmt: skip


def test_decay_is_asked_once_an_epoch_and_in_order():
    for side in SIDES["optimization"]:
        asked = []

        def decay(rate, epoch, decay_rate, asked=asked):
            asked.append((rate, epoch, decay_rate))
            return rate

        side.model(*draw_data(m=9), [2, 3, 1], "gd", 0.1, num_epochs=50, print_cost=False, decay=decay, decay_rate=2)
        assert asked == [(0.1, epoch, 2.0) for epoch in range(50)]


@pytest.mark.parametrize("sizes", [[2, 1], [3, 4], [2, 17, 3], [5, 3, 19, 2, 4], [1, 2, 3, 4, 5, 6], [33, 40, 16, 2]])
@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam"])
def test_depths_widths_and_several_outputs(sizes, optimizer):
    if not JIT:
        sizes = [min(n, 5) for n in sizes]
    compare(
        "optimization", *draw_data(sizes[0], sizes[-1], 70 if JIT else 10), sizes, optimizer, learning_rate=0.01,
        mini_batch_size=33, num_epochs=3,
    )  # fmt: skip


@pytest.mark.parametrize("settings", [
    {"beta": 0.0}, {"beta": 1.0}, {"beta": 0.5}, {"beta1": 0.0}, {"beta1": 0.5}, {"beta2": 0.0}, {"beta2": 0.9},
    {"epsilon": 0.1}, {"epsilon": 1e-3}, {"learning_rate": 0.0}, {"learning_rate": -0.01},
    {"beta1": 1.0}, {"beta2": 1.0},
], ids=str)  # fmt: skip
def test_settings_of_the_optimizers(settings):
    optimizer = "momentum" if "beta" in settings else "adam"
    settings = {"learning_rate": 0.01, **settings}
    compare("optimization", *draw_data(m=20), [2, 4, 1], optimizer, num_epochs=3, mini_batch_size=8, **settings)


@given(
    st.sampled_from(["float32", "int64", "uint8", "bool", "float64"]),
    st.sampled_from(["float32", "int64", "uint8", "bool", "float64"]),
    st.sampled_from(LAYOUTS),
    st.sampled_from(["array", "list", "one dimension"]),
    st.sampled_from([1, 2, 5, 16, 17, 65] if JIT else [1, 5]),
    st.integers(0, 2**32 - 1),
)
def test_data_of_any_dtype_and_layout(x_dtype, y_dtype, layout, form, m, seed):
    rng = np.random.default_rng(seed)
    X = laid_out(numbers(rng, (3, m), x_dtype), layout, rng)
    Y = laid_out(rng.integers(0, 2, (1, m)).astype(y_dtype), layout, rng)
    X.flags.writeable = Y.flags.writeable = False
    kept_X, kept_Y = X.copy(), Y.copy()
    data = {"array": (X, Y), "list": (X.tolist(), Y.tolist()), "one dimension": (X, Y[0])}[form]
    compare("initialization", *data, num_iterations=3)
    compare("regularization", *data, num_iterations=3, keep_prob=0.8)
    compare("optimization", *data, [3, 4, 1], "adam", num_epochs=2, mini_batch_size=7)
    npt.assert_array_equal(X, kept_X)
    npt.assert_array_equal(Y, kept_Y)


def test_no_iterations_return_the_initial_parameters(capsys):
    X, Y = draw_data()
    for module, settings in (
        ("initialization", {"num_iterations": 0}),
        ("regularization", {"num_iterations": 0, "keep_prob": 0.8}),
        ("optimization", {"layers_dims": [2, 3, 1], "optimizer": "adam", "num_epochs": 0}),
    ):
        out, ref = (side.model(X, Y, **settings) for side in SIDES[module])
        npt.assert_equal(out, ref)
    assert capsys.readouterr().out == ""


def test_divergence_shows_as_in_numpy():
    X, Y = draw_data(m=20)
    with np.errstate(all="ignore"):
        for module, settings in (
            ("initialization", {"learning_rate": 1e300, "num_iterations": 6}),
            ("regularization", {"learning_rate": 1e300, "num_iterations": 6, "lambd": 0.7}),
            ("optimization", {"layers_dims": [2, 3, 1], "optimizer": "gd", "learning_rate": 1e300, "num_epochs": 6}),
        ):
            out, ref = (side.model(X, Y, print_cost=False, **settings) for side in SIDES[module])
            assert any(not np.isfinite(array).all() for array in ref.values())
            for key, array in ref.items():
                npt.assert_array_equal(np.isfinite(out[key]), np.isfinite(array), err_msg=key)
                npt.assert_array_equal(np.isnan(out[key]), np.isnan(array), err_msg=key)


def test_an_example_of_another_batch_has_no_say():
    # A huge example of the first batch, whose hidden activation is just finite, and overflows after the first update.
    X, Y = draw_data(n_x=1, m=20, seed=4)
    np.random.seed(11)
    first_batch = np.random.permutation(20)[:12]
    huge = first_batch[9]
    parameters = reference_optimization.initialize_parameters([1, 4, 1])
    X[0, huge] = 1.79e308 / parameters["W1"].min()
    with np.errstate(all="ignore"):
        Y[0, huge] = reference_optimization.forward_propagation(X, parameters)[0][0, huge]
        _, cache = reference_optimization.forward_propagation(X[:, first_batch], parameters)
        grads = reference_optimization.backward_propagation(X[:, first_batch], Y[:, first_batch], cache)
        reference_optimization.update_parameters_with_gd(parameters, grads, 2.0)
        assert np.isinf(parameters["W1"] * X[0, huge]).any()
        out, ref = (
            side.model(X, Y, [1, 4, 1], "gd", 2.0, mini_batch_size=12, num_epochs=1, print_cost=False)
            for side in SIDES["optimization"]
        )
    assert all(np.isfinite(array).all() for array in ref.values())
    assert_same_parameters(out, ref)


# What is printed, and when.


def printed_by_both(module, capsys, *data, **settings):
    texts = []
    for side in SIDES[module]:
        with np.errstate(all="ignore"):
            side.model(*data, **settings)
        texts.append(capsys.readouterr().out.splitlines())
    return texts


NUMBER = re.compile(r"[-+]?(?:\d+\.\d*(?:e[-+]?\d+)?|inf|nan)")


def assert_same_lines(out, ref, digits):
    """Compare the first line as text; of later ones the words, and the numbers as far as they are printed."""
    assert out[0] == ref[0]
    assert [NUMBER.sub("#", line) for line in out] == [NUMBER.sub("#", line) for line in ref]
    for line, ref_line in zip(out, ref, strict=True):
        values, ref_values = ([float(n) for n in NUMBER.findall(text)] for text in (line, ref_line))
        npt.assert_allclose(values, ref_values, rtol=1e-10, atol=digits)


iterations = 2001 if JIT else 3


@pytest.mark.parametrize("start", ["he", "zeros", "xavier"])
def test_lines_of_the_initialization_notebook(start, capsys):
    X, Y = published.circles() if JIT else draw_data()
    out, ref = printed_by_both(
        "initialization", capsys, X, Y, initialization=start, num_iterations=iterations, learning_rate=0.01
    )
    assert len(ref) == (3 if JIT else 1)
    assert_same_lines(out, ref, 0)


def test_first_line_of_weights_ten_times_too_large(capsys):
    X, Y = published.circles()
    out, ref = printed_by_both("initialization", capsys, X, Y, initialization="random", num_iterations=1)
    assert out == ref == ["Cost after iteration 0: inf"]


@pytest.mark.parametrize("settings", [{}, {"lambd": 0.7}, {"keep_prob": 0.86}], ids=str)
def test_lines_of_the_regularization_notebook(settings, capsys):
    X, Y = draw_data(m=30)
    out, ref = printed_by_both("regularization", capsys, X, Y, num_iterations=10001 if JIT else 3, **settings)
    assert len(ref) == (2 if JIT else 1)
    assert_same_lines(out, ref, 0)


@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam"])
@pytest.mark.parametrize("decay", [None, "update_lr"])
def test_lines_of_the_optimization_notebook(optimizer, decay, capsys):
    X, Y = draw_data(m=20)
    rule = decay and getattr(optimization, decay)
    out, ref = printed_by_both(
        "optimization", capsys, X, Y, layers_dims=[2, 3, 1], optimizer=optimizer, num_epochs=2001 if JIT else 3,
        decay=rule,
    )  # fmt: skip
    assert len(ref) == (3 if JIT else 1) * (2 if decay else 1)
    # Numbers are printed to six digits, whose last may be rounded either way.
    assert_same_lines(out, ref, 1.1e-6)


DECAYING = (0.9, 0.9, 0.999, 1e-8, 250, optimization.update_lr, 0.1)
RECORDED = [
    ("initialization", InitializationSettings(0.01, 2501, "he"), 1000),
    ("regularization", RegularizationSettings(0.1, 2501, 0.7, 1.0), 1000),
    ("regularization", RegularizationSettings(0.1, 2501, 0.0, 0.8), 1000),
    ("optimization", OptimizationSettings([2, 3, 1], "momentum", 0.05, 8, *DECAYING), 100),
]


@pytest.mark.needs_jit
@pytest.mark.parametrize(("module", "settings", "every"), RECORDED)
def test_costs_are_those_of_the_reference_at_the_same_iterations(module, settings, every):
    X, Y = draw_data(m=21)
    points = []
    for side in SIDES[module]:
        points.append([])
        side._train(X, Y, settings, lambda *point: points[-1].append(point))
    out, ref = points
    assert [point[0] for point in out] == [point[0] for point in ref] == [0, every, 2 * every]
    npt.assert_allclose([point[1:] for point in out], [point[1:] for point in ref], rtol=1e-10)


def test_recording_does_not_change_the_bits(capsys):
    X, Y = draw_data(m=20)
    for module, settings in (
        ("initialization", {"num_iterations": 1500 if JIT else 2}),
        ("regularization", {"num_iterations": 1500 if JIT else 2, "lambd": 0.7}),
        ("optimization", {"layers_dims": [2, 3, 1], "optimizer": "adam", "num_epochs": 150 if JIT else 2}),
    ):
        side = SIDES[module][0]
        npt.assert_equal(side.model(X, Y, print_cost=True, **settings), side.model(X, Y, print_cost=False, **settings))


class Stop(Exception):
    """Raised by a report to end a run that would take days."""


@pytest.mark.needs_jit
def test_costs_are_reported_while_training_runs():
    X, Y = draw_data(m=20)
    seen = []

    def report(epoch, cost, *rate):
        seen.append(epoch)
        if epoch == 3000:
            raise Stop

    with pytest.raises(Stop):
        initialization._train(X, Y, InitializationSettings(0.01, 10**12, "he"), report)
    assert seen == [0, 1000, 2000, 3000]


# Interrupts, slices and threads.


def test_an_interrupt_from_decay_is_passed_on():
    calls = []

    def decay(rate, epoch, decay_rate):
        calls.append(epoch)
        if epoch == 5:
            raise KeyboardInterrupt
        return rate

    with pytest.raises(KeyboardInterrupt):
        optimization.model(*draw_data(m=9), [2, 3, 1], "gd", num_epochs=10**9, print_cost=False, decay=decay)
    assert calls == list(range(6))


def test_the_bits_do_not_depend_on_the_slices(monkeypatch):
    X, Y = draw_data(m=20)
    epochs = 40 if JIT else 20

    def train():
        return optimization.model(
            X, Y, [2, 3, 1], "adam", mini_batch_size=8, num_epochs=epochs, print_cost=False,
            decay=optimization.update_lr,
        )  # fmt: skip

    whole = train()
    monkeypatch.setattr(slices, "SLICE_SECONDS", 0.0)
    npt.assert_equal(train(), whole)


@pytest.mark.needs_jit
def test_two_models_at_once_give_the_bits_of_one():
    X, Y = draw_data(m=300)
    runs = [([2, 5, 2, 1], "adam"), ([2, 9, 1], "momentum")]

    def train(sizes, optimizer, decay=None):
        return optimization.model(
            X, Y, sizes, optimizer, num_epochs=1500, print_cost=False, decay=decay or (lambda rate, epoch, k: rate)
        )

    alone = [train(*run) for run in runs]
    # Both draw their weights from NumPy's one stream: the second begins when the first has done so, and then both go.
    drawn = [threading.Event() for _ in runs]
    go = threading.Barrier(len(runs), timeout=60)
    together = [None] * len(runs)

    def work(index):
        def decay(rate, epoch, decay_rate):
            if epoch == 0:
                drawn[index].set()
                go.wait()
            return rate

        together[index] = train(*runs[index], decay)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(runs))]
    for thread, event in zip(threads, drawn, strict=True):
        thread.start()
        assert event.wait(60)
    for thread in threads:
        thread.join(60)
    for out, ref in zip(together, alone, strict=True):
        npt.assert_equal(out, ref)


# Published figures.

# Relative, on costs, beside what was published: what one run differs from another by (one ULP here or there).
FULL = {"he": 1e-12, "none": 1e-9, "l2": 1e-12, "dropout": 1e-12}


@pytest.mark.needs_jit
@pytest.mark.parametrize("name", published.RUNS)
def test_published_run(name, capsys):
    run = published.RUNS[name]
    parameters = published.train(published.COMPILED, name)
    costs = published.printed_costs(capsys.readouterr().out)
    for i, (cost, tolerance) in run.costs.items():
        npt.assert_allclose(costs[i], cost, rtol=tolerance)
    train_accuracy, *test_accuracy = published.accuracies(published.COMPILED, name, parameters)
    assert train_accuracy == pytest.approx(run.train_accuracy, abs=1e-12)
    assert test_accuracy == ([] if run.test_accuracy is None else [pytest.approx(run.test_accuracy)])


@pytest.mark.slow
@pytest.mark.needs_jit
@pytest.mark.parametrize("name", FULL)
def test_full_run_against_the_reference(name, capsys):
    costs = []
    for side in (published.COMPILED, published.REFERENCE):
        with np.errstate(all="ignore"):
            published.train(side, name)
        costs.append(published.printed_costs(capsys.readouterr().out))
    assert costs[0] == pytest.approx(costs[1], rel=FULL[name])


def published_check():
    np.random.seed(1)
    X = np.random.randn(4, 3)
    names = ("W1", "b1", "W2", "b2", "W3", "b3")
    shapes = ((5, 4), (5, 1), (3, 5), (3, 1), (1, 3), (1, 1))
    return X, np.array([1, 1, 0]), {n: np.random.randn(*shape) for n, shape in zip(names, shapes, strict=True)}


def test_published_gradient_check_n(capsys):
    X, Y, parameters = published_check()
    _, cache = gradient_checking.forward_propagation_n(X, Y, parameters)
    gradients = gradient_checking.backward_propagation_n(X, Y, cache)
    # At epsilon 1e-7 rounding leaves about four digits of a difference that small.
    npt.assert_allclose(gradient_checking.gradient_check_n(parameters, gradients, X, Y), 1.189e-07, rtol=1e-3)
    assert "\033[92mYour backward propagation works perfectly fine! difference = 1.1" in capsys.readouterr().out
    gradients["dW2"], gradients["db1"] = 2 * gradients["dW2"], 4 * gradients["db1"]
    npt.assert_allclose(gradient_checking.gradient_check_n(parameters, gradients, X, Y), 0.285093156, rtol=3e-9)
    assert "\033[93mThere is a mistake in the backward propagation! difference = 0.2850931" in capsys.readouterr().out


@pytest.mark.parametrize("small_ns", [0.0, math.inf], ids=["in parallel", "small"])
def test_costs_around_every_parameter(monkeypatch, small_ns):
    monkeypatch.setattr(gradient_checking, "SMALL_CHECK_NS", small_ns)
    for sizes, m in itertools.product(([2, 1], [4, 5, 3, 1], [3, 17, 2]), (1, 3, 65) if JIT else (1, 3)):
        X, Y = draw_data(sizes[0], sizes[-1], m)
        parameters = reference_optimization.initialize_parameters(sizes)
        shapes = {name: array.shape for name, array in parameters.items()}
        theta, _ = reference_checking.dictionary_to_vector(parameters)
        out, ref = (
            costs_around(theta, shapes, X, Y, 1e-7)
            for costs_around in (gradient_checking._costs_around, reference_checking.costs_around)
        )
        npt.assert_allclose(out, ref, rtol=1e-12)
        assert out[0].shape == ref[0].shape
