"""The NumPy engine: gradients by central differences, and what its definitions promise of steps."""

import math
from dataclasses import replace

import numpy as np
import numpy.testing as npt
import pytest
from reference_cases import F64, OPTIMIZERS, PAIRS, differences, draw, make_model

from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.losses import LOSSES
from fastnn.optimizers import LBFGS, Adam, AdamW, AMSGrad, Lion, RMSProp
from fastnn.reference.engine import Engine
from fastnn.reference.formulas import optimizers
from fastnn.reference.formulas.activations import hidden_activation
from fastnn.reference.formulas.philox import permutation
from fastnn.specs.arrays import aligned_zeros

# Gradients of whole nets.


def assert_gradient(model, m=9, step=None):
    theta, X, Y, weights = draw(model, m)
    engine = Engine(*model)
    cost, gradient = engine.loss_and_gradient(theta, X, Y, weights, step)
    assert isinstance(cost, float)
    expected = differences(lambda t: engine.loss_and_gradient(t, X, Y, weights, step)[0], theta)
    npt.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)
    return cost


@pytest.mark.parametrize("hidden", HIDDEN_ACTIVATIONS)
def test_gradients_of_activations(hidden):
    assert_gradient(make_model(hidden=hidden, l2=0.3))


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_gradients_of_losses(output, loss):
    plain_cost = assert_gradient(make_model(output=output, loss=loss))
    smooth_cost = assert_gradient(make_model(output=output, loss=loss, label_smoothing=0.3, l2=0.1))
    assert smooth_cost != plain_cost


@pytest.mark.parametrize("hidden", ["relu", "sigmoid"])
def test_gradients_with_dropout(hidden):
    model = make_model(hidden=hidden, dropout=(0.2, 0.4, 0.3), seed=7)
    costs = {assert_gradient(model, step=step) for step in (None, 0, 3)}
    assert len(costs) == 3


def test_gradient_without_hidden_layers():
    assert_gradient(make_model(sizes=(4, 3), output="softmax", l2=0.2))


def scaled_tanh(z):
    return 2 * math.tanh(z), 2 * (1 - math.tanh(z) ** 2)


def log_cosh(a, y):
    return math.log(math.cosh(a - y)), math.tanh(a - y)


@pytest.mark.parametrize("output", [output for output in LOSSES if output != "softmax"])
def test_gradients_of_the_users_functions(output):
    assert_gradient(make_model(hidden=scaled_tanh, output=output, loss=log_cosh))


def test_the_users_functions_see_numpys_scalars():
    seen = set()

    def square(z):
        seen.add(type(z))
        return z * z, 2 * z

    a, slope = hidden_activation(square)(np.arange(3, dtype=np.float32))
    assert seen == {np.float32}
    assert a.dtype == slope.dtype == np.float32
    npt.assert_array_equal(a, [0, 1, 4])


@pytest.mark.parametrize("output", LOSSES)
def test_backward_from_the_outputs(output):
    # Neither L2 nor dropout has a part in it.
    model = make_model(output=output, l2=1.0, dropout=(0.5, 0.5, 0.5))
    theta, X, _, _ = draw(model, 6)
    engine = Engine(*model)
    dA = np.random.default_rng(1).standard_normal((2, 6))
    A, cache = engine.forward(theta, X)
    npt.assert_array_equal(A, engine.predict(theta, X))
    gradient, dX = engine.backward(theta, dA, cache)
    npt.assert_allclose(gradient, differences(lambda t: (dA * engine.predict(t, X)).sum(), theta), rtol=1e-6, atol=1e-8)
    npt.assert_allclose(dX, differences(lambda x: (dA * engine.predict(theta, x)).sum(), X), rtol=1e-6, atol=1e-8)


def test_loss_leaves_l2_and_dropout_out():
    model = make_model(l2=1.0, dropout=(0.5, 0.5, 0.5))
    theta, X, Y, weights = draw(model, 6)
    bare = replace(model, l2=0.0, dropout=())
    assert Engine(*model).loss(theta, X, Y, weights) == Engine(*bare).loss_and_gradient(theta, X, Y, weights)[0]


def test_l2_counts_weights_only_and_is_divided_by_the_sum_of_sample_weights():
    model = make_model(l2=0.7)
    theta, X, Y, weights = draw(model, 6)
    squares = sum((W**2).sum() for W, _ in model.architecture.split(theta))
    cost, _ = Engine(*model).loss_and_gradient(theta, X, Y, weights)
    expected = Engine(*model).loss(theta, X, Y, weights) + 0.7 / 2 / weights.sum() * squares
    npt.assert_allclose(cost, expected, rtol=1e-14)


