"""What both estimators share: from parameters and checked data to a fitted network."""

import copy
import multiprocessing
import operator
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastnn import checks
from fastnn.activations import HIDDEN_ACTIVATIONS, Activation
from fastnn.callbacks import Callback
from fastnn.estimators import export
from fastnn.estimators.fitting import StochasticFit, fit_lbfgs
from fastnn.estimators.sklearn_callbacks import CallbackSupportMixin, FitTasks, wants_tasks
from fastnn.estimators.solvers import EstimatorEngine, engine_for, random_stream, rule_of
from fastnn.estimators.tables import checked_table, engine_columns, largest, refuse_times, require_format
from fastnn.history import History
from fastnn.initializers import INITIALIZERS, Initializer, draw_weights
from fastnn.losses import LossName, Output
from fastnn.network import Network
from fastnn.specs import Architecture, Objective, Training, dropout_rates

# Networks are applied to larger numbers in float64: in float32 products with weights, and their sums, end at 3e38.
LARGEST_FOR_FLOAT32 = 1e30
Solver = Literal["lbfgs", "sgd", "adam", "adamw", "rmsprop"]
RateMode = Literal["constant", "invscaling", "adaptive"]
STOCHASTIC = ("sgd", "adam", "adamw", "rmsprop")
# What training changes where it is, besides the weights.
_CHANGED_IN_PLACE = ("_optimizer", "history_", "loss_curve_", "validation_scores_", "validation_loss_curve_")


