"""The compiled engine: runs the body of `fastnn.kernels` on workspaces, in slices of steps."""

import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from fastnn.engine.runtime import available_threads
from fastnn.engine.workspace import CHUNK, Run, addresses
from fastnn.kernels import layout as at
from fastnn.kernels.formulas import optimizers
from fastnn.kernels.program.entries import one
from fastnn.kernels.program.ops import OPS, body, user_activation, user_loss
from fastnn.optimizers import LBFGS, SGD, Adam, AdamW, AMSGrad, Momentum, RMSProp
from fastnn.specs.model import Model, State, require_writeable

__all__ = ["Engine", "Remembered", "Session"]

# Keeps a quotient of two zeros from being NaN.
SMALLEST = float(np.finfo(np.float64).tiny)

# Guessed time of the examples between which Ctrl-C acts, and the tasks that have such: the others keep everything, or
# sum gradients over all examples.
BLOCK_NS = 1e8
IN_BLOCKS = at.EVALUATE, at.PREDICT

# Workspaces that an engine keeps for later calls.
KEPT_RUNS = 8


def _rule(optimizer: Any) -> tuple[int, float, float, float]:
    """Return code, beta1, beta2 and epsilon of an optimiser."""
    if isinstance(optimizer, SGD):
        if not optimizer.momentum:
            return optimizers.SGD, 0.0, 0.0, 0.0
        return (optimizers.NESTEROV if optimizer.nesterov else optimizers.CLASSICAL), optimizer.momentum, 0.0, 0.0
    if isinstance(optimizer, Momentum):
        return optimizers.AVERAGED, optimizer.beta, 0.0, 0.0
    if isinstance(optimizer, RMSProp):
        return optimizers.RMSPROP, 0.0, optimizer.rho, optimizer.epsilon
    if isinstance(optimizer, Adam | AdamW | AMSGrad):
        code = optimizers.AMSGRAD if isinstance(optimizer, AMSGrad) else optimizers.ADAM
        return code, optimizer.beta1, optimizer.beta2, optimizer.epsilon
    if isinstance(optimizer, LBFGS):
        return optimizers.SGD, 0.0, 0.0, 0.0  # never run: SciPy makes the updates
    raise TypeError(f"optimizer must be one that the engine has a rule for, got {optimizer!r}")


