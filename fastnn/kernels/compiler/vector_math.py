"""Elementary functions of vectors of doubles or floats, without branches.

numba calls libm's scalar functions (exp: 2.95 ns an element here, NumPy 0.62): the polynomials below vectorise. They
hold over the whole range, denormals, infinities and NaN included. Largest errors in units of the last place
(tests/kernels/test_vector_math.py): exp and log 1; tanh, expm1, log1p and erf 2.

`tracing.traced` makes kernels' operations of them. All fits are minimax, with their largest relative error.
"""

from typing import NamedTuple

import numpy as np

from fastnn.kernels.compiler.tracing import absolute, as_floats, as_integers, copysign, fma, polynomial, rint, where

LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453


class Format(NamedTuple):
    """The constants of the functions below for one type of numbers."""

    fraction: int  # bits
    # ln(2) in two parts, of which k times the first is exact.
    ln2: tuple
    # Where exp overflows, where it is 0, and where it is no longer normal.
    exp_range: tuple
    flushed: float
    # Adding it rounds a small number to an integer k and leaves k + the exponent's bias in the low bits.
    shifter: float
    # 1.5 * 2^fraction: adding k to its bits adds k to the number.
    integer: float
    integer_bits: int
    root_half_bits: int
    two_bits: int
    smallest_normal: float
    # expm1(r) = r + r^2 q(r) for |r| <= ln(2) / 2
    exp: tuple
    # exp(2 r) for |r| <= ln(2) / 4
    exp_of_double: tuple
    # tanh(x) = x + x^3 P(x^2) for |x| below a limit
    tanh: tuple
    tanh_limit: float
    # log(1 + f) = f - f^2/2 + s (f^2/2 + s^2 P(s^2)) with s = f / (2 + f) and sqrt(1/2) <= 1 + f < sqrt(2)
    log: tuple
    # erf(x) = x + x P(x^2) for |x| <= 0.85
    erf: tuple
    # exp(x^2) erfc(x) = P(x) / Q(x) for 0 <= x, as long as erfc(x) is a normal number
    erfc: tuple
    erfc_denominator: tuple


DOUBLE = Format(
    fraction=52,
    ln2=(0.6931471803691238, 1.9082149292705877e-10),
    exp_range=(-746.0, 710.0),
    flushed=-709.0,
    shifter=6755399441055744.0 + 1023,
    integer=6755399441055744.0,
    integer_bits=4843621399236968448,
    root_half_bits=4604544271217802189,
    two_bits=4611686018427387904,
    smallest_normal=2.2250738585072014e-308,
    exp=(  # 1.7e-19
        0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326112, 0.001388888888888373,
        0.0001984126987490126, 2.4801587325605324e-05, 2.7557255297969643e-06, 2.755727357010214e-07,
        2.5105259538448494e-08, 2.0914717341716378e-09,
    ),
    exp_of_double=(  # 3.1e-18
        1.0, 2.0, 2.000000000000007, 1.333333333333293, 0.6666666666638622, 0.2666666666739587, 0.08888888929021375,
        0.02539682487037294, 0.006349180446841362, 0.001410950346273271, 0.00028295621074615756,
        5.118797137601204e-05,
    ),
    tanh=(  # 2.8e-17
        -0.3333333333333196, 0.1333333333311766, -0.0539682538510561, 0.02186948537781827, -0.008863186497549854,
        0.003591655193679916, -0.0014528981246732615, 0.0005781925643850331, -0.00020876119557921508,
        4.9957501391575525e-05,
    ),
    tanh_limit=0.55,
    log=(  # 4.6e-18
        0.666666666666667, 0.3999999999989889, 0.28571428626253836, 0.22222211089379496, 0.1818289243253687,
        0.15331611722055008, 0.14617807153417325,
    ),
    erf=(  # 1.2e-17
        0.12837916709551256, -0.37612638903183354, 0.11283791670933006, -0.026866170640328466,
        0.005223977571924502, -0.0008548323540487428, 0.00012055191400026147, -1.4921942339492142e-05,
        1.6399366535718415e-06, -1.569869955057896e-07, 1.0680077097994982e-08,
    ),
    erfc=(  # 5.1e-17
        1.0, 2.191308543455746, 2.3754315402690587, 1.635947881416499, 0.7811071388013185, 0.26704544542035935,
        0.06536502655027746, 0.011083700770571345, 0.0011904261825845302, 6.260097504942644e-05,
    ),
    erfc_denominator=(
        1.0, 3.3196877105512446, 5.121297994118715, 4.847278913969336, 3.1266219909768957, 1.4413495481762306,
        0.4830929269199703, 0.1169114806315907, 0.019700826785955274, 0.0021099754714917983,
        0.00011095733929713061,
    ),
)  # fmt: skip

