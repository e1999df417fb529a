"""exp and log on vectors, the activations made of them, and the passes over whole arrays.

numba calls libm's scalar exp and log (2.95 ns an element here, NumPy 0.62): the polynomials below vectorise.
Both are within 1 ULP over the whole range, denormals, infinities and NaN included (tests/test_elementwise.py).
"""

import numba
import numpy as np
from numba import prange
from numba.core import types
from numba.extending import overload

from fastnn.kernels.policy import inner, parallel_kernel
from fastnn.kernels.simd import (
    as_floats,
    as_integers,
    fma,
    lanes_of,
    load,
    load_part,
    pointer,
    rint,
    store,
    store_part,
    where,
)

IDENTITY, RELU, SIGMOID = 0, 1, 2

LOG2_E = 1.4426950408889634


@inner
def exp_f64(x):
    """exp(x) = 2^k exp(r) with |r| <= ln(2)/2; exp(r) = 1 + r + r^2 q(r), q a Chebyshev fit (1.7e-19)."""
    clamped = where(x > 710.0, 710.0, where(x < -746.0, -746.0, x))
    k = rint(clamped * LOG2_E)
    r = fma(k, -0.6931471803691238, clamped)
    r = fma(k, -1.9082149292705877e-10, r)
    q = fma(r, 2.0914717341716378e-09, 2.5105259538448494e-08)
    q = fma(q, r, 2.755727357010214e-07)
    q = fma(q, r, 2.7557255297969643e-06)
    q = fma(q, r, 2.4801587325605324e-05)
    q = fma(q, r, 0.0001984126987490126)
    q = fma(q, r, 0.001388888888888373)
    q = fma(q, r, 0.008333333333326112)
    q = fma(q, r, 0.04166666666666667)
    q = fma(q, r, 0.1666666666666667)
    q = fma(q, r, 0.5)
    p = fma(r * r, q, r) + 1.0
    # 2^k in two factors, for k reaches 1024 and -1076. Adding 1.5 * 2^52 leaves an integer in the low bits.
    half = rint(k * 0.5)
    low = as_integers(half + 6755399441055744.0)
    high = as_integers((k - half) + 6755399441055744.0)
    e = p * as_floats((low + 1023) << 52) * as_floats((high + 1023) << 52)
    return where(x != x, x, e)


@inner
def exp_f32(x):
    """As `exp_f64`, with a fit of 1.7e-10."""
    clamped = where(x > 89.0, 89.0, where(x < -104.0, -104.0, x))
    k = rint(clamped * LOG2_E)
    r = fma(k, -0.693145751953125, clamped)
    r = fma(k, -1.4286068203094173e-06, r)
    q = fma(r, 0.00019891030654370327, 0.0013933685862617174)
    q = fma(q, r, 0.008333310889582076)
    q = fma(q, r, 0.04166646460202654)
    q = fma(q, r, 0.16666666681659179)
    q = fma(q, r, 0.5000000013498178)
    p = fma(r * r, q, r) + 1.0
    half = rint(k * 0.5)
    low = as_integers(half + 12582912.0)
    high = as_integers((k - half) + 12582912.0)
    e = p * as_floats((low + 127) << 23) * as_floats((high + 127) << 23)
    return where(x != x, x, e)


@inner
def log_f64(x):
    """log(x) = k ln(2) + log(1 + f), sqrt(1/2) <= 1 + f < sqrt(2); with s = f / (2 + f),
    log(1 + f) = f - f^2/2 + s (f^2/2 + s^2 P(s^2)), P a Chebyshev fit (4.6e-18).
    """
    denormal = x < 2.2250738585072014e-308
    bits = as_integers(where(denormal, x * 18014398509481984.0, x))  # 2^54
    # k is the exponent seen from sqrt(1/2): an arithmetic shift of the distance between the bits.
    steps = (bits - 4604544271217802189) >> 52
    f = as_floats(bits - (steps << 52)) - 1.0
    k = as_floats(steps + 4843621399236968448) - 6755399441055744.0
    k = where(denormal, k - 54.0, k)
    s = f / (f + 2.0)
    z = s * s
    p = fma(z, 0.14617807153417325, 0.15331611722055008)
    p = fma(p, z, 0.1818289243253687)
    p = fma(p, z, 0.22222211089379496)
    p = fma(p, z, 0.28571428626253836)
    p = fma(p, z, 0.3999999999989889)
    p = fma(p, z, 0.666666666666667)
    half_square = f * f * 0.5
    tail = fma(s, fma(p, z, half_square), k * 1.9082149292705877e-10)
    result = fma(k, 0.6931471803691238, f - (half_square - tail))
    result = where(x == np.inf, x, result)
    result = where(x == 0.0, -np.inf, result)
    return where(x < 0.0, np.nan, where(x != x, x, result))


