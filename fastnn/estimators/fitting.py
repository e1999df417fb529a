"""How the weights of an estimator are found: in epochs of a stochastic solver, or by L-BFGS."""

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastnn.callbacks import running
from fastnn.engine import lbfgs
from fastnn.engine.runtime import claimed_core
from fastnn.engine.slices import Slices
from fastnn.estimators.solvers import RandomOrder, StochasticSolver, engine_for
from fastnn.estimators.tables import engine_columns, engine_targets, largest
from fastnn.history import History
from fastnn.interrupts import Interrupts, imported
from fastnn.kernels import layout as at
from fastnn.network import Network
from fastnn.optimizers import UpdateRule
from fastnn.specs import Architecture, Training, aligned_zeros

# What float32 is trusted with. Gradients, at a guess: from 2e19 on their squares, and with them Adam's second moment,
# have no end, and a network that trains comes to some thousand times the guess.
LARGEST_GRADIENT = 1e14
# Targets: of larger ones an epoch takes so little of the loss that it is lost in rounding.
LARGEST_TARGET = 1e6
# Sample weights, or their reciprocals, which multiply losses and gradients; and what is added to Adam's root.
LARGEST_WEIGHT, SMALLEST_EPSILON = 1e6, 1e-18

# From a warning here to the user's call of `fit`, past the estimator's methods and scikit-learn's wrapper.
USERS_LEVEL = 5

Callbacks = tuple[Callable[..., Any], ...]


def fit_lbfgs(
    estimator: Any, network: Network, architecture: Architecture, training: Training, X: Any, y: np.ndarray,
    weights: np.ndarray | None, callbacks: Callbacks,
) -> None:  # fmt: skip
    """Minimise the cost of all examples with SciPy's L-BFGS; an iteration is an epoch.

    A float32 network makes way for one of float64, as scikit-learn's does.
    """
    digits = network.dtype
    if digits != np.float64:
        # The line search needs more digits than float32 has.
        architecture = replace(architecture, dtype=np.dtype(np.float64))
        weights_before = network.vector
        network = estimator._new_network(network.layer_sizes, architecture.dtype)
        network.vector[:] = weights_before
        estimator._adopt(network)
    engine = engine_for(architecture, training, estimator._threads(), digits)
    # Trials of the line search are none of the network's weights.
    theta = aligned_zeros(network.vector.size, np.float64)
    theta[:] = network.vector
    data = engine_columns(X, architecture.dtype), engine_targets(y, architecture), weights
    history = estimator.history_ = History()
    began = time.perf_counter()

    def note(cost_before: float, cost: float) -> None:
        history.loss.append(cost)
        history.seconds.append(time.perf_counter() - began)
        network.vector[:] = theta
        estimator.n_iter_, estimator.loss_ = history.epochs, cost

    with running(callbacks, estimator, history, estimator.max_iter) as after_epoch, Interrupts() as interrupts:

        def after() -> bool:
            called = after_epoch()
            return called or (estimator.max_time is not None and history.seconds[-1] >= estimator.max_time)

        result = lbfgs.minimize(
            lambda: engine.loss_and_gradient(theta, *data), theta, note, after, interrupts,
            maxfun=estimator.max_fun, maxiter=estimator.max_iter, gtol=estimator.tol,
        )  # fmt: skip
        network.vector[:] = result.x
        estimator.loss_ = result.fun
        history.stopped = history.epochs < estimator.max_iter
    # SciPy's status of a callback's StopIteration is 99, which would be warned of as a failure.
    checked = imported("sklearn.utils.optimize")._check_optimize_result
    estimator.n_iter_ = result.nit if result.status == 99 else checked("lbfgs", result, estimator.max_iter)


