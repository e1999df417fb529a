"""The NumPy engine: known answers, statistics, central differences, and what its definitions promise."""

import math
from dataclasses import replace

import numpy as np
import numpy.testing as npt
import pytest
from engine_cases import Model

from fastnn.losses import HIDDEN_ACTIVATIONS, LOSSES
from fastnn.optimizers import LBFGS, SGD, Adam, AdamW, AMSGrad, Momentum, RMSProp
from fastnn.reference.engine import Engine
from fastnn.reference.formulas import losses, optimizers
from fastnn.reference.formulas.activations import ACTIVATIONS, hidden_activation
from fastnn.reference.formulas.philox import dropout_mask, permutation, philox
from fastnn.specs.arrays import aligned_zeros

F64 = np.dtype(np.float64)
PAIRS = [(output, loss) for output, names in LOSSES.items() for loss in names]
OPTIMIZERS = [
    SGD(0.1),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.9, nesterov=True),
    Momentum(0.1),
    RMSProp(),
    Adam(),
    AMSGrad(),
    AdamW(),
]


def make_model(sizes=(3, 5, 4, 2), hidden="tanh", output="linear", loss=None, optimizer=None, **settings):
    settings.setdefault("dtype", F64)
    return Model(
        sizes=sizes,
        hidden=(hidden,) * (len(sizes) - 2),
        output=output,
        loss=LOSSES[output][0] if loss is None else loss,
        optimizer=SGD(0.1) if optimizer is None else optimizer,
        **settings,
    )


def draw(model, m, seed=0):
    """Draw parameters with biases, examples, targets that fit the loss, and sample weights with a zero."""
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(model.architecture.n_parameters).astype(model.dtype)
    X = rng.standard_normal((model.sizes[0], m))
    shape = (model.sizes[-1], m)
    if model.loss in ("cross_entropy", "binary_cross_entropy"):
        Y = rng.random(shape)  # probabilities, not normalised: the sum of y counts
    elif model.loss == "poisson":
        Y = rng.poisson(2.0, shape)
    else:
        Y = 2 * rng.standard_normal(shape)
    weights = rng.random(m)
    weights[0] = 0
    return theta, X, Y, weights


