"""What a refused call leaves behind: an estimator as it was, to the last attribute, and a stream nobody drew from."""

import pickle
from functools import cache
from itertools import product

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse

import fastnn

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:invalid value encountered in cast:RuntimeWarning"
)

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(30, 4)
CLASSES = np.arange(30) % 3
REAL = X[:, 0] + 2
DATES = np.datetime64("2020-01-01") + np.arange(30)
MASKED = np.ma.masked_array(X, mask=X > 1)


def malformed(index=7):
    table = sparse.csr_matrix(X)
    table.indices[index] = 1_000_000
    return table


def raises(*_):
    raise RuntimeError("not today")


class Unwilling:
    """A callback that fails before the first epoch, when one before it has set a learning rate."""

    begin = staticmethod(raises)

    def __call__(self, owner, history):
        pass


class Eager(Unwilling):
    def begin(self, owner, history, epochs):
        owner.set_learning_rate(0.5)


def weights_of(value):
    return {"sample_weight": np.full(30, value)}


# Parameters, arguments instead of X and y, and methods; y is what the estimator wants.
BAD = {
    "dropout of other depth": ({"dropout": [0.1]}, {}, "fit partial"),
    "dropout with lbfgs": ({"dropout": 0.5, "solver": "lbfgs"}, {}, "fit"),
    "clip_norm with lbfgs": ({"clip_norm": 1.0, "solver": "lbfgs"}, {}, "fit"),
    "callbacks": ({"callbacks": [3]}, {}, "fit partial"),
    "callback's class": ({"callbacks": [fastnn.EarlyStopping]}, {}, "fit partial"),
    "callback's begin": ({"callbacks": [Eager(), Unwilling()]}, {}, "fit partial"),
    "callback of lbfgs": ({"callbacks": [Unwilling()], "solver": "lbfgs"}, {}, "fit"),
    "schedule raises": ({"learning_rate": raises}, {}, "fit"),
    "schedule of NaN": ({"learning_rate": lambda step: np.nan}, {}, "fit"),
    "schedule of words": ({"learning_rate": lambda step: "fast"}, {}, "fit"),
    "later rates": ({"learning_rate": lambda step: 0.1 if step < 2 else -1.0, "batch_size": 10}, {}, "fit"),
    "layer of 0": ({"hidden_layer_sizes": (5, 0)}, {}, "fit partial"),
    "layer of 3.5": ({"hidden_layer_sizes": (3.5,)}, {}, "fit partial"),
    "alpha": ({"alpha": -1.0}, {}, "fit partial"),
    "beta_1": ({"beta_1": 1.0}, {}, "fit partial"),
    "epsilon": ({"epsilon": 0.0}, {}, "fit partial"),
    "batch_size": ({"batch_size": 0}, {}, "fit partial"),
    "batch_size of words": ({"batch_size": "all"}, {}, "fit partial"),
    "n_threads": ({"n_threads": 0}, {}, "fit partial"),
    "clip_norm": ({"clip_norm": -1.0}, {}, "fit partial"),
    "seed": ({"random_state": -1}, {}, "fit partial"),
    "seed of words": ({"random_state": "zero"}, {}, "fit partial"),
    "activation": ({"activation": "no such"}, {}, "fit partial"),
    "activation of one number": ({"activation": lambda z: z}, {}, "fit"),
    "initializer": ({"initializer": "no such"}, {}, "fit"),
    "too few to hold out": ({"early_stopping": True, "validation_fraction": 0.01}, {}, "fit"),
    "weights of 0 for all but one": ({"early_stopping": True}, {"sample_weight": np.eye(30)[0]}, "fit"),
    "early stopping by parts": ({"early_stopping": True}, {}, "partial"),
    "fewer features": ({}, {"X": X[:, :3]}, "partial warm"),
    "NaN": ({}, {"X": np.where(X > 1, np.nan, X)}, "fit partial warm"),
    "one axis": ({}, {"X": X[:, 0]}, "fit partial warm"),
    "dates": ({}, {"X": np.stack([DATES] * 4, axis=1)}, "fit partial warm"),
    "masked": ({}, {"X": MASKED}, "fit partial warm"),
    "malformed": ({}, {"X": malformed()}, "fit partial warm"),
    "malformed columns": ({}, {"X": malformed().tocsr().copy().T}, "fit partial warm"),
    "fewer targets": ({}, {"y": CLASSES[:-1]}, "fit partial warm"),
    "NaN in y": ({}, {"y": np.where(CLASSES > 1, np.nan, CLASSES)}, "fit partial warm"),
    "masked y": ({}, {"y": np.ma.masked_array(CLASSES, mask=CLASSES > 1)}, "fit partial warm"),
    "complex y": ({}, {"y": CLASSES + 1j}, "fit partial warm"),
    "other layers": ({"hidden_layer_sizes": 9}, {}, "partial warm"),
    "negative weights": ({}, weights_of(-1.0), "fit partial warm"),
    "weights of 0": ({}, weights_of(0.0), "fit partial warm"),
    "weights of NaN": ({}, weights_of(np.nan), "fit partial warm"),
    "weights that overflow": ({}, weights_of(1e308), "fit partial warm"),
    "weights that vanish": ({}, weights_of(1e-305), "fit partial warm"),
    "masked weights": ({}, {"sample_weight": np.ma.masked_array(np.ones(30), mask=X[:, 0] > 0)}, "fit partial warm"),
    "durations for weights": ({}, {"sample_weight": DATES - DATES[0]}, "fit partial warm"),
    "fewer weights": ({}, {"sample_weight": np.ones(29)}, "fit partial warm"),
    "X_val alone": ({}, {"X_val": X}, "fit warm"),
    "fewer features held out": ({}, {"X_val": X[:, :3], "y_val": CLASSES}, "fit warm"),
    "fewer held out": ({}, {"X_val": X, "y_val": CLASSES[:-1]}, "fit warm"),
    "masked held out": ({}, {"X_val": MASKED, "y_val": CLASSES}, "fit warm"),
    "dates held out": ({}, {"X_val": np.stack([DATES] * 4, axis=1), "y_val": CLASSES}, "fit warm"),
    "malformed held out": ({}, {"X_val": malformed(), "y_val": CLASSES}, "fit warm"),
    "held out with lbfgs": ({"solver": "lbfgs"}, {"X_val": X, "y_val": CLASSES}, "fit"),
}  # fmt: skip
ONLY_CLASSIFIERS = {
    "class_weight of no class": ({"class_weight": {7: 1.0}}, {}, "fit partial"),
    "class_weight balanced": ({"class_weight": "balanced"}, {}, "partial"),
    "class_weight of 0": ({"class_weight": {0: 0, 1: 0, 2: 0}}, {}, "fit"),
    "class_weight that overflows": ({"class_weight": {0: 1e308, 1: 1e308}}, {}, "fit partial"),
    "label_smoothing": ({"label_smoothing": 1.0}, {}, "fit partial"),
    "other classes": ({}, {"y": CLASSES + 1}, "partial warm"),
    "dates for classes": ({}, {"y": DATES[CLASSES]}, "partial warm"),
    "NaT": ({}, {"y": np.where(CLASSES > 1, np.datetime64("NaT"), DATES)}, "fit"),
    "other classes given": ({}, {"classes": [0, 1, 2, 3]}, "partial"),
    "unknown held out": ({}, {"X_val": X, "y_val": CLASSES + 1}, "fit warm"),
    "lone class held out": ({"early_stopping": True}, {"y": (np.arange(30) == 3).astype(int)}, "fit"),
}
ONLY_REGRESSORS = {
    "words": ({}, {"y": np.array(["a", "b", "c"])[CLASSES]}, "fit partial warm"),
    "numbers as words": ({}, {"y": CLASSES.astype(str)}, "fit partial warm"),
    "dates in y": ({}, {"y": DATES}, "fit partial warm"),
    "sparse": ({}, {"y": sparse.csr_matrix(X)}, "fit partial warm"),
    "negative counts": ({"loss": "poisson"}, {"y": -REAL}, "fit"),
    "dates in y_val": ({}, {"X_val": X, "y_val": DATES}, "fit warm"),
}


