"""scikit-learn estimators: its MLPs' parameters, attributes and numbers, and what its users have missed."""

from typing import Any, ClassVar

import numpy as np

from fastnn.validation import needed_module, refuse_masked

needed_module("sklearn", "scikit-learn", "fastnn.estimators")

from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context  # noqa: E402
from sklearn.metrics import r2_score  # noqa: E402
from sklearn.preprocessing import LabelBinarizer  # noqa: E402
from sklearn.utils import column_or_1d, compute_class_weight  # noqa: E402
from sklearn.utils._param_validation import Interval, StrOptions  # noqa: E402
from sklearn.utils.metaestimators import available_if  # noqa: E402
from sklearn.utils.multiclass import (  # noqa: E402
    _check_partial_fit_first_call,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_array  # noqa: E402

from fastnn._mlp import STOCHASTIC, BaseMLP, Real  # noqa: E402
from fastnn._refusals import UndoneIfRefused  # noqa: E402
from fastnn._tables import checked_pair, refuse_other_than_numbers  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]

_SHARED = """hidden_layer_sizes : array-like of int, default=(100,)
        Units of each hidden layer.
    activation : str or callable, default='relu'
        scikit-learn's 'identity', 'logistic', 'tanh' or 'relu'; besides 'leaky_relu', 'elu', 'selu', 'gelu', 'silu',
        'softplus', or a function as for `fastnn.Network`.
    solver : {'lbfgs', 'sgd', 'adam', 'adamw', 'rmsprop'}, default='adam'
        The first three are scikit-learn's; 'adamw' is `fastnn.AdamW` with `alpha` as its decoupled weight decay,
        'rmsprop' is `fastnn.RMSProp` with `beta_2` as rho. Weights have X's dtype, but those of 'lbfgs' are float64.
    alpha : float, default=0.0001
        The cost of a mini-batch contains alpha / (2 S) times the sum of squared weights, S its sum of sample weights.
    batch_size : int, default='auto'
        Examples in a mini-batch; 'auto' is min(200, n_samples).
    learning_rate : {'constant', 'invscaling', 'adaptive'} or callable, default='constant'
        The words hold for 'sgd' only, as in scikit-learn; a schedule, or any function of the step, for every stochastic
        solver.
    learning_rate_init : float, default=0.001
        First learning rate, where no schedule is given.
    power_t : float, default=0.5
        'invscaling': learning_rate_init / (t + 1)^power_t after t examples.
    max_iter : int, default=200
        Epochs at most; iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether each epoch has an order of its own.
    random_state : int, RandomState instance or None, default=None
        For first weights, the split of early stopping and shuffles, drawn as scikit-learn draws them.
    tol : float, default=1e-4
        Less than this is no improvement.
    verbose : bool, default=False
        Whether to print scikit-learn's lines.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before.
    momentum, nesterovs_momentum : float, bool, default=0.9, True
        Of 'sgd'.
    early_stopping : bool, default=False
        Whether to hold out part of the data, stop when its score does not improve, and restore the best weights.
    validation_fraction : float, default=0.1
        That part.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
        Of 'adam' and its kin.
    n_iter_no_change : int, default=10
        Epochs without improvement before training ends.
    max_fun : int, default=15000
        Evaluations of the cost by 'lbfgs' at most.
    dropout : float or sequence, default=0.0
        Share of units dropped in hidden layers; a sequence starts with the input.
    clip_norm : float, default=None
        Largest 2-norm of a step's gradient.
    initializer : str, default=None
        A rule of `fastnn.Network` for the first weights, biases at zero; None is scikit-learn's.
    callbacks : callable or sequence of callable, default=None
        Each is called as ``callback(estimator, history)`` after every epoch; a true value ends the training.
    n_threads : int, default=None
        Threads at most, -1 for all; None for as many as pay, and one in worker processes.
    max_time : float, default=None
        Seconds after which training ends with its epoch."""

_ATTRIBUTES = """coefs_, intercepts_ : list of numpy.ndarray
        Weights (n_in, n_out) and biases of each layer, views of `network_`.
    loss_, loss_curve_, best_loss_ : float, list of float, float
        Losses of the epochs, as scikit-learn has them.
    validation_scores_, best_validation_score_ : list of float, float
        Scores of the held-out data; None without any.
    validation_loss_curve_ : list of float
        Mean losses of the held-out data, without L2 and dropout; None without any.
    n_iter_, t_, n_layers_, n_outputs_, n_features_in_, feature_names_in_, out_activation_
        As in scikit-learn.
    history_ : History
        The last fit, epoch by epoch.
    network_ : Network
        The network itself."""


def _documented(cls: type) -> type:
    """Fill in what both docstrings share."""
    cls.__doc__ = cls.__doc__.replace("{parameters}", _SHARED).replace("{attributes}", _ATTRIBUTES)
    return cls


