"""What fits leave to one another, and the shortcuts of short calls: nobody may see them but by the clock."""

import gc
import pickle
import threading
import warnings
import weakref

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import fastnn
from fastnn.estimators import solvers
from fastnn.estimators.solvers import engine_for, random_stream
from fastnn.estimators.tables import checked_pair, checked_table
from fastnn.optimizers import UpdateRule
from fastnn.specs.architecture import Architecture
from fastnn.specs.objective import Objective
from fastnn.specs.training import Training

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def digits(n=120):
    X, y = load_digits(n_class=4, return_X_y=True)
    return X[:n] / 16, y[:n]


def model(**options):
    return fastnn.MLPClassifier(
        **{"hidden_layer_sizes": 7, "max_iter": 4, "random_state": 0, "batch_size": 50, **options}
    )


def weights(fitted):
    return np.concatenate([array.ravel() for array in fitted.coefs_ + fitted.intercepts_])


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(solvers, "_kept", {})


@pytest.mark.parametrize("options", [{}, {"solver": "sgd"}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_later_fits_have_the_same_bits(options):
    X, y = digits()
    first = model(**options).fit(X, y)
    other = model(**options).fit(X[:60] + 1, y[:60])
    again = model(**options).fit(X, y)
    np.testing.assert_array_equal(weights(first), weights(again))
    assert not np.array_equal(weights(first), weights(other))
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))


def test_engines_are_shared_by_equal_fits_only():
    def engine(alpha=0.0, beta=0.9, n_threads=1):
        architecture = Architecture((3, 2, 1), ("relu",), "linear", np.dtype("f8"))
        training = Training(Objective("squared_error", l2=alpha), UpdateRule("averaged", "v", beta))
        return engine_for(architecture, training, n_threads)

    assert engine() is engine()
    assert engine() is not engine(alpha=1.0)
    assert engine() is not engine(beta=0.5)
    assert engine() is not engine(n_threads=2)
    for alpha in range(20):
        engine(float(alpha))
    assert len(solvers._kept) == solvers.KEPT_ENGINES
    large = Architecture((300, 300, 1), ("relu",), "linear", np.dtype("f8"))
    assert engine_for(large, None, 1) is not engine_for(large, None, 1)


@pytest.mark.needs_jit  # without it tables hold arrays, and not addresses
def test_nothing_of_a_fit_lives_on():
    X, y = digits()
    X = X + np.zeros(())  # an array that nobody else holds
    fitted = model(early_stopping=True).fit(X, y)
    fitted.predict(X)
    last = [weakref.ref(array) for array in (X, fitted.network_.vector.base, fitted._optimizer.state.v.base)]
    assert all(ref() is not None for ref in last)
    del X, fitted
    gc.collect()
    assert [ref() for ref in last] == [None, None, None]
    assert solvers._kept


@pytest.mark.needs_jit
def test_threads_may_fit_and_predict_with_equal_parameters():
    X, y = digits()
    wanted = weights(model().fit(X, y))
    wrong = []

    def work(seed):
        for _ in range(20):
            fitted = model().fit(X, y)
            outputs = fitted.predict_proba(X)
            if not np.array_equal(weights(fitted), wanted) or np.abs(outputs.sum(axis=1) - 1).max() > 1e-9:
                wrong.append(seed)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_fit_within_a_callback_of_an_equal_fit():
    X, y = digits()
    wanted, inner = weights(model().fit(X, y)), []

    def callback(owner, history):
        inner.append(weights(model().fit(X, y)))

    outer = model(callbacks=callback).fit(X, y)
    for found in (weights(outer), *inner):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, np.int64(7)])
def test_streams_are_numpys(seed):
    stream, numpys = random_stream(seed), np.random.RandomState(seed)
    np.testing.assert_array_equal(stream.uniform(size=700), numpys.uniform(size=700))
    assert stream.randn() == numpys.randn()
    copy = pickle.loads(pickle.dumps(stream))
    assert copy.randint(10**9) == numpys.randint(10**9)
    assert random_stream(stream) is stream
    assert random_stream(None) is np.random.mtrand._rand


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ValueError, match=r"between 0 and 2\*\*32 - 1"):
        random_stream(seed)


def test_one_epoch_moves_the_generator_as_many_do():
    X, y = digits()
    streams = [np.random.RandomState(3) for _ in range(2)]
    one = model(max_iter=1, random_state=streams[0]).fit(X, y)
    many = model(max_iter=2, random_state=streams[1], callbacks=lambda *_: True).fit(X, y)
    np.testing.assert_array_equal(weights(one), weights(many))
    assert streams[0].randint(10**9) == streams[1].randint(10**9)


# What is not plainly right goes through scikit-learn's checks.
BAD = {
    "nan": lambda X: np.where(X > 0.9, np.nan, X),
    "infinite": lambda X: np.where(X > 0.9, np.inf, X),
    "one feature less": lambda X: X[:, 1:],
    "one axis": lambda X: X[0],
    "no rows": lambda X: X[:0],
    "three axes": lambda X: X[None],
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_tables_are_seen(bad):
    X, y = digits()
    fitted = model().fit(X, y)
    with pytest.raises(ValueError, match=r"NaN|infinity|features|array|sample"):
        fitted.predict(BAD[bad](X))
    if bad != "one feature less":
        with pytest.raises(ValueError, match=r"NaN|infinity|array|sample|inconsistent"):
            model().fit(BAD[bad](X), y)


@pytest.mark.parametrize("y", [np.arange(119.0), np.full(120, np.nan), np.full(120, np.inf), np.arange(119)])
def test_bad_targets_are_seen(y):
    with pytest.raises(ValueError, match=r"inconsistent numbers|NaN|infinity"):
        fastnn.MLPRegressor(max_iter=1).fit(digits()[0], y)


def test_sums_too_large_are_no_reason_to_refuse():
    X = np.full((4, 2), 1e308)
    owner = fastnn.MLPRegressor()
    owner.n_features_in_ = 2
    np.testing.assert_array_equal(checked_table(owner, X), X)


def test_plain_tables_are_not_copied_and_others_are_converted():
    X, y = digits()
    owner = model()
    table, targets = checked_pair(owner, X, y, True, "iub", numeric=False)
    assert table is X
    assert targets is y
    assert owner.n_features_in_ == 64
    for given in (X.tolist(), X.astype(np.float32), np.asfortranarray(X)):
        np.testing.assert_allclose(checked_table(owner, given), X, rtol=1e-6)
    with config_context(assume_finite=True):
        assert checked_table(owner, X) is X


def test_names_of_an_earlier_fit_are_forgotten():
    pandas = pytest.importorskip("pandas")
    X, y = digits()
    fitted = model().fit(pandas.DataFrame(X, columns=[f"x{k}" for k in range(64)]), y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        fitted.predict(X)
    fitted.fit(X, y)
    assert not hasattr(fitted, "feature_names_in_")
    fitted.predict(X)


def test_an_estimator_that_is_not_fitted_says_so():
    with pytest.raises(NotFittedError):
        model().predict(digits()[0])
