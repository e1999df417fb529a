"""The three update rules of the course, on spans of flat arrays, and the kernels over whole parameters."""

from numba import prange

from fastnn.kernels.elementwise import span
from fastnn.kernels.policy import inner, parallel_kernel
from fastnn.kernels.simd import fma, lanes_of, load_part, pointer, sqrt, store_part

GRADIENT_DESCENT, MOMENTUM, ADAM = 0, 1, 2


@inner
def gd_span(W, dW, rate, new_W, lo, hi):
    """W - rate dW, for elements lo to hi."""
    lanes = lanes_of(W)
    for j in range(lo, hi, lanes):
        n = hi - j
        store_part(new_W, j, load_part(W, j, n) - load_part(dW, j, n) * rate, n)


@inner
def momentum_span(W, dW, v, beta, rest, rate, new_W, new_v, lo, hi):
    """The course's averaged momentum, v = beta v + (1 - beta) dW and W - rate v; `rest` is 1 - beta."""
    lanes = lanes_of(W)
    for j in range(lo, hi, lanes):
        n = hi - j
        velocity = fma(load_part(v, j, n), beta, load_part(dW, j, n) * rest)
        store_part(new_v, j, velocity, n)
        store_part(new_W, j, load_part(W, j, n) - velocity * rate, n)


@inner
def adam_span(W, dW, v, s, beta1, rest1, unbias1, beta2, rest2, unbias2, epsilon, rate, new_W, new_v, new_s, lo, hi):
    """Adam with epsilon added outside the root; `unbias` is 1 / (1 - beta^t), `rest` is 1 - beta."""
    lanes = lanes_of(W)
    for j in range(lo, hi, lanes):
        n = hi - j
        gradient = load_part(dW, j, n)
        first = fma(load_part(v, j, n), beta1, gradient * rest1)
        second = fma(load_part(s, j, n), beta2, gradient * gradient * rest2)
        store_part(new_v, j, first, n)
        store_part(new_s, j, second, n)
        step = first * unbias1 * rate / (sqrt(second * unbias2) + epsilon)
        store_part(new_W, j, load_part(W, j, n) - step, n)


@parallel_kernel
def gd_update(W, dW, rate, new_W, n_threads):
    """new_W = W - rate dW."""
    if n_threads == 1:
        gd_span(pointer(W), pointer(dW), rate, pointer(new_W), 0, W.size)
    else:
        for part in prange(n_threads):
            lo, hi = span(W.size, part, n_threads, 64)
            gd_span(pointer(W), pointer(dW), rate, pointer(new_W), lo, hi)


@inner
def _momentum(W, dW, v, beta, rest, rate, new_W, new_v, part, parts):
    lo, hi = span(W.size, part, parts, 64)
    momentum_span(pointer(W), pointer(dW), pointer(v), beta, rest, rate, pointer(new_W), pointer(new_v), lo, hi)


@parallel_kernel
def momentum_update(W, dW, v, beta, rest, rate, new_W, new_v, n_threads):
    """new_v = beta v + (1 - beta) dW; new_W = W - rate new_v."""
    if n_threads == 1:
        _momentum(W, dW, v, beta, rest, rate, new_W, new_v, 0, 1)
    else:
        for part in prange(n_threads):
            _momentum(W, dW, v, beta, rest, rate, new_W, new_v, part, n_threads)


@inner
def _adam(W, dW, v, s, settings, new_W, new_v, new_s, part, parts):
    beta1, rest1, unbias1 = settings[0], settings[1], 1.0 / settings[2]
    beta2, rest2, unbias2 = settings[3], settings[4], 1.0 / settings[5]
    epsilon, rate = settings[6], settings[7]
    lo, hi = span(W.size, part, parts, 64)
    adam_span(
        pointer(W), pointer(dW), pointer(v), pointer(s), beta1, rest1, unbias1, beta2, rest2, unbias2, epsilon, rate,
        pointer(new_W), pointer(new_v), pointer(new_s), lo, hi,
    )  # fmt: skip


@parallel_kernel
def adam_update(W, dW, v, s, settings, new_W, new_v, new_s, n_threads):
    """One step of Adam; settings = beta1, 1 - beta1, 1 - beta1^t, beta2, 1 - beta2, 1 - beta2^t, epsilon, rate."""
    if n_threads == 1:
        _adam(W, dW, v, s, settings, new_W, new_v, new_s, 0, 1)
    else:
        for part in prange(n_threads):
            _adam(W, dW, v, s, settings, new_W, new_v, new_s, part, n_threads)
