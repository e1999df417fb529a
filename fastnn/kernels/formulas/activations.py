"""Hidden activations: functions of a vector z that return the activation and its slope, and passes over memory.

A slope is stored where the activation is computed, while exp(z) is at hand; relu's is seen from the activation.
"""

from fastnn.kernels.compiler import vector_math
from fastnn.kernels.compiler.policy import inner
from fastnn.kernels.compiler.tracing import absolute, fma, full_like, traced_pass, where
from fastnn.kernels.compiler.vector_math import bell, exp_of_negative, exp_parts, log1p_of_finite, scaled_erfc

IDENTITY, RELU, LEAKY_RELU, ELU, SELU, GELU, SILU, TANH, SIGMOID, SOFTPLUS, MISH = range(11)

LEAK = 0.01
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772


def _relu(z):
    """max(z, 0), which keeps NaN."""
    return where(z <= 0.0, 0.0, z)


def _leaky_relu(z):
    """z where z > 0, else 0.01 z."""
    return where(z > 0.0, z, z * LEAK), where(z > 0.0, 1.0, full_like(z, LEAK))


def _elu(z):
    """z where z > 0, else exp(z) - 1."""
    s, p = exp_parts(where(z > 0.0, 0.0, z))
    return where(z > 0.0, z, fma(s, p, s - 1.0)), fma(s, p, s)


def _selu(z):
    """scale z where z > 0, else scale alpha (exp(z) - 1)."""
    s, p = exp_parts(where(z > 0.0, 0.0, z))
    a = where(z > 0.0, z, fma(s, p, s - 1.0) * SELU_ALPHA)
    return a * SELU_SCALE, where(z > 0.0, SELU_SCALE, fma(s, p, s) * (SELU_SCALE * SELU_ALPHA))


def _gelu(z):
    """z Phi(z), with Phi(-|z|) = erfc(|z| / sqrt(2)) / 2."""
    y = absolute(z)
    y = where(y > 39.0, 39.0, y)
    e = bell(y, 0.5)
    tail = e * scaled_erfc(y * 0.7071067811865476) * 0.5
    phi = where(z < 0.0, tail, 1.0 - tail)
    return z * phi, fma(z * 0.3989422804014327, e, phi)


def logistic(z):
    """(sigma(z), 1 - sigma(z)) with sigma(z) = 1 / (1 + exp(-z)), both to full precision where they are small."""
    e = exp_of_negative(-absolute(z))
    large = 1.0 / (e + 1.0)
    small = e * large
    return where(z < 0.0, small, large), where(z < 0.0, large, small)


def _sigmoid(z):
    """1 / (1 + exp(-z))."""
    sigma, rest = logistic(z)
    return sigma, sigma * rest


def _silu(z):
    """z sigma(z)."""
    sigma, rest = logistic(z)
    return z * sigma, sigma * fma(z, rest, 1.0)


def _tanh(z):
    """tanh(z)."""
    a = vector_math.tanh(z)
    return a, fma(-a, a, 1.0)


def _softplus(z):
    """log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))."""
    e = exp_of_negative(-absolute(z))
    large = 1.0 / (e + 1.0)
    return _relu(z) + log1p_of_finite(e), where(z < 0.0, e * large, large)


def _mish(z):
    """z t, where t = tanh(log(1 + exp(z))) = n / (n + 2) with n = exp(z) (exp(z) + 2)."""
    e = exp_of_negative(-absolute(z))
    # For z > 0 both are divided by exp(2 z), which may overflow.
    n = where(z > 0.0, fma(e, 2.0, 1.0), e * (e + 2.0))
    rest = where(z > 0.0, e * e * 2.0, 2.0)
    share = 1.0 / (n + rest)
    t = n * share
    # The slope: 1 - t^2 = (1 - t) (1 + t), without a difference.
    steepness = rest * share * (t + 1.0)
    large = 1.0 / (e + 1.0)
    sigma = where(z < 0.0, e * large, large)
    return z * t, fma(z * sigma, steepness, t)


def _product(a, b):
    """a b."""
    return a * b


def _fill(_, number):
    """The number."""
    return number


def _relu_delta(a, da, scale):
    """da times scale where a > 0, else times 0, so that an infinite da gives NaN as in NumPy."""
    return da * where(a > 0.0, scale, 0.0)


relu_pass = traced_pass(_relu, 1)
leaky_relu_pass = traced_pass(_leaky_relu, 1, 2)
elu_pass = traced_pass(_elu, 1, 2)
selu_pass = traced_pass(_selu, 1, 2)
gelu_pass = traced_pass(_gelu, 1, 2)
silu_pass = traced_pass(_silu, 1, 2)
tanh_pass = traced_pass(_tanh, 1, 2)
sigmoid_pass = traced_pass(_sigmoid, 1, 2)
softplus_pass = traced_pass(_softplus, 1, 2)
mish_pass = traced_pass(_mish, 1, 2)
product_pass = traced_pass(_product, 2)
fill_pass = traced_pass(_fill, 1)
relu_delta_pass = traced_pass(_relu_delta, 2)


@inner
def activate_span(code, a, n, slopes, with_slopes):
    """a[:n] = f(a[:n]), and slopes[:n] = f' if wanted and the activation is not relu."""
    wanted = 2 if with_slopes else 1
    if code == RELU:
        relu_pass(n, 1, a, a)
    elif code == TANH:
        tanh_pass(n, wanted, a, a, slopes)
    elif code == SIGMOID:
        sigmoid_pass(n, wanted, a, a, slopes)
    elif code == LEAKY_RELU:
        leaky_relu_pass(n, wanted, a, a, slopes)
    elif code == ELU:
        elu_pass(n, wanted, a, a, slopes)
    elif code == SELU:
        selu_pass(n, wanted, a, a, slopes)
    elif code == GELU:
        gelu_pass(n, wanted, a, a, slopes)
    elif code == SILU:
        silu_pass(n, wanted, a, a, slopes)
    elif code == SOFTPLUS:
        softplus_pass(n, wanted, a, a, slopes)
    elif code == MISH:
        mish_pass(n, wanted, a, a, slopes)
    elif with_slopes:
        fill_pass(n, 1, slopes, slopes, 1.0)
