"""Schedules: learning rates as functions of the optimiser's step, counted from 0 over a trainer's life.

Any function of the step will do as an optimiser's ``learning_rate``; these compute many rates at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastnn import checks

__all__ = ["Constant", "Cosine", "InverseScaling", "OneCycle", "Polynomial", "Schedule", "StepDecay", "rates"]

Floats = NDArray[np.float64]


class Schedule(checks.CheckedSettings):
    """What all schedules are: settings, and a rate for every step."""

    __slots__ = ()

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        return float(self._at(np.array([checks.count("step", step, 0)], np.float64))[0])

    def _at(self, steps: Floats) -> Floats:
        """Return the rates of many steps; both ways of asking end here, so they agree to the last bit."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step.

    Parameters
    ----------
    learning_rate : float
        The rate, not negative.

    Raises
    ------
    TypeError, ValueError
        If it is not such a number.

    Examples
    --------
    >>> from fastnn import Constant
    >>> Constant(0.1)(1000)
    0.1
    """

    learning_rate: float

    def __post_init__(self) -> None:
        self._check(checks.not_negative, "learning_rate")

    def _at(self, steps: Floats) -> Floats:
        return np.full(steps.shape, self.learning_rate)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """A rate that falls in steps: learning_rate * factor^floor(step / every).

    Parameters
    ----------
    learning_rate : float
        Rate at the start, not negative.
    every : int
        Steps from one fall to the next, at least 1.
    factor : float
        What the rate is multiplied with, positive.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Examples
    --------
    >>> from fastnn import StepDecay
    >>> decay = StepDecay(0.5, every=100, factor=0.5)
    >>> decay(99), decay(100), decay(200)
    (0.5, 0.25, 0.125)
    """

    learning_rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        self._check(checks.not_negative, "learning_rate")
        self._check(checks.count, "every", minimum=1)
        self._check(checks.positive_number, "factor")

    def _at(self, steps: Floats) -> Floats:
        return self.learning_rate * np.power(self.factor, np.floor(steps / self.every))


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """A rate that falls with a power of the step: learning_rate / (step + 1)^power.

    Parameters
    ----------
    learning_rate : float
        Rate of the first step, not negative.
    power : float
        How fast it falls, not negative.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    scikit-learn's schedule of the same name counts examples, not steps.

    Examples
    --------
    >>> from fastnn import InverseScaling
    >>> InverseScaling(0.5)(3)
    0.25
    """

    learning_rate: float
    power: float = 0.5

    def __post_init__(self) -> None:
        self._check(checks.not_negative, "learning_rate", "power")

    def _at(self, steps: Floats) -> Floats:
        return self.learning_rate / np.power(steps + 1.0, self.power)


@dataclass(frozen=True)
class Cosine(Schedule):
    """A linear warm-up, then half a cosine down to the final rate.

    learning_rate (step + 1) / warmup during the first `warmup` steps; then
    final + (learning_rate - final) (1 + cos(pi p)) / 2 with p = (step - warmup) / (steps - warmup), at most 1.

    Parameters
    ----------
    learning_rate : float
        Rate at the top, not negative.
    steps : int
        Step at which the rate is `final`, and from then on.
    warmup : int
        Steps of the warm-up, less than `steps`.
    final : float
        Rate at the end, not negative.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    Without warm-up this is PyTorch's ``CosineAnnealingLR(T_max=steps, eta_min=final)``, which swings up again after
    `steps`.

    Examples
    --------
    >>> from fastnn import Cosine
    >>> cosine = Cosine(0.5, steps=120, warmup=20)
    >>> cosine(9), cosine(19), cosine(20), round(cosine(70), 12), cosine(120)
    (0.25, 0.5, 0.5, 0.25, 0.0)
    """

    learning_rate: float
    steps: int
    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        self._check(checks.count, "steps", minimum=1)
        self._check(checks.count, "warmup", minimum=0)
        if self.warmup >= self.steps:
            raise ValueError(f"warmup must be less than steps, {self.steps}, got {self.warmup}")
        self._check(checks.not_negative, "learning_rate", "final")

    def _at(self, steps: Floats) -> Floats:
        way = np.clip((steps - self.warmup) / (self.steps - self.warmup), 0.0, 1.0)
        falling = _along_cosine(self.learning_rate, self.final, way)
        if not self.warmup:
            return falling
        return np.where(steps < self.warmup, self.learning_rate * (steps + 1.0) / self.warmup, falling)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """One rise and one fall, both along half a cosine.

    The rate goes from learning_rate / div_factor at step 0 up to learning_rate at step pct_start * steps - 1, and down
    to learning_rate / div_factor / final_div_factor at step steps - 1, where it stays.

    Parameters
    ----------
    learning_rate : float
        Rate at the top, not negative.
    steps : int
        Steps of the whole training.
    pct_start : float
        Share of the rise, in [0, 1].
    div_factor, final_div_factor : float
        What the rates at the start and at the end are divided by, positive.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    PyTorch's ``OneCycleLR`` with its defaults, but for the momentum, which does not cycle here; and steps beyond the
    last are no error.

    Examples
    --------
    >>> from fastnn import OneCycle
    >>> cycle = OneCycle(0.5, steps=100)
    >>> round(cycle(0), 9), cycle(29), round(cycle(99), 9)
    (0.02, 0.5, 2e-06)
    """

    learning_rate: float
    steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        pct_start = checks.real_number("pct_start", self.pct_start)
        if not 0.0 <= pct_start <= 1.0:
            raise ValueError(f"pct_start must be in [0, 1], got {self.pct_start}")
        self._checked(pct_start=pct_start)
        self._check(checks.not_negative, "learning_rate")
        self._check(checks.count, "steps", minimum=1)
        self._check(checks.positive_number, "div_factor", "final_div_factor")

    def _at(self, steps: Floats) -> Floats:
        start = self.learning_rate / self.div_factor
        top, end = self.pct_start * self.steps - 1.0, self.steps - 1.0
        falling = _along_cosine(self.learning_rate, start / self.final_div_factor, _way(steps, top, end))
        if top <= 0:
            return falling
        return np.where(steps <= top, _along_cosine(start, self.learning_rate, _way(steps, 0.0, top)), falling)


@dataclass(frozen=True)
class Polynomial(Schedule):
    """A rate that falls along a power: final + (learning_rate - final) (1 - step / steps)^power, final from `steps` on.

    Parameters
    ----------
    learning_rate : float
        Rate at the start, not negative.
    steps : int
        Step at which the rate is `final`, and from then on.
    power : float
        1 is a straight line; more falls sooner. Positive.
    final : float
        Rate at the end, not negative.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range.

    Notes
    -----
    With ``final=0`` this is PyTorch's ``PolynomialLR(total_iters=steps)``.

    Examples
    --------
    >>> from fastnn import Polynomial
    >>> line = Polynomial(0.5, steps=100)
    >>> line(0), line(50), line(100), line(1000)
    (0.5, 0.25, 0.0, 0.0)
    """

    learning_rate: float
    steps: int
    power: float = 1.0
    final: float = 0.0

    def __post_init__(self) -> None:
        self._checked(
            learning_rate=checks.not_negative("learning_rate", self.learning_rate),
            steps=checks.count("steps", self.steps, 1),
            power=checks.positive_number("power", self.power),
            final=checks.not_negative("final", self.final),
        )

    def _at(self, steps: Floats) -> Floats:
        left = 1.0 - _way(steps, 0.0, float(self.steps))
        return self.final + (self.learning_rate - self.final) * np.power(left, self.power)


def rates(learning_rate: float | Callable[[int], float], first: int, count: int) -> Floats:
    """Compute the rates of consecutive steps.

    Parameters
    ----------
    learning_rate : float or callable
        An optimiser's rate: a number, one of this module's schedules, or any function of the step.
    first : int
        The first step, counted from 0.
    count : int
        How many.

    Returns
    -------
    numpy.ndarray, shape (count,), float64
        The rates of the steps first, ..., first + count - 1.

    Raises
    ------
    TypeError, ValueError
        If a function returns something else than a finite number that is not negative.

    Examples
    --------
    >>> from fastnn.schedules import StepDecay, rates
    >>> print(rates(StepDecay(1.0, every=2, factor=0.5), 1, 4))
    [1.   0.5  0.5  0.25]
    >>> print(rates(lambda step: 1 / (1 + step), 0, 2))
    [1.  0.5]
    """
    if isinstance(learning_rate, Schedule):
        return learning_rate._at(np.arange(first, first + count, dtype=np.float64))
    if callable(learning_rate):
        # A function that rounds or counts wants an int, and one array would hide which step went wrong.
        found = (
            checks.not_negative(f"learning_rate({step})", learning_rate(step)) for step in range(first, first + count)
        )
        return np.fromiter(found, np.float64, count)
    return np.full(count, learning_rate, np.float64)


def _along_cosine(start: float, end: float, way: Floats) -> Floats:
    """Go from start to end along half a cosine."""
    return end + (start - end) / 2.0 * (1.0 + np.cos(np.pi * way))


def _way(steps: Floats, start: float, end: float) -> Floats:
    """Return how much of the way from start to end lies behind, in [0, 1]; all of it where there is no way."""
    if end <= start:
        return np.ones(steps.shape)
    return np.clip((steps - start) / (end - start), 0.0, 1.0)