@cache
def fitted(name, state):
    """An estimator; refused calls may all have the same one."""
    y = CLASSES if name == "MLPClassifier" else REAL
    model = getattr(fastnn, name)(hidden_layer_sizes=5, max_iter=3, random_state=None)
    return model if state == "new" else model.fit(X, y, X_val=X, y_val=y).partial_fit(X, y)


def in_state(name, state):
    """An estimator in one of its states, and what it is fitted to."""
    model = fitted(name, state)
    if state == "own weights":
        model = pickle.loads(pickle.dumps(model))
        model.coefs_ = [np.ones((4, 5)), np.ones((5, 3 if name == "MLPClassifier" else 1))]
    return model, CLASSES if name == "MLPClassifier" else REAL


def picture(value):
    """Whatever could be changed about a value, and which value it is."""
    if isinstance(value, np.ndarray):
        return id(value), value.dtype, value.shape, value.flags.writeable, value.tobytes()
    if isinstance(value, np.random.RandomState):
        _, key, *rest = value.get_state()
        return key.tobytes(), rest
    if isinstance(value, list | tuple):
        return [picture(item) for item in value]
    if isinstance(value, dict):
        return {key: picture(item) for key, item in value.items()}
    if type(value).__module__.startswith("fastnn.") and hasattr(value, "__dict__"):
        return id(value), picture(vars(value))
    return repr(value) if isinstance(value, int | float | str | None) else id(value)


