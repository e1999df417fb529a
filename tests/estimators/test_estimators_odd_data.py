"""Data that are no numbers, or that hide some: refused where scikit-learn's estimators refuse them, in its words."""

import decimal
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn import neural_network

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(20, 3)
BINARY = (X[:, 0] > 0).astype(int)
REAL = X[:, 0] + 2
DAYS = np.datetime64("2020-01-01") + np.arange(20)
NAT = np.where(BINARY == 0, np.datetime64("NaT"), DAYS)

TABLES = {
    "dates": np.stack([DAYS] * 3, axis=1),
    "dates in ns": np.stack([DAYS.astype("M8[ns]")] * 3, axis=1),
    "NaT": np.stack([NAT] * 3, axis=1),
    "durations": np.stack([DAYS - DAYS[0]] * 3, axis=1),
    "dates in lists": [[day] * 3 for day in DAYS],
    "dates below numbers": np.array([*X.tolist()[:-1], [np.datetime64("NaT")] * 3], object),
    "dates below numbers in lists": [*X.tolist()[:-1], [DAYS[0], 1.0, 2.0]],
    "Python's dates": [[day] * 3 for day in DAYS.tolist()],
    "words": np.full((20, 3), "a"),
    "numbers as words": X.astype(str),
    "bytes": X.astype("S8"),
    "words in lists": X.astype(str).tolist(),
    "complex": X + 0j,
    "void": np.zeros((20, 3), "V8"),
    "records": np.zeros(20, [("a", float)]),
    "None": [[None, 1.0, 2.0]] * 20,
    "None in objects": np.where(X > 1, None, X.astype(object)),
    "objects of words": np.full((20, 3), "a", object),
    "objects of numbers": X.astype(object),
    "objects of dicts": np.array([[{}] * 3] * 20, object),
    "decimals": [[decimal.Decimal(1)] * 3] * 20,
    "huge": [[10**400, 1, 2]] * 20,
    "unequal rows": [[1.0, 2.0], [1.0]] * 10,
    "NaN": np.where(X > 1, np.nan, X),
    "infinity": np.where(X > 1, np.inf, X),
    "half": X.astype(np.float16),
    "long double": X.astype(np.longdouble),
    "swapped bytes": X.astype(">f8"),
    "bool": X > 0,
    "one axis": X[:, 0],
    "three axes": X[None],
    "a number": 3.0,
    "a word": "abc",
    "nothing": None,
    "no rows": X[:0],
    "no columns": X[:, :0],
    "a dict": {"a": [1.0]},
    "complex in sparse": sparse.csr_matrix(X + 1j),
    "NaN in sparse": sparse.csr_matrix(np.where(X > 1, np.nan, X)),
    "bool in sparse": sparse.csr_matrix(X > 0),
    "coordinates": sparse.coo_array(X),
}
TARGETS = {
    "dates": DAYS,
    "durations": DAYS - DAYS[0],
    "dates in ns": DAYS.astype("M8[ns]"),
    "a column of dates": DAYS[:, None],
    "dates in a list": list(DAYS),
    "Python's dates": DAYS.tolist(),
    "words": np.array(["a", "b"])[BINARY],
    "numbers as words": BINARY.astype(str),
    "numbers as words in a list": BINARY.astype(str).tolist(),
    "columns of words": np.stack([BINARY.astype(str)] * 2, axis=1),
    "bytes": np.array([b"a", b"b"])[BINARY],
    "complex": BINARY + 0j,
    "void": np.zeros(20, "V8"),
    "objects of words": np.array(["a", "b"], object)[BINARY],
    "objects of numbers": BINARY.astype(object),
    "objects of None": np.array([None, "a"], object)[BINARY],
    "objects of both": np.array([1, "a"], object)[BINARY],
    "objects of bytes": np.array([b"a", b"b"], object)[BINARY],
    "None in a list": [None, 1] * 10,
    "huge": [10**400, 1] * 10,
    "unequal rows": [[1], [1, 2]] * 10,
    "NaN": np.where(X[:, 1] > 1, np.nan, BINARY),
    "infinity": np.where(X[:, 1] > 1, np.inf, BINARY),
    "half": REAL.astype(np.float16),
    "bool": BINARY > 0,
    "columns of bool": X > 0,
    "real": REAL,
    "columns": np.c_[REAL, REAL],
    "three axes": np.zeros((20, 1, 1)),
    "a number": 1,
    "a word": "abc",
    "nothing": None,
    "none at all": BINARY[:0],
    "one less": BINARY[:-1],
    "a dict": {0: 1},
    "a set": {0, 1},
}
# scikit-learn makes numbers of dates here, also of NaT, and trains on them; what it fits then cannot predict.
STRICTER = (
    "dates", "dates in ns", "NaT", "durations", "dates in lists", "dates below numbers", "dates below numbers in lists",
)  # fmt: skip