SINGLE = Format(
    fraction=23,
    ln2=(0.693145751953125, 1.4286068203094173e-06),
    exp_range=(-104.0, 89.0),
    flushed=-88.0,
    shifter=12582912.0 + 127,
    integer=12582912.0,
    integer_bits=1262485504,
    root_half_bits=1060439283,
    two_bits=1073741824,
    smallest_normal=1.1754943508222875e-38,
    exp=(  # 1.7e-10
        0.5000000013498178, 0.16666666681659179, 0.04166646460202654, 0.008333310889582076, 0.0013933685862617174,
        0.00019891030654370327,
    ),
    exp_of_double=(  # 7.5e-8
        1.0000000720189242, 1.999999375082338, 1.9999556348130647, 1.3334069761426586, 0.6706534885099004,
        0.2655036713724586,
    ),
    tanh=(  # 4.1e-9
        -0.33333283898556354, 0.13331490684516392, -0.053743454145455165, 0.020650458512917382, -0.005716913465988724,
    ),
    tanh_limit=0.625,
    log=(  # 1.7e-11
        0.6666666655404201, 0.4000012221181065, 0.28550778633191964, 0.23331614471843498,
    ),
    erf=(  # 6.2e-9
        0.12837916094139756, -0.3761257665217892, 0.11282769974085831, -0.0268045650714399, 0.005054262350294625,
        -0.0006332566080225402,
    ),
    erfc=(  # 6.2e-9
        1.0, 1.2415699453914812, 0.7349158656894174, 0.2307982340509443, 0.033128312421973526,
    ),
    erfc_denominator=(
        1.0, 2.36994972969189, 2.4091078483870594, 1.3315509076704193, 0.40910409605285036, 0.05871775922067025,
    ),
)  # fmt: skip


def _format(x):
    return DOUBLE if x.dtype == np.float64 else SINGLE


def _reduce(x):
    """(t, p): exp(x) = 2^k (1 + p), with the bits of 2^k in `as_integers(t) << fraction`."""
    form = _format(x)
    t = fma(x, LOG2_E, form.shifter)
    k = t - form.shifter
    r = fma(k, -form.ln2[1], fma(k, -form.ln2[0], x))
    return t, fma(r * r, polynomial(r, form.exp), r)


def exp(x):
    """Exponential, at most 1 ULP off."""
    form = _format(x)
    low, high = form.exp_range
    t, p = _reduce(where(x > high, high, where(x < low, low, x)))
    # 2^k in two factors, for k reaches 1024 and -1076.
    k = t - form.shifter
    half = rint(k * 0.5)
    first = as_floats(as_integers(half + form.shifter) << form.fraction)
    second = as_floats(as_integers((k - half) + form.shifter) << form.fraction)
    return (p + 1.0) * first * second


def exp_parts(x):
    """(s, p) for x <= 0: exp(x) = s p + s, expm1(x) = s p + (s - 1); s is 0 where exp(x) would not be normal."""
    form = _format(x)
    t, p = _reduce(where(x < form.flushed, form.flushed, x))
    return as_floats(as_integers(t) << form.fraction), p


def exp_of_negative(x):
    """exp(x) for x <= 0, and 0 where it would not be a normal number: two thirds of the work of `exp`."""
    s, p = exp_parts(x)
    return fma(s, p, s)


def expm1(x):
    """exp(x) - 1, at most 2 ULP off."""
    form = _format(x)
    high = form.exp_range[1]
    t, p = _reduce(where(x > high, high, where(x < -40.0, -40.0, x)))
    # At half its size, for 2^k may be infinite where the result is not.
    s = as_floats((as_integers(t) - 1) << form.fraction)
    half = fma(s, p, s - 0.5)
    return copysign(where(absolute(x) < 0.3, p, half + half), x)


