"""The three update rules of the course, on spans of flat arrays, and the kernels over whole parameters."""

from numba import prange

from fastnn.kernels.elementwise import span
from fastnn.kernels.policy import inner, parallel_kernel
from fastnn.kernels.simd import fma, lanes_of, load, load_part, pointer, sqrt, store, store_part

GRADIENT_DESCENT, MOMENTUM, ADAM = 0, 1, 2


@inner
def gd_span(W, dW, rate, new_W, lo, hi):
    """W - rate dW, for elements lo to hi."""
    lanes = lanes_of(W)
    for j in range(lo, hi, lanes):
        n = hi - j
        if n >= lanes:
            store(new_W, j, load(W, j) - load(dW, j) * rate)
        else:
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


@inner
def _gd_part(W, dW, b, db, rate, new_W, new_b, part, parts):
    lo, hi = span(W.size, part, parts, 64)
    gd_span(pointer(W), pointer(dW), rate, pointer(new_W), lo, hi)
    lo, hi = span(b.size, part, parts, 64)
    gd_span(pointer(b), pointer(db), rate, pointer(new_b), lo, hi)


@parallel_kernel
def gd_update(W, dW, b, db, rate, new_W, new_b, n_threads):
    """W - rate dW and b - rate db: a layer a call, for a call costs as much as NumPy takes for one of them."""
    if n_threads == 1:
        _gd_part(W, dW, b, db, rate, new_W, new_b, 0, 1)
    else:
        for part in prange(n_threads):
            _gd_part(W, dW, b, db, rate, new_W, new_b, part, n_threads)


@inner
def _momentum_part(W, dW, vW, b, db, vb, beta, rest, rate, new_W, new_vW, new_b, new_vb, part, parts):
    lo, hi = span(W.size, part, parts, 64)
    momentum_span(pointer(W), pointer(dW), pointer(vW), beta, rest, rate, pointer(new_W), pointer(new_vW), lo, hi)
    lo, hi = span(b.size, part, parts, 64)
    momentum_span(pointer(b), pointer(db), pointer(vb), beta, rest, rate, pointer(new_b), pointer(new_vb), lo, hi)


@parallel_kernel
def momentum_update(W, dW, vW, b, db, vb, beta, rest, rate, new_W, new_vW, new_b, new_vb, n_threads):
    """Momentum's step for one layer: new_v = beta v + rest dW and new_W = W - rate new_v, and likewise b."""
    if n_threads == 1:
        _momentum_part(W, dW, vW, b, db, vb, beta, rest, rate, new_W, new_vW, new_b, new_vb, 0, 1)
    else:
        for part in prange(n_threads):
            _momentum_part(W, dW, vW, b, db, vb, beta, rest, rate, new_W, new_vW, new_b, new_vb, part, n_threads)


@inner
def _adam_array(W, dW, v, s, settings, new_W, new_v, new_s, part, parts):
    beta1, rest1, unbias1 = settings[0], settings[1], 1.0 / settings[2]
    beta2, rest2, unbias2 = settings[3], settings[4], 1.0 / settings[5]
    epsilon, rate = settings[6], settings[7]
    lo, hi = span(W.size, part, parts, 64)
    adam_span(
        pointer(W), pointer(dW), pointer(v), pointer(s), beta1, rest1, unbias1, beta2, rest2, unbias2, epsilon, rate,
        pointer(new_W), pointer(new_v), pointer(new_s), lo, hi,
    )  # fmt: skip


@inner
def _adam_part(W, dW, vW, sW, b, db, vb, sb, settings, new_W, new_vW, new_sW, new_b, new_vb, new_sb, part, parts):
    _adam_array(W, dW, vW, sW, settings, new_W, new_vW, new_sW, part, parts)
    _adam_array(b, db, vb, sb, settings, new_b, new_vb, new_sb, part, parts)


@parallel_kernel
def adam_update(W, dW, vW, sW, b, db, vb, sb, settings, new_W, new_vW, new_sW, new_b, new_vb, new_sb, n_threads):
    """Adam's step for one layer.

    settings = beta1, 1 - beta1, 1 - beta1^t, beta2, 1 - beta2, 1 - beta2^t, epsilon, rate.
    """
    if n_threads == 1:
        _adam_part(W, dW, vW, sW, b, db, vb, sb, settings, new_W, new_vW, new_sW, new_b, new_vb, new_sb, 0, 1)
    else:
        for part in prange(n_threads):
            _adam_part(
                W, dW, vW, sW, b, db, vb, sb, settings, new_W, new_vW, new_sW, new_b, new_vb, new_sb, part, n_threads
            )
