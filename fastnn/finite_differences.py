"""A training's gradient against finite differences of its own cost."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.specs import aligned_zeros
from fastnn.trainer import Trainer

__all__ = ["gradient_check"]


def gradient_check(
    trainer: Trainer,
    X: ArrayLike,
    Y: ArrayLike,
    epsilon: float = 1e-5,
    sample: int | None = 1000,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compare the gradient that a trainer computes with central differences of its cost.

    For every parameter the quotient is (J(theta + epsilon) - J(theta - epsilon)) / (2 epsilon), where J is the cost of
    all the examples as one mini-batch: weighted, with L2, with label smoothing, and with the dropout masks of the
    trainer's next step.

    Parameters
    ----------
    trainer : Trainer
        Its network and settings; nothing is changed.
    X : array_like, shape (n_x, m)
        Examples in columns. A few are enough.
    Y : array_like, shape (n_y, m), or (m,)
        Targets.
    epsilon : float
        Step of the differences, positive.
    sample : int, optional
        Parameters to compare: if there are more, a random choice of so many, always the same. None takes all.
    sample_weight : array_like, shape (m,), optional
        Weights of the examples.

    Returns
    -------
    float
        ||g - d|| / (||g|| + ||d||) over the compared parameters, g the gradient and d the quotients; 0 if both vanish.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    Costs are computed in float64, also for a float32 network, whose gradient is its own. So a right gradient gives
    about 1e-10 for float64 and 1e-7 for float32, a wrong one 1e-3 and more. Kinks are the exception: where the argument
    of relu, leaky relu, selu or the absolute error is closer to 0 than epsilon moves it, the quotient means nothing.
    Other examples, other weights or a smaller epsilon then change the answer much; a wrong gradient stays wrong.

    Clipping and decoupled decay are not parts of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import gradient_check
    >>> from fastnn.reference import Network, Trainer
    >>> net = Network([3, 5, 2], hidden_activation="tanh", output="softmax", seed=0)
    >>> X = np.random.RandomState(0).randn(3, 4)
    >>> gradient_check(Trainer(net, l2=0.1), X, [0, 1, 1, 0]) < 1e-8
    True
    """
    if not isinstance(trainer, Trainer):
        raise TypeError(f"trainer must be a Trainer, got {type(trainer).__name__}")
    epsilon = checks.positive_number("epsilon", epsilon)
    data = trainer._data(("X", "Y", "sample_weight"), X, Y, sample_weight)
    settings, vector, architecture = trainer.settings, trainer.network.vector, trainer.network._architecture
    step = trainer.state.step if settings.objective.dropout else None

    engine = trainer._made_engine()
    gradient = engine.loss_and_gradient(vector, *data, step)[1].astype(np.float64)
    if architecture.dtype != np.float64:
        wider = replace(architecture, dtype=np.dtype(np.float64))
        engine = trainer._engine_class()(wider, settings, trainer.n_threads)

    chosen = np.arange(vector.size)
    if sample is not None and checks.count("sample", sample, 1) < vector.size:
        chosen = np.random.RandomState(0).choice(vector.size, sample, replace=False)
    theta = aligned_zeros(vector.size, np.float64)
    theta[:] = vector
    quotients = np.empty(chosen.size)
    for k, i in enumerate(chosen):
        kept, costs = theta[i], []
        for moved in (kept + epsilon, kept - epsilon):
            theta[i] = moved
            costs.append(engine.loss_and_gradient(theta, *data, step)[0])
        theta[i] = kept
        quotients[k] = (costs[0] - costs[1]) / (2 * epsilon)

    gradient = gradient[chosen]
    scale = np.linalg.norm(gradient) + np.linalg.norm(quotients)
    return float(np.linalg.norm(gradient - quotients) / scale) if scale else 0.0
