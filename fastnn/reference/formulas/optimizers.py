"""The engine's updates: rules on flat arrays, which they change in place.

g is the gradient after L2 and clipping, rate the step's learning rate. Moments below the dtype's smallest normal number
are set to 0: a unit that died would keep denormal ones for ever, and processors are slow on them.
"""

import numpy as np

from fastnn.optimizers import UpdateRule
from fastnn.specs import Architecture, State

SMALLEST_POWER = 1e-300


def clip(g: np.ndarray, clip_norm: float | None) -> None:
    """Scale a gradient down to a 2-norm of at most `clip_norm`.

    Parameters
    ----------
    g : numpy.ndarray, shape (n,)
        The gradient; changed.
    clip_norm : float or None
        None leaves it alone.

    Notes
    -----
    The norm is that of g / max |g|, in float64, so that no square overflows or vanishes. Beside an infinite gradient,
    which becomes NaN, finite ones become 0, as in PyTorch; NaN leaves g alone.

    Examples
    --------
    >>> g = np.array([3.0, 4.0])
    >>> clip(g, 1.0)
    >>> print(g)
    [0.6 0.8]
    """
    if clip_norm is not None:
        largest = float(np.max(np.abs(g)))
        if largest > 0:
            direction = np.divide(g, largest, dtype=np.float64)
            norm = float(np.sqrt(np.sum(np.square(direction)))) if largest < np.inf else 1.0
            if norm > clip_norm / largest:
                g[:] = direction * (clip_norm / norm)


def sgd(theta: np.ndarray, g: np.ndarray, rate: float) -> None:
    """Descend: theta <- theta - rate g.

    Parameters
    ----------
    theta, g : numpy.ndarray, shape (n,)
        Parameters, changed, and gradient.
    rate : float
        Learning rate.

    Examples
    --------
    >>> theta = np.array([1.0])
    >>> sgd(theta, np.array([2.0]), 0.25)
    >>> print(theta)
    [0.5]
    """
    theta -= rate * g


def sgd_momentum(theta: np.ndarray, v: np.ndarray, g: np.ndarray, rate: float, momentum: float, nesterov: bool) -> None:
    """Keep moving: v <- momentum v - rate g; theta <- theta + v, or with `nesterov` theta + momentum v - rate g.

    Parameters
    ----------
    theta, v, g : numpy.ndarray, shape (n,)
        Parameters and velocity, both changed, and gradient.
    rate, momentum : float
        Learning rate, and fraction of the velocity that is kept.
    nesterov : bool
        Which form.

    Examples
    --------
    >>> theta, v = np.array([1.0]), np.array([-1.0])
    >>> sgd_momentum(theta, v, np.array([2.0]), 0.25, 0.5, nesterov=False)
    >>> print(theta, v)
    [0.] [-1.]
    """
    v *= momentum
    v -= rate * g
    flush(v)
    theta += momentum * v - rate * g if nesterov else v


def momentum(theta: np.ndarray, v: np.ndarray, g: np.ndarray, rate: float, beta: float) -> None:
    """Descend along the average, as in the course: v <- beta v + (1 - beta) g; theta <- theta - rate v.

    Parameters
    ----------
    theta, v, g : numpy.ndarray, shape (n,)
        Parameters and average, both changed, and gradient.
    rate, beta : float
        Learning rate, and weight of the past.

    Examples
    --------
    >>> theta, v = np.array([1.0]), np.array([0.0])
    >>> momentum(theta, v, np.array([2.0]), 0.25, 0.5)
    >>> print(theta, v)
    [0.75] [1.]
    """
    average(v, g, beta)
    theta -= rate * v


def rmsprop(theta: np.ndarray, s: np.ndarray, g: np.ndarray, rate: float, rho: float, epsilon: float) -> None:
    """Scale by the root mean square: s <- rho s + (1 - rho) g^2; theta <- theta - rate g / (sqrt(s) + epsilon).

    Parameters
    ----------
    theta, s, g : numpy.ndarray, shape (n,)
        Parameters and mean square, both changed, and gradient.
    rate, rho, epsilon : float
        Learning rate, weight of the past, and what is added to the root.

    Examples
    --------
    >>> theta, s = np.array([1.0]), np.array([0.0])
    >>> rmsprop(theta, s, np.array([2.0]), 0.25, 0.75, 1e-8)
    >>> print(theta.round(6), s)
    [0.5] [1.]
    """
    average(s, g * g, rho)
    theta -= rate * g / (np.sqrt(s) + epsilon)


def adam(
    theta: np.ndarray,
    v: np.ndarray,
    s: np.ndarray,
    g: np.ndarray,
    rate: float,
    betas: tuple[float, float],
    corrections: tuple[float, float],
    epsilon: float,
) -> None:
    """Average g and g^2: theta <- theta - rate c1 v / (sqrt(c2 s) + epsilon).

    v <- beta1 v + (1 - beta1) g and s <- beta2 s + (1 - beta2) g^2 first.

    Parameters
    ----------
    theta, v, s, g : numpy.ndarray, shape (n,)
        Parameters and moments, all changed, and gradient.
    rate : float
        Learning rate.
    betas : tuple of float
        beta1, beta2: weights of the past.
    corrections : tuple of float
        c1, c2 = 1 / (1 - beta1^t), 1 / (1 - beta2^t), t counting this update too.
    epsilon : float
        Added to the root.

    Examples
    --------
    >>> theta, v, s = np.array([1.0]), np.array([0.0]), np.array([0.0])
    >>> adam(theta, v, s, np.array([2.0]), 0.25, (0.5, 0.75), (2.0, 4.0), 1e-8)
    >>> print(theta.round(6), v, s)
    [0.75] [1.] [1.]
    """
    average(v, g, betas[0])
    average(s, g * g, betas[1])
    theta -= rate * corrections[0] * v / (np.sqrt(corrections[1] * s) + epsilon)