def outcome(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return "works", call()
        except Exception as error:
            return type(error).__name__, str(error)


def model(module, name, **options):
    return getattr(module, name)(hidden_layer_sizes=2, max_iter=2, random_state=0, **options)


def both(name, call):
    """What both say: `call` is given a maker of estimators, and a fitted one."""
    y = BINARY if name == "MLPClassifier" else REAL
    said = []
    for module in (fastnn, neural_network):
        fitted = model(module, name).fit(X, y)
        said.append(outcome(lambda: call(model(module, name), fitted)))  # noqa: B023 - called at once
    return said


NAMES = pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])


@NAMES
@pytest.mark.parametrize("odd", TABLES)
def test_tables(odd, name):
    y = BINARY if name == "MLPClassifier" else REAL
    calls = [
        lambda new, fitted: new.fit(TABLES[odd], y).coefs_,
        lambda new, fitted: fitted.partial_fit(TABLES[odd], y).coefs_,
    ]
    for call in calls:
        ours, theirs = both(name, call)
        if odd in STRICTER:
            assert ours[0] == "TypeError"
            assert ours[1].startswith("X must hold numbers, got ")
        elif ours[0] == theirs[0] == "works":
            np.testing.assert_allclose(ours[1][0], theirs[1][0], rtol=1e-6)
        else:
            assert ours == theirs
    ours, theirs = both(name, lambda new, fitted: fitted.predict(TABLES[odd]))
    if ours[0] == theirs[0] == "works":
        np.testing.assert_allclose(ours[1], theirs[1].astype(float), rtol=1e-6)
    elif odd in STRICTER and theirs[0] == "works":
        assert ours[0] == "TypeError"
        assert ours[1].startswith("X must hold numbers, got ")
    else:
        assert ours == theirs


@NAMES
@pytest.mark.parametrize("odd", TARGETS)
def test_targets(odd, name):
    y = TARGETS[odd]

    def part(new, fitted):
        return new.partial_fit(X, y, **({"classes": [0, 1]} if name == "MLPClassifier" else {})).coefs_

    for call in (lambda new, fitted: new.fit(X, y).coefs_, part, lambda new, fitted: fitted.score(X, y)):
        ours, theirs = both(name, call)
        if ours[0] == theirs[0] == "works":
            np.testing.assert_allclose(
                ours[1][0] if call is part else 0, theirs[1][0] if call is part else 0, rtol=1e-6
            )
        else:
            assert ours == theirs


@pytest.mark.parametrize("classes", [[], [0, 1], np.array([]), np.array([0, 1, 2]), np.array(["a", "b"])], ids=str)
@pytest.mark.parametrize("y", [BINARY, np.c_[BINARY, BINARY, 1 - BINARY]], ids=["classes", "labels"])
def test_classes_of_a_first_part(classes, y):
    ours, theirs = both("MLPClassifier", lambda new, fitted: new.partial_fit(X, y, classes=classes).classes_.tolist())
    assert ours == theirs


