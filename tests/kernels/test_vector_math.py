"""Elementary functions against extended precision over their whole range, and the course's activations."""

import math

import mpmath
import numpy as np
import numpy.testing as npt
import pytest
from conftest import JIT
from numba.core.caching import NullCache

from fastnn.kernels.compiler import vector_math
from fastnn.kernels.compiler.policy import kernel
from fastnn.kernels.compiler.simd import pointer
from fastnn.kernels.compiler.tracing import traced_pass
from fastnn.kernels.course.activations import RELU, SIGMOID, activation_forward

DTYPES = ("float64", "float32")

# Units in the last place. Plain Python's stand-in for fma rounds twice.
ULPS = {"exp": 1.0, "log": 1.0, "tanh": 2.0, "expm1": 2.0, "log1p": 2.0, "erf": 2.0}
if not JIT:
    ULPS = {name: 2 * bound for name, bound in ULPS.items()}
SAMPLES = 200_000 if JIT else 2_000


def in_a_kernel(name):
    run = traced_pass(getattr(vector_math, name), 1)

    @kernel
    def of_array(x, out):
        run(x.size, 1, pointer(x), pointer(out))

    # numba's cache cannot tell these closures apart.
    if JIT:
        of_array._cache = NullCache()
    return of_array


KERNELS = {name: in_a_kernel(name) for name in ULPS}


def compiled(name, x):
    out = np.empty_like(x)
    KERNELS[name](x, out)
    return out


def exactly(name, x):
    """Return the function to well beyond the precision of x."""
    if name == "erf":
        if x.dtype == np.float32:
            return np.array([math.erf(argument) for argument in x.tolist()])
        with mpmath.workprec(80):
            return np.array([np.longdouble(mpmath.nstr(mpmath.erf(argument), 22)) for argument in x.tolist()])
    if x.dtype == np.float32:
        return getattr(np, name)(x.astype(np.float64))
    if np.finfo(np.longdouble).nmant >= 63:
        return getattr(np, name)(x.astype(np.longdouble))
    pytest.skip("there is no long double wider than a double")


def ulps(out, exact):
    """Return the errors in units of the last place of the correctly rounded result."""
    rounded = exact.astype(out.dtype)
    return np.abs(out.astype(exact.dtype) - exact) / np.spacing(np.abs(rounded)).astype(exact.dtype)


def assert_close(name, x):
    with np.errstate(all="ignore"):
        out, exact = compiled(name, x), exactly(name, x)
        finite = np.isfinite(exact.astype(x.dtype))
        # Where the rounded result is infinite, or at the edge of it, ours must be the same.
        npt.assert_array_equal(out[~finite], exact[~finite].astype(x.dtype))
        worst = ulps(out[finite], exact[finite])
    assert worst.size
    assert worst.max() <= ULPS[name], f"{name}({x[finite][np.argmax(worst)]!r}) is off by {worst.max()} ULP"


def log_uniform(rng, dtype, low, high, size):
    return np.exp2(rng.uniform(low, high, size)).astype(dtype)


def around(values, dtype, steps=40):
    """Return the neighbours of numbers, on both sides."""
    values = np.asarray(values, dtype)
    found = [values]
    below = above = values
    for _ in range(steps):
        below, above = np.nextafter(below, dtype(-np.inf)), np.nextafter(above, dtype(np.inf))
        found += [below, above]
    return np.concatenate(found)


# Where exp leaves the normal and the finite numbers, and the argument from which it is 0.
EXP_LIMITS = {
    "float64": [709.782712893384, -708.3964185322641, -745.1332191019411, -745.1332191019412, -746.0, 710.0],
    "float32": [88.72284, -87.33655, -103.97208, -103.972084, -104.0, 89.0],
}


