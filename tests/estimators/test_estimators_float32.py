"""Estimators in float32, of small and of huge numbers: what scikit-learn finds, or a word."""

import warnings
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:lbfgs failed")

RANDOM = np.random.RandomState(0)
X = RANDOM.rand(100, 4)
REAL = X @ [1.0, 2.0, -1.0, 0.5]
BINARY = (REAL > 1.2).astype(int)


def fit(module, name, table, y, weights=None, **options):
    options = {"hidden_layer_sizes": (5,), "max_iter": 20, "random_state": 0, **options}
    with np.errstate(all="ignore"):
        return getattr(module, name)(**options).fit(table, y, sample_weight=weights)


def assert_same(ours, theirs, rtol=1e-5):
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(np.abs(b).max(), 1e-3))
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=10 * rtol)


@pytest.mark.parametrize("of_y", [1e-20, 1.0, 1e12, 1e20, 1e30])
@pytest.mark.parametrize("of_X", [1e-20, 1e-5, 1.0, 1e6, 1e9, 1e12, 1e15, 1e20, 1e30])
def test_regressors_agree_at_every_scale(of_X, of_y):
    table, y = (X * of_X).astype(np.float32), REAL * of_y
    # So few epochs that none can be the last because of a rounded loss.
    fitted = (fit(module, "MLPRegressor", table, y, max_iter=10) for module in (fastnn, neural_network))
    assert_same(*fitted)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "sgd", "learning_rate_init": 1e-26},
        {"solver": "sgd", "learning_rate_init": 1e-26, "momentum": 0.0},
        {"early_stopping": True, "batch_size": 16},
        {"hidden_layer_sizes": (6, 5), "activation": "tanh", "alpha": 1.0},
        pytest.param({"hidden_layer_sizes": (300, 40), "batch_size": 30, "max_iter": 5}, marks=pytest.mark.needs_jit),
        {"hidden_layer_sizes": ()},
    ],
    ids=str,
)
@pytest.mark.parametrize("sparse", [False, True])
def test_options_agree_with_large_features(options, sparse):
    table = (X * 1e12).astype(np.float32)
    if sparse:
        table = pytest.importorskip("scipy.sparse").csr_matrix(table)
    ours, theirs = (fit(module, "MLPRegressor", table, REAL, **options) for module in (fastnn, neural_network))
    assert_same(ours, theirs, 1e-4)
    np.testing.assert_allclose(ours.predict(table), theirs.predict(table), rtol=1e-3)
    if ours.validation_scores_ is not None:
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-3)


@pytest.mark.parametrize("of_y", [1e3, 1e8, 1e10])
def test_losses_of_large_targets_are_fine_enough_to_go_on(of_y):
    table = (X - 0.5).astype(np.float32)
    ours, theirs = (fit(module, "MLPRegressor", table, REAL * of_y, max_iter=40) for module in (fastnn, neural_network))
    assert ours.n_iter_ == theirs.n_iter_ == 40
    falls, expected = -np.diff(ours.loss_curve_), -np.diff(theirs.loss_curve_)
    assert (falls > 0).all()
    np.testing.assert_allclose(falls, expected, rtol=0.1)


@pytest.mark.parametrize("weight", [1e-30, 1e35, 1e60])
def test_weights_of_examples_agree_at_every_scale(weight):
    table, weights = X.astype(np.float32), RANDOM.rand(100) * weight
    ours, theirs = (fit(m, "MLPRegressor", table, REAL, weights, alpha=0.0) for m in (fastnn, neural_network))
    assert_same(ours, theirs)


def test_moments_stay_wide_from_one_partial_fit_to_the_next():
    fitted = []
    for module in (fastnn, neural_network):
        model = module.MLPRegressor(hidden_layer_sizes=(5,), random_state=0)
        for scale, dtype in ((1, "f4"), (1e12, "f4"), (1, "f4"), (1, "f8"), (1e40, "f8"), (1e3, "f4")):
            model.partial_fit((X * scale).astype(dtype), REAL)
        fitted.append(model)
    assert_same(*fitted)
    assert fitted[0].coefs_[0].dtype == np.float32
    with np.errstate(all="ignore"):
        for scale in (3e38, 1e40):
            np.testing.assert_allclose(*(model.predict(X * scale) / scale for model in fitted), rtol=1e-4)


def test_callbacks_see_and_change_the_weights_of_a_wide_training():
    seen, table = [], (X * 1e12).astype(np.float32)

    def watch(owner, history):
        seen.append(owner.coefs_[0].copy())
        if history.epochs == 3:
            owner.coefs_[0][:] = seen[0]

    model = fit(fastnn, "MLPRegressor", table, REAL, callbacks=watch)
    assert not any(np.array_equal(a, b) for a, b in pairwise(seen))
    assert np.abs(seen[3] - seen[0]).max() < 0.011  # seven steps of Adam's from there
    np.testing.assert_array_equal(seen[-1], model.coefs_[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_that_overflow_are_told(dtype):
    scale = 1e25 if dtype == np.float32 else 1e200
    message = (
        rf"The squares of some gradients overflowed {np.dtype(dtype).name}, and their weights stand still. Scale X"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with np.errstate(all="ignore"), pytest.raises(ConvergenceWarning, match=message):
            fastnn.MLPClassifier((5,), random_state=0).partial_fit((X * scale).astype(dtype), BINARY, classes=[0, 1])
        fastnn.MLPClassifier((5,), random_state=0).partial_fit(X.astype(dtype), BINARY, classes=[0, 1])


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_lbfgs_leaves_float64_weights_as_scikit_learns_does(name, scale):
    table, y = (X * scale).astype(np.float32), BINARY if name == "MLPClassifier" else REAL
    ours, theirs = (fit(module, name, table, y, solver="lbfgs", alpha=0.1) for module in (fastnn, neural_network))
    assert_same(ours, theirs, 1e-2)
    # A gradient in float32, as theirs, is no better than that.
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-3)
    assert ours.network_.dtype == np.float64
    outputs = "predict_proba" if name == "MLPClassifier" else "predict"
    assert getattr(ours, outputs)(table).dtype == getattr(theirs, outputs)(table).dtype == np.float64
    # And goes on from there.
    for model in (ours, theirs):
        model.set_params(warm_start=True, max_iter=2).fit(table, y)
        assert model.coefs_[0].dtype == np.float64
