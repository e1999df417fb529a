"""Activations, outputs and losses in NumPy: values, slopes, and the ends of the range."""

import math

import numpy as np
import numpy.testing as npt
import pytest
from reference_cases import F64, PAIRS, differences, draw, make_model

from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.reference.formulas import losses
from fastnn.reference.formulas.activations import ACTIVATIONS


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
        "mish": lambda: z * math.tanh(math.log(1 + math.exp(z))),
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
