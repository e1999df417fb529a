"""Fitted estimators as scikit-learn's, and back, and as PyTorch modules; from scikit-learn's on, as ONNX.

The estimators' methods ``to_sklearn``, ``from_sklearn`` and ``to_torch`` are these functions; what they need to know of
an estimator is in `Convertible`.
"""

import copy
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastnn.activations import TORCH_MODULES
from fastnn.checks import needed_module
from fastnn.history import History
from fastnn.interrupts import imported

_SKLEARN_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
_SKLEARN_SOLVERS = ("lbfgs", "sgd", "adam")
_SKLEARN_RATES = ("constant", "invscaling", "adaptive")

# What both fits leave, besides weights, classes and random numbers.
_COMMON = (
    "n_features_in_", "feature_names_in_", "n_layers_", "n_outputs_", "out_activation_", "n_iter_", "t_", "loss_",
    "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_", "_no_improvement_count",
    "_random_state", "classes_",
)  # fmt: skip


class Convertible(Protocol):
    """What an estimator that is converted has."""

    _sklearn_name: ClassVar[str]
    activation: str | Callable[[float], tuple[float, float]]
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    out_activation_: str
    history_: History
    validation_loss_curve_: list[float] | None
    _labels: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name."""

    def _current_network(self) -> object:
        """Take the weights in."""


Estimator = TypeVar("Estimator", bound=Convertible)


def to_sklearn(estimator: Convertible) -> Any:
    """Make scikit-learn's estimator with the weights of this one.

    It predicts the same, to rounding, and knows nothing of fastnn: it can be pickled for a place without it, or
    converted by skl2onnx. Solvers that scikit-learn has not become 'adam', schedules 'constant', and parameters that
    it has not are dropped; they matter to further training only, which begins with fresh moments.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        Fitted, with arrays of its own.

    Raises
    ------
    ValueError
        If scikit-learn has no such activation.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastnn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> ours = MLPClassifier((20,), solver="lbfgs", max_iter=200, random_state=0).fit(X, y)
    >>> theirs = ours.to_sklearn()
    >>> type(theirs).__module__.split(".")[0], bool((theirs.predict(X) == ours.predict(X)).all())
    ('sklearn', True)
    """
    _check_fitted(estimator)
    activation = "logistic" if estimator.activation == "sigmoid" else estimator.activation
    if not isinstance(activation, str) or activation not in _SKLEARN_ACTIVATIONS:
        known = ", ".join(_SKLEARN_ACTIVATIONS)
        raise ValueError(f"activation must be one that scikit-learn has ({known}), got {_shown(activation)}")
    cls = _sklearn_class(type(estimator))
    model = cls()
    given = estimator.get_params(deep=False)
    model.set_params(**{name: copy.deepcopy(given[name]) for name in model.get_params() if name in given})
    model.activation = activation
    if model.solver not in _SKLEARN_SOLVERS:
        model.solver = "adam"
    if model.learning_rate not in _SKLEARN_RATES:
        model.learning_rate = "constant"
    _take(_COMMON, estimator, model)
    model.coefs_, model.intercepts_ = _arrays(estimator)
    model._best_coefs, model._best_intercepts = _arrays(estimator)
    if hasattr(estimator, "_binarizer"):
        model._label_binarizer = copy.deepcopy(estimator._binarizer)
    if not model.early_stopping and getattr(model, "best_loss_", 0.0) is None:
        # The fit had X_val, which scikit-learn knows not: from here on it compares losses.
        model.best_loss_ = min(model.loss_curve_, default=np.inf)
    return model


def from_sklearn(cls: type[Estimator], model: Any) -> Estimator:
    """Make a fitted estimator with the parameters and weights of scikit-learn's.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        Fitted, and of the same kind.

    Returns
    -------
    fastnn.MLPClassifier or fastnn.MLPRegressor
        Fitted, with arrays of its own; it predicts the same, to rounding. Further training begins with fresh moments.

    Raises
    ------
    TypeError
        If the model is of another kind.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Examples
    --------
    >>> from sklearn import neural_network
    >>> from sklearn.datasets import load_iris
    >>> from fastnn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> theirs = neural_network.MLPClassifier((20,), solver="lbfgs", max_iter=200, random_state=0).fit(X, y)
    >>> ours = MLPClassifier.from_sklearn(theirs)
    >>> bool((theirs.predict(X) == ours.predict(X)).all())
    True
    """
    theirs = _sklearn_class(cls)
    if not isinstance(model, theirs):
        raise TypeError(f"model must be a sklearn.neural_network.{theirs.__name__}, got {type(model).__name__}")
    check_is_fitted(model)
    known = cls().get_params()
    estimator = cls(**{k: copy.deepcopy(v) for k, v in model.get_params(deep=False).items() if k in known})
    _take(_COMMON, model, estimator)
    if hasattr(model, "_label_binarizer"):
        binarizer = model._label_binarizer
        estimator._labels = copy.deepcopy(binarizer) if binarizer.y_type_.startswith("multilabel") else None
    estimator.coefs_, estimator.intercepts_ = _arrays(model)
    estimator.history_ = History()
    scores = getattr(model, "validation_scores_", None)
    # scikit-learn keeps no losses beside its scores.
    estimator.validation_loss_curve_ = None if scores is None else [np.nan] * len(scores)
    estimator._current_network()
    return estimator


def to_torch(estimator: Convertible) -> Any:
    """Make a PyTorch module with the weights of this estimator.

    It takes (n_samples, n_features) and returns what `predict_proba` does, or `predict` of a regressor, in columns: one
    for two classes, the probability of the second. Dropout is left out, as it is when the estimator predicts.

    Returns
    -------
    torch.nn.Sequential
        Linear layers and activations, of the weights' dtype, with parameters of its own.

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
    >>> from sklearn.datasets import load_iris
    >>> from fastnn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = MLPClassifier((20,), solver="lbfgs", max_iter=200, random_state=0).fit(X, y)
    >>> import torch  # doctest: +SKIP
    >>> classifier.to_torch()(torch.from_numpy(X)).argmax(dim=1)[:3]  # doctest: +SKIP
    tensor([0, 0, 0])
    """
    _check_fitted(estimator)
    activation = estimator.activation
    if not isinstance(activation, str):
        raise ValueError(f"activation must be a name, which PyTorch has a module for, got {_shown(activation)}")
    torch = needed_module("torch", "PyTorch", "to_torch")
    nn = torch.nn
    module, options = TORCH_MODULES["sigmoid" if activation == "logistic" else activation]
    outputs: dict[str, Callable[[], tuple[Any, ...]]] = {
        "identity": tuple, "logistic": lambda: (nn.Sigmoid(),), "softmax": lambda: (nn.Softmax(dim=1),),
        "exp": lambda: (_exp_module()(),),
    }  # fmt: skip
    layers: list[Any] = []
    for coef, intercept in zip(*_arrays(estimator), strict=True):
        if layers:
            layers.append(getattr(nn, module)(**options))
        weight = torch.from_numpy(np.array(coef.T, order="C"))
        # Without PyTorch's own first weights, which would move its global stream.
        linear = nn.utils.skip_init(nn.Linear, *coef.shape, dtype=weight.dtype)
        with torch.no_grad():
            linear.weight.copy_(weight)
            linear.bias.copy_(torch.from_numpy(intercept))
        layers.append(linear)
    return nn.Sequential(*layers, *outputs[estimator.out_activation_]())


def __getattr__(name: str) -> Any:
    # Where pickle finds the class, which cannot be made before PyTorch is there.
    if name == "Exp":
        return _exp_module()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _exp_module() -> type:
    """Return the module of a Poisson regression's output."""
    torch = needed_module("torch", "PyTorch", "fastnn.estimators.export.Exp")

    def forward(self: Any, x: Any) -> Any:
        return torch.exp(x)

    return type("Exp", (torch.nn.Module,), {"forward": forward, "__module__": __name__})


def _check_fitted(estimator: object) -> None:
    if not hasattr(type(estimator), "_sklearn_name"):
        raise TypeError(f"estimator must be a fastnn.MLPClassifier or MLPRegressor, got {type(estimator).__name__}")
    check_is_fitted(estimator)


def _sklearn_class(cls: type) -> Any:
    """Return scikit-learn's class for one of ours."""
    if isinstance(cls, type) and hasattr(cls, "_sklearn_name"):
        return getattr(imported("sklearn.neural_network"), cls._sklearn_name)
    raise TypeError(f"cls must be fastnn.MLPClassifier or fastnn.MLPRegressor, got {_shown(cls)}")


def _arrays(estimator: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return copies of weights and biases, in this machine's byte order."""

    def copies(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.array(array, array.dtype.newbyteorder("="), order="C") for array in arrays]

    return copies(estimator.coefs_), copies(estimator.intercepts_)


def _take(names: tuple[str, ...], source: Any, target: Any) -> None:
    for name in names:
        if name in source.__dict__:
            setattr(target, name, copy.deepcopy(source.__dict__[name]))


def _shown(value: object) -> str:
    return str(getattr(value, "__name__", "a function")) if callable(value) else repr(value)
