"""The regressor: targets of one output or several."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array

from fastnn.activations import Activation
from fastnn.callbacks import Callback
from fastnn.checks import refuse_masked
from fastnn.estimators.base import BaseMLP, RateMode, Solver, is_stochastic
from fastnn.estimators.documentation import documented
from fastnn.estimators.refusals import UndoneIfRefused
from fastnn.estimators.tables import Table, checked_pair, refuse_other_than_numbers
from fastnn.initializers import Initializer
from fastnn.losses import LossName, Output

__all__ = ["MLPRegressor"]


@documented
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor with scikit-learn's interface and numbers.

    With equal parameters and `random_state`, weights, losses, epochs and predictions are those of
    `sklearn.neural_network.MLPRegressor`, to rounding.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, default='squared_error'
        (a - y)^2 / 2, or half the Poisson deviance with the exponential function as output.
    {parameters}

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastnn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> regressor = MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.01, tol=1e-3, random_state=0)
    >>> bool(regressor.fit(10 * X, y / 100).score(10 * X, y / 100) > 0.4)
    True
    """

    _sklearn_name = "MLPRegressor"
    loss: Literal["squared_error", "poisson"]
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    def __init__(
        self,
        loss: Literal["squared_error", "poisson"] = "squared_error",
        hidden_layer_sizes: int | ArrayLike = (100,),
        activation: Activation | Literal["logistic"] = "relu",
        *,
        solver: Solver = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: RateMode | Callable[[int], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float | Sequence[float] = 0.0,
        clip_norm: float | None = None,
        initializer: Initializer | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        n_threads: int | None = None,
        max_time: float | None = None,
    ) -> None:
        self._keep(locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Table,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: Table | None = None,
        y_val: ArrayLike | None = None,
    ) -> "MLPRegressor":
        """Fit the regressor.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
            Examples in rows; float32 and float64 are read where they are.
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like, shape (n_samples,), optional
            Weights of the examples, not negative.
        X_val, y_val : array-like, optional
            Held-out data in place of the split of early stopping: training ends when their score does not improve, and
            the best weights are restored.

        Returns
        -------
        MLPRegressor
            Itself.
        """
        with UndoneIfRefused(self):
            return self._fit(X, y, sample_weight, False, X_val, y_val)

    @available_if(is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Table, y: ArrayLike, sample_weight: ArrayLike | None = None) -> "MLPRegressor":
        """Train for one epoch more.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        MLPRegressor
            Itself.
        """
        # scikit-learn looks at the parameters of a first part only.
        self._validate_params()
        with UndoneIfRefused(self):
            return self._fit(X, y, sample_weight, True)

    def _checked_targets(self, X: Any, y: Any, incremental: bool, first: bool) -> tuple[Any, np.ndarray]:
        X, y = checked_pair(self, X, y, first, "iuf", numeric=True)
        self._check_counts("y", y)
        return X, y

    def _check_counts(self, name: str, y: np.ndarray) -> None:
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"{name} must not be negative with loss='poisson', got {y.min()}")

    def _held_out_targets(self, y: Any) -> np.ndarray:
        refuse_masked("y_val", y)
        checked = check_array(y, ensure_2d=False, dtype="numeric", input_name="y_val")
        refuse_other_than_numbers("y_val", y, checked, np.dtype(np.float64))
        targets: np.ndarray = column_or_1d(checked) if checked.ndim == 2 and checked.shape[1] == 1 else checked
        self._check_counts("y_val", targets)
        return targets

    def _stratifies(self, y: np.ndarray) -> bool:
        return False

    def _output(self) -> tuple[Output, LossName, str]:
        return ("linear", "poisson", "exp") if self.loss == "poisson" else ("linear", "squared_error", "identity")

    def _score_of(self, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> float:
        if self.loss == "poisson":
            outputs = np.exp(outputs)
        if not np.isfinite(outputs).all():
            return np.nan
        return float(r2_score(y, outputs[:, 0] if y.ndim == 1 else outputs, sample_weight=weights))

    def predict(self, X: Table) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
            Examples in rows.

        Returns
        -------
        numpy.ndarray, shape (n_samples,) or (n_samples, n_outputs)
            Predictions, of the weights' dtype.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs
