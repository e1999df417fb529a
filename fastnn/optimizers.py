"""Optimisers: frozen settings, one class for each update rule.

Moments and powers live in the trainer, so one optimiser may serve many trainers. In the equations g is the gradient of
the mini-batch's cost (with L2, after clipping), theta the parameters, rate the step's learning rate; squares, roots and
quotients are taken element by element.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fastnn import checks

__all__ = [
    "LBFGS",
    "SGD",
    "UPDATE_RULES",
    "AMSGrad",
    "Adam",
    "AdamW",
    "Descent",
    "Lion",
    "Momentum",
    "Optimizer",
    "RMSProp",
    "UpdateRule",
]

LearningRate = float | Callable[[int], float]

# What engines can do, in the order of the kernels' codes.
UPDATE_RULES = ("sgd", "classical", "nesterov", "averaged", "rmsprop", "adam", "amsgrad", "lion")


@dataclass(frozen=True)
class UpdateRule:
    """What an engine is told of an optimiser: all but the learning rate, which every step is given.

    Parameters
    ----------
    name : str
        One of `UPDATE_RULES`.
    moments : str
        Which moments it keeps: v (of the gradient, or the velocity), s (of its square), h (the largest s).
    beta1, beta2 : float
        Weights of the past in v and in s; Lion's in the step's direction and in v.
    epsilon : float
        Added to the root of s or h.
    corrected : bool
        Whether Adam and its variants correct v and s for their start at 0; nothing to the others.
    weight_decay : float
        Decoupled decay: a step also takes rate * weight_decay * W from the weights, not from biases.

    Examples
    --------
    >>> from fastnn import SGD
    >>> rule = SGD(0.1, momentum=0.9).rule()
    >>> rule.name, rule.moments, rule.beta1
    ('classical', 'v', 0.9)
    """

    name: str
    moments: str = ""
    beta1: float = 0.0
    beta2: float = 0.0
    epsilon: float = 0.0
    corrected: bool = True
    weight_decay: float = 0.0


class Optimizer(checks.CheckedSettings):
    """What all optimisers are: settings that a `fastnn.Trainer` applies."""

    __slots__ = ()

    def rule(self) -> UpdateRule | None:
        """Return what an engine has to know to make the updates.

        Returns
        -------
        UpdateRule or None
            None if it is not the engine that makes them, but SciPy.
        """
        raise TypeError(f"optimizer must be one that the engine has a rule for, got {self!r}")


@dataclass(frozen=True)
class Descent(Optimizer):
    """What all optimisers with a learning rate are: all but `LBFGS`."""

    learning_rate: LearningRate


@dataclass(frozen=True)
class SGD(Descent):
    """Gradient descent, plain or with momentum in its classical or Nesterov's form.

    Without momentum theta <- theta - rate g. With momentum v <- momentum v - rate g and theta <- theta + v, or with
    `nesterov` theta <- theta + momentum v - rate g.

    Parameters
    ----------
    learning_rate : float or callable
        The rate, or a schedule: a function of the optimiser's step, counted from 0.
    momentum : float
        In [0, 1).
    nesterov : bool
        Whether the gradient counts as if taken after the momentum's move; needs momentum.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    The velocity holds moves, not gradients: a change of the rate does not rescale the moves that it already holds (as
    in scikit-learn; PyTorch keeps gradients). With a constant rate the two are the same. `Momentum` is the course's
    averaged form.

    Examples
    --------
    >>> from fastnn import SGD
    >>> SGD(0.1, momentum=0.9, nesterov=True)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=True)
    """

    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        self._check(checks.decay_factor, "momentum")
        self._check(checks.flag, "nesterov")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs momentum: momentum must be in (0, 1), got 0")
        self._check(checks.learning_rate, "learning_rate")

    def rule(self) -> UpdateRule:
        """Return the rule of the updates."""
        if not self.momentum:
            return UpdateRule("sgd")
        return UpdateRule("nesterov" if self.nesterov else "classical", "v", beta1=self.momentum)


@dataclass(frozen=True)
class Momentum(Descent):
    """Gradient descent along the average of past gradients: the course's momentum.

    v <- beta v + (1 - beta) g and theta <- theta - rate v.

    Parameters
    ----------
    learning_rate : float or callable
        The rate, or a schedule: a function of the optimiser's step, counted from 0.
    beta : float
        Weight of the past, in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    v starts at 0 and is not corrected for it, as in the course. Because of the factor 1 - beta a rate here moves as far
    as (1 - beta) times that rate in `SGD` with ``momentum=beta``.

    Examples
    --------
    >>> from fastnn import Momentum
    >>> Momentum(0.01)
    Momentum(learning_rate=0.01, beta=0.9)
    """

    beta: float = 0.9

    def __post_init__(self) -> None:
        self._check(checks.learning_rate, "learning_rate")
        self._check(checks.decay_factor, "beta")

    def rule(self) -> UpdateRule:
        """Return the rule of the updates."""
        return UpdateRule("averaged", "v", beta1=self.beta)


@dataclass(frozen=True)
class RMSProp(Descent):
    """Gradient descent scaled by the root of the mean square of past gradients.

    s <- rho s + (1 - rho) g^2 and theta <- theta - rate g / (sqrt(s) + epsilon).

    Parameters
    ----------
    learning_rate : float or callable
        The rate, or a schedule: a function of the optimiser's step, counted from 0.
    rho : float
        Weight of the past, in [0, 1).
    epsilon : float
        Added to the root; positive.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    Not centred, without momentum, and s is not corrected for its start at 0. PyTorch's defaults differ: it uses 0.99
    and 0.01.

    Examples
    --------
    >>> from fastnn import RMSProp
    >>> RMSProp()
    RMSProp(learning_rate=0.001, rho=0.9, epsilon=1e-08)
    """

    learning_rate: LearningRate = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        self._check(checks.learning_rate, "learning_rate")
        self._check(checks.decay_factor, "rho")
        self._check(checks.positive_number, "epsilon")

    def rule(self) -> UpdateRule:
        """Return the rule of the updates."""
        return UpdateRule("rmsprop", "s", beta2=self.rho, epsilon=self.epsilon)


@dataclass(frozen=True)
class _Moments(Descent):
    """What Adam and its variants share: settings, and their checks."""

    learning_rate: LearningRate = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        self._check(checks.learning_rate, "learning_rate")
        self._check(checks.decay_factor, "beta1", "beta2")
        self._check(checks.positive_number, "epsilon")


@dataclass(frozen=True)
class Adam(_Moments):
    """Gradient descent along averaged gradients, scaled by the root of their averaged squares.

    v <- beta1 v + (1 - beta1) g, s <- beta2 s + (1 - beta2) g^2 and
    theta <- theta - rate (v / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + epsilon), with t = 1 at the first update.

    Parameters
    ----------
    learning_rate : float or callable
        The rate, or a schedule: a function of the optimiser's step, counted from 0.
    beta1, beta2 : float
        Weights of the past, in [0, 1).
    epsilon : float
        Added to the root after its correction; positive.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    Algorithm 1 of Kingma and Ba (2015), as in PyTorch and the course's update. scikit-learn and TensorFlow add epsilon
    to the uncorrected root instead.

    Examples
    --------
    >>> from fastnn import Adam
    >>> Adam(1e-3)
    Adam(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-08)
    """

    def rule(self) -> UpdateRule:
        """Return the rule of the updates."""
        return UpdateRule("adam", "vs", self.beta1, self.beta2, self.epsilon)


@dataclass(frozen=True)
class AMSGrad(_Moments):
    """Adam whose scale never grows back: it keeps the largest s seen.

    v and s as in `Adam`; h <- max(h, s) and
    theta <- theta - rate (v / (1 - beta1^t)) / (sqrt(h / (1 - beta2^t)) + epsilon).

    Parameters
    ----------
    learning_rate : float or callable
        The rate, or a schedule: a function of the optimiser's step, counted from 0.
    beta1, beta2 : float
        Weights of the past, in [0, 1).
    epsilon : float
        Added to the root after its correction; positive.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    Reddi, Kale and Kumar (2018), with Adam's corrections for the start at 0, as in PyTorch's ``Adam(amsgrad=True)``.

    Examples
    --------
    >>> from fastnn import AMSGrad
    >>> AMSGrad(1e-3)
    AMSGrad(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-08)
    """

    def rule(self) -> UpdateRule:
        """Return the rule of the updates."""
        return UpdateRule("amsgrad", "vsh", self.beta1, self.beta2, self.epsilon)


@dataclass(frozen=True)
class AdamW(_Moments):
    """Adam with decoupled weight decay: after the update, W <- W - rate weight_decay W_old.

    Parameters
    ----------
    learning_rate : float or callable
        The rate, or a schedule: a function of the optimiser's step, counted from 0.
    beta1, beta2 : float
        Weights of the past, in [0, 1).
    epsilon : float
        Added to the root after its correction; positive.
    weight_decay : float
        The decay, not negative. Biases do not decay.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    Loshchilov and Hutter (2019), with the decay scaled by the learning rate, as in PyTorch, Keras and Optax, which
    however let biases decay too. ``Trainer(weight_decay=...)`` gives the same decay to any other optimiser; it cannot
    be used with this one.

    The paper's own decay does not depend on the base rate alpha: a step takes eta lambda W_old, where eta is 1 or the
    schedule's share of alpha at that step. ``AdamW(alpha, weight_decay=lambda / alpha)`` does exactly that, and so does
    a schedule with rates eta alpha in the place of alpha. Whoever tries other base rates divides by each of them.

    Examples
    --------
    >>> from fastnn import AdamW
    >>> AdamW(1e-3)
    AdamW(learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-08, weight_decay=0.01)
    """

    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(checks.not_negative, "weight_decay")

    def rule(self) -> UpdateRule:
        """Return the rule of the updates."""
        return UpdateRule("adam", "vs", self.beta1, self.beta2, self.epsilon, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class Lion(Descent):
    """Steps of one size: by the sign of an average of gradients that counts the newest more than the one it keeps does.

    theta <- theta - rate sign(beta1 v + (1 - beta1) g) and then v <- beta2 v + (1 - beta2) g.

    Parameters
    ----------
    learning_rate : float or callable
        The rate, or a schedule: a function of the optimiser's step, counted from 0.
    beta1, beta2 : float
        Weights of the past in the step's direction and in the average that is kept, in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    Algorithm 2 of Chen et al. (2023), whose weight decay is ``Trainer(weight_decay=...)``; but biases do not decay.
    Every parameter moves by the whole rate, unless its average is exactly 0. The paper's rates are a third to a tenth
    of AdamW's, and its decays as many times larger.

    Examples
    --------
    >>> from fastnn import Lion
    >>> Lion()
    Lion(learning_rate=0.0001, beta1=0.9, beta2=0.99)
    """

    learning_rate: LearningRate = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99

    def __post_init__(self) -> None:
        self._check(checks.learning_rate, "learning_rate")
        self._check(checks.decay_factor, "beta1", "beta2")

    def rule(self) -> UpdateRule:
        """Return the rule of the updates."""
        return UpdateRule("lion", "v", self.beta1, self.beta2)


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """SciPy's L-BFGS on all examples at once; an epoch is an iteration, with its line search.

    Parameters
    ----------
    history_size : int
        Pairs of moves and gradient changes that stand for the Hessian; at least 1.
    tolerance : float
        Training stops when no component of the gradient is larger; not negative.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    There is no learning rate: the line search finds one. It also stops when the cost no longer falls beyond rounding.
    The history is not kept between two calls of ``fit``: the second starts along the gradient again.

    Examples
    --------
    >>> from fastnn import LBFGS
    >>> LBFGS()
    LBFGS(history_size=10, tolerance=1e-05)
    """

    history_size: int = 10
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        self._check(checks.count, "history_size", minimum=1)
        self._check(checks.not_negative, "tolerance")

    def rule(self) -> None:
        """Return None: SciPy makes the updates."""
        return None
