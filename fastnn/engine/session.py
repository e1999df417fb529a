"""A training in progress: steps over one data set, on as many threads as pay."""

import time
from collections.abc import Callable

import numpy as np

from fastnn.engine.workspace import Workspace
from fastnn.kernels import layout as at
from fastnn.specs.arrays import require_writeable
from fastnn.specs.state import State

# Keeps a quotient of two zeros from being NaN.
SMALLEST = float(np.finfo(np.float64).tiny)


class Session:
    """Steps over one data set, which the workspace is bound to; see `fastnn.reference.engine.Session`.

    Parameters
    ----------
    workspace : Workspace
        For mini-batches of that size; the session's own until it ends.
    release : callable
        Called with the workspace at the end.
    theta : numpy.ndarray
        Parameters; its steps change them.
    state : State
        Moments and counters; its steps change them.
    shuffle : bool
        Whether an epoch has an order of its own, or the examples' own.
    measured : bool
        Whether the steps find out how many threads pay, or take all.
    packed_once : bool
        Whether a mini-batch of all examples is the same in every step.
    m : int
        Examples in an epoch.
    order : numpy.ndarray, optional
        Where the orders of epochs are made, if there are any.
    """

    def __init__(
        self, workspace: Workspace, release: Callable[[Workspace], None], theta: np.ndarray,
        state: State, shuffle: bool, measured: bool, packed_once: bool, m: int, order: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.workspace, self.batch = workspace, workspace.plan.batch
        self._release, self._theta, self._state, self._measured = release, theta, state, measured
        self._m, self._start = m, 0
        settings = workspace.settings
        settings[at.SHUFFLE] = shuffle
        settings[at.PACKED_ONCE] = packed_once and not shuffle and self.batch == m and workspace.plan.packed_once
        workspace.bind_training(theta, state)
        if shuffle:
            settings[at.M] = m
            workspace.bind(at.ORDER, np.zeros(m, np.uint32) if order is None else order)

    def __del__(self) -> None:
        # Not earlier: another session, in a callback say, would bind the workspace to its own data.
        self._release(self.workspace)

    def advance(self, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Do the next steps, one for each rate; see `fastnn.reference.engine.Session.advance`."""
        totals, sums = self.totals(rates)
        # A skipped step's total is 0 as well.
        return totals / np.maximum(sums, SMALLEST), sums

    def totals(self, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Do the next steps, one for each rate.

        Parameters
        ----------
        rates : numpy.ndarray, float64
            Learning rates.

        Returns
        -------
        costs, sums : numpy.ndarray
            For each step its cost before the update times its sum of sample weights, and that sum; 0 if it is skipped.
        """
        workspace, state, batch = self.workspace, self._state, self.batch
        settings, autotuner, measured = workspace.settings, workspace.autotuner, self._measured
        in_epoch = -(-self._m // batch)
        n = rates.size
        if not self._theta.flags.writeable:  # since a callback, say
            require_writeable("network.vector", self._theta)
        workspace.make_room(n)
        costs, sums = np.empty(n), np.empty(n)
        done = 0
        while done < n:
            wanted, steps = autotuner.next(n - done) if measured else (workspace.plan.most_threads, n - done)
            workspace.rates[:steps] = rates[done : done + steps]
            settings[at.START], settings[at.STEPS] = self._start, steps
            settings[at.STEP], settings[at.EPOCH] = state._step & 0xFFFFFFFF, state._epoch & 0xFFFFFFFF
            settings[at.DONE] = 0
            begin = time.perf_counter_ns()
            try:
                n_threads = workspace.execute(wanted)
            finally:
                # Ctrl-C may come as soon as the steps are done: they count all the same. It acts between calls only,
                # of which there is none up to the end of this block.
                did = settings.data[at.DONE]
                state._step += did
                place = self._start // batch + did
                state._epoch += place // in_epoch
                self._start = place % in_epoch * batch
            if measured:
                autotuner.note(wanted, n_threads, did, time.perf_counter_ns() - begin)
            costs[done : done + did], sums[done : done + did] = workspace.costs[:did], workspace.sums[:did]
            done += did
        return costs, sums
