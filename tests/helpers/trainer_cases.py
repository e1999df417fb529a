"""Trainers of both sides: settings, data, and all bits of a training."""

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Adam, AdamW, AMSGrad, Lion, Momentum, RMSProp
from fastnn.schedules import Constant, Cosine, InverseScaling, OneCycle, Polynomial, StepDecay

SIDES = (fastnn.reference, fastnn)

side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.__name__)

OPTIMIZERS = [
    SGD(0.05), SGD(0.05, 0.9), SGD(0.05, 0.9, nesterov=True), Momentum(0.05), RMSProp(), Adam(), AMSGrad(), AdamW(),
    Lion(),
]  # fmt: skip

SCHEDULES = [
    Constant(0.01), StepDecay(0.01, 7), InverseScaling(0.01, 0.7), Cosine(0.01, 40, 5, 0.001), OneCycle(0.01, 40),
    Polynomial(0.01, 40, 2.0, 0.001),
]  # fmt: skip
RATES = [*SCHEDULES, lambda step: 0.01 / (1 + step)]


def data(m=50, n_x=3, n_y=2, seed=0):
    random = np.random.RandomState(seed)
    X = random.randn(n_x, m)
    return X, np.sin(X[:n_y]) + 0.1 * random.randn(n_y, m)


def network(side, sizes=(3, 6, 2), output="linear", **options):
    return side.Network(list(sizes), "tanh", output, **{"seed": 0, **options})


def bits(trainer):
    state = trainer.state
    arrays = (trainer.network.vector, state.v, state.s, state.h, state.powers)
    return [array.tobytes() for array in arrays] + [state.step, state.epoch]


def together(*histories):
    return [[x for h in histories for x in getattr(h, name)] for name in ("loss", "validation_loss", "learning_rate")]
