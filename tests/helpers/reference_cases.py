"""Models and data for the NumPy engine, and central differences."""

import numpy as np
from engine_cases import Model

from fastnn.losses import LOSSES
from fastnn.optimizers import SGD, Adam, AdamW, AMSGrad, Lion, Momentum, RMSProp

F64 = np.dtype(np.float64)

PAIRS = [(output, loss) for output, names in LOSSES.items() for loss in names]

OPTIMIZERS = [
    SGD(0.1),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.9, nesterov=True),
    Momentum(0.1),
    RMSProp(),
    Adam(),
    AMSGrad(),
    AdamW(),
    Lion(),
]


def make_model(sizes=(3, 5, 4, 2), hidden="tanh", output="linear", loss=None, optimizer=None, **settings):
    settings.setdefault("dtype", F64)
    return Model(
        sizes=sizes,
        hidden=(hidden,) * (len(sizes) - 2),
        output=output,
        loss=LOSSES[output][0] if loss is None else loss,
        optimizer=SGD(0.1) if optimizer is None else optimizer,
        **settings,
    )


def draw(model, m, seed=0):
    """Draw parameters with biases, examples, targets that fit the loss, and sample weights with a zero."""
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(model.architecture.n_parameters).astype(model.dtype)
    X = rng.standard_normal((model.sizes[0], m))
    shape = (model.sizes[-1], m)
    if model.loss in ("cross_entropy", "binary_cross_entropy"):
        Y = rng.random(shape)  # probabilities, not normalised: the sum of y counts
    elif model.loss == "poisson":
        Y = rng.poisson(2.0, shape)
    else:
        Y = 2 * rng.standard_normal(shape)
    weights = rng.random(m)
    weights[0] = 0
    return theta, X, Y, weights


def differences(function, x, step=1e-6):
    """Differentiate a scalar function of x by central differences."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += step
        below[index] -= step
        gradient[index] = (function(above) - function(below)) / (2 * step)
    return gradient
