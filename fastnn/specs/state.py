"""What training changes besides the parameters."""

from typing import Any

import numpy as np

from fastnn import checks
from fastnn.optimizers import UpdateRule
from fastnn.specs.architecture import Architecture
from fastnn.specs.arrays import CARRAY, aligned_zeros, require_writeable

# Schedules are computed in float64, where later steps could not be told apart.
LAST_STEP = 2**53


class State:
    """What training changes besides the parameters.

    Parameters
    ----------
    v, s, h : numpy.ndarray, shape (n_parameters,) or (0,)
        Moments in the order and dtype of the parameters, 64-byte aligned; without elements where the rule keeps none.
    powers : numpy.ndarray, shape (2,), float64
        beta1^t and beta2^t after t updates, by which Adam and its variants correct the moments; 0 once below 1e-300,
        and from the start without corrections.
    step : int
        Steps done, skipped ones included.
    epoch : int
        Epochs done.

    Raises
    ------
    TypeError, ValueError
        If an array that is assigned has another shape or dtype, or a counter is no integer from 0 to 2**53.

    Notes
    -----
    The arrays are the state's own: what it is given, in any memory layout, is copied into them. So
    ``state.v = array`` does what ``state.v[:] = array`` does, and checks it.

    Examples
    --------
    >>> from fastnn.optimizers import Adam
    >>> state = State.zeros(Architecture((2, 1), (), "linear", np.dtype("f4")), Adam().rule())
    >>> state.v.size, state.h.size, state.powers, state.step
    (3, 0, array([1., 1.]), 0)
    >>> state.v = np.ones(3, np.float32)
    >>> state.v
    array([1., 1., 1.], dtype=float32)
    """

    # Steps count up `_step` and `_epoch` without the checks.
    __slots__ = ("_epoch", "_h", "_powers", "_s", "_step", "_v")

    _v: np.ndarray
    _s: np.ndarray
    _h: np.ndarray

    def __init__(
        self, v: np.ndarray, s: np.ndarray, h: np.ndarray, powers: np.ndarray, step: int = 0, epoch: int = 0
    ) -> None:
        size = max(v.size, s.size, h.size)
        for name, array in (("v", v), ("s", s), ("h", h)):
            own = aligned_zeros(size if array.size else 0, v.dtype.newbyteorder("="))
            setattr(self, f"_{name}", own)
            setattr(self, name, array)
        self._powers = np.ones(2)
        self.powers, self.step, self.epoch = powers, step, epoch

    @classmethod
    def zeros(cls, architecture: Architecture, rule: UpdateRule | None) -> "State":
        """Return the state that training starts from.

        Parameters
        ----------
        architecture : Architecture
            Says how many parameters there are, and their type.
        rule : UpdateRule or None
            Says which moments there are.

        Returns
        -------
        State
            Moments zero, powers one, counters zero.
        """
        kept = rule.moments if rule is not None else ""
        state = cls.__new__(cls)
        state._v, state._s, state._h = (
            aligned_zeros(architecture.n_parameters if name in kept else 0, architecture.dtype) for name in "vsh"
        )
        corrected = rule is None or rule.corrected
        state._powers, state._step, state._epoch = np.ones(2) if corrected else np.zeros(2), 0, 0
        return state

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._v, self._s, self._h, self._powers, self._step, self._epoch)

    def __repr__(self) -> str:
        names = ("v", "s", "h", "powers", "step", "epoch")
        return f"State({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    @property
    def v(self) -> np.ndarray:
        """Moments of the gradient, or the velocity."""
        return self._v

    @v.setter
    def v(self, value: np.ndarray) -> None:
        _write("state.v", self._v, value)

    @property
    def s(self) -> np.ndarray:
        """Moments of the squared gradient."""
        return self._s

    @s.setter
    def s(self, value: np.ndarray) -> None:
        _write("state.s", self._s, value)

    @property
    def h(self) -> np.ndarray:
        """Largest of the second moments so far."""
        return self._h

    @h.setter
    def h(self, value: np.ndarray) -> None:
        _write("state.h", self._h, value)

    @property
    def powers(self) -> np.ndarray:
        """beta1^t and beta2^t."""
        return self._powers

    @powers.setter
    def powers(self, value: np.ndarray) -> None:
        _write("state.powers", self._powers, value)

    @property
    def step(self) -> int:
        """Steps done."""
        return self._step

    @step.setter
    def step(self, value: int) -> None:
        self._step = _counter("state.step", value)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch = _counter("state.epoch", value)

    def may_change(self, theta: np.ndarray) -> bool:
        """Whether training may change the parameters and these moments, and all are aligned and contiguous."""
        flags = theta.flags.num & self._v.flags.num & self._s.flags.num & self._h.flags.num & self._powers.flags.num
        return flags & CARRAY == CARRAY

    def check(self, architecture: Architecture, theta: np.ndarray) -> None:
        """Raise unless these arrays and the parameters are a network's, and training may change them."""
        shapes, dtype = ((architecture.n_parameters,), (0,)), architecture.dtype
        arrays = (("network.vector", theta), ("state.v", self._v), ("state.s", self._s), ("state.h", self._h))
        for name, array in arrays:
            require_writeable(name, array)
            if array.dtype != dtype or array.shape not in shapes or not array.flags.carray:
                raise ValueError(
                    f"{name} must be aligned, of shape {shapes[0]} and dtype {dtype}, "
                    f"got shape {array.shape}, strides {array.strides} and dtype {array.dtype}"
                )
        require_writeable("state.powers", self._powers)


def _write(name: str, own: np.ndarray, value: np.ndarray) -> None:
    """Copy an array's numbers into the state's own array."""
    if value is own:
        return
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array, got {type(value).__name__}")
    if value.shape != own.shape or value.dtype.newbyteorder("=") != own.dtype:
        raise ValueError(
            f"{name} must have shape {own.shape} and dtype {own.dtype}, got shape {value.shape} and dtype {value.dtype}"
        )
    require_writeable(name, own)
    own[:] = value


def _counter(name: str, value: int) -> int:
    value = checks.count(name, value, 0)
    if value > LAST_STEP:
        raise ValueError(f"{name} must be at most 2**53, got {value}")
    return value