def _is_stochastic(estimator: BaseMLP) -> bool:
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


@_documented
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
        Share of a target that is spread over all classes.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self, hidden_layer_sizes=(100,), activation="relu", *, solver="adam", alpha=0.0001, batch_size="auto",
        learning_rate="constant", learning_rate_init=0.001, power_t=0.5, max_iter=200, shuffle=True,
        random_state=None, tol=1e-4, verbose=False, warm_start=False, momentum=0.9, nesterovs_momentum=True,
        early_stopping=False, validation_fraction=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8, n_iter_no_change=10,
        max_fun=15000, dropout=0.0, class_weight=None, clip_norm=None, initializer=None, label_smoothing=0.0,
        callbacks=None, n_threads=None, max_time=None,
    ):  # fmt: skip
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.class_weight = class_weight
        self.clip_norm = clip_norm
        self.initializer = initializer
        self.label_smoothing = label_smoothing
        self.callbacks = callbacks
        self.n_threads = n_threads
        self.max_time = max_time

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> "MLPClassifier":
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

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> "MLPClassifier":
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
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
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
            # What LabelBinarizer finds, sooner.
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
        return np.searchsorted(self.classes_, y).astype(np.uint8 if len(self.classes_) == 2 else np.int64)

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
            return y.shape[1]
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
        own = factors[y]
        with np.errstate(over="ignore"):
            return own if weights is None else weights * own

    def _output(self) -> tuple[str, str, str]:
        if self._labels is None and len(self.classes_) > 2:
            return "softmax", "cross_entropy", "softmax"
        return "sigmoid", "binary_cross_entropy", "logistic"

    def _numbers(self, outputs: np.ndarray) -> np.ndarray:
        if self._labels is None and len(self.classes_) > 2:
            return outputs.argmax(axis=1)
        decided = (outputs > 0.5).astype(np.uint8)
        return decided[:, 0] if self._labels is None else decided

    def _score_of(self, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> float:
        if self.classes_.dtype.kind == "f" and not np.isfinite(outputs).all():
            return np.nan
        right = self._numbers(outputs) == y
        return float(np.average(right.all(axis=1) if right.ndim == 2 else right, weights=weights))

    def predict(self, X: Any) -> np.ndarray:
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
            return self._labels.inverse_transform(outputs)
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(outputs))
        return self.classes_[self._numbers(outputs)]

    def predict_proba(self, X: Any) -> np.ndarray:
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

    def predict_log_proba(self, X: Any) -> np.ndarray:
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
        return np.log(probabilities, out=probabilities)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@_documented
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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    def __init__(
        self, loss="squared_error", hidden_layer_sizes=(100,), activation="relu", *, solver="adam", alpha=0.0001,
        batch_size="auto", learning_rate="constant", learning_rate_init=0.001, power_t=0.5, max_iter=200,
        shuffle=True, random_state=None, tol=1e-4, verbose=False, warm_start=False, momentum=0.9,
        nesterovs_momentum=True, early_stopping=False, validation_fraction=0.1, beta_1=0.9, beta_2=0.999,
        epsilon=1e-8, n_iter_no_change=10, max_fun=15000, dropout=0.0, clip_norm=None, initializer=None,
        callbacks=None, n_threads=None, max_time=None,
    ):  # fmt: skip
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.clip_norm = clip_norm
        self.initializer = initializer
        self.callbacks = callbacks
        self.n_threads = n_threads
        self.max_time = max_time

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> "MLPRegressor":
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

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MLPRegressor":
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
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._check_counts("y", y)
        return X, y

    def _check_counts(self, name: str, y: np.ndarray) -> None:
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"{name} must not be negative with loss='poisson', got {y.min()}")

    def _held_out_targets(self, y: Any) -> np.ndarray:
        refuse_masked("y_val", y)
        checked = check_array(y, ensure_2d=False, dtype="numeric", input_name="y_val")
        refuse_other_than_numbers("y_val", y, checked, np.dtype(np.float64))
        y = column_or_1d(checked) if checked.ndim == 2 and checked.shape[1] == 1 else checked
        self._check_counts("y_val", y)
        return y

    def _stratifies(self, y: np.ndarray) -> bool:
        return False

    def _output(self) -> tuple[str, str, str]:
        return ("linear", "poisson", "exp") if self.loss == "poisson" else ("linear", "squared_error", "identity")

    def _score_of(self, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> float:
        if self.loss == "poisson":
            outputs = np.exp(outputs)
        if not np.isfinite(outputs).all():
            return np.nan
        return float(r2_score(y, outputs[:, 0] if y.ndim == 1 else outputs, sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray:
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
