"""The course's updates of whole parameters by the engine's rules, into fresh arrays.

Nothing is decayed, clipped or flushed to zero here: a decay of 0, a factor of 1 and a smallest moment of 0 say so.
"""

from numba import prange

from fastnn.kernels.compiler.policy import inner, parallel_kernel
from fastnn.kernels.compiler.simd import advance, pointer
from fastnn.kernels.course.activations import span
from fastnn.kernels.formulas.optimizers import adam_pass, averaged_pass, sgd_pass


@inner
def _part(array, lo):
    return advance(pointer(array), lo)


@inner
def _gd_array(W, dW, rate, new_W, part, parts):
    lo, hi = span(W.size, part, parts, 64)
    sgd_pass(hi - lo, 1, _part(W, lo), _part(dW, lo), _part(new_W, lo), rate, 0.0, 1.0)


@inner
def _gd_part(W, dW, b, db, rate, new_W, new_b, part, parts):
    """Part `part` of `parts` of `gd_update`."""
    _gd_array(W, dW, rate, new_W, part, parts)
    _gd_array(b, db, rate, new_b, part, parts)


@parallel_kernel
def gd_update(W, dW, b, db, rate, new_W, new_b, n_threads):
    """A layer's step of gradient descent: a layer a call, for a call costs as much as NumPy takes for one array.

    W, dW, b, db: weights [n_out][n_in], biases [n_out][1] and the gradients of both.
    rate: learning rate.
    new_W, new_b: results, W - rate dW and b - rate db.
    n_threads: how many divide the numbers among them.
    """
    if n_threads == 1:
        _gd_part(W, dW, b, db, rate, new_W, new_b, 0, 1)
    else:
        for part in prange(n_threads):
            _gd_part(W, dW, b, db, rate, new_W, new_b, part, n_threads)


@inner
def _momentum_array(W, dW, v, beta, rest, rate, new_W, new_v, part, parts):
    """Part `part` of `parts` of `momentum_update`, for one array with the moments `v` and `new_v`."""
    lo, hi = span(W.size, part, parts, 64)
    averaged_pass(
        hi - lo, 2, _part(W, lo), _part(dW, lo), _part(v, lo), _part(new_W, lo), _part(new_v, lo), rate, 0.0, 1.0,
        beta, rest, 0.0,
    )  # fmt: skip


@inner
def _momentum_part(W, dW, vW, b, db, vb, beta, rest, rate, new_W, new_vW, new_b, new_vb, part, parts):
    """Part `part` of `parts` of `momentum_update`."""
    _momentum_array(W, dW, vW, beta, rest, rate, new_W, new_vW, part, parts)
    _momentum_array(b, db, vb, beta, rest, rate, new_b, new_vb, part, parts)


@parallel_kernel
def momentum_update(W, dW, vW, b, db, vb, beta, rest, rate, new_W, new_vW, new_b, new_vb, n_threads):
    """Momentum's step for one layer: new_vW = beta vW + rest dW and new_W = W - rate new_vW, and likewise b.

    W, dW, vW, b, db, vb: weights, their gradients and moments [n_out][n_in], and those of the biases [n_out][1].
    beta, rest, rate: momentum; 1 - beta; learning rate.
    new_W, new_vW, new_b, new_vb: results.
    n_threads: how many divide the numbers among them.
    """
    if n_threads == 1:
        _momentum_part(W, dW, vW, b, db, vb, beta, rest, rate, new_W, new_vW, new_b, new_vb, 0, 1)
    else:
        for part in prange(n_threads):
            _momentum_part(W, dW, vW, b, db, vb, beta, rest, rate, new_W, new_vW, new_b, new_vb, part, n_threads)


@inner
def _adam_array(W, dW, v, s, settings, new_W, new_v, new_s, part, parts):
    """Part `part` of `parts` of `adam_update`, for one array with the moments `v`, `s`, `new_v` and `new_s`."""
    beta1, rest1, left1 = settings[0], settings[1], settings[2]
    beta2, rest2, left2 = settings[3], settings[4], settings[5]
    epsilon, rate = settings[6], settings[7]
    lo, hi = span(W.size, part, parts, 64)
    adam_pass(
        hi - lo, 3, _part(W, lo), _part(dW, lo), _part(v, lo), _part(s, lo),
        _part(new_W, lo), _part(new_v, lo), _part(new_s, lo),
        rate / left1, 1.0 / left2, 0.0, 1.0, beta1, rest1, beta2, rest2, epsilon, 0.0,
    )  # fmt: skip


@inner
def _adam_part(W, dW, vW, sW, b, db, vb, sb, settings, new_W, new_vW, new_sW, new_b, new_vb, new_sb, part, parts):
    """Part `part` of `parts` of `adam_update`."""
    _adam_array(W, dW, vW, sW, settings, new_W, new_vW, new_sW, part, parts)
    _adam_array(b, db, vb, sb, settings, new_b, new_vb, new_sb, part, parts)


@parallel_kernel
def adam_update(W, dW, vW, sW, b, db, vb, sb, settings, new_W, new_vW, new_sW, new_b, new_vb, new_sb, n_threads):
    """Adam's step for one layer.

    W, dW, vW, sW: weights, their gradients and both moments [n_out][n_in].
    b, db, vb, sb: biases, their gradients and both moments [n_out][1].
    settings: beta1, 1 - beta1, 1 - beta1^t, beta2, 1 - beta2, 1 - beta2^t, epsilon, rate.
    new_W, new_vW, new_sW, new_b, new_vb, new_sb: results.
    n_threads: how many divide the numbers among them.
    """
    if n_threads == 1:
        _adam_part(W, dW, vW, sW, b, db, vb, sb, settings, new_W, new_vW, new_sW, new_b, new_vb, new_sb, 0, 1)
    else:
        for part in prange(n_threads):
            _adam_part(
                W, dW, vW, sW, b, db, vb, sb, settings, new_W, new_vW, new_sW, new_b, new_vb, new_sb, part, n_threads
            )
