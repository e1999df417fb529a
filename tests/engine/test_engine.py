"""The compiled engine against the NumPy one: every setting, size, layout and type, in pieces of any length."""

import math
from unittest import mock

import numpy as np
import numpy.testing as npt
import pytest
from engine_cases import OPTIMIZERS, PAIRS, USERS_PAIRS, Problem, assert_close, bent, problems, small_steps
from hypothesis import given
from hypothesis import strategies as st

from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.engine.engine import Engine as CompiledEngine
from fastnn.losses import LOSSES
from fastnn.optimizers import Lion
from fastnn.reference.engine import Engine as ReferenceEngine

DTYPES = ["float64", "float32"]
dtypes = pytest.mark.parametrize("dtype", DTYPES)

# Every step's dropout and shuffle come from these: numbers that need all 64 bits of their counters.
FAR = 2**32 - 3


def engines(problem):
    return CompiledEngine(*problem.model, 1), ReferenceEngine(*problem.model)


def assert_same_training(problem, pieces=(3, 4), step=0, epoch=0):
    """Compare parameters, state, costs and sums after some steps, done in calls of so many."""
    compiled, reference = (problem.trained(engine, pieces, step, epoch) for engine in engines(problem))
    for name, actual, expected in zip(("theta", "state", "costs", "sums"), compiled, reference, strict=True):
        if name == "state":
            assert (actual.step, actual.epoch) == (expected.step, expected.epoch)
            for moment in ("v", "s", "h", "powers"):
                assert_close(getattr(actual, moment), getattr(expected, moment), problem.dtype, moment)
        else:
            assert_close(actual, expected, problem.dtype, name)


def assert_same_results(problem, step=None):
    """Compare everything but training."""
    compiled, reference = engines(problem)
    theta, dtype = problem.theta, problem.dtype
    cost, gradient = compiled.loss_and_gradient(theta, *problem.data, step)
    expected_cost, expected_gradient = reference.loss_and_gradient(theta, *problem.data, step)
    assert_close(cost, expected_cost, dtype, "cost")
    for number, (parts, expected_parts) in enumerate(
        zip(
            problem.model.architecture.split(gradient), problem.model.architecture.split(expected_gradient), strict=True
        ),
        start=1,
    ):
        for name, part, expected in zip(("dW", "db"), parts, expected_parts, strict=True):
            assert_close(part, expected, dtype, f"{name}{number}")
    assert_close(compiled.loss(theta, *problem.data), reference.loss(theta, *problem.data), dtype, "loss")
    A = compiled.predict(theta, problem.X)
    assert_close(A, reference.predict(theta, problem.X), dtype, "outputs")
    again, cache = compiled.forward(theta, problem.X)
    npt.assert_array_equal(again, A)
    _, expected_cache = reference.forward(theta, problem.X)
    dA = np.random.default_rng(problem.seed).standard_normal(A.shape)
    gradient, dX = compiled.backward(theta, dA, cache)
    expected_gradient, expected_dX = reference.backward(theta, dA, expected_cache)
    assert_close(gradient, expected_gradient, dtype, "gradient from the outputs")
    assert_close(dX, expected_dX, dtype, "dX")