def differences(function, x, step=1e-6):
    """Differentiate a scalar function of x by central differences."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += step
        below[index] -= step
        gradient[index] = (function(above) - function(below)) / (2 * step)
    return gradient


# Random numbers.


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0, 0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 4, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0xA4093822, 0x299F31D0),
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_known_answers(key, counter, words):
    # From the known-answer file of Random123, the authors' library.
    assert " ".join(f"{word:08x}" for word in philox(key[0] | key[1] << 32, *counter)) == words


SEED = 0x123456789ABCDEF0


@pytest.mark.parametrize("n_units", [1, 3, 4, 5, 9])
def test_a_mask_lies_in_the_words_as_documented(n_units):
    step, layer, drop = 2**32 + 5, 2, 0.3
    mask = dropout_mask(SEED, step, layer, n_units, 7, drop)
    assert mask.shape == (n_units, 7)
    for unit, example in np.ndindex(mask.shape):
        word = int(philox(SEED, example, unit // 4, layer, 5)[unit % 4])
        assert mask[unit, example] == (0 if word < math.floor(drop * 2**32) else 1 / (1 - drop))


def test_a_word_at_the_threshold_is_kept():
    word = int(philox(SEED, 0, 0, 1, 0)[0])
    for threshold, kept in ((word, True), (word + 1, False)):
        assert (dropout_mask(SEED, 0, 1, 1, 1, threshold / 2**32) > 0) == kept


@pytest.mark.parametrize("drop", [0.1, 0.5, 0.9])
def test_masks_drop_their_share(drop):
    n_units, m = 203, 500
    kept = dropout_mask(3, 0, 1, n_units, m, drop, np.float32)
    assert kept.dtype == np.float32
    share = (kept == 0).mean()
    deviation = math.sqrt(drop * (1 - drop) / kept.size)
    assert abs(share - drop) < 4 * deviation
    # Rows and columns vary as independent draws do: their shares have the binomial's variance, to 4 deviations.
    for axis, n in ((0, n_units), (1, m)):
        assert (kept == 0).mean(axis=axis).var() == pytest.approx(drop * (1 - drop) / n, rel=0.4)


def test_masks_differ_between_seeds_steps_and_layers():
    masks = [
        dropout_mask(seed, step, layer, 40, 100, 0.5).ravel()
        for seed in (1, 2, 1 << 32)
        for step in (0, 1)
        for layer in (0, 1)
    ]
    correlations = np.corrcoef(masks) - np.eye(len(masks))
    assert np.abs(correlations).max() < 4.5 / math.sqrt(4000)


def test_no_mask_where_nothing_drops():
    npt.assert_array_equal(dropout_mask(1, 2, 3, 4, 5, 0.0), np.ones((4, 5)))


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 37, 300])
def test_a_permutation_is_the_documented_shuffle(m):
    epoch = 2**32 + 3
    expected = list(range(m))
    for i in range(m - 1, 0, -1):
        word = int(philox(SEED, i // 4, 0, 0xFFFFFFFF, 3)[i % 4])
        j = word * (i + 1) >> 32
        expected[i], expected[j] = expected[j], expected[i]
    order = permutation(SEED, epoch, m)
    npt.assert_array_equal(order, expected)
    npt.assert_array_equal(np.sort(order), np.arange(m))


def test_all_permutations_are_equally_likely():
    n = 4800
    orders, counts = np.unique([permutation(9, epoch, 4) for epoch in range(n)], axis=0, return_counts=True)
    assert len(orders) == 24
    chi_square = ((counts - n / 24) ** 2 / (n / 24)).sum()
    assert 5.0 < chi_square < 50.0  # 23 degrees of freedom: outside with a probability of 1e-3


# Activations, outputs, losses.


@pytest.mark.parametrize("name", HIDDEN_ACTIVATIONS)
def test_slopes(name):
    z = np.array([-30.0, -7.0, -1.5, -0.3, -1e-3, 1e-3, 0.2, 0.9, 3.0, 12.0, 30.0])
    a, slope = ACTIVATIONS[name](z)
    step = 1e-5
    expected = (ACTIVATIONS[name](z + step)[0] - ACTIVATIONS[name](z - step)[0]) / (2 * step)
    npt.assert_allclose(slope, expected, rtol=1e-7, atol=1e-9)
    assert a.dtype == slope.dtype == F64


def plain(name, z):
    """Compute an activation as textbooks write it."""
    return {
        "identity": lambda: z,
        "relu": lambda: max(z, 0.0),
        "leaky_relu": lambda: z if z > 0 else 0.01 * z,
        "elu": lambda: z if z > 0 else math.exp(z) - 1,
        "selu": lambda: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * (math.exp(z) - 1)),
        "gelu": lambda: z * (1 + math.erf(z / math.sqrt(2))) / 2,
        "silu": lambda: z / (1 + math.exp(-z)),
        "tanh": lambda: math.tanh(z),
        "sigmoid": lambda: 1 / (1 + math.exp(-z)),
        "softplus": lambda: math.log(1 + math.exp(z)),
    }[name]()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", HIDDEN_ACTIVATIONS)
def test_activation_values(name, dtype):
    z = np.linspace(-5, 5, 41).astype(dtype).reshape(1, 41)
    a, slope = ACTIVATIONS[name](z)
    assert a.dtype == slope.dtype == dtype
    assert a.shape == slope.shape == z.shape
    rounding = 20 * np.finfo(dtype).eps
    npt.assert_allclose(a[0], [plain(name, float(value)) for value in z[0]], rtol=rounding, atol=rounding)


@pytest.mark.parametrize("name", HIDDEN_ACTIVATIONS)
def test_activations_at_the_ends_of_the_range(name):
    # Without NumPy's warnings too: pytest makes them errors.
    a, slope = ACTIVATIONS[name](np.array([-1e4, 0.0, 1e4, np.nan]))
    assert np.isfinite(a[:3]).all()
    assert np.isfinite(slope[:3]).all()
    assert np.isnan(a[3])


def test_kinks_take_the_left_slope():
    zero = np.zeros(1)
    assert [ACTIVATIONS[name](zero)[1][0] for name in ("relu", "leaky_relu")] == [0, 0.01]


def test_gelu_keeps_its_precision_far_below_zero():
    # From mpmath with 40 digits: -10 Phi(-10).
    npt.assert_allclose(ACTIVATIONS["gelu"](np.array([-10.0]))[0], -7.619853024160526e-23, rtol=1e-13)


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_derivatives_of_losses(output, loss):
    model = make_model(output=output, loss=loss)
    _, _, Y, _ = draw(model, 6)
    Z = 1.5 * np.random.default_rng(5).standard_normal(Y.shape)
    Y = Y.astype(np.float64)

    def total(Z):
        return losses.loss_and_delta(loss, output, Z, losses.output(output, Z), Y)[0].sum()

    each, dZ = losses.loss_and_delta(loss, output, Z, losses.output(output, Z), Y)
    assert each.shape == (6,)
    npt.assert_allclose(dZ, differences(total, Z), rtol=1e-7, atol=1e-8)


def test_cross_entropies_are_those_of_the_outputs():
    rng = np.random.default_rng(2)
    Z, Y = rng.standard_normal((3, 5)), rng.random((3, 5))
    P = losses.output("softmax", Z)
    npt.assert_allclose(P.sum(axis=0), 1, rtol=1e-14)
    npt.assert_allclose(losses.cross_entropy(Z, Y)[0], -(Y * np.log(P)).sum(axis=0), rtol=1e-13)
    A = losses.output("sigmoid", Z)
    expected = -Y * np.log(A) - (1 - Y) * np.log(1 - A)
    npt.assert_allclose(losses.binary_cross_entropy(Z, Y)[0], expected, rtol=1e-13)


def test_cross_entropies_of_huge_logits():
    Z = np.array([[1e4, -1e4], [0.0, 0.0]])
    Y = np.array([[0.0, 1.0], [1.0, 0.0]])
    npt.assert_array_equal(losses.cross_entropy(Z, Y)[0], [1e4, 1e4])
    npt.assert_array_equal(losses.binary_cross_entropy(Z, Y)[0][0], [1e4, 1e4])


def test_edges_of_absolute_error_and_huber():
    A, Y = np.array([[1.0, 2.0, 4.0, -2.0]]), np.ones((1, 4))
    value, slope = losses.absolute_error(A, Y)
    npt.assert_array_equal(value, [[0, 1, 3, 3]])
    npt.assert_array_equal(slope, [[0, 1, 1, -1]])
    value, slope = losses.huber(A, Y)
    npt.assert_array_equal(value, [[0, 0.5, 2.5, 2.5]])
    npt.assert_array_equal(slope, [[0, 1, 1, -1]])


def test_label_smoothing():
    Y = np.eye(4)
    npt.assert_allclose(losses.smoothed_targets("cross_entropy", Y, 0.2), 0.8 * Y + 0.05)
    npt.assert_allclose(losses.smoothed_targets("binary_cross_entropy", Y, 0.2), 0.8 * Y + 0.1)
    npt.assert_array_equal(losses.smoothed_targets("huber", Y, 0.2), Y)


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


@pytest.mark.parametrize("output", ["linear", "sigmoid"])
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


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:-1], ids=repr)
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


@pytest.mark.parametrize(
    ("optimizer", "kept"),
    [*zip(OPTIMIZERS, ["", "v", "v", "v", "s", "vs", "vsh", "vs"], strict=True), (LBFGS(), "")],
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