# Refused only by an estimator that has been fitted.
FIT_BEFORE = ("other layers", "other classes", "other classes given", "fewer features")
STATES = ("new", "fitted", "own weights")


@pytest.mark.parametrize(
    ("name", "bad"),
    [(name, bad) for name in ("MLPClassifier", "MLPRegressor") for bad in BAD]
    + [("MLPClassifier", bad) for bad in ONLY_CLASSIFIERS]
    + [("MLPRegressor", bad) for bad in ONLY_REGRESSORS],
)
def test_a_refused_fit_changes_nothing(name, bad):
    own = ONLY_CLASSIFIERS if name == "MLPClassifier" else ONLY_REGRESSORS
    parameters, arguments, methods = {**BAD, **own}[bad]
    stream = np.random.mtrand._rand
    for state, method in product(STATES, methods.split()):
        if state == "new" and (method == "warm" or bad in FIT_BEFORE):
            continue
        model, y = in_state(name, state)
        good = model.get_params()
        outputs = None if state == "new" else pickle.loads(pickle.dumps(model)).predict(X)
        model.set_params(warm_start=method == "warm", **parameters)
        given = {"X": X, "y": y, **arguments}
        if method == "partial" and state == "new" and name == "MLPClassifier":
            given["classes"] = [0, 1, 2]
        before = picture(vars(model)), picture(stream)
        with pytest.raises((ValueError, TypeError, RuntimeError)):
            (model.partial_fit if method == "partial" else model.fit)(**given)
        assert picture(vars(model)) == before[0], (state, method)
        assert picture(stream) == before[1], (state, method)
        model.set_params(**good)
        if outputs is not None:
            np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), outputs)


def test_a_callback_of_scikit_learns_that_fails_at_once_draws_nothing():
    pytest.importorskip("sklearn.callback")

    class Failing:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_end = setup
        on_fit_task_begin = raises

    model = fastnn.MLPClassifier(5, max_iter=3, random_state=None).fit(X, CLASSES)
    model.set_callbacks(Failing())
    before = picture(vars(model)), picture(np.random.mtrand._rand)
    with pytest.raises(RuntimeError, match="not today"):
        model.fit(X, CLASSES)
    assert picture(vars(model)) == before[0]
    assert picture(np.random.mtrand._rand) == before[1]