@inner
def log_f32(x):
    """As `log_f64`, with a fit of 1.7e-11."""
    denormal = x < 1.1754943508222875e-38
    bits = as_integers(where(denormal, x * 33554432.0, x))  # 2^25
    steps = (bits - 1060439283) >> 23
    f = as_floats(bits - (steps << 23)) - 1.0
    k = as_floats(steps + 1262485504) - 12582912.0
    k = where(denormal, k - 25.0, k)
    s = f / (f + 2.0)
    z = s * s
    p = fma(z, 0.23331614471843498, 0.28550778633191964)
    p = fma(p, z, 0.4000012221181065)
    p = fma(p, z, 0.6666666655404201)
    half_square = f * f * 0.5
    tail = fma(s, fma(p, z, half_square), k * 1.4286068203094173e-06)
    result = fma(k, 0.693145751953125, f - (half_square - tail))
    result = where(x == np.inf, x, result)
    result = where(x == 0.0, -np.inf, result)
    return where(x < 0.0, np.nan, where(x != x, x, result))


def exp(x):
    """exp of a vector of doubles or floats."""
    return exp_f64(x) if x.dtype == np.float64 else exp_f32(x)


def log(x):
    """Natural logarithm of a vector of doubles or floats."""
    return log_f64(x) if x.dtype == np.float64 else log_f32(x)


if not numba.config.DISABLE_JIT:

    @overload(exp)
    def _exp_of_its_type(x):
        if x.dtype == types.float64:
            return lambda x: exp_f64(x)
        return lambda x: exp_f32(x)

    @overload(log)
    def _log_of_its_type(x):
        if x.dtype == types.float64:
            return lambda x: log_f64(x)
        return lambda x: log_f32(x)


@inner
def sigmoid(x):
    """1 / (1 + exp(-x)), in the course's form: exp may overflow to inf, which gives 0."""
    return 1.0 / (exp(x * -1.0) + 1.0)


@inner
def relu(x):
    """max(0, x), which keeps nan as np.maximum does."""
    return where(x <= 0.0, 0.0, x)


@inner
def activate(z, activation):
    """Apply the activation of that code to a vector."""
    if activation == RELU:
        return relu(z)
    if activation == SIGMOID:
        return sigmoid(z)
    return z


@inner
def span(size, part, parts, unit):
    """Part `part` of `parts` of range(size), cut at multiples of `unit` (a cache line, or a tile)."""
    units = (size + unit - 1) // unit
    lo = units * part // parts * unit
    hi = units * (part + 1) // parts * unit
    return min(lo, size), min(hi, size)


@inner
def activation_span(z, a, lo, hi, activation):
    """a[lo:hi] = activation(z[lo:hi]); z and a may be one array."""
    lanes = lanes_of(z)
    full = lo + (hi - lo) // lanes * lanes
    if activation == RELU:
        for j in range(lo, full, lanes):
            store(a, j, relu(load(z, j)))
    else:
        for j in range(lo, full, lanes):
            store(a, j, sigmoid(load(z, j)))
    if full < hi:
        store_part(a, full, activate(load_part(z, full, hi - full), activation), hi - full)


@parallel_kernel
def activation_forward(Z, A, activation, n_threads):
    """A = activation(Z), element by element."""
    if n_threads == 1:
        activation_span(pointer(Z), pointer(A), 0, Z.size, activation)
    else:
        for part in prange(n_threads):
            lo, hi = span(Z.size, part, n_threads, 64)
            activation_span(pointer(Z), pointer(A), lo, hi, activation)