def test_whole_weights_count_examples():
    model = make_model(output="softmax", l2=0.5)
    theta, X, Y, _ = draw(model, 4)
    counts = np.array([1, 3, 0, 2])
    cost, gradient = Engine(*model).loss_and_gradient(theta, X, Y, counts)
    repeated = np.repeat(X, counts, axis=1), np.repeat(Y, counts, axis=1)
    expected_cost, expected = Engine(*model).loss_and_gradient(theta, *repeated, None)
    npt.assert_allclose(cost, expected_cost, rtol=1e-13)
    npt.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-14)


def test_labels_stand_for_columns_with_a_single_one():
    model = make_model(output="softmax", label_smoothing=0.1)
    theta, X, _, weights = draw(model, 5)
    labels = np.array([0, 1, 1, 0, 1], np.int8)
    cost, gradient = Engine(*model).loss_and_gradient(theta, X, labels, weights)
    expected_cost, expected = Engine(*model).loss_and_gradient(theta, X, np.eye(2)[:, labels], weights)
    assert cost == expected_cost
    npt.assert_array_equal(gradient, expected)


# Steps.


def train(model, steps, m=10, batch_size=4, shuffle=True, data=None, pieces=1, rate=0.1):
    """Train from the drawn parameters; theta, state, costs, sums of weights."""
    theta, *drawn = draw(model, m)
    X, Y, weights = drawn if data is None else data
    state = model.state()
    session = Engine(*model).session(theta, state, X, Y, weights, batch_size, shuffle)
    rates = np.full(steps, rate)
    costs, sums = zip(*(session.advance(piece) for piece in np.array_split(rates, pieces)), strict=True)
    return theta, state, np.concatenate(costs), np.concatenate(sums)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_run_in_pieces_is_the_same_run(optimizer):
    model = make_model(optimizer=optimizer, dropout=(0.0, 0.3, 0.0), seed=5)
    whole, pieces = train(model, 11), train(model, 11, pieces=4)
    npt.assert_array_equal(whole[0], pieces[0])
    for name in ("v", "s", "h", "powers"):
        npt.assert_array_equal(getattr(whole[1], name), getattr(pieces[1], name))
    assert whole[1].step == pieces[1].step == 11
    assert whole[1].epoch == pieces[1].epoch == 3
    npt.assert_array_equal(whole[2], pieces[2])
    assert np.isfinite(whole[0]).all()


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_are_consecutive_pieces_of_the_epochs_order(shuffle):
    model = make_model(seed=11, dropout=(0.3, 0.3, 0.0))
    theta, X, Y, weights = draw(model, 10)
    expected, costs, sums = theta.copy(), [], []
    engine, step = Engine(*model), 0
    for epoch in range(2):
        order = permutation(11, epoch, 10) if shuffle else np.arange(10)
        for batch in (order[:4], order[4:8], order[8:]):
            cost, g = engine.loss_and_gradient(expected, X[:, batch], Y[:, batch], weights[batch], step)
            costs.append(cost)
            sums.append(weights[batch].sum())
            expected -= 0.1 * g
            step += 1
    theta, state, got_costs, got_sums = train(model, 6, shuffle=shuffle)
    npt.assert_array_equal(theta, expected)
    npt.assert_array_equal(got_costs, costs)
    npt.assert_allclose(got_sums, sums, rtol=1e-15)
    assert (state.step, state.epoch) == (6, 2)


def test_an_epochs_order_follows_the_states_epoch():
    model = make_model(seed=11)
    theta, X, Y, weights = draw(model, 10)
    state = model.state()
    for _ in range(2):  # a session for each epoch
        Engine(*model).session(theta, state, X, Y, weights, 4, True).advance(np.full(3, 0.1))
    npt.assert_array_equal(theta, train(model, 6)[0])


def test_a_batch_without_weight_changes_nothing_but_the_counters():
    model = make_model(optimizer=Adam(), l2=1.0, weight_decay=0.5)
    _, X, Y, weights = draw(model, 10)
    weights[4:8] = 0
    theta, state, costs, sums = train(model, 1, shuffle=False, data=(X, Y, weights))
    later, later_state, costs, sums = train(model, 2, shuffle=False, data=(X, Y, weights))
    assert (costs[1], sums[1]) == (0, 0)
    assert costs[0] > 0
    npt.assert_array_equal(later, theta)
    npt.assert_array_equal(later_state.v, state.v)
    npt.assert_array_equal(later_state.powers, [0.9, 0.999])
    assert (state.step, later_state.step) == (1, 2)