def amsgrad(
    theta: np.ndarray,
    v: np.ndarray,
    s: np.ndarray,
    h: np.ndarray,
    g: np.ndarray,
    rate: float,
    betas: tuple[float, float],
    corrections: tuple[float, float],
    epsilon: float,
) -> None:
    """Do as `adam`, with h <- max(h, s) in the place of s: theta <- theta - rate c1 v / (sqrt(c2 h) + epsilon).

    Parameters
    ----------
    theta, v, s, h, g : numpy.ndarray, shape (n,)
        Parameters, moments and largest s, all changed, and gradient.
    rate, betas, corrections, epsilon
        As in `adam`.

    Examples
    --------
    >>> theta, v, s, h = np.array([1.0]), np.array([0.0]), np.array([0.0]), np.array([4.0])
    >>> amsgrad(theta, v, s, h, np.array([2.0]), 0.25, (0.5, 0.75), (2.0, 4.0), 1e-8)
    >>> print(theta.round(6), s, h)
    [0.875] [1.] [4.]
    """
    average(v, g, betas[0])
    average(s, g * g, betas[1])
    np.maximum(h, s, out=h)
    theta -= rate * corrections[0] * v / (np.sqrt(corrections[1] * h) + epsilon)


def lion(theta: np.ndarray, v: np.ndarray, g: np.ndarray, rate: float, betas: tuple[float, float]) -> None:
    """Move by a sign: theta <- theta - rate sign(beta1 v + (1 - beta1) g); then v <- beta2 v + (1 - beta2) g.

    Parameters
    ----------
    theta, v, g : numpy.ndarray, shape (n,)
        Parameters and average, both changed, and gradient.
    rate : float
        Learning rate.
    betas : tuple of float
        beta1, beta2: weights of the past in the direction and in the average.

    Examples
    --------
    >>> theta, v = np.array([1.0, 1.0]), np.array([-1.0, -4.0])
    >>> lion(theta, v, np.array([2.0, 2.0]), 0.25, (0.5, 0.75))
    >>> print(theta, v)
    [0.75 1.25] [-0.25 -2.5 ]
    """
    theta -= rate * np.sign(betas[0] * v + (1 - betas[0]) * g)
    average(v, g, betas[1])


def update(
    architecture: Architecture, rule: UpdateRule, theta: np.ndarray, g: np.ndarray, state: State, rate: float
) -> None:
    """Do one update by a rule, then its decoupled decay: W <- W - rate decay W_old.

    Parameters
    ----------
    architecture : Architecture
        Says which parameters are weights.
    rule : UpdateRule
        The rule, its coefficients and the decay.
    theta, g : numpy.ndarray, shape (n,)
        Parameters, changed, and gradient.
    state : State
        Moments and powers; changed. Its counters are not touched.
    rate : float
        Learning rate.

    Examples
    --------
    >>> architecture, rule = Architecture((1, 1), (), "linear", np.dtype("f8")), UpdateRule("sgd", weight_decay=0.5)
    >>> theta = np.array([1.0, 1.0])
    >>> update(architecture, rule, theta, np.array([2.0, 2.0]), State.zeros(architecture, rule), 0.1)
    >>> print(theta)
    [0.75 0.8 ]
    """
    old = theta.copy()
    match rule.name:
        case "sgd":
            sgd(theta, g, rate)
        case "classical" | "nesterov":
            sgd_momentum(theta, state.v, g, rate, rule.beta1, rule.name == "nesterov")
        case "averaged":
            momentum(theta, state.v, g, rate, rule.beta1)
        case "rmsprop":
            rmsprop(theta, state.s, g, rate, rule.beta2, rule.epsilon)
        case "adam":
            adam(theta, state.v, state.s, g, rate, *_moving_factors(rule, state), rule.epsilon)
        case "amsgrad":
            amsgrad(theta, state.v, state.s, state.h, g, rate, *_moving_factors(rule, state), rule.epsilon)
        case "lion":
            lion(theta, state.v, g, rate, (rule.beta1, rule.beta2))
    if rule.weight_decay:
        for (W, _), (W_old, _) in zip(architecture.split(theta), architecture.split(old), strict=True):
            W -= rate * rule.weight_decay * W_old


def _moving_factors(rule: UpdateRule, state: State) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the betas, and the corrections of this update, whose powers the state then has."""
    betas = rule.beta1, rule.beta2
    state.powers *= betas
    state.powers[state.powers < SMALLEST_POWER] = 0
    c1, c2 = (1 / (1 - float(power)) for power in state.powers)
    return betas, (c1, c2)


def average(moment: np.ndarray, value: np.ndarray, beta: float) -> None:
    """Do moment <- beta moment + (1 - beta) value."""
    moment *= beta
    moment += (1 - beta) * value
    flush(moment)


def flush(moment: np.ndarray) -> None:
    """Set denormal numbers to 0."""
    moment[np.abs(moment) < np.finfo(moment.dtype).tiny] = 0
