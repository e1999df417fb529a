"""Owners and data for callbacks: trainers of both sides, and one that looks like an estimator."""

import numpy as np
import pytest

import fastnn
from fastnn import SGD, History
from fastnn.callbacks import running

SIDES = (fastnn.reference, fastnn)

side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.__name__)

RANDOM = np.random.RandomState(0)

X = RANDOM.randn(3, 60)

Y = np.sin(X[:2]) + 0.5 * RANDOM.randn(2, 60)

HELD_OUT = RANDOM.randn(3, 30), RANDOM.randn(2, 30)


def trainer_of(side, optimizer=SGD(0.1), **options):  # noqa: B008 - frozen
    return side.Trainer(side.Network([3, 8, 2], "tanh", seed=0), optimizer, seed=1, **options)


class Owner:
    """What callbacks see of an estimator that fits; each epoch writes its number into all weights."""

    def __init__(self):
        self.network_ = fastnn.reference.Network([1, 1], seed=0)
        self.rates = [0.1]

    def get_learning_rate(self):
        return self.rates[-1]

    def set_learning_rate(self, rate):
        self.rates.append(rate)

    def fit(self, callbacks, planned=None, **lists):
        history, epochs = History(), len(next(iter(lists.values())))
        with running(callbacks, self, history, planned or epochs) as after_epoch:
            for epoch in range(epochs):
                self.network_.vector[:] = epoch + 1
                for name, values in {"loss": [1.0] * epochs, **lists}.items():
                    getattr(history, name).append(values[epoch])
                if after_epoch():
                    break
        return history