def test_clipping_comes_after_l2():
    model = make_model(l2=2.0)
    theta, X, Y, weights = draw(model, 10)
    _, g = Engine(*model).loss_and_gradient(theta, X, Y, weights)
    norm = np.sqrt((g**2).sum())
    for clip_norm, factor in ((norm / 2, 0.5), (norm * 1.01, 1.0)):
        clipped, *_ = train(replace(model, clip_norm=clip_norm), 1, batch_size=10, shuffle=False)
        npt.assert_allclose(clipped, theta - 0.1 * factor * g, rtol=1e-13)


@pytest.mark.parametrize("optimizer", [o for o in OPTIMIZERS if not isinstance(o, AdamW)], ids=repr)
def test_decay_takes_its_share_of_the_old_weights(optimizer):
    model = make_model(optimizer=optimizer)
    theta, *_ = draw(model, 10)
    bare, *_ = train(model, 1)
    decayed, *_ = train(replace(model, weight_decay=0.25), 1)
    layers = zip(
        model.architecture.split(theta), model.architecture.split(bare), model.architecture.split(decayed), strict=True
    )
    for (W_old, _), (W_bare, b_bare), (W, b) in layers:
        npt.assert_array_equal(W, W_bare - 0.1 * 0.25 * W_old)
        npt.assert_array_equal(b, b_bare)


def test_adamw_is_adam_with_decay():
    decayed, *_ = train(make_model(optimizer=Adam(), weight_decay=0.25), 5)
    npt.assert_array_equal(train(make_model(optimizer=AdamW(weight_decay=0.25)), 5)[0], decayed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS[1:], ids=repr)
def test_denormal_moments_become_zero(optimizer, dtype):
    model = make_model(sizes=(1, 1), optimizer=optimizer, dtype=np.dtype(dtype))
    theta, state = np.ones(2, dtype), model.state()
    tiny = np.finfo(dtype).tiny
    for name in "vs":
        getattr(state, name)[:] = tiny * 1.01
    optimizers.update(model.architecture, model.training.rule, theta, np.zeros(2, dtype), state, 0.1)
    # 0.9 or 0.999 times that is below the smallest normal number but for s of Adam and its variants.
    moments = {name: getattr(state, name) for name in "vs" if getattr(state, name).size}
    for name, moment in moments.items():
        if name == "s" and not isinstance(optimizer, RMSProp):
            assert (moment >= tiny).all()
        else:
            npt.assert_array_equal(moment, 0)


def test_powers_end_at_zero():
    model = make_model(sizes=(1, 1), optimizer=Adam(beta1=0.5, beta2=0.9))
    state = model.state()
    state.powers[:] = 1.9e-300, 1.2e-300
    optimizers.update(model.architecture, model.training.rule, np.ones(2), np.ones(2), state, 0.1)
    npt.assert_allclose(state.powers, [0, 0.9 * 1.2e-300])


def test_adam_by_hand():
    model = make_model(sizes=(1, 1), optimizer=Adam(beta1=0.5, beta2=0.75, epsilon=0.25))
    theta, state = np.zeros(2), model.state()
    optimizers.update(model.architecture, model.training.rule, theta, np.array([1.0, -2.0]), state, 1.0)
    npt.assert_allclose(theta, [-1 / 1.25, 2 / 2.25], rtol=1e-15)  # corrected moments are g and g^2
    optimizers.update(model.architecture, model.training.rule, theta, np.array([3.0, 0.0]), state, 0.5)
    v, s = 0.5 * 0.5 + 0.5 * 3, 0.75 * 0.25 + 0.25 * 9
    move = 0.5 * (v / 0.75) / (math.sqrt(s / (1 - 0.75**2)) + 0.25)
    npt.assert_allclose(theta[0], -1 / 1.25 - move, rtol=1e-15)


def test_amsgrad_keeps_the_largest_mean_square():
    model = make_model(sizes=(1, 1), optimizer=AMSGrad(beta2=0.5))
    theta, state = np.zeros(2), model.state()
    optimizers.update(model.architecture, model.training.rule, theta, np.array([2.0, 1.0]), state, 0.1)
    optimizers.update(model.architecture, model.training.rule, theta, np.array([0.0, 4.0]), state, 0.1)
    npt.assert_allclose(state.s, [1, 8.25])
    npt.assert_allclose(state.h, [2, 8.25])


