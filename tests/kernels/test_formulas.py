"""Hidden activations, outputs and losses of kernels against the NumPy reference, in float64 and float32."""

import mpmath
import numpy as np
import numpy.testing as npt
import pytest
from conftest import JIT
from hypothesis import given
from hypothesis import strategies as st

from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.kernels.compiler.policy import kernel
from fastnn.kernels.compiler.simd import VECTOR_BYTES, advance, pointer
from fastnn.kernels.formulas import activations as hidden
from fastnn.kernels.formulas import losses as outputs
from fastnn.kernels.formulas import optimizers as updates
from fastnn.kernels.formulas.activations import activate_span
from fastnn.kernels.formulas.losses import output_delta_panel, output_loss_panel, output_panel
from fastnn.losses import LOSS_NAMES, LOSSES, OUTPUTS
from fastnn.optimizers import UPDATE_RULES
from fastnn.reference.formulas import activations, losses

DTYPES = ("float64", "float32")
ACTIVATIONS = list(activations.ACTIVATIONS)
PAIRS = [(output, loss) for output, names in LOSSES.items() for loss in names]
MARGIN = 40  # numbers around every buffer


@kernel
def activate(code, a, n, slopes, with_slopes):
    activate_span(code, pointer(a), n, pointer(slopes), with_slopes)


@kernel
def put_out(code, z, margin, n_y, width):
    output_panel(code, advance(pointer(z), margin), n_y, width)


@kernel
def back_from_output(code, a, da, margin, n_y, width):
    output_delta_panel(code, advance(pointer(a), margin), advance(pointer(da), margin), n_y, width)


@kernel
def lose(
    output, loss, z, margin, n_y, width, count, targets, weights, weighted, share, smoothing, dz, terms, with_delta
):  # fmt: skip
    output_loss_panel(
        output, loss, advance(pointer(z), margin), n_y, width, count, pointer(targets), pointer(weights), weighted,
        share, smoothing, advance(pointer(dz), margin), advance(pointer(terms), margin), with_delta,
    )  # fmt: skip


def framed(values):
    """Return the values with numbers around them that nobody may touch."""
    arena = np.full(values.size + 2 * MARGIN, 12345, values.dtype)
    arena[MARGIN:-MARGIN] = values.ravel()
    return arena


def inside(arena, shape):
    """Return what is framed, and check the frame."""
    assert (arena[:MARGIN] == 12345).all()
    assert (arena[-MARGIN:] == 12345).all()
    return arena[MARGIN:-MARGIN].reshape(shape)


def activated(name, z, with_slopes=True):
    a, slopes = framed(z), framed(np.full_like(z, 7))
    activate(ACTIVATIONS.index(name), a[MARGIN:], z.size, slopes[MARGIN:], with_slopes)
    return inside(a, z.shape), inside(slopes, z.shape)


