"""The kernels' update rules against the NumPy reference, on the same gradients, in float64 and float32."""

import numpy as np
import numpy.testing as npt
import pytest
from engine_cases import OPTIMIZERS

from fastnn.kernels.compiler.policy import kernel
from fastnn.kernels.compiler.simd import advance, pointer
from fastnn.kernels.formulas.optimizers import ADAPTIVE, update_span
from fastnn.optimizers import UPDATE_RULES
from fastnn.reference.formulas import optimizers as reference
from fastnn.specs import Architecture, State

RATE, FACTOR = 0.25, 0.5


@kernel
def update(code, first, n, w, g, v, s, h, rate1, scale2, decay, beta1, beta2, epsilon, tiny):
    update_span(
        code, n, advance(pointer(w), first), advance(pointer(g), first), advance(pointer(v), first),
        advance(pointer(s), first), advance(pointer(h), first), RATE, rate1, scale2, decay, FACTOR, beta1, beta2,
        epsilon, tiny,
    )  # fmt: skip


def room(array, dtype):
    """A copy with room behind it for the rest of a vector; of moments that a rule has not, the room alone."""
    return np.concatenate([array.astype(dtype), np.zeros(64, dtype)])


# Rates of the size that users take: the engine's own tests need tiny ones where a rule makes much of a last digit.
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n_weights", [1, 6, 37])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_those_of_the_reference(name, n_weights, dtype):
    rule, architecture = OPTIMIZERS[name].rule(), Architecture((n_weights, 1), (), "linear", np.dtype(dtype))
    random = np.random.default_rng(n_weights)
    n, code = architecture.n_parameters, UPDATE_RULES.index(rule.name)
    theta, state = random.standard_normal(n).astype(dtype), State.zeros(architecture, rule)
    w, v, s, h = (room(array, dtype) for array in (theta, state.v, state.s, state.h))
    tiny = float(np.finfo(dtype).tiny)
    for step in range(1, 5):
        g = random.standard_normal(n).astype(dtype)
        reference.update(architecture, rule, theta, FACTOR * g, state, RATE)
        rate1, scale2 = RATE, 1.0
        if code in ADAPTIVE:
            rate1, scale2 = RATE / (1 - rule.beta1**step), 1 / (1 - rule.beta2**step)
        # Decay is for weights: the bias is a span of its own.
        for first, size, decay in ((0, n_weights, RATE * rule.weight_decay), (n_weights, 1, 0.0)):
            update(
                code, first, size, w, room(g, dtype), v, s, h, rate1, scale2, decay, rule.beta1, rule.beta2,
                rule.epsilon, tiny,
            )  # fmt: skip
        close = {"rtol": 50 * float(np.finfo(dtype).eps), "atol": 50 * float(np.finfo(dtype).eps)}
        npt.assert_allclose(w[:n], theta, **close)
        for own, moment in ((v, state.v), (s, state.s), (h, state.h)):
            npt.assert_allclose(own[: moment.size], moment, **close)


def test_every_rule_is_compared():
    assert {optimizer.rule().name for optimizer in OPTIMIZERS.values()} == set(UPDATE_RULES)


def test_the_betas_of_a_rule_differ():
    # Else one in the place of the other would go unseen.
    rules = [optimizer.rule() for optimizer in OPTIMIZERS.values()]
    assert all(rule.beta1 != rule.beta2 for rule in rules if rule.name != "sgd")
