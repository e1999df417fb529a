"""Clipping by norm, whatever the size of the gradient: squares that overflow or vanish, factors that are denormal."""

import math

import numpy as np
import numpy.testing as npt
import pytest

import fastnn
import fastnn.reference
from fastnn.reference.formulas.optimizers import clip

SIDES = pytest.mark.parametrize("side", [fastnn, fastnn.reference], ids=["compiled", "reference"])
# Both plans of the compiled engine.
SIZES = pytest.mark.parametrize("sizes", [(5, 4), (100, 90)], ids=str)
SCALES = [
    *(("float32", scale) for scale in (1e-30, 1e-25, 1e-19, 1.0, 1e18, 1e19, 1e20, 1e25, 1e38)),
    *(("float64", scale) for scale in (1e-300, 1e-200, 1e-160, 1.0, 1e150, 1e155, 1e200, 1e306)),
]


def exactly_clipped(g, clip_norm):
    """Clip by way of a power of two, and of `hypot`, which neither overflows nor loses what is small."""
    exponent = math.frexp(np.abs(g).max())[1]
    direction = np.ldexp(g, -exponent)
    norm = math.hypot(*direction)
    return g if norm <= np.ldexp(clip_norm, -exponent) else direction * (clip_norm / norm)


def one_step(side, sizes, dtype, scale, clip_norm, n_threads=1, optimizer=fastnn.SGD(1.0)):  # noqa: B008 - frozen
    """Return the parameters after a step from 0, and the gradient that the step began with, in float64."""
    rng = np.random.default_rng(sizes[0])
    X = rng.standard_normal((sizes[0], 2)).astype(dtype)
    Y = (rng.uniform(0.3, 1.0, (sizes[1], 2)) * scale).astype(dtype)
    net = side.Network(sizes, output="linear", initializer="zeros", dtype=dtype)
    side.Trainer(net, optimizer, clip_norm=clip_norm, n_threads=n_threads).step(X, Y)
    dZ = -Y.astype(np.float64) / 2
    return net.vector, np.concatenate([(dZ @ X.T).ravel(), dZ.sum(1)])


@pytest.mark.parametrize(("dtype", "scale"), SCALES)
@SIZES
@SIDES
def test_the_step_has_the_promised_norm(side, sizes, dtype, scale):
    kind = np.finfo(dtype)
    for clip_norm in (1.0, scale / 8, scale * 1e-3, 1e-30 if dtype == "float32" else 1e-200, 30 * scale):
        theta, g = one_step(side, sizes, dtype, scale, clip_norm)
        with np.errstate(under="ignore"):
            expected = -exactly_clipped(g, clip_norm)
        length = np.abs(expected).max()
        npt.assert_allclose(theta, expected, rtol=50 * kind.eps, atol=10 * kind.eps * length + kind.smallest_subnormal)
        assert theta.any()


@pytest.mark.needs_jit
@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e25), ("float64", 1e200)])
@SIZES
def test_threads_do_not_change_the_bits(sizes, dtype, scale):
    one, two = (one_step(fastnn, sizes, dtype, scale, 1.0, n_threads)[0] for n_threads in (1, 2))
    npt.assert_array_equal(one, two)


@pytest.mark.parametrize("optimizer", [fastnn.Adam(0.1), fastnn.AdamW(0.1), fastnn.Momentum(0.1)], ids=repr)
@SIZES
def test_both_sides_go_on_from_a_huge_gradient(sizes, optimizer):
    found = [one_step(side, sizes, "float32", 1e25, 1.0, optimizer=optimizer)[0] for side in (fastnn, fastnn.reference)]
    npt.assert_allclose(*found, rtol=1e-4, atol=1e-7)
    assert found[0].all()


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@SIZES
def test_what_is_not_finite_stays_so(sizes, bad):
    """An infinite gradient becomes NaN, and the finite ones beside it 0, as in PyTorch; beside a NaN none changes."""
    found = []
    for side in (fastnn, fastnn.reference):
        net = side.Network(sizes, output="linear", initializer="zeros")
        Y = np.ones((sizes[1], 1))
        Y[1] = bad
        side.Trainer(net, fastnn.SGD(1.0), clip_norm=1.0).step(np.ones((sizes[0], 1)), Y)
        found.append(net.vector)
        npt.assert_array_equal(net.parameters["b1"][:3, 0], [0, np.nan, 0] if bad == np.inf else [1, np.nan, 1])
    npt.assert_array_equal(*found)


def test_estimators_clip_what_overflows():
    X = np.linspace(-1, 1, 40, dtype=np.float32).reshape(-1, 1)
    model = fastnn.MLPRegressor(
        hidden_layer_sizes=(8,), solver="sgd", momentum=0, learning_rate_init=1.0, alpha=0, clip_norm=1e-3, max_iter=1,
        random_state=0, batch_size=40,
    )  # fmt: skip
    with pytest.warns():
        model.fit(X, np.float32(1e25) * X.ravel())
    moved = np.concatenate([array.ravel() for array in (*model.coefs_, *model.intercepts_)])
    with pytest.warns():
        model.set_params(learning_rate_init=1e-30).fit(X, np.float32(1e25) * X.ravel())
    begun = np.concatenate([array.ravel() for array in (*model.coefs_, *model.intercepts_)])
    npt.assert_allclose(np.linalg.norm(np.float64(moved) - begun), 1e-3, rtol=1e-4)


def test_the_reference_leaves_short_gradients_alone():
    g = np.array([3e200, 4e200])
    clip(g, 1e201)
    npt.assert_array_equal(g, [3e200, 4e200])
    clip(g, 5.0)
    npt.assert_allclose(g, [3, 4], rtol=1e-15)