class StochasticFit:
    """One fit, or one epoch of `partial_fit`, by a stochastic solver.

    Parameters
    ----------
    estimator : estimator
        Its fitted attributes are kept up to date from epoch to epoch.
    network : Network
        Is trained.
    architecture : Architecture
        The network's, for these targets.
    training : Training
        What is minimised and how.
    X, y : table and array
        Checked data.
    weights : numpy.ndarray or None
        Of the examples.
    held_out : tuple or None
        Checked X_val and y_val.
    incremental : bool
        Whether it is `partial_fit`.
    """

    def __init__(
        self, estimator: Any, network: Network, architecture: Architecture, training: Training, X: Any, y: np.ndarray,
        weights: np.ndarray | None, held_out: tuple[Any, np.ndarray] | None, incremental: bool,
    ) -> None:  # fmt: skip
        self.estimator, self.network, self.incremental = estimator, network, incremental
        # What is trained: the network's parameters themselves, or their double.
        self.theta = network.vector
        if self._is_beyond_float32(architecture, X, y, weights, held_out):
            architecture = replace(architecture, dtype=np.dtype(np.float64))
            self.theta = aligned_zeros(network.vector.size, np.float64)
        self.solver = self._solver_of(architecture, training.rule)
        begun, rule = self.solver.rule, training.rule
        if begun is not None and rule is not None and begun is not rule:
            # What goes on keeps the rule that it began with, but for the decay.
            training = replace(training, rule=replace(begun, weight_decay=rule.weight_decay))
        self.engine = engine_for(architecture, training, estimator._threads(), network.dtype)
        table, targets = engine_columns(X, architecture.dtype), engine_targets(y, architecture)
        rows = None
        self.evaluate: Callable[[], tuple[float, float]] | None = None
        if held_out is not None:
            self.evaluate = self._evaluation(*held_out, None, None)
        elif estimator.early_stopping:
            rows, val_rows = self._split(X, y, weights)
            self.evaluate = self._evaluation(X, y, weights, val_rows)
        self.m = X.shape[0] if rows is None else rows.size
        self.batch = min(200, self.m) if estimator.batch_size == "auto" else int(estimator.batch_size)
        if self.batch > self.m:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                stacklevel=USERS_LEVEL,
            )
            self.batch = self.m
        self.steps = -(-self.m // self.batch)
        self.epochs = 1 if incremental else estimator.max_iter
        self.order = self._order(rows)
        shuffle, order = (False, None) if self.order is None else (True, self.order.rows)
        self.session = self.engine.session(
            self.theta, self.solver.state, table, targets, weights, self.batch, shuffle, self.m, order
        )
        if self.order is not None:
            self.session.workspace.bind(at.GENERATOR, self.order.generator)
        if "loss_curve_" not in estimator.__dict__:
            # Earlier fits were by L-BFGS.
            estimator._begin_curves()
        if self.evaluate is not None and estimator.validation_scores_ is None:
            estimator.validation_scores_, estimator.validation_loss_curve_ = [], []
            estimator.best_validation_score_, estimator.best_loss_ = -np.inf, None
        if self.evaluate is None and estimator.best_loss_ is None:
            # Earlier epochs had held-out data, by which they were judged.
            estimator.best_loss_ = min(estimator.loss_curve_, default=np.inf)
        # Where no epoch of a warm start is better than those before it, scikit-learn ends with its last weights.
        known = held_out is not None and estimator.best_validation_score_ > -np.inf
        self.best = network.vector.copy() if known else None
        self.scored = False
        estimator.n_iter_ = 0
        if not incremental or not hasattr(estimator, "history_"):
            estimator.history_ = History()
        self.history = estimator.history_

    def _solver_of(self, architecture: Architecture, rule: UpdateRule | None) -> StochasticSolver:
        """Return the solver that goes on, or a new one."""
        estimator = self.estimator
        solver: StochasticSolver | None = estimator.__dict__.get("_optimizer")
        if not self.incremental or solver is None or not solver.suits(architecture):
            solver = estimator._optimizer = StochasticSolver(estimator, architecture, rule)
        solver.wider = architecture.dtype != self.network.dtype
        return solver

    def _is_beyond_float32(
        self, architecture: Architecture, X: Any, y: np.ndarray, weights: np.ndarray | None,
        held_out: tuple[Any, np.ndarray] | None,
    ) -> bool:  # fmt: skip
        """Whether float32 parameters have to be trained in float64: in scikit-learn gradients, moments and losses are
        float64 as soon as targets or tables are, and float32 would overflow or lose them. Classes are no reason.
        """
        if architecture.dtype != np.float32:
            return False
        solver = self.estimator.__dict__.get("_optimizer")
        if self.incremental and solver is not None and solver.wider:
            return True
        tables = [X] if held_out is None else [X, held_out[0]]
        regresses = architecture.output == "linear"
        if not regresses and all(table.dtype == np.float32 for table in tables):
            return False
        size, target = max(map(largest, tables)), largest(y) if regresses else 0.0
        heaviest = 1.0 if weights is None else weights.max()
        return not (
            max(size, 1.0) * (size + target) < LARGEST_GRADIENT
            and target <= LARGEST_TARGET
            and 1.0 / LARGEST_WEIGHT <= heaviest <= LARGEST_WEIGHT
            and self.estimator.epsilon >= SMALLEST_EPSILON
        )

    def _split(self, X: Any, y: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to train on and those to hold out, as scikit-learn would."""
        estimator = self.estimator
        # As scikit-learn's column of booleans, whose values its messages name.
        stratify = y.astype(bool).reshape(-1, 1) if estimator._stratifies(y) else None
        rows, val_rows = train_test_split(
            np.arange(X.shape[0]), random_state=estimator._random_state, test_size=estimator.validation_fraction,
            stratify=stratify,
        )  # fmt: skip
        if val_rows.size < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        if weights is not None and not (weights[rows].any() and weights[val_rows].any()):
            raise ValueError(
                "Sample weights must contain at least one non-zero number, among the examples that early stopping holds"
                " out and among the others."
            )
        return rows, val_rows

    def _evaluation(
        self, X: Any, y: np.ndarray, weights: np.ndarray | None, rows: np.ndarray | None
    ) -> Callable[[], tuple[float, float]]:
        """Return a function that gives score and loss of the held-out examples."""
        engine, theta, score = self.engine, self.theta, self.estimator._score_of
        table, targets = engine_columns(X, theta.dtype), engine_targets(y, engine.architecture)
        picked = None if rows is None else np.ascontiguousarray(rows, np.uint32)
        true = y if rows is None else y[rows]
        own = weights if rows is None or weights is None else weights[rows]

        def evaluate() -> tuple[float, float]:
            outputs = engine.predict(theta, table, picked, by_example=True)
            return score(outputs, true, own), engine.loss(theta, table, targets, weights, picked)

        return evaluate

    def _order(self, rows: np.ndarray | None) -> RandomOrder | None:
        """Return the order of examples; None if it is the table's and changes nothing but rounding."""
        estimator = self.estimator
        shared = estimator.random_state is None or isinstance(estimator.random_state, np.random.RandomState)
        if rows is None and (not estimator.shuffle or (self.batch == self.m and not shared)):
            return None
        first = np.arange(self.m) if rows is None else rows
        return RandomOrder(first, estimator._random_state, estimator.shuffle, self.epochs)

    def run(self, callbacks: Callbacks) -> None:
        """Train to the end, and let the network have its best weights if some examples are held out."""
        estimator = self.estimator
        with running(callbacks, estimator, self.history, self.epochs) as after_epoch:
            try:
                with Interrupts() as interrupts, claimed_core():
                    self._train(after_epoch if callbacks else None, interrupts)
            except KeyboardInterrupt:
                warnings.warn("Training interrupted by user.", stacklevel=USERS_LEVEL)
            finally:
                if self.order is not None:
                    self.order.give_back()
                if self.best is not None and (self.scored or not estimator.n_iter_):
                    self.network.vector[:] = self.best
                self.history.stopped = estimator.n_iter_ < self.epochs
        if self.evaluate is not None and estimator.n_iter_ and not self.scored:
            warnings.warn(
                f"No epoch could be scored: scores of the held-out data are {self.history.validation_score[-1]}. The "
                "weights are those of the last epoch.",
                stacklevel=USERS_LEVEL,
            )
        if self.solver.overflowed():
            warnings.warn(
                f"The squares of some gradients overflowed {self.solver.state.s.dtype}, and their weights stand still. "
                "Scale X, by sklearn.preprocessing.StandardScaler say, or the targets.",
                ConvergenceWarning, stacklevel=USERS_LEVEL,
            )  # fmt: skip

    def _train(self, after_epoch: Callable[[], bool] | None, interrupts: Interrupts) -> None:
        """Train until it has converged, slice by slice."""
        estimator, solver, steps, patience = self.estimator, self.solver, self.steps, self.estimator.n_iter_no_change
        counts = np.full(steps, float(self.batch))
        counts[-1] = self.m - (steps - 1) * self.batch
        slices = Slices(self.session.totals, self.batch * self.theta.size, interrupts)
        began, before = time.perf_counter(), 0.0
        by_hand = self.order is not None and self.order.by_hand
        # A double is rounded after every epoch, so that its results do not depend on the clock.
        watched = after_epoch is not None or self.evaluate is not None or by_hand or self.solver.wider
        while True:
            ahead = 1
            if not watched:
                # So many epochs pass before anything could be decided.
                undecided = min(self.epochs - estimator.n_iter_, patience + 1 - estimator._no_improvement_count)
                ahead = int(max(1, min(undecided, slices.longest // steps)))
            if by_hand and self.order is not None:
                self.order.shuffle_by_hand()
            shown, step_rates = solver.rates(ahead, steps, estimator.t_, self.m)
            try:
                if solver.wider:
                    self.theta[:] = self.network.vector
                costs, sums = slices.run(step_rates)
            finally:
                if solver.wider:
                    with np.errstate(over="ignore"):
                        self.network.vector[:] = self.theta
            # Ctrl-C may have cut them short: the epochs that are whole count.
            ahead = costs.size // steps
            costs, sums = costs[: ahead * steps], sums[: ahead * steps]
            with np.errstate(all="ignore"):
                means = np.where(sums > 0, costs / np.where(sums > 0, sums, 1.0), 0.0)
                losses = (means.reshape(ahead, steps) * counts).sum(axis=1) / self.m
            now = slices.end - began
            self.history.learning_rate += shown[steps - 1 : ahead * steps : steps].tolist()
            self.history.seconds += [before + (now - before) * (k + 1) / ahead for k in range(ahead)]
            before, finished = now, False
            for loss in losses.tolist():
                if self._epoch_ends(loss, interrupts):
                    finished = solver.stops(self._message(), estimator.verbose)
                    estimator._no_improvement_count = estimator._no_improvement_count if finished else 0
            interrupts.release()
            called = after_epoch is not None and after_epoch()
            if after_epoch is not None:
                # A callback may have made them read-only.
                estimator._require_writeable()
            if finished or called or self.incremental:
                return
            if estimator.n_iter_ == self.epochs:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.epochs}) reached and the optimization hasn't "
                    "converged yet.",
                    ConvergenceWarning, stacklevel=USERS_LEVEL + 1,
                )  # fmt: skip
                return
            if estimator.max_time is not None and now >= estimator.max_time:
                return

    def _epoch_ends(self, loss: float, interrupts: Interrupts) -> bool:
        """Take in an epoch; whether there was no improvement for too long."""
        estimator, history = self.estimator, self.history
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += self.m
        estimator.loss_curve_.append(loss)
        history.loss.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if self.evaluate is not None:
            score = validation_loss = np.nan
            try:
                # It may take long.
                interrupts.release()
                score, validation_loss = self.evaluate()
            finally:
                estimator.validation_scores_.append(score)
                estimator.validation_loss_curve_.append(validation_loss)
                history.validation_score.append(score)
                history.validation_loss.append(validation_loss)
            interrupts.hold()
            if estimator.verbose:
                print(f"Validation score: {score:f}")
            self.scored |= score > -np.inf
            worse = score < estimator.best_validation_score_ + estimator.tol
            if score > estimator.best_validation_score_:
                estimator.best_validation_score_ = score
                self.best = self.network.vector.copy()
        else:
            worse = loss > estimator.best_loss_ - estimator.tol
            if loss < estimator.best_loss_:
                estimator.best_loss_ = loss
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0
        self.solver.epoch_ends(estimator.t_)
        return bool(estimator._no_improvement_count > estimator.n_iter_no_change)

    def _message(self) -> str:
        what = "Training loss" if self.evaluate is None else "Validation score"
        estimator = self.estimator
        return (
            f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} "
            "consecutive epochs."
        )
