"""The course's `model`s on the compiled side: the engine's steps, with the course's loss, masks and shuffles."""

from collections.abc import Callable

import numpy as np

from fastnn.activations import Activation
from fastnn.engine.engine import Engine
from fastnn.engine.slices import Slices
from fastnn.engine.workspace import Workspace
from fastnn.interrupts import Interrupts
from fastnn.kernels import layout as at
from fastnn.kernels.course import ops
from fastnn.kernels.course.ops import COURSE_OPS
from fastnn.optimizers import UpdateRule
from fastnn.reference.course.layers import Arrays
from fastnn.reference.course.recording import Report
from fastnn.specs import Architecture, Objective, State, Training, aligned_zeros

GRADIENT_DESCENT = UpdateRule("sgd")


def flat(parameters: Arrays) -> np.ndarray:
    """Return W1, b1, ..., WL, bL, row by row, in one new float64 vector."""
    layers = range(1, len(parameters) // 2 + 1)
    return np.concatenate([parameters[f"{x}{layer}"].ravel() for layer in layers for x in "Wb"]).astype(np.float64)


def _unflat(theta: np.ndarray, parameters: Arrays) -> Arrays:
    """Return a dict like `parameters` with the numbers of `theta`, in arrays of their own."""
    result, start = {}, 0
    for name, array in parameters.items():
        result[name] = theta[start : start + array.size].reshape(array.shape).copy()
        start += array.size
    return result


class _CourseEngine(Engine):
    """The engine, with the course's ops in place of some of its own; a batch is one chunk, whose sum is NumPy's."""

    ops = COURSE_OPS

    def acquire(self, task: int, batch: int) -> Workspace:
        """Make a workspace."""
        return self._new_workspace(task, batch, keep_all=True)


class CourseTraining:
    """A training run: its arrays, and slices of epochs.

    Parameters
    ----------
    parameters : dict
        W1, b1, ..., WL, bL to start from.
    X, Y : numpy.ndarray
        Checked data, one example a column.
    rule : UpdateRule
        How a step updates the parameters.
    batch : int, optional
        Examples in a step; by default all of them, without shuffling.
    first_seed : int, optional
        Seed of the first epoch's shuffle; by default there is none.
    lambd : float
        L2.
    masks : tuple of numpy.ndarray
        For each hidden layer a bool mask, shape (n_l, m); empty without dropout.
    keep_prob : float
        By which what the masks keep is divided.
    skip_nan : bool
        Whether the cost is a nansum.
    """

    def __init__(
        self,
        parameters: Arrays,
        X: np.ndarray,
        Y: np.ndarray,
        rule: UpdateRule,
        batch: int | None = None,
        first_seed: int | None = None,
        lambd: float = 0.0,
        masks: tuple[np.ndarray, ...] = (),
        keep_prob: float = 1.0,
        skip_nan: bool = False,
    ) -> None:
        m = X.shape[1]
        sizes = (X.shape[0], *(parameters[f"W{layer}"].shape[0] for layer in range(1, len(parameters) // 2 + 1)))
        relu: Activation = "relu"
        architecture = Architecture(sizes, (relu,) * (len(sizes) - 2), "sigmoid", np.dtype(np.float64))
        training = Training(Objective("binary_cross_entropy", l2=lambd), rule, seed=first_seed or 0)
        self._initial, self._lambd, self._skip_nan, self._m = parameters, lambd, skip_nan, m
        self._theta = aligned_zeros(architecture.n_parameters, np.float64)
        self._theta[:] = flat(parameters)
        shuffled = first_seed is not None
        engine, state = _CourseEngine(architecture, training), State.zeros(architecture, rule)
        # Labels are integers, whose conversion in every step would take a seventh of its time.
        data = X.astype(np.float64, copy=False), Y.astype(np.float64, copy=False), None
        session = self._session = engine.session(self._theta, state, *data, batch or m, shuffled)
        session.workspace.settings[at.SKIP_NAN] = skip_nan
        if shuffled:
            session.workspace.bind(at.GENERATOR, np.zeros(ops.generator_words(m), np.uint32))
        if masks:
            session.workspace.bind_masks(masks, keep_prob)
        self._weights = architecture.split(self._theta)
        self._steps = -(-m // session.batch)
        # Ctrl-C need not be held back: it acts between calls of compiled code, and ends `model` with an exception.
        self._slices = Slices(session.totals, session.batch * architecture.n_parameters, Interrupts())

    def _epochs(self, rates: np.ndarray, with_cost: bool) -> np.ndarray:
        """Train for an epoch a rate; the cost of each step, not divided by the number of examples."""
        self._session.workspace.settings[at.COSTED] = with_cost
        totals, _ = self._slices.run(np.repeat(rates, self._steps))
        return totals

    def run(
        self,
        n_epochs: int,
        rate: float,
        report: Report | None,
        report_every: int,
        next_rate: Callable[[int], float] | None = None,
        cost_of_last_batch: bool = False,
    ) -> Arrays:
        """Train, and return the parameters.

        Parameters
        ----------
        n_epochs : int
            Epochs (iterations, where a batch is all examples).
        rate : float
            Learning rate of the first epoch.
        report : callable, optional
            Called with epoch, cost and the next epoch's rate at every multiple of report_every.
        report_every : int
            As it says.
        next_rate : callable, optional
            Gives the rate that follows an epoch; the same rate throughout without it.
        cost_of_last_batch : bool
            Whether the reported cost is the last mini-batch's mean and not that of all examples; without L2.

        Returns
        -------
        dict
            Fresh arrays.
        """
        m, lambd, batch = self._m, self._lambd, self._session.batch
        n_costed = (m - 1) % batch + 1 if cost_of_last_batch else m
        epoch = 0
        while epoch < n_epochs:
            costed = report is not None and epoch % report_every == 0
            count = min(max(1, self._slices.longest // self._steps), n_epochs - epoch)
            if report is not None:
                count = min(count, report_every - epoch % report_every)
            rates = np.full(count + 1, rate)
            if next_rate is not None:
                for k in range(count):
                    rates[k + 1] = next_rate(epoch + k)
            if costed:
                squares = sum(float(np.sum(np.square(W))) for W, _ in self._weights) if lambd else 0.0
                penalty = lambd / 2 * squares
                totals = self._epochs(rates[:1], True)
                cost = float(totals[-1] if cost_of_last_batch else np.sum(totals)) - penalty
            if count > costed:
                self._epochs(rates[costed:-1], False)
            if report is not None and costed:
                mean = 1.0 / n_costed * cost if self._skip_nan or cost_of_last_batch else cost / m
                report(epoch, mean + penalty / m, float(rates[1]))
            rate = rates[-1]
            epoch += count
        return _unflat(self._theta, self._initial)
