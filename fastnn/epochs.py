"""The epochs of a fit: training them, turning costs of steps into losses, and warning of a training that diverges."""

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.engine import lbfgs
from fastnn.engine.slices import Slices
from fastnn.history import History
from fastnn.interrupts import Interrupts
from fastnn.optimizers import LBFGS
from fastnn.specs import State

# Checked examples, targets and weights.
Data = tuple[np.ndarray, np.ndarray, np.ndarray | None]


class EpochSums:
    """Turns the costs of steps into losses of epochs, in one order however the steps were cut into slices."""

    def __init__(self, steps: int, history: History) -> None:
        self._steps, self._history = steps, history
        self._weighted = self._sums = np.empty(0)

    @property
    def place(self) -> int:
        """Steps done of the present epoch."""
        return self._sums.size

    def add(self, step_rates: np.ndarray, costs: np.ndarray, sums: np.ndarray, begin: float, end: float) -> None:
        """Take in a slice, which ran from one second to another, and note the epochs that it ends."""
        steps = self._steps
        first = steps - self.place
        self._history.learning_rate += step_rates[first - 1 :: steps].tolist()
        each, ends = (end - begin) / costs.size, range(first, costs.size + 1, steps)
        if len(ends) < 16:  # NumPy takes longer than these, and a callback may want a slice for each epoch
            self._history.seconds += [begin + each * done for done in ends]
        else:
            self._history.seconds += (begin + each * np.arange(first, costs.size + 1, steps)).tolist()
        with np.errstate(all="ignore"):  # a training that diverges says so by its losses
            weighted = np.concatenate([self._weighted, costs * sums])
            sums = np.concatenate([self._sums, sums])
            whole = sums.size - sums.size % steps
            totals = weighted[:whole].reshape(-1, steps).sum(axis=1)
            self._history.loss += (totals / sums[:whole].reshape(-1, steps).sum(axis=1)).tolist()
        self._weighted, self._sums = weighted[whole:].copy(), sums[whole:].copy()


class Divergence:
    """Warns once if a training diverges, or comes to a standstill by numbers that overflow."""

    def __init__(self, history: History) -> None:
        self._history, self._warned = history, False

    def look(self) -> None:
        """Look at the epochs so far."""
        if not self._warned:
            self._warn_of_losses(5)

    def at_end(self, theta: np.ndarray, squares: np.ndarray) -> None:
        """Look at all epochs, and at the weights and the moments of squared gradients that they have left."""
        losses = self._history.loss
        # NaN counts as the smallest and the largest; an overflow of this sum proves nothing.
        if not math.isfinite(sum(losses) + theta.item(theta.argmin()) - theta.item(theta.argmax())):
            if not self._warned and not all(map(math.isfinite, losses)):
                self._warn_of_losses(4)
            elif not self._warned and not np.isfinite(theta).all():
                self._warn(f"there are weights that are not finite after epoch {len(losses)}", 3)
        if not self._warned and squares.size and not squares.item(squares.argmax()) < math.inf:
            warnings.warn(
                f"some weights stand still, because the squares of their gradients overflow {squares.dtype}: "
                "scale X or Y, or take a float64 network",
                RuntimeWarning, 3,
            )  # fmt: skip

    def _warn_of_losses(self, level: int) -> None:
        epoch, loss = next((k, v) for k, v in enumerate(self._history.loss, 1) if not math.isfinite(v))
        self._warn(f"the loss of epoch {epoch} is {loss}", level)

    def _warn(self, what: str, level: int) -> None:
        self._warned = True
        warnings.warn(f"training diverges: {what}; a smaller learning rate may help", RuntimeWarning, level + 1)


class Fit:
    """One call of `fastnn.Trainer.fit`, on the compiled engine or the reference's.

    Parameters
    ----------
    theta : numpy.ndarray, shape (n_parameters,)
        Parameters, which it changes.
    state : State
        Moments and counters, which it changes.
    data : tuple
        Examples, targets and weights.
    epochs : int
        How many are planned.
    began : float
        The reading of `time.perf_counter` that `history.seconds` count from.

    Attributes
    ----------
    history : History
        Filled epoch by epoch.
    divergence : Divergence
        To be asked once more at the end.
    """

    def __init__(self, theta: np.ndarray, state: State, data: Data, epochs: int, began: float) -> None:
        self._theta, self._state, self._data, self._epochs, self._began = theta, state, data, epochs, began
        self.history = History()
        self.divergence = Divergence(self.history)

    def by_steps(
        self,
        engine: Any,
        batch: int,
        shuffle: bool,
        next_rates: Callable[[int], np.ndarray],
        at_epoch_end: Callable[[], bool] | None,
        interrupts: Interrupts,
    ) -> None:
        """Train in slices of steps; they end at epochs' ends only if something waits there.

        Parameters
        ----------
        engine : Engine
            Of either side.
        batch, shuffle
            As for its sessions.
        next_rates : callable
            Returns the learning rates of so many steps that come next.
        at_epoch_end : callable, optional
            Called there; a true value ends the training.
        interrupts : Interrupts
            Holds Ctrl-C back within a slice.
        """
        session = engine.session(self._theta, self._state, *self._data, batch, shuffle)
        slices = Slices(session.advance, batch * self._theta.size, interrupts)
        steps = -(-self._data[0].shape[1] // batch)
        left, losses = self._epochs * steps, self.history.loss
        epoch = EpochSums(steps, self.history)
        while left:
            count = min(slices.longest, left if at_epoch_end is None else steps - epoch.place)
            rates = next_rates(count)
            costs, sums = slices.run(rates)
            epoch.add(rates, costs, sums, slices.begin - self._began, slices.end - self._began)
            interrupts.release()
            if losses and not math.isfinite(losses[-1]):
                self.divergence.look()
            left -= count
            if at_epoch_end is not None and epoch.place == 0 and at_epoch_end():
                return

    def by_lbfgs(self, engine: Any, optimizer: LBFGS, at_epoch_end: Callable[[], bool], interrupts: Interrupts) -> None:
        """Train by L-BFGS, whose iterations are the epochs; see `by_steps`."""
        theta, state, data, history = self._theta, self._state, self._data, self.history

        def note(cost: float, next_cost: float) -> None:
            history.loss.append(cost)
            history.seconds.append(time.perf_counter() - self._began)
            state.step += 1
            state.epoch += 1

        if self._epochs:
            lbfgs.minimize(
                lambda: engine.loss_and_gradient(theta, *data), theta, note, at_epoch_end, interrupts,
                maxcor=optimizer.history_size, gtol=optimizer.tolerance, maxiter=self._epochs,
                maxfun=np.iinfo(np.int32).max,
                # Below this part of the cost a fall is rounding.
                ftol=64 * float(np.finfo(theta.dtype).eps),
            )  # fmt: skip
