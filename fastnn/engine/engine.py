"""The compiled engine: the body of `fastnn.kernels`, run on workspaces that are kept from call to call."""

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NoReturn

import numba
import numpy as np

from fastnn.engine import large_plan
from fastnn.engine.remembered import Remembered
from fastnn.engine.runtime import available_threads
from fastnn.engine.session import SMALLEST, Session
from fastnn.engine.small_plan import is_small, small_plan
from fastnn.engine.workspace import SparseColumns, Table, Workspace, addresses
from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Op
from fastnn.kernels.program.entries import one
from fastnn.kernels.program.ops import OPS, user_activation, user_loss
from fastnn.specs import Architecture, State, Training

# Examples, in columns.
Columns = np.ndarray | SparseColumns

# Guessed time of the examples between which Ctrl-C acts, and the tasks that have such: the others keep everything, or
# sum gradients over all examples.
BLOCK_NS = 1e8
IN_BLOCKS = at.EVALUATE, at.PREDICT

# Workspaces that an engine keeps for later calls.
KEPT_WORKSPACES = 8


def forget_oldest(pool: dict[Any, Any], most: int) -> None:
    """Let go of all but the `most` things that came last."""
    # A list, because another thread may add one meanwhile.
    for key in list(pool)[:-most]:
        pool.pop(key, None)


