"""What both estimators share: from parameters and checked data to a fitted network."""

import multiprocessing
import operator
import os
import time
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastnn import export, validation
from fastnn._history import History
from fastnn._interrupts import Interrupts
from fastnn._model import Model
from fastnn._settings import dropped_shares
from fastnn._solvers import EstimatorEngine, RandomOrder, StochasticSolver, optimizer_of
from fastnn._workspace import SparseColumns
from fastnn.callbacks import running
from fastnn.losses import HIDDEN_ACTIVATIONS
from fastnn.network import Network
from fastnn.optimizers import SGD
from fastnn.reference.initializers import INITIALIZERS, draw_weights

STOCHASTIC = ("sgd", "adam", "adamw", "rmsprop")

# Between slices Python looks at Ctrl-C and the clock.
SLICE_SECONDS = 0.1
# Multiply-adds of a first slice, before its speed is known.
FIRST_SLICE = 1_000_000

# scikit-learn's names of what `Network` calls otherwise.
_ACTIVATIONS = {"logistic": "sigmoid"}


class BaseMLP(BaseEstimator):
    """Fits and applies a network; `MLPClassifier` and `MLPRegressor` say what their targets are."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({*HIDDEN_ACTIVATIONS, "logistic"}), callable],
        "solver": [StrOptions({"lbfgs", *STOCHASTIC})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": ["array-like", Interval(Real, 0, 1, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "initializer": [StrOptions({*INITIALIZERS}), None],
        "callbacks": ["array-like", callable, None],
        "n_threads": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
    }
    label_smoothing = 0.0
    # Class and parameters that were found valid last.
    _valid: ClassVar[tuple[Any, ...]] = ()

    def _validate_params(self) -> None:
        # scikit-learn asks for a signature and checks 30 parameters, a large part of a short fit.
        given = (type(self), *[getattr(self, name) for name in self._parameter_constraints])
        if len(given) != len(BaseMLP._valid) or not all(map(operator.is_, given, BaseMLP._valid)):
            super()._validate_params()
            if self.callbacks is None:
                BaseMLP._valid = given

    # What a subclass provides.

    def _checked_targets(self, X: Any, y: Any, incremental: bool, first: bool) -> tuple[Any, np.ndarray]:
        """Return checked X, and y as numbers: labels (m,), or (m, n_outputs)."""
        raise NotImplementedError

    def _output(self) -> tuple[str, str, str]:
        """Return the network's output, its loss, and scikit-learn's name of the output."""
        raise NotImplementedError

    def _score_of(self, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> float:
        raise NotImplementedError

    def _held_out_targets(self, y: Any) -> np.ndarray:
        raise NotImplementedError

    def _example_weights(self, weights: np.ndarray | None, y: np.ndarray) -> np.ndarray | None:
        return weights

    # Fitting.

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, incremental: bool, X_val: Any = None, y_val: Any = None
    ) -> "BaseMLP":
        hidden = self.hidden_layer_sizes
        hidden = [int(n) for n in (hidden if hasattr(hidden, "__iter__") else [hidden])]
        if any(n <= 0 for n in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together, got only one of them")
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._checked_targets(X, y, incremental, first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
            if sample_weight.min() < 0:
                raise ValueError(f"sample_weight must not be negative, got {sample_weight.min()}")
            if not sample_weight.any():
                raise ValueError("sample_weight must not be zero for all samples")
        weights = self._example_weights(sample_weight, y)
        held_out = None
        if X_val is not None:
            X_val = validate_data(self, X_val, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
            y_val = self._held_out_targets(y_val)
            if y_val.shape[0] != X_val.shape[0]:
                raise ValueError(
                    f"y_val must have one entry for each of the {X_val.shape[0]} rows of X_val, got {y_val.shape[0]}"
                )
            held_out = X_val, y_val
        self.n_outputs_ = self._n_outputs(y)
        sizes = (X.shape[1], *hidden, self.n_outputs_)
        self._random_state = check_random_state(self.random_state)
        if first:
            self._initialize(sizes, X.dtype)
        network = self._current_network()
        if network.layer_sizes != sizes:
            raise ValueError(
                f"hidden_layer_sizes must give the layers of the fit before, {network.layer_sizes}, got {sizes}"
            )
        model = self._model(network)
        if self.solver == "lbfgs":
            self._fit_lbfgs(network, model, X, y, weights)
        else:
            self._fit_stochastic(network, model, X, y, weights, incremental, held_out)
        if not np.isfinite(network.vector).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be"
                " preprocessed."
            )
        return self

    def _n_outputs(self, y: np.ndarray) -> int:
        return 1 if y.ndim == 1 else y.shape[1]

    def _initialize(self, sizes: tuple[int, ...], dtype: np.dtype) -> None:
        """Draw the first weights, as scikit-learn does unless an initializer is given."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(sizes)
        self.out_activation_ = self._output()[2]
        network = self._new_network(sizes, dtype)
        self._adopt(network)
        stream = self._random_state
        if self.initializer is not None:
            seed = int(stream.randint(np.iinfo(np.int32).max))
            for coef, W in zip(self.coefs_, draw_weights(self.initializer, sizes, seed), strict=True):
                coef[:] = W.T
        else:
            factor = 2.0 if self.activation == "logistic" else 6.0
            for coef, intercept in zip(self.coefs_, self.intercepts_, strict=True):
                bound = np.sqrt(factor / sum(coef.shape))
                coef[:] = stream.uniform(-bound, bound, coef.shape)
                intercept[:] = stream.uniform(-bound, bound, intercept.shape)
        self.validation_loss_curve_ = None
        self.history_ = History()
        if self.solver in STOCHASTIC:
            self.loss_curve_ = []
            self._no_improvement_count = 0
            self.best_loss_ = np.inf
            self.validation_scores_ = self.best_validation_score_ = None

    def _new_network(self, sizes: tuple[int, ...], dtype: np.dtype) -> Network:
        hidden = (
            _ACTIVATIONS.get(self.activation, self.activation) if isinstance(self.activation, str) else self.activation
        )
        return Network(sizes, hidden_activation=hidden, output=self._output()[0], initializer="zeros", dtype=dtype)

    def _adopt(self, network: Network) -> None:
        """Let the fitted attributes be views of a network's parameters."""
        layers = range(1, len(network.layer_sizes))
        self.coefs_ = [network.parameters[f"W{layer}"].T for layer in layers]
        self.intercepts_ = [network.parameters[f"b{layer}"][:, 0] for layer in layers]
        self._views = (*self.coefs_, *self.intercepts_)
        self._predictor = _Predictor()
        self.network_ = network

    def _current_network(self) -> Network:
        """Return the network of the present `coefs_` and `intercepts_`, which may be the user's own or unpickled."""
        views = self.__dict__.get("_views")
        present = (*self.coefs_, *self.intercepts_)
        if views is not None and len(views) == len(present) and all(map(operator.is_, views, present)):
            return self.network_
        coefs, intercepts = [np.asarray(c) for c in self.coefs_], [np.asarray(b) for b in self.intercepts_]
        dtype = np.dtype(np.float32 if coefs[0].dtype == np.float32 else np.float64)
        network = self._new_network((coefs[0].shape[0], *(c.shape[1] for c in coefs)), dtype)
        for layer, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True), start=1):
            network.parameters[f"W{layer}"][:] = coef.T
            network.parameters[f"b{layer}"][:, 0] = intercept
        self._adopt(network)
        return network

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        for name in ("network_", "_views", "_predictor"):
            state.pop(name, None)
        if "coefs_" in state:
            # Views are pickled with all they lie in.
            state["coefs_"] = [np.ascontiguousarray(c) for c in state["coefs_"]]
            state["intercepts_"] = [np.array(b) for b in state["intercepts_"]]
        return state

    def __getattr__(self, name: str) -> Any:
        # After unpickling the network is made when it is first asked for.
        if name == "network_" and "coefs_" in self.__dict__:
            return self._current_network()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _model(self, network: Network, dtype: Any = None) -> Model:
        output, loss, _ = self._output()
        dropout = dropped_shares(self.dropout, self.n_layers_ - 2)
        if self.solver == "lbfgs":
            for name, value in (("dropout", any(dropout)), ("clip_norm", self.clip_norm)):
                if value:
                    raise ValueError(f"{name} does not go with solver='lbfgs', which needs one cost for all its steps")
        smoothing = float(self.label_smoothing)
        if not 0.0 <= smoothing < 1.0:
            raise ValueError(f"label_smoothing must be in [0, 1), got {smoothing}")
        decoupled = self.solver == "adamw"
        return Model(
            network.layer_sizes, network.hidden_activations, output, loss, np.dtype(dtype or network.dtype),
            optimizer_of(self),
            l2=0.0 if decoupled else float(self.alpha), dropout=dropout,
            clip_norm=None if self.clip_norm is None else float(self.clip_norm), label_smoothing=smoothing,
            seed=int(self._random_state.randint(np.iinfo(np.int32).max)) if any(dropout) else 0,
        )  # fmt: skip

    def _fit_lbfgs(self, network: Network, model: Model, X: Any, y: np.ndarray, weights: np.ndarray | None) -> None:
        from scipy import optimize
        from sklearn.utils.optimize import _check_optimize_result

        # The line search needs more digits than float32 has: scikit-learn's parameters are float64 here as well.
        model = Model(**{**vars(model), "dtype": np.dtype(np.float64)})
        engine = EstimatorEngine(model, _threads(self.n_threads))
        theta = network.vector.astype(np.float64)
        data = _columns(X, np.dtype(np.float64)), _targets(y, model), weights
        history = self.history_ = History()

        def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
            theta[:] = x
            return engine.loss_and_gradient(theta, *data)

        def iterated(intermediate_result: Any) -> None:
            history.loss.append(float(intermediate_result.fun))

        result = optimize.minimize(
            evaluate, theta.copy(), method="L-BFGS-B", jac=True, callback=iterated,
            options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
        )  # fmt: skip
        network.vector[:] = result.x
        self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        self.loss_ = result.fun

    def _fit_stochastic(
        self, network: Network, model: Model, X: Any, y: np.ndarray, weights: np.ndarray | None, incremental: bool,
        held_out: tuple[Any, np.ndarray] | None,
    ) -> None:  # fmt: skip
        if incremental and hasattr(self, "_optimizer"):
            self._optimizer.adopt(model)
        else:
            self._optimizer = StochasticSolver(self, model)
        engine = EstimatorEngine(model, _threads(self.n_threads))
        engine.rule = self._optimizer.rule
        table, targets = _columns(X, network.dtype), _targets(y, model)
        rows, evaluate = None, None
        if held_out is not None:
            evaluate = self._evaluation(engine, network, *held_out, None, None)
        elif self.early_stopping:
            # As scikit-learn's column of booleans, whose values its messages name.
            stratify = y.astype(bool).reshape(-1, 1) if self._stratifies(y) else None
            rows, val_rows = train_test_split(
                np.arange(X.shape[0]), random_state=self._random_state, test_size=self.validation_fraction,
                stratify=stratify,
            )  # fmt: skip
            if val_rows.size < 2:
                raise ValueError(
                    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
                )
            evaluate = self._evaluation(engine, network, X, y, weights, val_rows)
        m = X.shape[0] if rows is None else rows.size
        batch = min(200, m) if self.batch_size == "auto" else int(self.batch_size)
        if batch > m:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=4
            )
            batch = m
        order = self._order(rows, m, batch)
        session = engine.ordered(network.vector, self._optimizer.state, table, targets, weights, batch, order, m)
        if evaluate is not None and self.validation_scores_ is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
            self.best_validation_score_, self.best_loss_ = -np.inf, None
        best = network.vector.copy() if evaluate is not None else None
        epochs = 1 if incremental else self.max_iter
        self.n_iter_ = 0
        if not incremental or not hasattr(self, "history_"):
            self.history_ = History()
        history = self.history_
        callbacks = self._callbacks()
        with running(callbacks, self, history, epochs) as after_epoch:
            try:
                with Interrupts() as interrupts:
                    watch = after_epoch if callbacks else None
                    self._run(session, order, m, batch, epochs, incremental, evaluate, best, watch, history, interrupts)
            except KeyboardInterrupt:
                warnings.warn("Training interrupted by user.", stacklevel=4)
            finally:
                if order is not None:
                    order.give_back()
                if best is not None:
                    network.vector[:] = best
                history.stopped = self.n_iter_ < epochs

    def _callbacks(self) -> tuple[Callable[..., Any], ...]:
        given = self.callbacks
        if given is None:
            return ()
        return validation.functions("callbacks", (given,) if callable(given) else given)

    def _order(self, rows: np.ndarray | None, m: int, batch: int) -> RandomOrder | None:
        """Return the order of examples; None if it is the table's and changes nothing but rounding."""
        shared = self.random_state is None or isinstance(self.random_state, np.random.RandomState)
        if rows is None and (not self.shuffle or (batch == m and not shared)):
            return None
        return RandomOrder(np.arange(m) if rows is None else rows, self._random_state, self.shuffle)

    def _evaluation(
        self, engine: EstimatorEngine, network: Network, X: Any, y: np.ndarray, weights: np.ndarray | None,
        rows: np.ndarray | None,
    ) -> Callable[[], tuple[float, float]]:  # fmt: skip
        """Return a function that gives score and loss of the held-out examples."""
        table, targets = _columns(X, network.dtype), _targets(y, engine.model)
        picked = None if rows is None else np.ascontiguousarray(rows, np.uint32)
        true = y if rows is None else y[rows]
        own = weights if rows is None or weights is None else weights[rows]

        def evaluate() -> tuple[float, float]:
            outputs = engine.outputs(network.vector, table, picked)
            score = self._score_of(outputs, true, own)
            return score, engine.mean_loss(network.vector, table, targets, weights, picked)

        return evaluate

    def _run(
        self, session: Any, order: RandomOrder | None, m: int, batch: int, epochs: int, incremental: bool,
        evaluate: Callable[[], tuple[float, float]] | None, best: np.ndarray | None,
        after_epoch: Callable[[], bool] | None, history: History, interrupts: Interrupts,
    ) -> None:  # fmt: skip
        """Train until it has converged, slice by slice."""
        solver, patience = self._optimizer, self.n_iter_no_change
        steps = -(-m // batch)
        counts = np.full(steps, float(batch))
        counts[-1] = m - (steps - 1) * batch
        longest = max(1, FIRST_SLICE // (batch * session._engine.model.n_parameters))
        started, before = time.perf_counter(), 0.0
        watched = after_epoch is not None or evaluate is not None or (order is not None and order.by_hand)
        while True:
            # So many epochs pass before anything could be decided.
            ahead = 1 if watched else min(epochs - self.n_iter_, patience + 1 - self._no_improvement_count)
            ahead = int(max(1, min(ahead, longest // steps)))
            if order is not None and order.by_hand:
                order.shuffle_by_hand()
            shown, step_rates = solver.rates(ahead, steps, self.t_, m)
            costs, sums = np.empty(step_rates.size), np.empty(step_rates.size)
            done = 0
            while done < step_rates.size:
                count = min(longest, step_rates.size - done)
                begin = time.perf_counter()
                interrupts.hold()
                costs[done : done + count], sums[done : done + count] = session.totals(step_rates[done : done + count])
                interrupts.release()
                elapsed = time.perf_counter() - begin
                done += count
                # The first slice may have compiled: grow step by step, never by one measurement alone.
                fitting = int(count * SLICE_SECONDS / max(elapsed, 1e-9))
                longest = min(max(1, fitting), 16 * max(count, longest))
            with np.errstate(all="ignore"):
                means = np.where(sums > 0, costs / np.where(sums > 0, sums, 1.0), 0.0)
                losses = (means.reshape(ahead, steps) * counts).sum(axis=1) / m
            now = time.perf_counter() - started
            history.learning_rate += shown[steps - 1 :: steps].tolist()
            history.seconds += [before + (now - before) * (k + 1) / ahead for k in range(ahead)]
            before, finished = now, False
            for k in range(ahead):
                if self._epoch_ends(float(losses[k]), m, evaluate, best, history):
                    finished = solver.stops(self._message(evaluate is not None), self.verbose)
                    self._no_improvement_count = self._no_improvement_count if finished else 0
            called = after_epoch is not None and after_epoch()
            if finished or called or incremental:
                return
            if self.n_iter_ == epochs:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                    "converged yet.",
                    ConvergenceWarning, stacklevel=5,
                )  # fmt: skip
                return
            if self.max_time is not None and now >= self.max_time:
                return

    def _epoch_ends(
        self, loss: float, m: int, evaluate: Callable[[], tuple[float, float]] | None, best: np.ndarray | None,
        history: History,
    ) -> bool:  # fmt: skip
        """Take in an epoch; whether there was no improvement for too long."""
        self.n_iter_ += 1
        self.loss_ = loss
        self.t_ += m
        self.loss_curve_.append(loss)
        history.loss.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
        if evaluate is not None:
            score, validation_loss = evaluate()
            self.validation_scores_.append(score)
            self.validation_loss_curve_.append(validation_loss)
            history.validation_score.append(score)
            history.validation_loss.append(validation_loss)
            if self.verbose:
                print(f"Validation score: {score:f}")
            worse = score < self.best_validation_score_ + self.tol
            if score > self.best_validation_score_:
                self.best_validation_score_ = score
                best[:] = self.network_.vector
        else:
            worse = loss > self.best_loss_ - self.tol
            if loss < self.best_loss_:
                self.best_loss_ = loss
        self._no_improvement_count = self._no_improvement_count + 1 if worse else 0
        self._optimizer.epoch_ends(self.t_)
        return self._no_improvement_count > self.n_iter_no_change

    def _message(self, held_out: bool) -> str:
        what = "Validation score did not improve" if held_out else "Training loss did not improve"
        return f"{what} more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."

    def get_learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        solver = self._optimizer
        return solver.learning_rate if solver.schedule is None else float(solver.schedule(solver.state.step))

    def set_learning_rate(self, rate: float) -> None:
        """Go on with a constant learning rate; for callbacks."""
        self._optimizer.schedule, self._optimizer.mode = None, "constant"
        self._optimizer.learning_rate = validation.not_negative("rate", rate)

    # Applying.

    def _outputs(self, X: Any) -> np.ndarray:
        """Outputs of the network, one example in each row."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        network = self._current_network()
        out = self._predictor.outputs(network, self._output()[1], self.n_threads, X)
        return np.exp(out, out=out) if self.out_activation_ == "exp" else out

    # Elsewhere.

    def to_sklearn(self) -> Any:
        """Make scikit-learn's estimator with these weights; from there skl2onnx leads to ONNX.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
            Fitted, as `fastnn.export.to_sklearn` says.

        Raises
        ------
        ValueError
            If scikit-learn has no such activation.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from fastnn import MLPRegressor
        >>> ours = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs").fit([[0.0], [1.0]], [0.0, 1.0])
        >>> ours.to_sklearn()
        MLPRegressor(hidden_layer_sizes=(3,), solver='lbfgs')
        """
        return export.to_sklearn(self)

    @classmethod
    def from_sklearn(cls, model: Any) -> "BaseMLP":
        """Make a fitted estimator with parameters and weights of scikit-learn's.

        Parameters
        ----------
        model : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
            Fitted, and of the same kind.

        Returns
        -------
        MLPClassifier or MLPRegressor
            Fitted, as `fastnn.export.from_sklearn` says.

        Raises
        ------
        TypeError
            If the model is of another kind.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Examples
        --------
        >>> from sklearn import neural_network
        >>> from fastnn import MLPRegressor
        >>> theirs = neural_network.MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs")
        >>> theirs = theirs.fit([[0.0], [1.0]], [0.0, 1.0])
        >>> MLPRegressor.from_sklearn(theirs).predict([[1.0]]).shape
        (1,)
        """
        return export.from_sklearn(cls, model)

    def to_torch(self) -> Any:
        """Make a PyTorch module with these weights.

        Returns
        -------
        torch.nn.Sequential
            From examples in rows to probabilities or predictions in columns, as `fastnn.export.to_torch` says.

        Raises
        ------
        ValueError
            If the activation is a user's function.
        ImportError
            If PyTorch is not installed.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> from fastnn import MLPRegressor
        >>> regressor = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs").fit([[0.0], [1.0]], [0.0, 1.0])
        >>> len(regressor.to_torch())  # doctest: +SKIP
        3
        """
        return export.to_torch(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Predictor:
    """Keeps the engine of a fitted network for all its predictions."""

    def __init__(self) -> None:
        self._engine: EstimatorEngine | None = None

    def outputs(self, network: Network, loss: str, n_threads: int | None, X: Any) -> np.ndarray:
        threads, engine = _threads(n_threads), self._engine
        if engine is None or engine.n_threads != threads:
            model = Model(
                network.layer_sizes, network.hidden_activations, network.output, loss, network.dtype, SGD(0.0)
            )
            engine = self._engine = EstimatorEngine(model, threads)
        return engine.outputs(network.vector, _columns(X, network.dtype))


def _threads(n_threads: int | None) -> int | None:
    """Threads of an estimator: in a worker process its share is one core unless the user says otherwise."""
    if n_threads is not None:
        return n_threads
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    if multiprocessing.parent_process() is not None and "NUMBA_NUM_THREADS" not in os.environ:
        return 1
    return None


def _columns(X: Any, dtype: np.dtype) -> np.ndarray | SparseColumns:
    """Return a table as the engine reads it: examples in columns, without a copy where possible."""
    if isinstance(X, np.ndarray):
        return X.T
    X = X.tocsr()
    X.check_format(full_check=True)
    numbers = np.ascontiguousarray(X.data, dtype)
    columns = X.indices if X.indices.dtype in (np.int32, np.int64) else X.indices.astype(np.int64)
    return SparseColumns(numbers, np.ascontiguousarray(columns), np.ascontiguousarray(X.indptr, np.int64), X.shape[1])


def _targets(y: np.ndarray, model: Model) -> np.ndarray:
    """Return targets as the engine reads them."""
    if y.dtype == bool:
        y = y.view(np.uint8)
    if y.ndim == 2:
        return y.T
    return y if model.output == "softmax" else y.reshape(1, -1)
