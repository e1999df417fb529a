"""The optimisers' update rules on vectors: of parameters w, gradients g and moments v, s, h, what becomes of these.

`factor` is what gradients are multiplied by first, to clip them; `decay` the rate times decoupled weight decay; `rest`
is 1 - beta. Of Adam's kind, `rate1` is the rate with the correction of v, and `scale2` the correction of s. Moments
below `tiny` become 0.
"""

import functools

from fastnn.kernels.compiler.policy import inner
from fastnn.kernels.compiler.tracing import absolute, fma, sqrt, traced_pass, where

SGD, CLASSICAL, NESTEROV, AVERAGED, RMSPROP, ADAM, AMSGRAD, LION = range(8)

# Rules with both moments, whose bias they correct.
ADAPTIVE = ADAM, AMSGRAD


def _flushed(moment, tiny):
    # A dead unit's moments shrink to denormals and stay: 0.9 times the smallest one rounds to itself.
    return where(absolute(moment) < tiny, 0.0, moment)


def _decayed(w, decay):
    # Not w times a decay of 0: that would make NaN of an infinite weight.
    return where(decay > 0.0, w * decay, 0.0)


def _sgd(w, g, rate, decay, factor):
    """w - rate g."""
    return w - g * factor * rate - _decayed(w, decay)


def _classical(w, g, v, rate, decay, factor, mu, tiny):
    """v = mu v - rate g; w + v, with `factor`, `decay` and `tiny` as above."""
    v = _flushed(fma(v, mu, g * factor * -rate), tiny)
    return w + v - _decayed(w, decay), v


def _nesterov(w, g, v, rate, decay, factor, mu, tiny):
    """v = mu v - rate g; w + mu v - rate g, with `factor`, `decay` and `tiny` as above."""
    down = g * factor * -rate
    v = _flushed(fma(v, mu, down), tiny)
    return w + fma(v, mu, down) - _decayed(w, decay), v


def _averaged(w, g, v, rate, decay, factor, beta, rest, tiny):
    """v = beta v + (1 - beta) g; w - rate v, with `factor`, `decay`, `rest` and `tiny` as above."""
    v = _flushed(fma(v, beta, g * factor * rest), tiny)
    return w - v * rate - _decayed(w, decay), v


def _rmsprop(w, g, s, rate, decay, factor, rho, rest, epsilon, tiny):
    """s = rho s + (1 - rho) g^2; w - rate g / (sqrt(s) + epsilon); `factor`, `decay`, `rest`, `tiny` as above."""
    g = g * factor
    s = _flushed(fma(s, rho, g * g * rest), tiny)
    return w - g * rate / (sqrt(s) + epsilon) - _decayed(w, decay), s


def _moments(g, v, s, beta1, rest1, beta2, rest2, tiny):
    """The averages `v` of g and `s` of g^2, as in `_adam`."""
    return _flushed(fma(v, beta1, g * rest1), tiny), _flushed(fma(s, beta2, g * g * rest2), tiny)


def _adam(w, g, v, s, rate1, scale2, decay, factor, beta1, rest1, beta2, rest2, epsilon, tiny):
    """v and s averages of g and g^2; w - rate1 v / (sqrt(s scale2) + epsilon).

    `w`, `g`, `v`, `s`, `rate1`, `scale2`, `decay`, `factor`, `beta1`, `rest1`, `beta2`, `rest2`, `epsilon` and `tiny`
    are as above.
    """
    v, s = _moments(g * factor, v, s, beta1, rest1, beta2, rest2, tiny)
    return w - v * rate1 / (sqrt(s * scale2) + epsilon) - _decayed(w, decay), v, s


def _amsgrad(w, g, v, s, h, rate1, scale2, decay, factor, beta1, rest1, beta2, rest2, epsilon, tiny):
    """As `_adam`, with the largest s so far, h."""
    v, s = _moments(g * factor, v, s, beta1, rest1, beta2, rest2, tiny)
    h = where(h > s, h, s)
    return w - v * rate1 / (sqrt(h * scale2) + epsilon) - _decayed(w, decay), v, s, h


def _lion(w, g, v, rate, decay, factor, beta1, rest1, beta2, rest2, tiny):
    """w - rate sign(beta1 v + (1 - beta1) g); v = beta2 v + (1 - beta2) g.

    `decay`, `factor`, `rest1`, `rest2` and `tiny` are as above.
    """
    g = g * factor
    direction = fma(v, beta1, g * rest1)
    # The sign of 0 is 0, and NaN stays NaN.
    move = where(direction > 0.0, rate, where(direction < 0.0, -rate, direction))
    return w - move - _decayed(w, decay), _flushed(fma(v, beta2, g * rest2), tiny)


sgd_pass = traced_pass(_sgd, 2, 1)
classical_pass = traced_pass(_classical, 3, 2)
nesterov_pass = traced_pass(_nesterov, 3, 2)
averaged_pass = traced_pass(_averaged, 3, 2)
rmsprop_pass = traced_pass(_rmsprop, 3, 2)
adam_pass = traced_pass(_adam, 4, 3)
amsgrad_pass = traced_pass(_amsgrad, 5, 4)
lion_pass = traced_pass(_lion, 3, 2)


# A call with so many arguments would add a tenth to the instructions of a small net's update.
@functools.partial(inner, inlined=True)
def update_span(code, n, w, g, v, s, h, rate, rate1, scale2, decay, factor, beta1, beta2, epsilon, tiny):
    """Update parameters and their moments in place, by the rule of a code.

    code, n: one of the above; how many parameters.
    w, g, v, s, h: numbers [n]: parameters, gradients, moments; what the rule has not is not looked at.
    rate, rate1, scale2, decay, factor, beta1, beta2, epsilon, tiny: as above; beta1 is also mu and beta, beta2 is rho.
    """
    rest1, rest2 = 1.0 - beta1, 1.0 - beta2
    if code == ADAM:
        adam_pass(n, 3, w, g, v, s, w, v, s, rate1, scale2, decay, factor, beta1, rest1, beta2, rest2, epsilon, tiny)
    elif code == SGD:
        sgd_pass(n, 1, w, g, w, rate, decay, factor)
    elif code == CLASSICAL:
        classical_pass(n, 2, w, g, v, w, v, rate, decay, factor, beta1, tiny)
    elif code == NESTEROV:
        nesterov_pass(n, 2, w, g, v, w, v, rate, decay, factor, beta1, tiny)
    elif code == AVERAGED:
        averaged_pass(n, 2, w, g, v, w, v, rate, decay, factor, beta1, rest1, tiny)
    elif code == RMSPROP:
        rmsprop_pass(n, 2, w, g, s, w, s, rate, decay, factor, beta2, rest2, epsilon, tiny)
    elif code == AMSGRAD:
        amsgrad_pass(
            n, 4, w, g, v, s, h, w, v, s, h, rate1, scale2, decay, factor, beta1, rest1, beta2, rest2, epsilon, tiny
        )
    elif code == LION:
        lion_pass(n, 2, w, g, v, w, v, rate, decay, factor, beta1, rest1, beta2, rest2, tiny)