def tanh(x):
    """Hyperbolic tangent, at most 2 ULP off: a polynomial near 0, else 1 - 2 / (exp(2 |x|) + 1).

    expm1(2 x) / (expm1(2 x) + 2) would need no polynomial more, but is 2.5 ULP off just below a power of two.
    """
    form = _format(x)
    y = absolute(x)
    clamped = where(y > 20.0, 20.0, y)
    t = fma(clamped, 2.0 * LOG2_E, form.shifter)
    k = t - form.shifter
    if x.dtype == np.float64:
        r = fma(k, -0.5 * form.ln2[1], fma(k, -0.5 * form.ln2[0], clamped))
    else:
        # ln(2) is so close to a float that the few k that matter do without its second part.
        r = fma(k, -0.5 * LN2, clamped)
    s = as_floats(as_integers(t) << form.fraction)
    far = 1.0 - 2.0 / fma(s, polynomial(r, form.exp_of_double), 1.0)
    square = x * x
    near = fma(square * x, polynomial(square, form.tanh), x)
    return copysign(where(y < form.tanh_limit, near, far), x)


def _log(f, k):
    """log(2^k (1 + f)), sqrt(1/2) <= 1 + f < sqrt(2)."""
    form = _format(f)
    s = f / (f + 2.0)
    z = s * s
    half_square = f * f * 0.5
    tail = fma(s, fma(polynomial(z, form.log), z, half_square), k * form.ln2[1])
    return fma(k, form.ln2[0], f - (half_square - tail))


def log(x):
    """Natural logarithm, at most 1 ULP off."""
    form = _format(x)
    denormal = x < form.smallest_normal
    bits = as_integers(where(denormal, x * 2.0 ** (form.fraction + 2), x))
    # k is the exponent seen from sqrt(1/2): an arithmetic shift of the distance between the bits.
    steps = (bits - form.root_half_bits) >> form.fraction
    f = as_floats(bits - (steps << form.fraction)) - 1.0
    k = as_floats(steps + form.integer_bits) - form.integer
    result = _log(f, where(denormal, k - (form.fraction + 2.0), k))
    result = where(x == np.inf, x, result)
    result = where(x == 0.0, -np.inf, result)
    return where(x < 0.0, np.nan, where(x != x, x, result))


def log1p_of_finite(x):
    """log(1 + x) for finite x > -1: with k of the rounded 1 + x, f = x 2^-k + (2^-k - 1) is rounded once."""
    form = _format(x)
    steps = (as_integers(x + 1.0) - form.root_half_bits) >> form.fraction
    k = as_floats(steps + form.integer_bits) - form.integer
    steps = steps << form.fraction
    # 2^(1 - k), for k reaches 1024.
    twice = as_floats(form.two_bits - steps)
    return _log(as_floats(as_integers(x) - steps) + fma(twice, 0.5, -1.0), k)


def log1p(x):
    """log(1 + x), at most 2 ULP off."""
    result = copysign(where(x < np.inf, log1p_of_finite(x), x), x)
    return where(x == -1.0, -np.inf, where(x > -1.0, result, np.nan))


def bell(x, factor):
    """exp(-factor x^2), the rounding of x^2 made good; the factor is a power of two."""
    square = x * x
    e = exp_of_negative(square * -factor)
    return fma(e, fma(-x, x, square) * factor, e)


def scaled_erfc(x):
    """exp(x^2) erfc(x) for 0 <= x <= 28."""
    form = _format(x)
    return polynomial(x, form.erfc) / polynomial(x, form.erfc_denominator)


def erf(x):
    """Error function, at most 2 ULP off: a polynomial near 0, else 1 - erfc(|x|)."""
    y = absolute(x)
    near = fma(y, polynomial(y * y, _format(x).erf), y)
    clamped = where(y > 28.0, 28.0, y)
    far = fma(-bell(clamped, 1.0), scaled_erfc(clamped), 1.0)
    return copysign(where(y < 0.85, near, far), x)