def test_classes_may_be_of_a_nullable_type():
    pandas = pytest.importorskip("pandas")
    y = pandas.Series(BINARY, dtype="Int64")
    ours, theirs = both("MLPClassifier", lambda new, fitted: new.partial_fit(X, y, classes=y).predict(X).tolist())
    assert ours == theirs
    assert ours[0] == "works"


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.coo_array])
def test_targets_of_a_regression_are_dense(form):
    with pytest.raises(TypeError, match="Sparse data was passed for y, but dense data is required"):
        model(fastnn, "MLPRegressor").fit(X, form(X))


def test_dates_may_be_classes_but_not_nat():
    y = DAYS[BINARY]
    ours, theirs = both("MLPClassifier", lambda new, fitted: new.fit(X, y).predict(X).tolist())
    assert ours == theirs
    with pytest.raises(ValueError, match="Input y contains NaT"):
        model(fastnn, "MLPClassifier").fit(X, NAT)


@NAMES
def test_dates_are_no_weights_and_not_held_out(name):
    y = BINARY if name == "MLPClassifier" else REAL
    new = model(fastnn, name)
    for weights in (DAYS, DAYS - DAYS[0], list(DAYS)):
        with pytest.raises(TypeError, match="sample_weight must hold numbers"):
            new.fit(X, y, sample_weight=weights)
    with pytest.raises(TypeError, match=r"X_val must hold numbers, got dtype datetime64\[D\]"):
        new.fit(X, y, X_val=TABLES["dates"], y_val=y)
    with pytest.raises((TypeError, ValueError)):
        new.fit(X, y, X_val=X, y_val=DAYS)
    with pytest.raises((TypeError, ValueError)):
        new.fit(X, y, X_val=X, y_val=y.astype(str))


@NAMES
def test_masked_values_are_refused(name):
    y = BINARY if name == "MLPClassifier" else REAL
    mask = np.zeros((20, 3), bool)
    mask[4:6, 1] = True
    table, targets = np.ma.masked_array(X, mask), np.ma.masked_array(y, mask[:, 1])
    new, fitted = model(fastnn, name), model(fastnn, name).fit(X, y)
    words = "must have no masked entries, got 2"
    for call, said in (
        (lambda: new.fit(table, y), "X"),
        (lambda: new.fit(list(table), y), "X"),
        (lambda: fitted.partial_fit(table, y), "X"),
        (lambda: new.fit(X, targets), "y"),
        (lambda: new.fit(X, y, sample_weight=np.ma.masked_array(np.ones(20), mask[:, 1])), "sample_weight"),
        (lambda: new.fit(X, y, X_val=table, y_val=y), "X_val"),
        (lambda: new.fit(X, y, X_val=X, y_val=targets), "y_val"),
        (lambda: fitted.predict(table), "X"),
        (lambda: fitted.score(table, y), "X"),
    ):
        with pytest.raises(ValueError, match=f"^{said} {words}"):
            call()
    # Without any it is an array like others.
    bare = new.fit(np.ma.masked_array(X), np.ma.masked_array(y))
    np.testing.assert_array_equal(bare.coefs_[0], fitted.set_params(max_iter=2).fit(X, y).coefs_[0])


@NAMES
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("value", [1e308, 1e-305])
def test_weights_must_have_a_sum(name, solver, value):
    y = BINARY if name == "MLPClassifier" else REAL
    with pytest.raises(ValueError, match=r"sample_weight must have a sum between 1e-300 and 1\.8e308, or of 0, got"):
        model(fastnn, name, solver=solver).fit(X, y, sample_weight=np.full(20, value))


def test_weights_of_classes_must_have_a_sum():
    with pytest.raises(ValueError, match="class_weight must have a sum between"):
        model(fastnn, "MLPClassifier", class_weight={0: 1e308, 1: 1e308}).fit(X, BINARY)
    with pytest.raises(ValueError, match="sample_weight must be finite and not negative, got inf"):
        model(fastnn, "MLPClassifier", class_weight={0: 1e308}).fit(X, BINARY, sample_weight=np.full(20, 1e10))
