"""Examples, targets and labels of any type and layout are read in place, to the bits of contiguous ones."""

import copy
import gc
import weakref

import numpy as np
import numpy.testing as npt
import pytest
from conftest import JIT
from engine_cases import Problem, everything
from hypothesis import given
from hypothesis import strategies as st
from strategies import laid_out

import fastnn
from fastnn.engine.engine import Engine

IN_PLACE = ("f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1")
CONVERTED = ("bool", "f2", "g", ">f8", ">i4")  # by NumPy: kernels do not know them
LAYOUTS = ("C", "F", "strided", "reversed", "sliced", "read-only", "unaligned")

# (n_x, n_y, m, batch): panels of one example, narrow and wide; inputs packed or not; several blocks.
SHAPES = [(1, 1, 5, 1), (5, 3, 9, 8), (17, 4, 40, 9), (33, 5, 100, 64), (70, 2, 130, 130)][: None if JIT else 2]


def numbers(shape, dtype, rng):
    """Numbers of which many need all the digits of their type."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype.newbyteorder("="), endpoint=True).astype(dtype)


def placed(array, layout, rng):
    if layout == "sliced":
        around = np.full([size + 5 for size in array.shape], 7, array.dtype)
        view = around[tuple(slice(3, -2) for _ in array.shape)]
    elif layout == "unaligned":
        view = np.ndarray(array.shape, array.dtype, np.zeros(array.nbytes + 1, np.uint8)[1:])
        assert not view.flags.aligned or array.itemsize == 1
    elif layout == "read-only":
        view = array.copy()
        view.flags.writeable = False
        return view
    else:
        return laid_out(array, layout, rng)
    view[...] = array
    return view


def problem_of(shape, dtype, output="linear", loss="squared_error"):
    n_x, n_y, m, batch = shape
    return Problem((n_x, 6, n_y), m, batch, "tanh", output, loss, dtype, weighted=True)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("data_dtype", IN_PLACE + CONVERTED)
@given(data=st.data())
def test_examples_and_targets(data_dtype, dtype, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    problem = problem_of(data.draw(st.sampled_from(SHAPES)), dtype)
    with np.errstate(all="ignore"):  # a long double may be beyond float32
        X, Y = (numbers(array.shape, data_dtype, rng) for array in (problem.X, problem.Y))
        expected = everything(problem, X.astype(dtype), Y.astype(dtype))
    X, Y = (placed(array, data.draw(st.sampled_from(LAYOUTS)), rng) for array in (X, Y))
    assert everything(problem, X, Y) == expected


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("label_dtype", [*(d for d in IN_PLACE if d[0] != "f"), ">i4"])
def test_labels(label_dtype, dtype):
    for shape in SHAPES:
        problem = problem_of(shape, dtype, "softmax", "cross_entropy")
        rng = np.random.default_rng(1)
        labels = rng.integers(0, shape[1], shape[2]).astype(label_dtype)
        expected = everything(problem, problem.X, (np.arange(shape[1])[:, None] == labels).astype(dtype))
        for layout in LAYOUTS:
            assert everything(problem, problem.X, placed(labels, layout, rng)) == expected, (shape, layout)


def test_strides_of_zero():
    problem = problem_of((17, 4, 40, 9), "float64")
    X = np.broadcast_to(problem.X[:, :1], problem.X.shape)
    Y = np.broadcast_to(np.float32(0.5), problem.Y.shape)
    assert everything(problem, X, Y) == everything(problem, X.copy(), Y.astype(np.float64))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("data_dtype", ["f8", "f4", "u1"])
def test_memory_mapped_files(tmp_path, data_dtype, order):
    problem = problem_of((33, 5, 100, 64), "float64")
    mapped, plain = [], []
    for name, array in (("X", problem.X), ("Y", problem.Y)):
        # Behind a header of 3 bytes: nothing is aligned.
        file = np.memmap(tmp_path / name, data_dtype, "w+", 3, array.shape, order)
        file[...] = numbers(array.shape, data_dtype, np.random.default_rng(0))
        file.flush()
        mapped.append(np.memmap(tmp_path / name, data_dtype, "r", 3, array.shape, order))
        plain.append(np.array(file, np.float64))
    assert everything(problem, *mapped) == everything(problem, *plain)


def test_data_are_not_written():
    problem = problem_of((17, 4, 40, 9), "float64", "softmax", "cross_entropy")
    arrays = [problem.X, problem.Y, problem.weights, problem.theta]
    before = [array.copy() for array in arrays]
    everything(problem, problem.X, problem.Y)
    for array, expected in zip(arrays, before, strict=True):
        npt.assert_array_equal(array, expected)


def test_a_change_of_the_data_between_calls_is_seen():
    # A mini-batch of all examples stays in the workspace for the steps of one call, not longer.
    problem = Problem((5, 6, 2), 8, 8)
    engine, rates = Engine(*problem.model), np.full(2, 0.1)
    theta, expected, X = problem.theta.copy(), problem.theta.copy(), problem.X.copy()
    session = engine.session(theta, problem.model.state(), X, problem.Y, None, 8, False)
    session.advance(rates)
    X *= 2
    session.advance(rates)
    for scale in (1, 2):
        state = problem.model.state()
        engine.session(expected, state, scale * problem.X, problem.Y, None, 8, False).advance(rates)
    npt.assert_array_equal(theta, expected)


def test_mini_batches_of_changing_type_and_layout():
    # Settings are kept from one step to the next of the same size, as long as they say how its data are laid out.
    problem = problem_of((5, 3, 9, 9), "float64")
    rng = np.random.default_rng(0)
    X, Y = numbers(problem.X.shape, "i1", rng), numbers(problem.Y.shape, "i1", rng)
    batches = [
        (placed(X.astype(x_dtype), layout, rng), placed(Y.astype(y_dtype), layout, rng), weights)
        for x_dtype, y_dtype in (("f8", "f8"), ("f4", "i8"), (">f8", "f8"), ("f8", "i1"), ("f2", "f4"))
        for layout in ("C", "F", "strided", "reversed", "read-only")
        for weights in (None, problem.weights)
    ]
    engine, state, theta = Engine(*problem.model), problem.model.state(), problem.theta.copy()
    for batch in [*batches, batches[0], batches[0]]:
        others_state, others_theta = copy.deepcopy(state), theta.copy()
        cost = engine.step(theta, state, *batch, 1e-6)
        costs, _ = (
            Engine(*problem.model).session(others_theta, others_state, *batch, 9, False).advance(np.array([1e-6]))
        )
        assert cost == costs[0]
        npt.assert_array_equal(theta, others_theta)


def test_arrays_that_warn_when_they_are_written_are_taken_silently():
    x, Y = np.broadcast_arrays(np.ones(4), np.ones((1, 4)))
    assert x.flags.num < 0
    trainers = [fastnn.Trainer(fastnn.Network([1, 3, 1], seed=1), seed=1) for _ in range(2)]
    assert trainers[0].step(x, Y) == trainers[1].step(x.copy(), Y)


@pytest.mark.needs_jit  # or the tables of the kernels hold the arrays themselves
def test_data_are_let_go_afterwards():
    network = fastnn.Network([5, 6, 2], seed=1)
    trainer = fastnn.Trainer(network, seed=1)
    X, Y = np.ones((5, 40)), np.ones((2, 40))
    weights = np.ones(40)
    trainer.fit(X, Y, epochs=2, batch_size=8, sample_weight=weights)
    trainer.step(X, Y, weights)
    A = network.predict(X)
    outputs, cache = network.forward(X)
    network.backward(outputs, cache)
    watched = [weakref.ref(array) for array in (X, Y, weights, A)]
    del X, Y, weights, A, cache, outputs
    gc.collect()
    assert [ref() is None for ref in watched] == [True] * 4