@given(problem=problems(), pieces=st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_any_training(problem, pieces):
    assert_same_training(problem, pieces)


@given(problem=problems())
def test_any_cost_gradient_and_output(problem):
    assert_same_results(problem, step=7 if problem.model.dropout else None)


@given(problem=problems(), chunk=st.sampled_from([16, 32, 64]), block_bytes=st.sampled_from([1, 1 << 12, 1 << 20]))
def test_any_training_in_small_chunks_and_blocks(problem, chunk, block_bytes):
    with small_steps(chunk, block_bytes):
        assert_same_training(problem)
        assert_same_results(problem)


@given(problem=problems(), parts=st.sampled_from([1, 2, 4, 16]))
def test_any_training_of_a_small_network_by_parts_and_panels(problem, parts):
    with small_steps(small_net=1 << 40, parts=parts):
        assert_same_training(problem)


@given(problem=problems(smooth=True, dtype="float32"))
def test_any_training_in_float32(problem):
    with small_steps():
        assert_same_training(problem)
        assert_same_results(problem)


@pytest.mark.needs_jit
@dtypes
@pytest.mark.parametrize(
    ("sizes", "m", "batch"),
    [
        ((1100, 40, 3), 300, 300),  # several blocks of the sum over inputs; rows of weights that are worth a copy
        ((300, 513, 520, 4), 130, 64),  # the same on the way back
        ((512, 1024, 2), 90, 45),  # rows and panels a power of two apart
        ((300, 64, 5), 1500, 1500),  # gradients over two chunks, then a fused update
        ((30, 20, 1), 2100, 1200),  # a small network: parts of several panels
        ((70, 90, 2), 600, 600),  # a small network with panels of units of which the last is a narrow one
        ((1, 1200, 1, 1000, 1), 200, 200),  # a small network with long sums and many units
        ((33_000, 2), 130, 130),  # an example so long that a chunk has but 128 of them
    ],
)
def test_large_layers_and_batches(sizes, m, batch, dtype):
    problem = Problem(sizes, m, batch, "relu", dtype=dtype, optimizer="adam", settings={"l2": 0.1}, weighted=True)
    assert_same_training(problem, (2,))
    assert_same_results(problem)


@pytest.mark.needs_jit
@pytest.mark.parametrize("settings", [{"clip_norm": 0.1}, {"dropout": (0.2, 0.5)}, {"weight_decay": 0.1}], ids=str)
def test_settings_over_several_chunks(settings):
    problem = Problem((200, 50, 10), 1500, 1500, "tanh", "softmax", "cross_entropy", settings=settings, labels=True)
    assert_same_training(problem, (1, 2))


@dtypes
@pytest.mark.parametrize("hidden", [*HIDDEN_ACTIVATIONS, bent])
def test_every_activation(hidden, dtype):
    problem = Problem((5, 9, 6, 2), 21, 10, hidden, dtype=dtype)
    problem.X *= 4  # into the tails
    assert_same_training(problem)
    assert_same_results(problem)


@dtypes
@pytest.mark.parametrize(("output", "loss"), [*PAIRS, *USERS_PAIRS])
@pytest.mark.parametrize("n_y", [1, 3])
def test_every_loss(output, loss, n_y, dtype):
    for weighted in (False, True):
        settings = {"label_smoothing": 0.2} if weighted else {}
        problem = Problem((5, 9, n_y), 21, 10, "tanh", output, loss, dtype, settings=settings, weighted=weighted)
        assert_same_training(problem)
        assert_same_results(problem)


@pytest.mark.needs_jit
@dtypes
@pytest.mark.parametrize(("output", "loss"), [*PAIRS, *USERS_PAIRS])
@pytest.mark.parametrize("m", [65, 700])
def test_every_loss_in_wide_panels(m, output, loss, dtype):
    problem = Problem((5, 9, 3), m, m - 1, "tanh", output, loss, dtype, weighted=True)
    assert_same_training(problem, (3,))


@dtypes
@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimiser(optimizer, small, dtype):
    settings = {"l2": 0.3, "weight_decay": 0.2}
    problem = Problem((17, 9, 6), 21, 10, dtype=dtype, optimizer=optimizer, settings=settings, weighted=True)
    with small_steps(small_net=1 << 20 if small else 0):
        assert_same_training(problem, (3, 20))


@dtypes
@pytest.mark.parametrize("small", [False, True])
def test_lion_at_a_rate_that_counts(small, dtype):
    settings = {"l2": 0.3, "weight_decay": 0.2, "clip_norm": 0.5}
    with mock.patch.dict(OPTIMIZERS, lion=Lion(0.01)), small_steps(small_net=1 << 20 if small else 0):
        problem = Problem((17, 9, 6), 21, 10, dtype=dtype, optimizer="lion", settings=settings, weighted=True)
        assert_same_training(problem, (3, 20))


@pytest.mark.parametrize("m", [1, 2, 9, 33])
def test_counters_beyond_32_bits(m):
    problem = Problem((6, 9, 2), m, max(1, m // 3), "relu", settings={"dropout": (0.3, 0.5)})
    assert_same_training(problem, (5, 5), step=FAR, epoch=FAR)


def test_skipped_steps_leave_everything_but_the_counters():
    problem = Problem((3, 5, 2), 20, 4, optimizer="adam", shuffle=False, weighted=True)
    problem.weights = np.where(np.arange(20) // 4 == 2, 1.0, 0.0)
    assert_same_training(problem, (3, 7))
    _, state, costs, sums = problem.trained(CompiledEngine(*problem.model), (5,))
    npt.assert_array_equal(sums, [0, 0, 4, 0, 0])
    assert (costs > 0).tolist() == [False, False, True, False, False]
    npt.assert_array_equal(state.powers, [0.9, 0.999])
    assert (state.step, state.epoch) == (5, 1)


def test_without_any_weight_the_loss_is_nan():
    problem = Problem((3, 5, 2), 6, 6)
    problem.weights = np.zeros(6)
    for engine in engines(problem):
        cost, gradient = engine.loss_and_gradient(problem.theta, *problem.data)
        assert math.isnan(cost)
        assert np.isnan(gradient).all()
        assert math.isnan(engine.loss(problem.theta, *problem.data))


@pytest.mark.parametrize("output", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_with_their_example(bad, output):
    for hidden in HIDDEN_ACTIVATIONS:
        problem = Problem((3, 5, 2), 20, 20, hidden, output, LOSSES[output][0])
        problem.X[1, 7] = bad
        A, expected = (engine.predict(problem.theta, problem.X) for engine in engines(problem))
        npt.assert_allclose(A, expected, rtol=1e-12, err_msg=hidden)
        assert np.isfinite(np.delete(A, 7, axis=1)).all()
        if math.isnan(bad):
            assert np.isnan(A[:, 7]).all(), hidden


@dtypes
@given(problem=problems(), data=st.data())
def test_an_output_has_the_same_bits_in_any_company(problem, data, dtype):
    problem = Problem(problem.sizes, problem.m, 1, problem.hidden, problem.output, problem.loss, dtype)
    engine = CompiledEngine(*problem.model)
    A = engine.predict(problem.theta, problem.X)
    first = data.draw(st.integers(0, problem.m - 1))
    end = data.draw(st.integers(first + 1, problem.m))
    npt.assert_array_equal(engine.predict(problem.theta, problem.X[:, first:end]), A[:, first:end])
    one = engine.one_predictor(problem.theta)
    npt.assert_array_equal(one(problem.X[:, first].astype(dtype)), A[:, first])


@pytest.mark.needs_jit
@dtypes
def test_an_output_has_the_same_bits_beyond_a_chunk(dtype):
    problem = Problem((130, 30, 3), 1500, 1, output="softmax", loss="cross_entropy", dtype=dtype)
    engine = CompiledEngine(*problem.model)
    A = engine.predict(problem.theta, problem.X)
    npt.assert_array_equal(engine.predict(problem.theta, problem.X[:, 1000:1100]), A[:, 1000:1100])
    npt.assert_array_equal(engine.predict(problem.theta, problem.X[:, 1030:1031]), A[:, 1030:1031])


def test_caches_of_forward_live_side_by_side():
    problem = Problem((3, 5, 2), 20, 20)
    engine, reference = engines(problem)
    _, first = engine.forward(problem.theta, problem.X)
    engine.forward(problem.theta, 2 * problem.X)
    engine.loss_and_gradient(problem.theta, *problem.data)
    gradient, _ = engine.backward(problem.theta, problem.Y, first)
    _, cache = reference.forward(problem.theta, problem.X)
    assert_close(gradient, reference.backward(problem.theta, problem.Y, cache)[0], "float64")


def test_sessions_of_one_engine_do_not_disturb_each_other():
    problem, other = (Problem((3, 5, 2), 20, 10, optimizer="adam", seed=seed) for seed in (0, 1))
    expected = problem.trained(ReferenceEngine(*problem.model), (3, 3))[0]
    engine = CompiledEngine(*problem.model)
    theta, rates = problem.theta.copy(), problem.rates(6)
    session = engine.session(theta, problem.model.state(), *problem.data, 10, True)
    session.advance(rates[:3])
    engine.session(other.theta, problem.model.state(), *other.data, 10, True).advance(rates[:2])
    session.advance(rates[3:])
    assert_close(theta, expected, "float64")
