"""The classifier: labels, class weights, probabilities."""

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import check_array

from fastnn.activations import Activation
from fastnn.callbacks import Callback
from fastnn.checks import refuse_masked
from fastnn.estimators.base import BaseMLP, RateMode, Solver, is_stochastic
from fastnn.estimators.documentation import documented
from fastnn.estimators.refusals import UndoneIfRefused
from fastnn.estimators.tables import Table, checked_pair
from fastnn.initializers import Initializer
from fastnn.losses import LossName, Output

__all__ = ["MLPClassifier"]


@documented
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier with scikit-learn's interface and numbers.

    With equal parameters and `random_state`, weights, losses, epochs and predictions are those of
    `sklearn.neural_network.MLPClassifier`, to rounding.

    Parameters
    ----------
    {parameters}
    class_weight : dict or 'balanced', default=None
        Factors of the sample weights, by class.
    label_smoothing : float, default=0.0
        Fraction of a target that is spread over all classes.

    Attributes
    ----------
    classes_ : numpy.ndarray
        The classes.
    {attributes}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastnn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = MLPClassifier((20,), solver="lbfgs", max_iter=200, random_state=0).fit(X, y)
    >>> bool(classifier.score(X, y) > 0.95)
    True
    """

    _sklearn_name = "MLPClassifier"
    classes_: np.ndarray
    class_weight: Mapping[Any, float] | Literal["balanced"] | None
    label_smoothing: float
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
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
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        clip_norm: float | None = None,
        initializer: Initializer | None = None,
        label_smoothing: float = 0.0,
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
    ) -> "MLPClassifier":
        """Fit the classifier.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
            Examples in rows; float32 and float64 are read where they are.
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
            Classes, or indicators of several labels.
        sample_weight : array-like, shape (n_samples,), optional
            Weights of the examples, not negative.
        X_val, y_val : array-like, optional
            Held-out data in place of the split of early stopping: training ends when their score does not improve, and
            the best weights are restored.

        Returns
        -------
        MLPClassifier
            Itself.
        """
        with UndoneIfRefused(self):
            return self._fit(X, y, sample_weight, False, X_val, y_val)

    @available_if(is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Table, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> "MLPClassifier":
        """Train for one epoch more.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like, optional
            All classes; needed in the first call.

        Returns
        -------
        MLPClassifier
            Itself.
        """
        # scikit-learn looks at the parameters of a first part only.
        self._validate_params()
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight must be a dict or None for partial_fit, which does not see all examples, got 'balanced': "
                "sklearn.utils.class_weight.compute_class_weight gives the dict"
            )
        with UndoneIfRefused(self):
            if _check_partial_fit_first_call(self, classes):
                known = self.classes_
                self._learn_classes(y if type_of_target(y).startswith("multilabel") else classes)
                self.classes_ = known
            return self._fit(X, y, sample_weight, True)

    def _checked_targets(self, X: Any, y: Any, incremental: bool, first: bool) -> tuple[Any, np.ndarray]:
        X, y = checked_pair(self, X, y, first, "iub", numeric=False)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            numbers = self._learn_classes(y)
            if numbers is not None:
                return X, numbers
        else:
            classes = unique_labels(y)
            if self.warm_start:
                if set(classes) != set(self.classes_):
                    raise ValueError(
                        "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                        f"Previously got {self.classes_}, `y` has {classes}"
                    )
            elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
                raise ValueError(
                    f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
                )
        return X, self._encoded(y)

    def _learn_classes(self, y: Any) -> np.ndarray | None:
        """Take in what classes there are; the encoded classes, if that came out of it."""
        self._labels = None
        if type(y) is np.ndarray and y.ndim == 1 and y.size and y.dtype.kind in "iub" and y.dtype.isnative:
            # What LabelBinarizer finds, faster.
            self.classes_, numbers = np.unique(y, return_inverse=True)
            return numbers.astype(np.uint8) if len(self.classes_) <= 2 else numbers
        binarizer = LabelBinarizer().fit(y)
        self.classes_ = binarizer.classes_
        if binarizer.y_type_.startswith("multilabel"):
            self._labels = binarizer
        return None

    @property
    def _binarizer(self) -> LabelBinarizer:
        """scikit-learn's own form of the classes."""
        return LabelBinarizer().fit(self.classes_) if self._labels is None else self._labels

    def _encoded(self, y: Any) -> np.ndarray:
        """Return classes as their numbers, and labels as 0 and 1."""
        if self._labels is not None:
            y = self._labels.transform(y)
            return np.ascontiguousarray(y.toarray() if hasattr(y, "toarray") else y, np.uint8)
        if len(self.classes_) == 1:
            return np.zeros(len(y), np.uint8)
        numbers: np.ndarray = np.searchsorted(self.classes_, y)
        return numbers.astype(np.uint8 if len(self.classes_) == 2 else np.int64)

    def _held_out_targets(self, y: Any) -> np.ndarray:
        refuse_masked("y_val", y)
        y = check_array(y, ensure_2d=False, dtype=None, accept_sparse="csr", input_name="y_val")
        if self._labels is None and y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y)
        if y.ndim != (1 if self._labels is None else 2):
            raise ValueError(f"y_val must have as many dimensions as y, got shape {y.shape}")
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if unknown.size:
            raise ValueError(f"y_val must have classes of y only, got {unknown}")
        return self._encoded(y)

    def _n_outputs(self, y: np.ndarray) -> int:
        if y.ndim == 2:
            return int(y.shape[1])
        return len(self.classes_) if len(self.classes_) > 2 else 1

    def _stratifies(self, y: np.ndarray) -> bool:
        return self.n_outputs_ == 1

    def _example_weights(self, weights: np.ndarray | None, y: np.ndarray) -> np.ndarray | None:
        if self.class_weight is None:
            return weights
        if y.ndim == 2:
            raise ValueError(f"class_weight must be None for several labels an example, got {self.class_weight!r}")
        numbers = np.arange(len(self.classes_))
        given = self.class_weight
        if isinstance(given, dict):
            unknown = set(given) - set(self.classes_.tolist())
            if unknown:
                raise ValueError(f"class_weight must have classes of y only, got {sorted(unknown, key=str)}")
            factors = np.array([float(given.get(c, 1.0)) for c in self.classes_.tolist()])
        else:
            factors = compute_class_weight(given, classes=numbers, y=y)
        if not np.isfinite(factors).all() or factors.min() < 0:
            raise ValueError(f"class_weight must have numbers that are not negative, got {given!r}")
        own: np.ndarray = factors[y]
        with np.errstate(over="ignore"):
            return own if weights is None else weights * own

    def _output(self) -> tuple[Output, LossName, str]:
        if self._labels is None and len(self.classes_) > 2:
            return "softmax", "cross_entropy", "softmax"
        return "sigmoid", "binary_cross_entropy", "logistic"

    def _numbers(self, outputs: np.ndarray) -> np.ndarray:
        if self._labels is None and len(self.classes_) > 2:
            numbers: np.ndarray = outputs.argmax(axis=1)
            return numbers
        decided: np.ndarray = (outputs > 0.5).astype(np.uint8)
        return decided[:, 0] if self._labels is None else decided

    def _score_of(self, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> float:
        if self.classes_.dtype.kind == "f" and not np.isfinite(outputs).all():
            return np.nan
        right = self._numbers(outputs) == y
        return float(np.average(right.all(axis=1) if right.ndim == 2 else right, weights=weights))

    def predict(self, X: Table) -> np.ndarray:
        """Predict classes.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
            Examples in rows.

        Returns
        -------
        numpy.ndarray, shape (n_samples,) or (n_samples, n_outputs)
            The classes.
        """
        outputs = self._outputs(X)
        if self._labels is not None:
            labels: np.ndarray = self._labels.inverse_transform(outputs)
            return labels
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(outputs))
        predicted: np.ndarray = self.classes_[self._numbers(outputs)]
        return predicted

    def predict_proba(self, X: Table) -> np.ndarray:
        """Compute probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
            Examples in rows.

        Returns
        -------
        numpy.ndarray, shape (n_samples, n_classes)
            Probabilities, of the weights' dtype.
        """
        outputs = self._outputs(X)
        if outputs.shape[1] > 1:
            return outputs
        both = np.empty((len(outputs), 2), outputs.dtype)
        both[:, 1] = outputs[:, 0]
        np.subtract(1, outputs[:, 0], out=both[:, 0])
        return both

    def predict_log_proba(self, X: Table) -> np.ndarray:
        """Compute logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
            Examples in rows.

        Returns
        -------
        numpy.ndarray, shape (n_samples, n_classes)
            Logarithms of the probabilities.
        """
        probabilities = self.predict_proba(X)
        np.log(probabilities, out=probabilities)
        return probabilities

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