class Engine:
    """Compiled kernels behind networks and trainers; see `fastnn.reference.engine.Engine`, which says what it computes.

    Parameters
    ----------
    architecture : Architecture
        The network's layers; checked.
    training : Training, optional
        What is minimised and how; outputs can do without.
    n_threads : int, optional
        At most so many threads, -1 for all; None for as many as pay.
    """

    ops: ClassVar[Mapping[int, Op]] = OPS
    # LEAST_LOSS, MOST_LOSS and LOSS_SCALE, which these ops do not read.
    loss_terms = 0.0, 0.0, 0.0

    def __init__(
        self, architecture: Architecture, training: Training | None = None, n_threads: int | None = None
    ) -> None:
        self.architecture, self.training, self.n_threads = architecture, training, n_threads
        dtype, hidden = architecture.dtype, architecture.hidden
        available = available_threads()
        self.threads = available if n_threads is None or n_threads == -1 else max(1, min(n_threads, available))
        # The ops of the user's functions have to live as long as their addresses are in use.
        self._users: list[Op] = []
        self._functions: dict[int, Table] = {at.USER_ACTIVATIONS: np.zeros(1), at.USER_LOSS: np.zeros(1)}
        if any(map(callable, hidden)):
            users = [user_activation(f) if callable(f) else None for f in hidden]
            self._users += [user for user in users if user is not None]
            entries = [user.address(dtype) if user is not None else 0 for user in users]
            self._functions[at.USER_ACTIVATIONS] = addresses([0, *entries, 0])
        loss = training.objective.loss if training is not None else None
        if callable(loss):
            self._users.append(user_loss(loss))
            self._functions[at.USER_LOSS] = addresses([self._users[-1].address(dtype)])
        self.workspaces: dict[tuple[int, int], Workspace] = {}

    def __reduce__(self) -> NoReturn:
        raise TypeError("an engine holds addresses of this process: copy or pickle the network, or the trainer")

    # Workspaces.

    def _new_workspace(self, task: int, batch: int, keep_all: bool = False) -> Workspace:
        architecture, training = self.architecture, self.training
        if is_small(architecture, task):
            plan = small_plan(architecture, batch, self.threads, keep_all)
        else:
            fused = training is None or training.clip_norm is None
            plan = large_plan.large_plan(architecture, task, batch, self.threads, fused, keep_all)
        return Workspace(plan, architecture, training, self.ops, self._functions, self.loss_terms)

    def acquire(self, task: int, batch: int) -> Workspace:
        """Take a workspace, which no other thread then has; `release` gives it back."""
        return self.workspaces.pop((task, batch), None) or self._new_workspace(task, batch)

    def release(self, workspace: Workspace) -> None:
        """Take a workspace back."""
        workspace.unbind_data()
        self.workspaces[workspace.key] = workspace
        if len(self.workspaces) > KEPT_WORKSPACES:
            forget_oldest(self.workspaces, KEPT_WORKSPACES)

    # Training.

    def session(
        self, theta: np.ndarray, state: State, X: Columns, Y: np.ndarray, weights: np.ndarray | None,
        batch_size: int, shuffle: bool, m: int | None = None, order: np.ndarray | None = None,
    ) -> Session:  # fmt: skip
        """Begin an epoch over a data set, or over m of its examples; see `fastnn.reference.engine.Engine.session`.

        With `shuffle` the orders of epochs are made in `order`, if it is given.
        """
        m = X.shape[1] if m is None else m
        workspace = self.acquire(at.TRAIN, min(batch_size, m))
        workspace.bind_data(X, Y, weights)
        packed_once = self.training is not None and self.training.objective.drop(0) == 0
        return Session(workspace, self.release, theta, state, shuffle, self.n_threads is None, packed_once, m, order)

    def step(
        self, theta: np.ndarray, state: State, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None, rate: float
    ) -> float:
        """Do one step on all examples at once, in no epoch; see `fastnn.reference.engine.Engine.step`.

        A session of one step does the same, but takes 4 us more around it: a quarter of a small net's step.
        """
        workspace = self.acquire(at.TRAIN, X.shape[1])
        workspace.bind_data(X, Y, weights)
        workspace.bind_training(theta, state)
        settings = workspace.settings
        settings[at.SHUFFLE] = settings[at.START] = settings[at.DONE] = 0
        settings[at.STEPS] = 1
        settings[at.STEP], settings[at.EPOCH] = state._step & 0xFFFFFFFF, state._epoch & 0xFFFFFFFF
        workspace.rates[0] = rate
        try:
            if self.n_threads is None:
                wanted, _ = workspace.autotuner.next(1)
                begin = time.perf_counter_ns()
                n_threads = workspace.execute(wanted)
                workspace.autotuner.note(wanted, n_threads, 1, time.perf_counter_ns() - begin)
            else:
                workspace.execute(workspace.plan.most_threads)
        finally:
            # Ctrl-C may come as soon as the step is done, and acts between calls: it counts all the same.
            if settings[at.DONE]:
                state._step += 1
            self.release(workspace)
        # A skipped step's total is 0 as well.
        return float(workspace.costs[0]) / max(float(workspace.sums[0]), SMALLEST)

    # Single passes.

    def _once(self, workspace: Workspace, theta: np.ndarray) -> None:
        workspace.bind(at.THETA, theta)
        guessed_ns = workspace.step_ns * workspace.settings[at.M] / workspace.settings[at.BATCH]
        n_threads = self.threads if guessed_ns > 2e4 else 1
        if guessed_ns > BLOCK_NS and workspace.settings[at.TASK] in IN_BLOCKS:
            self._block_by_block(workspace, n_threads, guessed_ns)
        else:
            workspace.execute(n_threads)

    def _block_by_block(self, workspace: Workspace, n_threads: int, guessed_ns: float) -> None:
        """Pass very many examples through the network; Ctrl-C acts between blocks.

        A block is a number of chunks, at whose ends sums of losses break off anyway: the bits are those of one run.
        """
        settings, chunk = workspace.settings, int(workspace.settings[at.CHUNK])
        m = int(settings[at.M])
        block = max(1, int(BLOCK_NS * m / guessed_ns) // chunk) * chunk
        for first in range(0, m, block):
            settings[at.START], settings[at.M] = first, min(block, m - first)
            workspace.execute(n_threads)
        settings[at.START], settings[at.M] = 0, m

    def loss(
        self, theta: np.ndarray, X: Columns, Y: np.ndarray, weights: np.ndarray | None, rows: np.ndarray | None = None
    ) -> float:
        """Mean loss of a data set, or of some of its examples, without dropout and L2."""
        workspace = self.acquire(at.EVALUATE, X.shape[1] if rows is None else rows.size)
        workspace.bind_data(X, Y, weights)
        if rows is not None:
            workspace.bind_rows(rows)
        workspace.costs[0] = workspace.sums[0] = 0.0
        self._once(workspace, theta)
        cost = workspace.mean_cost()
        self.release(workspace)
        return cost

    def loss_and_gradient(
        self, theta: np.ndarray, X: Columns, Y: np.ndarray, weights: np.ndarray | None, step: int | None = None
    ) -> tuple[float, np.ndarray]:
        """Cost of all examples as one mini-batch, and its gradient; with the masks of a step, or without any."""
        workspace = self.acquire(at.DIFFERENTIATE, X.shape[1])
        workspace.bind_data(X, Y, weights)
        masked = step is not None and self.training is not None and any(self.training.objective.dropout)
        workspace.settings[at.MASKED] = masked
        workspace.settings[at.STEP] = 0 if step is None else step & 0xFFFFFFFF
        workspace.costs[0] = workspace.sums[0] = 0.0
        self._once(workspace, theta)
        result = workspace.mean_cost(), workspace.gradient()
        self.release(workspace)
        return result

    def predict(
        self, theta: np.ndarray, X: Columns, rows: np.ndarray | None = None, by_example: bool = False
    ) -> np.ndarray:
        """Outputs of the network for all examples, or some: shape (n_y, m), or with `by_example` (m, n_y)."""
        m, n_y = X.shape[1] if rows is None else rows.size, self.architecture.sizes[-1]
        # Workspaces of a few sizes serve all.
        workspace = self.acquire(at.PREDICT, min(large_plan.CHUNK, 1 << (m - 1).bit_length()))
        workspace.bind_data(X, None, None)
        if rows is not None:
            workspace.bind_rows(rows)
        if by_example and n_y > 1:
            workspace.settings[at.OUT_UNIT], workspace.settings[at.OUT_EXAMPLE] = 1, n_y
        out = np.empty((m, n_y) if by_example else (n_y, m), self.architecture.dtype)
        workspace.bind(at.OUT, out)
        self._once(workspace, theta)
        self.release(workspace)
        return out

    def one_predictor(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that takes one contiguous example and returns its outputs."""
        if numba.config.DISABLE_JIT:
            return lambda x: self.predict(theta, x.reshape(-1, 1))[:, 0]
        n_y, dtype, empty = self.architecture.sizes[-1], self.architecture.dtype, np.empty
        # Threads may predict at the same time: each takes a table and gives it back.
        workspaces: list[Workspace] = []

        def predict_one(x: np.ndarray) -> np.ndarray:
            out = empty(n_y, dtype)
            workspace = workspaces.pop() if workspaces else self._for_one(theta)
            one(workspace.entry, workspace.table, x, out)
            workspaces.append(workspace)
            return out

        return predict_one

    def _for_one(self, theta: np.ndarray) -> Workspace:
        workspace = self._new_workspace(at.PREDICT, 1)
        workspace.bind_data(np.zeros((self.architecture.sizes[0], 1), self.architecture.dtype), None, None)
        workspace.bind(at.THETA, theta)
        return workspace

    def forward(self, theta: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, Remembered]:
        """Outputs, and what `backward` needs."""
        m = X.shape[1]
        workspace = self._new_workspace(at.REMEMBER, m, keep_all=True)
        workspace.bind_data(X, None, None)
        out = np.empty((self.architecture.sizes[-1], m), self.architecture.dtype)
        workspace.bind(at.OUT, out)
        self._once(workspace, theta)
        workspace.unbind_data()
        return out, Remembered.of(workspace)

    def backward(self, theta: np.ndarray, dA: np.ndarray, cache: Remembered) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of sum(dA * A) with respect to the parameters, and to X."""
        m = dA.shape[1]
        dX = np.empty((self.architecture.sizes[0], m), self.architecture.dtype)
        workspace = cache.take(lambda: self._new_workspace(at.REMEMBER, m, keep_all=True))
        workspace.settings[at.TASK], workspace.settings[at.M], workspace.settings[at.DX] = at.RETURN, m, 1
        workspace.bind(at.DA, np.ascontiguousarray(dA, self.architecture.dtype))
        workspace.bind(at.OUT_DX, dX)
        self._once(workspace, theta)
        gradient = workspace.gradient()
        workspace.unbind_data()
        cache.give_back(workspace)
        return gradient, dX
