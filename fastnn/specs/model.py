"""What an engine is given: the settings of a training, and the state that its steps change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastnn import checks
from fastnn.optimizers import SGD, Adam, AdamW, AMSGrad, Momentum, Optimizer, RMSProp

__all__ = ["Model", "State", "aligned_zeros", "require_writeable"]

CACHE_LINE = 64

# Flags in NumPy's C interface: contiguous, aligned, writeable.
CARRAY = 0x1 | 0x100 | 0x400

# Schedules are computed in float64, where later steps could not be told apart.
LAST_STEP = 2**53


@dataclass(frozen=True)
class Model:
    """A network's shape, its loss, and how it is trained; all of it checked by the caller.

    Parameters
    ----------
    sizes : tuple of int
        n_0, ..., n_L: sizes of the layers, the input's first.
    hidden : tuple of str or callable
        Activations of the L-1 hidden layers, by the names of `fastnn.activations.HIDDEN_ACTIVATIONS`; a function of a
        scalar z returns f(z) and f'(z).
    output : str
        ``"linear"``, ``"sigmoid"`` or ``"softmax"``.
    loss : str or callable
        One of the output's losses, `fastnn.losses.LOSSES`; a function of scalars a, y returns the loss and its
        derivative by a.
    dtype : numpy.dtype
        float32 or float64: type of parameters, moments and arithmetic.
    optimizer : Optimizer
        Rule of the updates. Its learning rate is not read: every step is given its rate.
    l2 : float
        The cost contains l2 / (2 S) times the sum of the squared weights, S being the batch's sum of sample weights.
    weight_decay : float
        Decoupled decay for any optimiser but `AdamW`, which has its own.
    dropout : tuple of float
        Shares of units dropped: in the input, then in the hidden layers; L numbers in [0, 1), or none at all.
    clip_norm : float or None
        Largest 2-norm of a step's gradient.
    label_smoothing : float
        Share of a target that is spread over all classes; cross-entropies only.
    seed : int
        64 bits, for masks and permutations.

    Examples
    --------
    >>> from fastnn.optimizers import SGD
    >>> model = Model((2, 3, 1), ("tanh",), "sigmoid", "binary_cross_entropy", np.dtype("f8"), SGD(0.1))
    >>> model.n_parameters, model.decay, model.drops
    (13, 0.0, (0.0, 0.0))
    """

    sizes: tuple[int, ...]
    hidden: tuple[str | Callable, ...]
    output: str
    loss: str | Callable
    dtype: np.dtype
    optimizer: Optimizer
    l2: float = 0.0
    weight_decay: float = 0.0
    dropout: tuple[float, ...] = ()
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    seed: int = 0

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases: the size of the arena."""
        return sum((n_in + 1) * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def decay(self) -> float:
        """The decoupled weight decay, whoever holds it."""
        return self.optimizer.weight_decay if isinstance(self.optimizer, AdamW) else self.weight_decay

    @property
    def drops(self) -> tuple[float, ...]:
        """Share of units dropped after each layer, the input first: L numbers."""
        return self.dropout or (0.0,) * (len(self.sizes) - 1)

    def split(self, flat: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Cut a flat array of the arena's order into layers.

        Parameters
        ----------
        flat : numpy.ndarray, shape (n_parameters,)
            Parameters, gradients or moments: W1 (row by row), b1, ..., WL, bL.

        Returns
        -------
        list of (W, b)
            Views of `flat`, W of shape (n_l, n_{l-1}) and b of shape (n_l, 1).

        Examples
        --------
        >>> from fastnn.optimizers import SGD
        >>> model = Model((2, 1), (), "linear", "squared_error", np.dtype("f8"), SGD(0.1))
        >>> model.split(np.array([1.0, 2.0, 3.0]))
        [(array([[1., 2.]]), array([[3.]]))]
        """
        layers, start = [], 0
        for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False):
            middle, end = start + n_out * n_in, start + n_out * (n_in + 1)
            layers.append((flat[start:middle].reshape(n_out, n_in), flat[middle:end].reshape(n_out, 1)))
            start = end
        return layers


# Which moments an optimiser keeps: v (of the gradient, or the velocity), s (of its square), h (the largest s).
_MOMENTS = {Momentum: "v", RMSProp: "s", Adam: "vs", AdamW: "vs", AMSGrad: "vsh"}


class State:
    """What training changes besides the parameters.

    Parameters
    ----------
    v, s, h : numpy.ndarray, shape (n_parameters,) or (0,)
        Moments in the order and dtype of the arena, 64-byte aligned; without elements where the optimiser has none.
    powers : numpy.ndarray, shape (2,), float64
        beta1^t and beta2^t after t updates; 0 once below 1e-300. Only Adam and its variants read and move them.
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
    >>> model = Model((2, 1), (), "linear", "squared_error", np.dtype("f4"), Adam())
    >>> state = State.zeros(model)
    >>> state.v.size, state.h.size, state.powers, state.step
    (3, 0, array([1., 1.]), 0)
    >>> state.v = np.ones(3, np.float32)
    >>> state.v
    array([1., 1., 1.], dtype=float32)
    """

    # Steps count up `_step` and `_epoch` without the checks.
    __slots__ = ("_epoch", "_h", "_powers", "_s", "_step", "_v")

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
    def zeros(cls, model: Model) -> "State":
        """Return the state that training starts from.

        Parameters
        ----------
        model : Model
            Its optimiser decides which moments there are.

        Returns
        -------
        State
            Moments zero, powers one, counters zero.
        """
        optimizer = model.optimizer
        kept = ("v" if optimizer.momentum else "") if isinstance(optimizer, SGD) else _MOMENTS.get(type(optimizer), "")
        state = cls.__new__(cls)
        state._v, state._s, state._h = (
            aligned_zeros(model.n_parameters if name in kept else 0, model.dtype) for name in "vsh"
        )
        state._powers, state._step, state._epoch = np.ones(2), 0, 0
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

    def check(self, model: Model, theta: np.ndarray) -> None:
        """Raise unless these arrays and the parameters are a model's, and training may change them."""
        shapes = (model.n_parameters,), (0,)
        arrays = (("network.vector", theta), ("state.v", self._v), ("state.s", self._s), ("state.h", self._h))
        for name, array in arrays:
            require_writeable(name, array)
            if array.dtype != model.dtype or array.shape not in shapes or not array.flags.carray:
                raise ValueError(
                    f"{name} must be aligned, of shape {shapes[0]} and dtype {model.dtype}, "
                    f"got shape {array.shape}, strides {array.strides} and dtype {array.dtype}"
                )
        require_writeable("state.powers", self._powers)


def require_writeable(name: str, array: np.ndarray) -> None:
    """Raise if training may not change an array: as NumPy does, a ValueError."""
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only, and training would change it: set its flags.writeable to True")


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


def aligned_zeros(size: int, dtype: DTypeLike) -> np.ndarray:
    """Make an array that vectors may be read from at every element.

    Parameters
    ----------
    size : int
        Number of elements.
    dtype : dtype
        Their type.

    Returns
    -------
    numpy.ndarray, shape (size,)
        Zeros that begin at a cache line (64 bytes) and have one to spare behind them.

    Examples
    --------
    >>> x = aligned_zeros(3, np.float32)
    >>> x.ctypes.data % 64, x
    (0, array([0., 0., 0.], dtype=float32))
    """
    n_bytes = size * np.dtype(dtype).itemsize
    buffer = np.zeros(n_bytes + 2 * CACHE_LINE, np.uint8)
    start = -buffer.ctypes.data % CACHE_LINE
    return buffer[start : start + n_bytes].view(dtype)