def tolerance(dtype, many):
    return many * float(np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
@given(size=st.integers(1, 70), scale=st.sampled_from([1e-3, 0.3, 1.0, 5.0, 50.0]), seed=st.integers(0, 99))
def test_activations_and_slopes(name, dtype, size, scale, seed):
    z = (scale * np.random.default_rng(seed).standard_normal(size)).astype(dtype)
    a, slopes = activated(name, z)
    with np.errstate(all="ignore"):
        ref_a, ref_slopes = activations.ACTIVATIONS[name](z.astype(np.float64))
    # The reference rounds z / sqrt(2), which counts far below zero.
    many = 2000 if (name, dtype) == ("gelu", "float64") else 8
    npt.assert_allclose(a, ref_a, rtol=tolerance(dtype, many), atol=tolerance(dtype, 1e-6))
    if name != "relu":
        # silu's has a difference of 1 times z.
        atol = tolerance(dtype, 8 * max(1, np.abs(z).max()))
        npt.assert_allclose(slopes, ref_slopes, rtol=tolerance(dtype, 8), atol=atol)
    else:
        assert (slopes == 7).all()
    alone, untouched = activated(name, z, with_slopes=False)
    npt.assert_array_equal(alone, a)
    assert (untouched == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_special_values(name, dtype):
    info = np.finfo(dtype)
    z = np.array([0, 1000, -1000, info.smallest_normal, -info.smallest_normal, info.max, -info.max], dtype)
    a, slopes = activated(name, z)
    with np.errstate(all="ignore"):
        ref_a, ref_slopes = activations.ACTIVATIONS[name](z)
    npt.assert_allclose(a, ref_a, rtol=tolerance(dtype, 4), atol=info.smallest_normal)
    if name != "relu":
        npt.assert_allclose(slopes, ref_slopes, rtol=tolerance(dtype, 4), atol=info.smallest_normal)
    assert np.isnan(activated(name, np.full(20, np.nan, dtype))[0]).all()
    limits = np.array([np.inf, -np.inf], dtype)
    if name not in ("gelu", "silu", "mish"):  # -inf times 0
        with np.errstate(all="ignore"):
            npt.assert_array_equal(activated(name, limits)[0], activations.ACTIVATIONS[name](limits)[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu_is_exact_far_below_zero(dtype):
    z = np.linspace(-12 if dtype == "float32" else -36, 4, 300).astype(dtype)
    a, _ = activated("gelu", z)
    with mpmath.workprec(200):
        exact = [float(x * mpmath.ncdf(x)) for x in map(mpmath.mpf, z.tolist())]
    npt.assert_allclose(a, exact, rtol=tolerance(dtype, 4 if JIT else 700))


def panels(dtype):
    """Draw (n_y, width, count): a panel of one example, or of whole vectors."""
    lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
    whole = st.integers(1, 3).flatmap(
        lambda v: st.tuples(st.integers(1, 12), st.just(v * lanes), st.integers(1, v * lanes))
    )
    return st.one_of(st.tuples(st.integers(1, 40), st.just(1), st.just(1)), whole)


def some_targets(rng, loss, shape, dtype):
    if loss == "cross_entropy":
        return np.ascontiguousarray(rng.dirichlet(np.ones(shape[0]), shape[1]).T, dtype)
    return rng.random(shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("output", "loss"), PAIRS)
@given(data=st.data())
def test_losses_of_a_panel(output, loss, dtype, data):
    n_y, width, count = data.draw(panels(dtype))
    weighted, with_delta = data.draw(st.booleans()), data.draw(st.booleans())
    smoothing = data.draw(st.sampled_from([0.0, 0.1]))
    in_place = data.draw(st.booleans())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    z = (3 * rng.standard_normal((n_y, width))).astype(dtype)
    y, weights = some_targets(rng, loss, z.shape, dtype), rng.random(width).astype(dtype)
    z[:, count:] = np.nan  # sums of no example: they may be anything
    y[0, 0] = z[0, 0]
    sums = framed(z)
    dz = sums if in_place else framed(np.full_like(z, 7))
    terms = framed(np.full(count, 7, dtype))
    lose(
        OUTPUTS.index(output), LOSS_NAMES.index(loss), sums, MARGIN, n_y, width, count, y, weights, weighted, 0.125,
        smoothing, dz, terms, with_delta,
    )  # fmt: skip
    Z, Y = z[:, :count].astype(np.float64), losses.smoothed_targets(loss, y[:, :count].astype(np.float64), smoothing)
    ref, ref_dz = losses.loss_and_delta(loss, output, Z, losses.output(output, Z), Y)
    factors = weights[:count].astype(np.float64) if weighted else np.ones(count)
    close = {"rtol": tolerance(dtype, 50), "atol": tolerance(dtype, 20 * n_y)}
    npt.assert_allclose(inside(terms, count), factors * ref, **close)
    if with_delta:
        npt.assert_allclose(inside(dz, z.shape)[:, :count], 0.125 * factors * ref_dz, **close)
        assert (inside(dz, z.shape)[:, count:] == 0).all()
    else:
        npt.assert_array_equal(inside(dz, z.shape), z if in_place else 7)
    npt.assert_array_equal(inside(sums, z.shape), dz[MARGIN:-MARGIN].reshape(z.shape) if in_place else z)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", OUTPUTS)
@given(data=st.data())
def test_outputs_of_a_panel(output, dtype, data):
    n_y, width, _ = data.draw(panels(dtype))
    scale = data.draw(st.sampled_from([0.1, 3.0, 300.0]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    z, da = (scale * rng.standard_normal((2, n_y, width))).astype(dtype)
    a = framed(z)
    put_out(OUTPUTS.index(output), a, MARGIN, n_y, width)
    ref = losses.output(output, z)
    close = {"rtol": tolerance(dtype, 20), "atol": float(np.finfo(dtype).smallest_normal)}
    npt.assert_allclose(inside(a, z.shape), ref, **close)
    d = framed(da)
    back_from_output(OUTPUTS.index(output), a, d, MARGIN, n_y, width)
    atol = tolerance(dtype, 10 * scale * n_y)
    ref_dz = losses.output_delta(output, ref.astype(np.float64), da.astype(np.float64))
    npt.assert_allclose(inside(d, z.shape), ref_dz, rtol=tolerance(dtype, 20), atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_losses_do_not_overflow_and_keep_nan(output, loss, dtype):
    z = np.array([[800.0, -800.0, 0.0, np.nan], [-800.0, -800.0, 800.0, 1.0]], dtype)
    if loss == "poisson":
        z = np.minimum(z, 5)
    wide = np.zeros((2, VECTOR_BYTES // z.itemsize), dtype)
    y = np.ones_like(wide)
    wide[:, :4] = z
    dz, terms = framed(np.zeros_like(wide)), framed(np.zeros(4, dtype))
    lose(
        OUTPUTS.index(output), LOSS_NAMES.index(loss), framed(wide), MARGIN, 2, wide.shape[1], 4, y, y, False, 1.0, 0.0,
        dz, terms, True,
    )  # fmt: skip
    with np.errstate(invalid="ignore"):
        ref, ref_dz = losses.loss_and_delta(loss, output, z, losses.output(output, z), np.ones_like(z))
    # The reference subtracts numbers of the size of z.
    npt.assert_allclose(inside(terms, 4), ref, rtol=tolerance(dtype, 50), atol=tolerance(dtype, 1600))
    npt.assert_allclose(
        inside(dz, wide.shape)[:, :4], ref_dz, rtol=tolerance(dtype, 50), atol=float(np.finfo(dtype).smallest_normal)
    )
    assert np.isnan(inside(terms, 4)[3])


def test_codes_are_the_places_of_the_names():
    for module, names in (
        (hidden, HIDDEN_ACTIVATIONS), (outputs, OUTPUTS), (outputs, LOSS_NAMES), (updates, UPDATE_RULES),
    ):  # fmt: skip
        assert [getattr(module, name.upper()) for name in names] == list(range(len(names)))
    assert [*activations.ACTIVATIONS] == [*HIDDEN_ACTIVATIONS]