@pytest.mark.parametrize("name", DTYPES)
def test_exp_over_the_whole_range(name):
    rng, dtype = np.random.default_rng(0), np.dtype(name).type
    low, high = {"float64": (-746, 710), "float32": (-104.5, 89)}[name]
    tiny = np.log2(float(np.finfo(dtype).smallest_subnormal))
    small = log_uniform(rng, dtype, tiny, 10, SAMPLES // 4)
    halves = (np.arange(-1080, 1030) + 0.5) * np.log(2)  # where the reduction changes its integer
    x = np.concatenate([
        rng.uniform(low, high, SAMPLES).astype(dtype), rng.standard_normal(SAMPLES // 4).astype(dtype), small, -small,
        halves.astype(dtype), around(EXP_LIMITS[name], dtype), around([0.0, 1.0, -1.0], dtype),
    ])  # fmt: skip
    assert_close("exp", x)


@pytest.mark.parametrize("name", DTYPES)
def test_log_over_the_whole_range(name):
    rng, dtype = np.random.default_rng(1), np.dtype(name).type
    info = np.finfo(dtype)
    lowest, highest = np.log2(float(info.smallest_subnormal)), np.log2(float(info.max))
    bits = np.array(info.max).view(f"i{dtype().itemsize}")
    powers = np.exp2(np.arange(np.ceil(lowest), info.maxexp)).astype(dtype)  # every exponent
    x = np.concatenate([
        log_uniform(rng, dtype, lowest, highest - 1e-9, SAMPLES),
        rng.integers(1, bits, SAMPLES, endpoint=True).astype(bits.dtype).view(dtype),
        around(powers, dtype, 3 if JIT else 1), around(powers * dtype(np.sqrt(0.5)), dtype, 3 if JIT else 1),
        rng.uniform(0, info.smallest_normal, SAMPLES // 4).astype(dtype),
        around([1.0], dtype, 2000), 1 + 0.3 * (rng.random(SAMPLES // 2) - 0.5).astype(dtype),
        around([info.smallest_normal], dtype), around([info.max], dtype, 0),
    ])  # fmt: skip
    x = x[(x > 0) & np.isfinite(x)]
    # An exact zero has no last place to count in.
    assert_close("log", x[x != 1])
    assert compiled("log", np.ones(3, dtype)).tolist() == [0.0] * 3


# Where each function saturates, and where its formulas change.
SATURATED = {"tanh": 25.0, "expm1": 50.0, "log1p": 1e3, "erf": 7.0}
SEAMS = {
    "tanh": [0.55, 0.625, 9.01, 19.06, 20.0],
    "expm1": [0.3, 0.3466, 0.6931, -0.3466, -17.0, -37.4, -40.0, 88.7228, 709.7827],
    "log1p": [0.4142, -0.2929, -0.5, 1.0, 1.8284, -0.99, 1e-8],
    "erf": [0.85, 3.9, 5.9, 28.0],
}


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("function", SEAMS)
def test_other_functions_over_the_whole_range(function, name):
    rng, dtype = np.random.default_rng(3), np.dtype(name).type
    info = np.finfo(dtype)
    size = SAMPLES // 100 if function == "erf" else SAMPLES
    lowest, highest = np.log2(float(info.smallest_subnormal)), np.log2(float(info.max)) - 1e-9
    wide = log_uniform(rng, dtype, lowest, highest, size)
    edge = SATURATED[function]
    x = np.concatenate([
        rng.uniform(-edge, edge, size).astype(dtype), rng.standard_normal(size).astype(dtype),
        log_uniform(rng, dtype, -30, 0, size), -log_uniform(rng, dtype, -30, 0, size), wide, -wide,
        around(SEAMS[function], dtype, 20 if JIT else 5), around([info.smallest_normal, 1, -1], dtype, 3),
    ])  # fmt: skip
    x = x[(x > -1) & (x != 0)] if function == "log1p" else x[x != 0]
    assert_close(function, x)


@pytest.mark.needs_jit
@pytest.mark.parametrize("function", ["tanh", "expm1", "erf"])
def test_odd_functions_and_signs(function):
    x = np.random.default_rng(4).standard_normal(1000).astype(np.float32)
    if function == "expm1":
        npt.assert_array_equal(np.signbit(compiled(function, x)), np.signbit(x))
    else:
        npt.assert_array_equal(compiled(function, -x), -compiled(function, x))


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("function", KERNELS)
def test_against_arbitrary_precision(function, name):
    rng, dtype = np.random.default_rng(2), np.dtype(name).type
    size = 3000 if JIT else 300
    if function in SEAMS:
        x = np.concatenate([rng.standard_normal(size), log_uniform(rng, dtype, -20, 2, size)]).astype(dtype)
        x = x[x > -1]
    elif function == "exp":
        x = np.concatenate([rng.uniform(*EXP_LIMITS[name][1::-1], size), rng.standard_normal(size)]).astype(dtype)
    else:
        x = np.concatenate([log_uniform(rng, dtype, -120, 120, size), (1 + 1e-3 * rng.random(size)).astype(dtype)])
    out = compiled(function, x)
    with mpmath.workprec(200):
        for argument, result in zip(x.tolist(), out.tolist(), strict=True):
            exact = getattr(mpmath, function)(mpmath.mpf(argument))
            unit = float(np.spacing(np.abs(dtype(float(exact)))))
            assert abs(mpmath.mpf(result) - exact) <= ULPS[function] * unit, argument


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("function", KERNELS)
def test_special_values_are_those_of_numpy(function, name):
    info = np.finfo(name)
    x = np.array(
        [0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, -np.nan, -1.0, -info.tiny, -info.smallest_subnormal, info.max,
         -info.max, info.smallest_subnormal, info.tiny, 1e4, -1e4], name,
    )  # fmt: skip
    with np.errstate(all="ignore"):
        out = compiled(function, x)
        ref = np.vectorize(math.erf)(x).astype(name) if function == "erf" else getattr(np, function)(x)
    assert out.dtype == ref.dtype
    exact = ~np.isfinite(ref) | (ref == 0) | (np.abs(ref) == 1)
    npt.assert_array_equal(out[exact], ref[exact])
    npt.assert_array_equal(np.signbit(out[ref == 0]), np.signbit(ref[ref == 0]))
    npt.assert_array_max_ulp(out[~exact], ref[~exact], 2)


def activated(x, activation, n_threads=1):
    out = np.full_like(x, 7)
    activation_forward(x, out, activation, n_threads)
    return out


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 1000])
def test_activation_kernels(size, name):
    x = (20 * np.random.default_rng(size).standard_normal(size)).astype(name)
    npt.assert_array_equal(activated(x, RELU), np.maximum(0, x))
    wide = x.astype(np.longdouble)
    # exp's ULP, and the roundings of the sum and of the quotient.
    npt.assert_allclose(activated(x, SIGMOID), 1 / (1 + np.exp(-wide)), rtol=2.5 * np.finfo(name).eps)
    assert activated(x, RELU, 3).tobytes() == activated(x, RELU).tobytes()
    assert activated(x, SIGMOID, 3).tobytes() == activated(x, SIGMOID).tobytes()


@pytest.mark.parametrize("name", DTYPES)
def test_activations_of_special_values(name):
    info = np.finfo(name)
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, info.max, -info.max, info.tiny, -info.tiny], name)
    with np.errstate(all="ignore"):
        npt.assert_array_equal(activated(x, RELU), np.maximum(0, x))
        npt.assert_array_equal(activated(x, SIGMOID), 1 / (1 + np.exp(-x)))


@pytest.mark.parametrize("name", DTYPES)
def test_activations_in_place(name):
    x = np.random.default_rng(0).standard_normal(37).astype(name)
    for activation in (RELU, SIGMOID):
        ref, out = activated(x, activation), x.copy()
        activation_forward(out, out, activation, 1)
        npt.assert_array_equal(out, ref)
