"""Training of networks: a trainer, its history, and both in one call."""

import copy
import secrets
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.callbacks import Callback, running
from fastnn.engine.runtime import claimed_core
from fastnn.epochs import Data, Fit
from fastnn.history import History
from fastnn.interrupts import Interrupts, imported
from fastnn.losses import BOUNDED_TARGETS, Loss, check_targets, checked_loss, name_of
from fastnn.network import Network
from fastnn.optimizers import LBFGS, Adam, Descent, Optimizer
from fastnn.schedules import Schedule, rates
from fastnn.specs import Objective, State, Training, check_combination, dropout_rates

__all__ = ["History", "Trainer", "train"]

# A schedule's call costs about as much for one step as for so many.
RATES_AHEAD = 256


class TrainerOptions(TypedDict, total=False):
    """Arguments of `Trainer` besides the network."""

    optimizer: Optimizer
    loss: Loss | None
    l2: float
    weight_decay: float
    dropout: float | Sequence[float]
    clip_norm: float | None
    label_smoothing: float
    n_threads: int | None
    seed: int | None


class Trainer:
    """Trains a network in place, and keeps what a later call goes on from.

    The cost of a mini-batch is (1/S) sum_t w_t loss_t + l2 / (2 S) sum of W^2, where w are the sample weights (1
    without any) and S is their sum over the mini-batch. A step computes its gradient g, clips it, and updates by the
    optimiser's rule.

    Parameters
    ----------
    network : Network
        What to train.
    optimizer : Optimizer
        Of `fastnn.optimizers`, such as `fastnn.Adam` or `fastnn.SGD`.
    loss : str or callable, optional
        A name of `fastnn.losses.LOSSES` for the network's output, the first of them by default: ``"squared_error"`` for
        linear, ``"binary_cross_entropy"`` for sigmoid, ``"cross_entropy"`` for softmax. Or, unless the output is
        softmax, a function of scalars a, y that returns the loss and its derivative with respect to a, compiled with
        ``numba.njit`` for the compiled engine.
    l2 : float
        Factor of the squared weights in the cost. Biases are left out.
    weight_decay : float
        Decoupled decay: every step also takes rate * weight_decay * W from the weights, not from biases. `AdamW` has
        its own.
    dropout : float or sequence of float
        Fraction of units that are dropped: for all hidden layers, or one for the input and one for each hidden layer.
        What is kept is divided by 1 minus that fraction.
    clip_norm : float, optional
        Longer gradients are scaled to this 2-norm, taken over all parameters; also those whose squares overflow.
    label_smoothing : float
        Fraction of each target that is spread over all classes; for cross-entropies only.
    n_threads : int, optional
        Threads at most; -1 takes all cores that the process may use, None as many as pay. Results do not depend on it.
    seed : int, optional
        Seed of masks and shuffles, in [0, 2**64); None takes a fresh one.

    Attributes
    ----------
    network : Network
        As given.
    settings : Training
        All other settings, resolved: `objective` (loss, l2, dropout, label_smoothing), `rule` (what the optimiser and
        weight_decay come to), `clip_norm` and `seed`. They cannot be changed.
    optimizer : Optimizer
        May be replaced by one that differs in its learning rate only, in a callback for instance.
    state : State
        Moments (v, s, h, powers), `step` and `epoch`, counted over the trainer's life. What is assigned to them is
        checked, and copied into the trainer's own arrays.
    n_threads : int or None
        As given.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described, or two of them do not go together.

    Notes
    -----
    The same seed, data and calls give the same bits, whatever the number of threads. Two calls of `fit` with 5 epochs
    give the bits of one with 10 (except for L-BFGS, whose history starts anew).

    Copies (``copy.copy`` too) and unpickled trainers have a network and a state of their own. A trainer serves one
    thread at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Adam
    >>> from fastnn.reference import Network, Trainer
    >>> X = np.random.RandomState(0).randn(2, 100)
    >>> Y = X[:1] * X[1:] > 0
    >>> net = Network([2, 8, 1], hidden_activation="tanh", output="sigmoid", seed=1)
    >>> trainer = Trainer(net, Adam(0.01), seed=1)
    >>> history = trainer.fit(X, Y, epochs=50, batch_size=20)
    >>> bool(history.loss[-1] < history.loss[0]), trainer.state.step
    (True, 250)
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer = Adam(1e-3),  # noqa: B008 - frozen
        loss: Loss | None = None,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        clip_norm: float | None = None,
        label_smoothing: float = 0.0,
        n_threads: int | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"network must be a Network, got {type(network).__name__}")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be one of fastnn's, such as Adam(1e-3), got {optimizer!r}")
        loss = checked_loss(loss, network.output)
        if callable(loss):
            number = network.dtype.type
            checks.pair_function("loss", loss, "the loss and its derivative by a", number(0.5), number(1.0))
        l2 = checks.not_negative("l2", l2)
        weight_decay = checks.not_negative("weight_decay", weight_decay)
        dropped = dropout_rates(dropout, len(network.layer_sizes) - 2)
        clip_norm = None if clip_norm is None else checks.positive_number("clip_norm", clip_norm)
        label_smoothing = checks.decay_factor("label_smoothing", label_smoothing)
        seed = secrets.randbits(64) if seed is None else checks.seed64(seed)
        objective = Objective(loss, l2, dropped, label_smoothing)
        check_combination(objective, optimizer, weight_decay, clip_norm)
        rule = optimizer.rule()
        if weight_decay and rule is not None:
            rule = replace(rule, weight_decay=weight_decay)
        self._network, self._optimizer = network, optimizer
        self._settings = Training(objective, rule, clip_norm, seed)
        self._n_threads = checks.thread_count(n_threads)
        self._state = State.zeros(network._architecture, rule)
        self._engine: Any = None
        self._bounded = loss in BOUNDED_TARGETS
        self._ahead: tuple[Schedule | None, int, np.ndarray] = (None, 0, np.empty(0))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_engine": None}

    def __copy__(self) -> "Trainer":
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        settings, objective = self._settings, self._settings.objective
        shown = [repr(self._network), repr(self._optimizer), f"loss={name_of(objective.loss)!r}"]
        # AdamW shows its own.
        decay = settings.rule.weight_decay if settings.rule and settings.rule != self._optimizer.rule() else 0.0
        options = {
            "l2": objective.l2, "weight_decay": decay, "dropout": objective.dropout, "clip_norm": settings.clip_norm,
            "label_smoothing": objective.label_smoothing,
        }  # fmt: skip
        shown += [f"{name}={value!r}" for name, value in options.items() if value]
        return f"{type(self).__name__}({', '.join(shown)}, seed={settings.seed})"

    @property
    def network(self) -> Network:
        """The network that is trained."""
        return self._network

    @property
    def settings(self) -> Training:
        """All settings, resolved."""
        return self._settings

    @property
    def state(self) -> State:
        """Moments and counters."""
        return self._state

    @property
    def n_threads(self) -> int | None:
        """Threads at most, as given."""
        return self._n_threads

    @property
    def optimizer(self) -> Optimizer:
        """Rule of the updates."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: Optimizer) -> None:
        present = self._optimizer
        if (
            not isinstance(present, Descent)
            or not isinstance(optimizer, type(present))
            or replace(optimizer, learning_rate=present.learning_rate) != present
        ):
            raise ValueError(f"optimizer may differ in its learning rate only from {present!r}, got {optimizer!r}")
        self._optimizer = optimizer

    def get_learning_rate(self) -> float:
        """Return the learning rate of the next step.

        Returns
        -------
        float
            The optimiser's, or what its schedule says.

        Raises
        ------
        TypeError
            If the optimiser is L-BFGS.

        Examples
        --------
        >>> from fastnn import SGD, StepDecay
        >>> from fastnn.reference import Network, Trainer
        >>> trainer = Trainer(Network([1, 1]), SGD(StepDecay(0.5, every=1, factor=0.5)))
        >>> history = trainer.fit([[1.0]], [[1.0]], epochs=3)
        >>> history.learning_rate, trainer.get_learning_rate()
        ([0.5, 0.25, 0.125], 0.0625)
        """
        return self._next_rate("get_learning_rate")

    def set_learning_rate(self, rate: float) -> None:
        """Put a constant learning rate in the place of the optimiser's, which may be a schedule.

        Parameters
        ----------
        rate : float
            The rate from the next step on, not negative.

        Raises
        ------
        TypeError
            If it is not a number, or the optimiser is L-BFGS.
        ValueError
            If it is negative or not finite.

        Examples
        --------
        >>> from fastnn import SGD
        >>> from fastnn.reference import Network, Trainer
        >>> trainer = Trainer(Network([1, 1]), SGD(0.5))
        >>> trainer.set_learning_rate(0.1)
        >>> trainer.optimizer
        SGD(learning_rate=0.1, momentum=0.0, nesterov=False)
        """
        if not isinstance(self._optimizer, Descent):
            raise _no_rate("set_learning_rate")
        self._optimizer = replace(self._optimizer, learning_rate=checks.not_negative("rate", rate))

    def fit(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        epochs: int = 10,
        batch_size: int | None = 64,
        sample_weight: ArrayLike | None = None,
        shuffle: bool = True,
        validation: tuple[ArrayLike, ...] | None = None,
        callbacks: Iterable[Callback] = (),
    ) -> History:
        """Train for some epochs more.

        Parameters
        ----------
        X : array_like, shape (n_x, m)
            Examples in columns; any real dtype and any strides, read where they are.
        Y : array_like, shape (n_y, m), or (m,)
            Targets. For a softmax output either probabilities or m integer labels, counted from 0. With one output
            (m,) is as good as (1, m).
        epochs : int
            How many times to go through the data.
        batch_size : int, optional
            Examples in a step; the last of an epoch may have fewer. 1 is stochastic gradient descent; None, or m and
            more, is batch gradient descent.
        sample_weight : array_like, shape (m,), optional
            Weights of the examples, not negative. Steps whose weights are all zero are skipped.
        shuffle : bool
            Whether each epoch goes through the examples in an order of its own. Without it, and if one batch has them
            all, they come in the order of the data.
        validation : tuple, optional
            (X, Y) or (X, Y, weights) to compute the loss for after every epoch.
        callbacks : iterable of callable
            Each is called as ``callback(trainer, history)`` after every epoch; a true return value ends the training.
            Where they have methods ``begin`` and ``end``, these are called too: see `fastnn.callbacks`.

        Returns
        -------
        History
            Losses of this call's epochs.

        Raises
        ------
        TypeError
            If an argument is of another type.
        ValueError
            If shapes, values or options do not fit, or data overflow in the network's dtype, or `network.vector` is
            read-only.
        ImportError
            If the optimiser is L-BFGS and SciPy is not installed.

        Warns
        -----
        UserWarning
            If Ctrl-C was pressed. It takes effect after a whole step, within about 0.1 s, and is no error: the weights
            stay as they are, and the history so far is returned.
        RuntimeWarning
            Once, if the loss of an epoch, or at the end a weight or the square of a gradient, is not finite.

        Notes
        -----
        Without callbacks and validation data many epochs run in one compiled call. An epoch that was interrupted is
        begun anew by the next `fit`, in the same order.

        Examples
        --------
        >>> from fastnn import SGD
        >>> from fastnn.reference import Network, Trainer
        >>> trainer = Trainer(Network([1, 1], initializer="zeros"), SGD(0.5))
        >>> history = trainer.fit([[1.0, 2.0]], [[2.0, 4.0]], epochs=100, batch_size=None,
        ...                       callbacks=[lambda trainer, history: history.loss[-1] < 1e-3])
        >>> history.stopped, history.epochs < 100
        (True, True)
        """
        began = time.perf_counter()
        epochs = checks.count("epochs", epochs, 0)
        data = self._data(("X", "Y", "sample_weight"), X, Y, sample_weight)
        m = data[0].shape[1]
        batch = m if batch_size is None else min(checks.count("batch_size", batch_size, 1), m)
        # The order within a batch would change nothing but rounding.
        shuffle = checks.flag("shuffle", shuffle) and batch < m
        held_out = None
        if validation is not None:
            if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
                raise TypeError(f"validation must be None, (X, Y) or (X, Y, weights), got {type(validation).__name__}")
            names = ("X of validation", "Y of validation", "weights of validation")
            held_out = self._data(names, *validation, *(None,) * (3 - len(validation)))
        callbacks = checks.functions("callbacks", callbacks)
        if not self._state.may_change(self._network.vector):
            self._state.check(self._network._architecture, self._network.vector)
        if isinstance(self.optimizer, LBFGS) and batch < m:
            raise ValueError(f"batch_size must be None with LBFGS, which needs all examples at once, got {batch_size}")
        fit = Fit(self._network.vector, self._state, data, epochs, began)
        history = fit.history

        with running(callbacks, self, history, epochs) as after_epoch:

            def at_epoch_end() -> bool:
                if held_out is not None:
                    history.validation_loss.append(self._made_engine().loss(self._network.vector, *held_out))
                return after_epoch()

            try:
                with Interrupts() as interrupts, claimed_core():
                    engine, optimizer = self._made_engine(), self.optimizer
                    if isinstance(optimizer, LBFGS):
                        fit.by_lbfgs(engine, optimizer, at_epoch_end, interrupts)
                    else:
                        watch = at_epoch_end if callbacks or held_out is not None else None
                        fit.by_steps(engine, batch, shuffle, self._next_rates, watch, interrupts)
            except KeyboardInterrupt:
                warnings.warn(f"training was interrupted after {history.epochs} of {epochs} epochs", stacklevel=2)
            finally:
                history.stopped = history.epochs < epochs
        fit.divergence.at_end(self._network.vector, self._state.s)
        return history

    def step(self, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Do one step of the optimiser on a mini-batch of one's own.

        Parameters
        ----------
        X : array_like, shape (n_x, m)
            The mini-batch, examples in columns.
        Y : array_like, shape (n_y, m), or (m,)
            Targets, as for `fit`.
        sample_weight : array_like, shape (m,), optional
            Weights of the examples, not negative. If all are zero the step is skipped.

        Returns
        -------
        float
            The cost before the update; 0 for a skipped step.

        Raises
        ------
        TypeError
            If an argument is of another type, or the optimiser is L-BFGS.
        ValueError
            If shapes, labels or weights do not fit, or `network.vector` is read-only.

        Notes
        -----
        Shapes, labels and weights are checked; unlike in `fit`, finite values are not. Numbers beyond the network's
        dtype count as infinite, and a cost of NaN or infinity tells of weights that are lost.

        Examples
        --------
        >>> from fastnn import SGD
        >>> from fastnn.reference import Network, Trainer
        >>> trainer = Trainer(Network([1, 1], initializer="zeros"), SGD(0.1))
        >>> trainer.step([[1.0, 2.0]], [[2.0, 4.0]])
        5.0
        >>> trainer.network.parameters["W1"].item(), trainer.state.step
        (0.5, 1)
        """
        network = self._network
        architecture = network._architecture
        sizes = architecture.sizes
        X = checks.columns("X", X, sizes[0])
        m = X.shape[1]
        Y = checks.targets("Y", Y, sizes[-1], m, architecture.output == "softmax")
        # By methods, whose call is short beside a small net's step; the sentence is the slow way's.
        if self._bounded and Y.ndim == 2 and (Y.item(Y.argmin()) < 0 or Y.item(Y.argmax()) > 1):
            check_targets("Y", Y, self._settings.objective.loss)
        if sample_weight is not None:
            sample_weight = checks.example_weights("sample_weight", sample_weight, m)
        rate = getattr(self._optimizer, "learning_rate", None)
        if type(rate) is not float:
            rate = self._next_rate("step")
        engine = self._engine or self._made_engine()
        cost: float = engine.step(network._vector, self._state, X, Y, sample_weight, rate)
        return cost

    @staticmethod
    def _engine_class() -> type:
        """Return the engine that computes; the reference's trainer overrides it."""
        engine: type = imported("fastnn.engine.engine").Engine
        return engine

    def _made_engine(self) -> Any:
        """Return the engine, made when first needed: making it may compile."""
        if self._engine is None:
            self._engine = self._engine_class()(self._network._architecture, self._settings, self._n_threads)
        return self._engine

    def _next_rates(self, count: int) -> np.ndarray:
        """Return the rates of so many steps that come next: a callback may have changed the optimiser."""
        optimizer = self._optimizer
        if not isinstance(optimizer, Descent):
            raise _no_rate("fit by steps")
        return rates(optimizer.learning_rate, self._state.step, count)

    def _next_rate(self, name: str) -> float:
        """Return the rate of the next step, for a method; a schedule's are computed many at a time."""
        optimizer, step = self._optimizer, self._state._step
        if not isinstance(optimizer, Descent):
            raise _no_rate(name)
        rate = optimizer.learning_rate
        if type(rate) is float:
            return rate
        if not isinstance(rate, Schedule):
            return float(rates(rate, step, 1)[0])
        schedule, first, ahead = self._ahead
        if schedule is not rate or not first <= step < first + ahead.size:
            first, ahead = step, rates(rate, step, RATES_AHEAD)
            self._ahead = rate, first, ahead
        return float(ahead[step - first])

    def _data(self, names: Sequence[str], X: Any, Y: Any, weights: Any) -> Data:
        """Return checked examples, targets and weights of a whole run."""
        x_name, y_name, weights_name = names
        sizes = self._network.layer_sizes
        X = checks.columns(x_name, X, sizes[0])
        m = X.shape[1]
        Y = checks.targets(y_name, Y, sizes[-1], m, self._network.output == "softmax")
        checks.require_finite(x_name, X, self._network.dtype)
        checks.require_finite(y_name, Y, self._network.dtype)
        check_targets(y_name, Y, self._settings.objective.loss)
        weights = checks.example_weights(weights_name, weights, m)
        if weights is not None and not weights.any():
            raise ValueError(f"{weights_name} must not be zero for all examples")
        return X, Y, weights


def _no_rate(name: str) -> TypeError:
    """Return the error of a method that needs a learning rate."""
    hint = ": use fit" if name == "step" else ""
    return TypeError(f"{name} needs an optimiser with a learning rate, got LBFGS{hint}")


def train(
    network: Network,
    X: ArrayLike,
    Y: ArrayLike,
    epochs: int = 10,
    batch_size: int | None = 64,
    sample_weight: ArrayLike | None = None,
    shuffle: bool = True,
    validation: tuple[ArrayLike, ...] | None = None,
    callbacks: Iterable[Callback] = (),
    **trainer_options: Unpack[TrainerOptions],
) -> History:
    """Train a network in place: `Trainer` and `Trainer.fit` in one.

    Parameters
    ----------
    network : Network
        What to train.
    X, Y, epochs, batch_size, sample_weight, shuffle, validation, callbacks
        As for `Trainer.fit`.
    **trainer_options
        As for `Trainer`: optimizer, loss, l2, weight_decay, dropout, clip_norm, label_smoothing, n_threads, seed.

    Returns
    -------
    History
        Losses of the epochs.

    Raises
    ------
    TypeError, ValueError
        As `Trainer` and `Trainer.fit` do.

    Examples
    --------
    >>> from fastnn import SGD
    >>> from fastnn.reference import Network, train
    >>> net = Network([1, 1], initializer="zeros")
    >>> history = train(net, [[1.0, 2.0]], [[2.0, 4.0]], epochs=200, batch_size=None, optimizer=SGD(0.5))
    >>> print(net.predict([[3.0]]).round(2))
    [[6.]]
    """
    trainer = Trainer(network, **trainer_options)
    return trainer.fit(X, Y, epochs, batch_size, sample_weight, shuffle, validation, callbacks)