class BaseMLP(CallbackSupportMixin, BaseEstimator):
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
    # The parameters of both, as they were given.
    hidden_layer_sizes: int | ArrayLike
    activation: Activation | Literal["logistic"]
    solver: Solver
    alpha: float
    batch_size: int | Literal["auto"]
    learning_rate: RateMode | Callable[[int], float]
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    dropout: float | Sequence[float]
    clip_norm: float | None
    initializer: Initializer | None
    callbacks: Callback | Sequence[Callback] | None
    n_threads: int | None
    max_time: float | None
    label_smoothing = 0.0
    # scikit-learn's class of this kind.
    _sklearn_name: ClassVar[str]
    # Class and parameters that were found valid last.
    _valid: ClassVar[tuple[Any, ...]] = ()

    def _keep(self, parameters: dict[str, Any]) -> None:
        """Keep what `__init__` was given: all of its local variables, each under its own name."""
        for name, value in parameters.items():
            if name != "self":
                setattr(self, name, value)

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

    def _output(self) -> tuple[Output, LossName, str]:
        """Return the network's output, its loss, and scikit-learn's name of the output."""
        raise NotImplementedError

    def _score_of(self, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> float:
        raise NotImplementedError

    def _held_out_targets(self, y: Any) -> np.ndarray:
        raise NotImplementedError

    def _held_out_table(self, X: Any) -> Any:
        checks.refuse_masked("X_val", X)
        table = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False)
        refuse_times("X_val", X)
        require_format(table)
        return table

    def _example_weights(self, weights: np.ndarray | None, y: np.ndarray) -> np.ndarray | None:
        return weights

    # Fitting.

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, incremental: bool, X_val: Any = None, y_val: Any = None
    ) -> "BaseMLP":
        hidden: Any = self.hidden_layer_sizes
        hidden = [operator.index(n) for n in (hidden if hasattr(hidden, "__iter__") else [hidden])]
        if any(n <= 0 for n in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together, got only one of them")
        if X_val is not None and self.solver == "lbfgs":
            raise ValueError("X_val and y_val do not go with solver='lbfgs', which has no epochs to choose from")
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        given = X, y, sample_weight
        X, y = self._checked_targets(X, y, incremental, first)
        if sample_weight is not None:
            checks.refuse_masked("sample_weight", sample_weight)
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
            refuse_times("sample_weight", given[2])
            if sample_weight.min() < 0:
                raise ValueError(f"sample_weight must not be negative, got {sample_weight.min()}")
            if not sample_weight.any():
                raise ValueError("sample_weight must not be zero for all samples")
        weights = self._example_weights(sample_weight, y)
        if weights is not None and not incremental and not weights.any():
            raise ValueError("class_weight must not be zero for all samples that have a sample_weight")
        if weights is not None:
            # Finite ones may have a sum that is not, by which every step would be divided.
            name = "class_weight" if sample_weight is None else "sample_weight"
            weights = checks.example_weights(name, weights, weights.size)
        held_out = None
        if X_val is not None:
            held_out = self._held_out_table(X_val), self._held_out_targets(y_val)
            X_val, y_val = held_out
            if y_val.shape[0] != X_val.shape[0]:
                raise ValueError(
                    f"y_val must have one entry for each of the {X_val.shape[0]} rows of X_val, got {y_val.shape[0]}"
                )
            if y_val.shape[0] < 2:
                raise ValueError("The validation set is too small. X_val must have at least 2 rows, got 1.")
            if y_val.shape[1:] != y.shape[1:]:
                raise ValueError(f"y_val must have the columns of y, {self._n_outputs(y)}, got shape {y_val.shape}")
        self.n_outputs_ = self._n_outputs(y)
        sizes = (X.shape[1], *hidden, self.n_outputs_)
        # All that can be checked is, before anything is drawn from a stream that others may use.
        dropout, callbacks = self._dropout(len(hidden)), self._callbacks()
        self._random_state = random_stream(self.random_state)
        if first:
            self._initialize(sizes, X.dtype)
        network = self._current_network()
        if network.layer_sizes != sizes:
            raise ValueError(
                f"hidden_layer_sizes must give the layers of the fit before, {network.layer_sizes}, got {sizes}"
            )
        self._require_writeable()
        training = self._training(dropout)
        tasks = FitTasks(self, self.max_iter, *given) if not incremental and wants_tasks(self) else None
        # Loss and kind of targets may have changed since the weights were drawn.
        output, _, self.out_activation_ = self._output()
        architecture = network._architecture
        if architecture.output != output:
            architecture = replace(architecture, output=output)
        if tasks is not None:
            callbacks = (*callbacks, tasks)
        if self.solver == "lbfgs":
            fit_lbfgs(self, network, architecture, training, X, y, weights, callbacks)
        else:
            fit = StochasticFit(self, network, architecture, training, X, y, weights, held_out, incremental)
            fit.run(callbacks)
        if tasks is not None:
            tasks.finish()
        if not np.isfinite(self.network_.vector).all():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be"
                " preprocessed."
            )
        return self

    def _n_outputs(self, y: np.ndarray) -> int:
        return 1 if y.ndim == 1 else y.shape[1]

    def _initialize(self, sizes: tuple[int, ...], dtype: np.dtype) -> None:
        """Draw the first weights, as scikit-learn does unless an initializer is given."""
        # Its moments are of another network.
        self.__dict__.pop("_optimizer", None)
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
            self._begin_curves()

    def _begin_curves(self) -> None:
        """Set what the epochs of a stochastic solver fill."""
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_ = np.inf
        self.validation_scores_ = self.best_validation_score_ = None

    def _activation(self) -> str | Callable[[float], tuple[float, float]]:
        """The network's name of the activation, or a user's function."""
        return "sigmoid" if isinstance(self.activation, str) and self.activation == "logistic" else self.activation

    def _new_network(self, sizes: tuple[int, ...], dtype: np.dtype) -> Network:
        output = self._output()[0]
        if callable(self.activation):
            return Network(sizes, self.activation, output, "zeros", dtype)
        hidden = (checks.one_of("activation", self._activation(), HIDDEN_ACTIVATIONS),) * (len(sizes) - 2)
        return Network._of_zeros(Architecture(sizes, hidden, output, dtype))

    def _adopt(self, network: Network) -> None:
        """Let the fitted attributes be views of a network's parameters."""
        layers = range(1, len(network.layer_sizes))
        self.coefs_ = [network.parameters[f"W{layer}"].T for layer in layers]
        self.intercepts_ = [network.parameters[f"b{layer}"][:, 0] for layer in layers]
        self._views = (*self.coefs_, *self.intercepts_)
        # For predictions, by number of threads.
        self._engines: dict[int | None, EstimatorEngine] = {}
        self.network_ = network

    def _current_network(self) -> Network:
        """Return the network of the present `coefs_` and `intercepts_`, which may be the user's own or unpickled."""
        views = self.__dict__.get("_views")
        present = (*self.coefs_, *self.intercepts_)
        if views is not None and len(views) == len(present) and all(map(operator.is_, views, present)):
            network = self.network_
            # The parameter may have changed since.
            if network.hidden_activations[:1] in ((), (self._activation(),)):
                return network
        coefs, intercepts = [np.asarray(c) for c in self.coefs_], [np.asarray(b) for b in self.intercepts_]
        # Of either byte order.
        dtype = np.dtype(np.float32 if coefs[0].dtype.newbyteorder("=") == np.float32 else np.float64)
        network = self._new_network((coefs[0].shape[0], *(c.shape[1] for c in coefs)), dtype)
        for layer, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True), start=1):
            W = network.parameters[f"W{layer}"]
            if coef.shape != W.T.shape:
                raise ValueError(f"coefs_[{layer - 1}] must have shape {W.T.shape}, got shape {coef.shape}")
            W[:] = coef.T
            network.parameters[f"b{layer}"][:, 0] = intercept
        self._adopt(network)
        return network

    def _require_writeable(self) -> None:
        """Raise if weights that training would change were made read-only: it writes by their addresses."""
        network = self.network_
        if all(array.flags.writeable for array in (network.vector, *network.parameters.values(), *self._views)):
            return
        named = {"network_.vector": network.vector}
        named |= {f"network_.parameters[{name!r}]": array for name, array in network.parameters.items()}
        layers = len(self._views) // 2
        named |= {f"coefs_[{k}]": array for k, array in enumerate(self._views[:layers])}
        named |= {f"intercepts_[{k}]": array for k, array in enumerate(self._views[layers:])}
        names = ", ".join(name for name, array in named.items() if not array.flags.writeable)
        raise ValueError(f"{names} must be writeable to be trained, got a read-only array")

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__().copy()
        for name in ("network_", "_views", "_engines"):
            state.pop(name, None)
        if "coefs_" in state:
            # Copies, because views are pickled with all they lie in, and a copied estimator has weights of its own.
            state["coefs_"] = [np.array(c, order="C") for c in state["coefs_"]]
            state["intercepts_"] = [np.array(b) for b in state["intercepts_"]]
        return state

    def __copy__(self) -> "BaseMLP":
        # Parameters are shared, as by any shallow copy, and nothing that a further fit writes into.
        state = self.__getstate__()
        for name in _CHANGED_IN_PLACE:
            if name in state:
                state[name] = copy.deepcopy(state[name])
        other = type(self).__new__(type(self))
        other.__setstate__(state)
        return other

    def __getattr__(self, name: str) -> Any:
        # After unpickling the network is made when it is first asked for.
        if name == "network_" and "coefs_" in self.__dict__:
            return self._current_network()
        # Raises once more what brought us here, such as scikit-learn's reason why there is no `partial_fit`.
        return super().__getattribute__(name)

    def _dropout(self, n_hidden: int) -> tuple[float, ...]:
        """Return the fractions of units dropped, by layer."""
        dropout = dropout_rates(self.dropout, n_hidden)
        if self.solver == "lbfgs":
            for name, value in (("dropout", any(dropout)), ("clip_norm", self.clip_norm)):
                if value:
                    raise ValueError(f"{name} does not go with solver='lbfgs', which needs one cost for all its steps")
        return dropout

    def _training(self, dropout: tuple[float, ...]) -> Training:
        l2 = 0.0 if self.solver == "adamw" else float(self.alpha)
        return Training(
            Objective(self._output()[1], l2, dropout, float(self.label_smoothing)),
            rule_of(self),
            clip_norm=None if self.clip_norm is None else float(self.clip_norm),
            seed=int(self._random_state.randint(np.iinfo(np.int32).max)) if any(dropout) else 0,
        )

    def _callbacks(self) -> tuple[Callable[..., Any], ...]:
        given = self.callbacks
        if given is None:
            return ()
        return checks.functions("callbacks", (given,) if callable(given) else given)

    def get_learning_rate(self) -> float:
        """Return the learning rate of the next step."""
        if self.solver == "lbfgs":
            raise TypeError("solver='lbfgs' has no learning rate")
        solver = self._optimizer
        return solver.learning_rate if solver.schedule is None else float(solver.schedule(solver.state.step))

    def set_learning_rate(self, rate: float) -> None:
        """Go on with a constant learning rate; for callbacks."""
        self._optimizer.learning_rate = checks.not_negative("rate", rate)
        self._optimizer.schedule, self._optimizer.mode = None, "constant"

    def _threads(self) -> int | None:
        """Threads that the engine may use: in a worker process one, unless the user says otherwise."""
        n_threads: int | None = self.n_threads
        if n_threads is not None:
            return n_threads
        given = os.environ.get("OMP_NUM_THREADS", "")
        if given.isdigit() and int(given) > 0:
            return int(given)
        if multiprocessing.parent_process() is not None and "NUMBA_NUM_THREADS" not in os.environ:
            return 1
        return None

    # Applying.

    def _outputs(self, X: Any) -> np.ndarray:
        """Outputs of the network, one example in each row."""
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)
        X = checked_table(self, X)
        if X.shape[1] != len(self.coefs_[0]):
            raise ValueError(f"X must have {len(self.coefs_[0])} features, as coefs_[0] has rows, got {X.shape[1]}")
        network, threads = self._current_network(), self._threads()
        engine: EstimatorEngine | None
        if X.dtype is not network.dtype and network.dtype == np.float32 and largest(X) > LARGEST_FOR_FLOAT32:
            wider = self._new_network(network.layer_sizes, np.dtype(np.float64))
            wider.vector[:] = network.vector
            network, engine = wider, engine_for(wider._architecture, None, threads)
        else:
            engine = self._engines.get(threads)
        if engine is None:
            engine = self._engines[threads] = engine_for(network._architecture, None, threads)
        out = engine.predict(network.vector, engine_columns(X, network.dtype), by_example=True)
        return np.exp(out, out=out) if self.out_activation_ == "exp" else out

    # Elsewhere.

    to_sklearn, to_torch = export.to_sklearn, export.to_torch

    @classmethod
    @wraps(export.from_sklearn, assigned=["__doc__"])
    def from_sklearn(cls, model: Any) -> Self:  # noqa: D102
        return export.from_sklearn(cls, model)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def is_stochastic(estimator: BaseMLP) -> bool:
    """Whether an estimator can learn from parts of the data; raises AttributeError if not, for `available_if`."""
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True