def test_lion_by_hand():
    model = make_model(sizes=(1, 1), optimizer=Lion(beta1=0.5, beta2=0.75))
    theta, state = np.zeros(2), model.state()
    optimizers.update(model.architecture, model.training.rule, theta, np.array([4.0, 0.0]), state, 1.0)
    npt.assert_array_equal(theta, [-1, 0])
    npt.assert_array_equal(state.v, [1, 0])
    # What is kept still points down, and the direction, 0.5 - 2, already up.
    optimizers.update(model.architecture, model.training.rule, theta, np.array([-2.0, 8.0]), state, 0.5)
    npt.assert_array_equal(theta, [-0.5, -0.5])
    npt.assert_array_equal(state.v, [0.25, 2])


@pytest.mark.parametrize(
    ("optimizer", "kept"),
    [*zip(OPTIMIZERS, ["", "v", "v", "v", "s", "vs", "vsh", "vs", "v"], strict=True), (LBFGS(), "")],
    ids=repr,
)
def test_states_hold_what_the_optimiser_needs(optimizer, kept):
    model = make_model(optimizer=optimizer, dtype=np.dtype(np.float32))
    state = model.state()
    for name in "vsh":
        moment = getattr(state, name)
        assert moment.dtype == np.float32
        assert moment.shape == ((model.architecture.n_parameters,) if name in kept else (0,))


def test_aligned_arrays():
    arrays = [aligned_zeros(size, dtype) for size in (1, 5, 1000) for dtype in (np.float32, np.float64)]
    for array in arrays:
        assert array.ctypes.data % 64 == 0
        assert array.base.ctypes.data + array.base.nbytes >= array.ctypes.data + array.nbytes + 64


# Types.


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("output", LOSSES)
def test_float32_stays_float32(output, optimizer):
    settings = {"optimizer": optimizer, "output": output, "l2": 0.1, "clip_norm": 1.0, "weight_decay": 0.0}
    settings["dropout"] = (0.2, 0.2, 0.2)
    narrow, wide = (make_model(dtype=np.dtype(kind), **settings) for kind in ("f4", "f8"))
    theta, state, costs, sums = train(narrow, 6, rate=0.01)
    wide_theta, _, wide_costs, _ = train(wide, 6, rate=0.01)
    assert {theta.dtype, state.v.dtype, state.s.dtype, state.h.dtype} == {np.dtype(np.float32)}
    assert {costs.dtype, sums.dtype, state.powers.dtype} == {F64}
    npt.assert_allclose(costs, wide_costs, rtol=1e-4)
    npt.assert_allclose(theta, wide_theta, rtol=1e-3, atol=1e-3)
    assert not np.array_equal(theta, wide_theta)
    _, X, Y, weights = draw(narrow, 6)
    engine = Engine(*narrow)
    A, cache = engine.forward(theta, X)
    gradient, dX = engine.backward(theta, np.ones((2, 6)), cache)
    _, full_gradient = engine.loss_and_gradient(theta, X, Y, weights, 3)
    assert {A.dtype, gradient.dtype, dX.dtype, full_gradient.dtype, engine.predict(theta, X).dtype} == {theta.dtype}


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, bool])
def test_data_of_any_type_and_strides(dtype):
    model = make_model()
    rng = np.random.default_rng(3)
    X, Y = rng.integers(0, 2, (3, 10)).astype(dtype), rng.integers(0, 2, (2, 10)).astype(dtype)
    weights = (3 * rng.random(10)).astype(dtype)
    theta, *_ = train(model, 4, data=(X, Y, weights))
    wide = tuple(array.astype(np.float64) for array in (X, Y, weights))
    npt.assert_array_equal(train(model, 4, data=wide)[0], theta)
    strided = np.asfortranarray(X), np.repeat(Y, 2, axis=1)[:, ::2], np.repeat(weights, 2)[::2]
    npt.assert_array_equal(train(model, 4, data=strided)[0], theta)


def test_a_net_that_diverges_says_nothing():
    theta, _, costs, _ = train(make_model(hidden="elu", loss="poisson"), 20, rate=1e5)
    assert np.isnan(theta).any()
    assert not np.isfinite(costs[-1])