class Session:
    """Steps over one data set; see `fastnn.reference.engine.Session`."""

    def __init__(
        self, engine: "Engine", run: Run, theta: np.ndarray, state: State, m: int, shuffle: bool,
        order: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self._engine, self.run, self._theta, self._state, self._start = engine, run, theta, state, 0
        self._m, self.batch = m, int(run.settings[at.BATCH])
        settings = run.settings
        settings[at.SHUFFLE] = shuffle
        # The one mini-batch of all examples stays where it is, if there is room for all of it.
        settings[at.PACKED_ONCE] = not shuffle and self.batch == m and run.stays and engine.model.drops[0] == 0
        run.train(theta, state)
        if shuffle:
            settings[at.M] = m
            run.point(at.ORDER, np.zeros(m, np.uint32) if order is None else order)

    def __del__(self) -> None:
        # Not sooner: another session, in a callback say, would let the table refer to its own data.
        self._engine.keep(at.TRAIN, self.batch, self.run)

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
        run, state, settings, batch = self.run, self._state, self.run.settings, self.batch
        in_epoch = -(-self._m // batch)
        n = rates.size
        if not self._theta.flags.writeable:  # since a callback, say
            require_writeable("network.vector", self._theta)
        run.make_room(n)
        costs, sums = np.empty(n), np.empty(n)
        measured = self._engine.n_threads is None
        done = 0
        while done < n:
            wanted, steps = run.autotuner.next(n - done) if measured else (run.most_threads, n - done)
            run.rates[:steps] = rates[done : done + steps]
            settings[at.START], settings[at.STEPS] = self._start, steps
            settings[at.STEP], settings[at.EPOCH] = state._step & 0xFFFFFFFF, state._epoch & 0xFFFFFFFF
            settings[at.DONE] = 0
            begin = time.perf_counter_ns()
            try:
                n_threads = run.execute(self._engine.entry, wanted)
            finally:
                # Ctrl-C may come as soon as the steps are done: they count all the same. It acts between calls only,
                # of which there is none up to the end of this block.
                did = settings.data[at.DONE]
                state._step += did
                place = self._start // batch + did
                state._epoch += place // in_epoch
                self._start = place % in_epoch * batch
            if measured:
                run.autotuner.note(wanted, n_threads, did, time.perf_counter_ns() - begin)
            costs[done : done + did], sums[done : done + did] = run.costs[:did], run.sums[:did]
            done += did
        return costs, sums


class Engine:
    """Compiled kernels behind networks and trainers; see `fastnn.reference.engine.Engine`, which says what it computes.

    Parameters
    ----------
    model : Model
        What to compute; checked.
    n_threads : int, optional
        At most so many threads, -1 for all; None for as many as pay.
    """

    ops = OPS
    # LEAST_LOSS, MOST_LOSS and LOSS_SCALE, which these leaves do not read.
    loss_terms = 0.0, 0.0, 0.0

    def __init__(self, model: Model, n_threads: int | None = None) -> None:
        self.model, self.n_threads = model, n_threads
        self.rule = _rule(model.optimizer)
        available = available_threads()
        self.threads = available if n_threads in (None, -1) else max(1, min(n_threads, available))
        self.entry = addresses([body.address(model.dtype)])
        # The leaves of the user's functions have to live as long as their addresses are in use.
        self._users = {f: user_activation(f) for f in model.hidden if callable(f)}
        users = [0, *(self._users[f].address(model.dtype) if callable(f) else 0 for f in model.hidden), 0]
        self.user_activations = addresses(users) if self._users else np.zeros(1)
        self.user_loss = np.zeros(1)
        if callable(model.loss):
            self._user_loss = user_loss(model.loss)
            self.user_loss = addresses([self._user_loss.address(model.dtype)])
        self.runs: dict[tuple[int, int], Run] = {}

    def __reduce__(self) -> Any:
        raise TypeError("an engine holds addresses of this process: copy or pickle the network, or the trainer")

    @staticmethod
    def count(function: Callable[..., int], *arguments: int) -> int:
        """Call the Python side of an inner function."""
        return getattr(function, "py_func", function)(*arguments)

    def _made(self, task: int, batch: int) -> Run:
        """Take a workspace, which no other thread then has; `keep` gives it back."""
        return self.runs.pop((task, batch), None) or Run(self, task, batch)

    def keep(self, task: int, batch: int, run: Run) -> None:
        """Take a workspace back."""
        run.release()
        self.runs[task, batch] = run
        if len(self.runs) > KEPT_RUNS:
            # A list, because another thread may add one meanwhile.
            for key in list(self.runs)[:-KEPT_RUNS]:
                self.runs.pop(key, None)

    def session(
        self, theta: np.ndarray, state: State, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None,
        batch_size: int, shuffle: bool,
    ) -> Session:  # fmt: skip
        """Begin an epoch over a data set; see `fastnn.reference.engine.Engine.session`."""
        m = X.shape[1]
        batch = min(batch_size, m)
        run = self._made(at.TRAIN, batch)
        run.data(X, Y, weights)
        return Session(self, run, theta, state, m, shuffle)

    def step(
        self, theta: np.ndarray, state: State, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None, rate: float
    ) -> float:
        """Do one step on all examples at once, in no epoch; see `fastnn.reference.engine.Engine.step`.

        A session of one step does the same, but takes 4 us more around it: a quarter of a small net's step.
        """
        m = X.shape[1]
        run = self._made(at.TRAIN, m)
        run.data(X, Y, weights)
        run.train(theta, state)
        settings = run.settings
        settings[at.SHUFFLE] = settings[at.START] = settings[at.DONE] = 0
        settings[at.STEPS] = 1
        settings[at.STEP], settings[at.EPOCH] = state._step & 0xFFFFFFFF, state._epoch & 0xFFFFFFFF
        run.rates[0] = rate
        try:
            if self.n_threads is None:
                wanted, _ = run.autotuner.next(1)
                begin = time.perf_counter_ns()
                n_threads = run.execute(self.entry, wanted)
                run.autotuner.note(wanted, n_threads, 1, time.perf_counter_ns() - begin)
            else:
                run.execute(self.entry, run.most_threads)
        finally:
            # Ctrl-C may come as soon as the step is done, and acts between calls: it counts all the same.
            if settings[at.DONE]:
                state._step += 1
            self.keep(at.TRAIN, m, run)
        # A skipped step's total is 0 as well.
        return float(run.costs[0]) / max(float(run.sums[0]), SMALLEST)

    def _once(self, run: Run, theta: np.ndarray) -> None:
        run.point(at.THETA, theta)
        guessed_ns = run.step_ns * run.settings[at.M] / run.settings[at.BATCH]
        n_threads = self.threads if guessed_ns > 2e4 else 1
        if guessed_ns > BLOCK_NS and run.settings[at.TASK] in IN_BLOCKS:
            self._block_by_block(run, n_threads, guessed_ns)
        else:
            run.execute(self.entry, n_threads)

    def _block_by_block(self, run: Run, n_threads: int, guessed_ns: float) -> None:
        """Pass very many examples through the network; Ctrl-C acts between blocks.

        A block is a number of chunks, at whose ends sums of losses break off anyway: the bits are those of one run.
        """
        settings, chunk = run.settings, int(run.settings[at.CHUNK])
        m = int(settings[at.M])
        block = max(1, int(BLOCK_NS * m / guessed_ns) // chunk) * chunk
        for first in range(0, m, block):
            settings[at.START], settings[at.M] = first, min(block, m - first)
            run.execute(self.entry, n_threads)
        settings[at.START], settings[at.M] = 0, m

    def loss(
        self, theta: np.ndarray, X: Any, Y: np.ndarray, weights: np.ndarray | None, rows: np.ndarray | None = None
    ) -> float:
        """Mean loss of a data set, or of some of its examples, without dropout and L2."""
        m = X.shape[1] if rows is None else rows.size
        run = self._made(at.EVALUATE, m)
        run.data(X, Y, weights)
        if rows is not None:
            run.pick(rows)
        run.costs[0] = run.sums[0] = 0.0
        self._once(run, theta)
        cost = run.mean_cost()
        self.keep(at.EVALUATE, m, run)
        return cost

    def loss_and_gradient(
        self, theta: np.ndarray, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None, step: int | None = None
    ) -> tuple[float, np.ndarray]:
        """Cost of all examples as one mini-batch, and its gradient; with the masks of a step, or without any."""
        m = X.shape[1]
        run = self._made(at.DIFFERENTIATE, m)
        run.data(X, Y, weights)
        run.settings[at.MASKED] = step is not None and any(self.model.drops)
        run.settings[at.STEP] = 0 if step is None else step & 0xFFFFFFFF
        run.costs[0] = run.sums[0] = 0.0
        self._once(run, theta)
        result = run.mean_cost(), run.arrays[at.GRADS][: self.model.n_parameters].copy()
        self.keep(at.DIFFERENTIATE, m, run)
        return result

    def predict(self, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Outputs of the network, shape (n_y, m)."""
        m = X.shape[1]
        # Workspaces of a few sizes serve all.
        batch = min(CHUNK, 1 << (m - 1).bit_length())
        run = self._made(at.PREDICT, batch)
        run.data(X, None, None)
        out = np.empty((self.model.sizes[-1], m), self.model.dtype)
        run.point(at.OUT, out)
        self._once(run, theta)
        self.keep(at.PREDICT, batch, run)
        return out

    def one_predictor(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that takes one contiguous example and returns its outputs."""
        if numba.config.DISABLE_JIT:
            return lambda x: self.predict(theta, x.reshape(-1, 1))[:, 0]
        entry, n_y, dtype, empty = self.entry, self.model.sizes[-1], self.model.dtype, np.empty
        # Threads may predict at the same time: each takes a table and gives it back.
        runs: list[Run] = []

        def predict_one(x: np.ndarray) -> np.ndarray:
            out = empty(n_y, dtype)
            run = runs.pop() if runs else self._one_run(theta)
            one(entry, run.table, x, out)
            runs.append(run)
            return out

        return predict_one

    def _one_run(self, theta: np.ndarray) -> Run:
        run = Run(self, at.PREDICT, 1)
        run.data(np.zeros((self.model.sizes[0], 1), self.model.dtype), None, None)
        run.point(at.THETA, theta)
        return run

    def forward(self, theta: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, "Remembered"]:
        """Outputs, and what `backward` needs."""
        m = X.shape[1]
        run = self._remembering(m)
        run.data(X, None, None)
        out = np.empty((self.model.sizes[-1], m), self.model.dtype)
        run.point(at.OUT, out)
        self._once(run, theta)
        run.release()
        return out, Remembered.of(run)

    def _remembering(self, m: int) -> Run:
        return Run(self, at.REMEMBER, m, keep_all=True)

    def backward(self, theta: np.ndarray, dA: np.ndarray, cache: "Remembered") -> tuple[np.ndarray, np.ndarray]:
        """Gradient of sum(dA * A), and its part by X."""
        m = dA.shape[1]
        dX = np.empty((self.model.sizes[0], m), self.model.dtype)
        run = cache.take(lambda: self._remembering(m))
        run.settings[at.TASK], run.settings[at.M], run.settings[at.DX] = at.RETURN, m, 1
        run.point(at.DA, np.ascontiguousarray(dA, self.model.dtype))
        run.point(at.OUT_DX, dX)
        self._once(run, theta)
        gradient = run.arrays[at.GRADS][: self.model.n_parameters].copy()
        run.release()
        cache.give_back(run)
        return gradient, dX


class Remembered:
    """What a forward pass leaves for backward passes: numbers that stay as they are, and a workspace if one is free.

    Threads may go back at the same time: each has a workspace of its own. One that Ctrl-C interrupts loses it, and the
    next makes another. Copies and pickles hold the numbers alone.

    Parameters
    ----------
    acts, packed : numpy.ndarray
        Activations of all layers, and what is stored of them a second time.
    slopes : numpy.ndarray
        Slopes of the activations; empty if all are relu, whose slopes are seen from the activations.
    run : Run, optional
        The workspace that these are part of; passes back write dZ over the slopes.
    """

    __slots__ = ("_acts", "_kept", "_packed", "_runs", "_slopes")

    def __init__(self, acts: np.ndarray, packed: np.ndarray, slopes: np.ndarray, run: Run | None = None) -> None:
        self._acts, self._packed, self._slopes = acts, packed, slopes
        self._runs, self._kept = ([], [slopes]) if run is None else ([run], [])

    @classmethod
    def of(cls, run: Run) -> "Remembered":
        """Remember what a forward pass has left in its workspace."""
        arrays = run.arrays
        slopes = arrays[at.DELTAS] if any(f != "relu" for f in run.model.hidden) else np.empty(0, run.dtype)
        return cls(arrays[at.ACTS], arrays[at.PACKED], slopes, run)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._acts, self._packed, self._kept_slopes())

    def _kept_slopes(self) -> np.ndarray:
        # No pass back begins before a copy is in the list, so the first one there is of the slopes, whoever made it.
        if not self._kept:
            self._kept.append(self._slopes.copy())
        return self._kept[0]

    def take(self, make: Callable[[], Run]) -> Run:
        """Take a workspace that is ready for a pass back, which no other thread then has."""
        slopes = self._kept_slopes()
        try:
            run = self._runs.pop()
        except IndexError:
            run = make()
            for index, numbers in ((at.ACTS, self._acts), (at.PACKED, self._packed)):
                if run.arrays[index].shape != numbers.shape:
                    raise ValueError("cache must be of this version of fastnn: run forward again") from None
                run.arrays[index][:] = numbers
        if slopes.size:
            run.arrays[at.DELTAS][:] = slopes
        return run

    def give_back(self, run: Run) -> None:
        """Keep a workspace for the next pass back."""
        if not self._runs:
            self._runs.append(run)
