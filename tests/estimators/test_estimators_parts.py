"""The estimators' losses and updates alone, against scikit-learn's: the substance of its own tests of these parts."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy.special import expit, softmax
from sklearn.neural_network._base import LOSS_FUNCTIONS
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

import fastnn
from fastnn.estimators.solvers import EstimatorEngine, StochasticSolver, rule_of
from fastnn.specs.architecture import Architecture
from fastnn.specs.objective import Objective
from fastnn.specs.training import Training

RANDOM = np.random.RandomState(0)
# Where logarithms and exponentials of outputs would overflow, in both directions.
EXTREMES = np.array([0.0, 40.0, -40.0, 800.0, -800.0, 1e-300])


def outputs_of(loss, outputs, m=30):
    Z = RANDOM.randn(m, outputs) * 3
    if loss != "poisson":
        Z[: len(EXTREMES), 0] = EXTREMES
    return Z


def its_loss(output, loss, Z, y, weights, dtype="f8"):
    """The engine's loss of a layer that hands on its inputs."""
    n = Z.shape[1]
    engine = EstimatorEngine(Architecture((n, n), (), output, np.dtype(dtype)), Training(Objective(loss)), 1)
    theta = np.concatenate([np.eye(n).ravel(), np.zeros(n)]).astype(dtype)
    return engine.loss(theta, np.asarray(Z.T, dtype), y, weights)


weighted = pytest.mark.parametrize("weights", [None, RANDOM.rand(30)], ids=["plain", "weighted"])


@weighted
@pytest.mark.parametrize("outputs", [1, 3])
def test_squared_error(outputs, weights):
    Z, Y = outputs_of("squared_error", outputs), RANDOM.randn(30, outputs)
    expected = LOSS_FUNCTIONS["squared_error"](Y, Z, weights)
    assert its_loss("linear", "squared_error", Z, Y.T, weights) == pytest.approx(expected, rel=1e-12)


@weighted
@pytest.mark.parametrize("outputs", [1, 3])
def test_poisson_loss(outputs, weights):
    Z, Y = outputs_of("poisson", outputs), RANDOM.poisson(2.0, (30, outputs)).astype(float)
    assert 0 in Y
    expected = LOSS_FUNCTIONS["poisson"](Y, np.exp(Z), weights)
    assert its_loss("linear", "poisson", Z, Y.T, weights) == pytest.approx(expected, rel=1e-12)


@weighted
@pytest.mark.parametrize("outputs", [1, 4])
def test_binary_log_loss_is_finite_and_bounded_alike(outputs, weights):
    Z, Y = outputs_of("binary_log_loss", outputs), RANDOM.randint(0, 2, (30, outputs))
    expected = LOSS_FUNCTIONS["binary_log_loss"](Y, expit(Z), weights)
    found = its_loss("sigmoid", "binary_cross_entropy", Z, Y.T.astype(np.uint8), weights)
    assert np.isfinite(found)
    # 1 - y cancels in scikit-learn's form, of an output near 1.
    assert found == pytest.approx(expected, rel=1e-10)


@weighted
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_log_loss_is_finite_and_bounded_alike(dtype, weights):
    Z, y = outputs_of("log_loss", 3), RANDOM.randint(0, 3, 30)
    expected = LOSS_FUNCTIONS["log_loss"](np.eye(3)[y], softmax(Z.astype(dtype), axis=1), weights)
    found = its_loss("softmax", "cross_entropy", Z, y, weights, dtype)
    assert np.isfinite(found)
    assert found == pytest.approx(expected, rel=1e-12 if dtype == "f8" else 1e-6)


@pytest.mark.parametrize("certain", [0.0, 1.0])
@pytest.mark.parametrize("true", [0, 1])
def test_outputs_of_exactly_0_and_1(certain, true):
    z = np.array([[np.inf if certain else -np.inf]])
    expected = LOSS_FUNCTIONS["binary_log_loss"](np.array([[true]]), np.array([[certain]]))
    found = its_loss("sigmoid", "binary_cross_entropy", np.clip(z, -1e4, 1e4), np.array([[true]], np.uint8), None)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-15)


def steps(settings, count=12):
    """Parameters after each step, ours and by scikit-learn's optimiser from the same gradients."""
    X, Y = RANDOM.randn(3, 20), RANDOM.randn(2, 20)
    estimator = fastnn.MLPRegressor(**settings)
    architecture, rule = Architecture((3, 2), (), "linear", np.dtype("f8")), rule_of(estimator)
    solver = StochasticSolver(estimator, architecture, rule)
    engine = EstimatorEngine(architecture, Training(Objective("squared_error"), rule), 1)
    theta = RANDOM.randn(8)
    params = [theta.copy()]
    if settings["solver"] == "adam":
        theirs = AdamOptimizer(
            params, estimator.learning_rate_init, estimator.beta_1, estimator.beta_2, estimator.epsilon
        )
    else:
        theirs = SGDOptimizer(
            params, estimator.learning_rate_init, estimator.learning_rate, estimator.momentum,
            estimator.nesterovs_momentum, estimator.power_t,
        )  # fmt: skip
    session = engine.session(theta, solver.state, X, Y, None, 20, False)
    gradients = EstimatorEngine(architecture, Training(Objective("squared_error")), 1)
    for step in range(count):
        theirs.update_params(params, [gradients.loss_and_gradient(theta, X, Y, None)[1]])
        session.totals(solver.rates(1, 1, 20 * step, 20)[1])
        yield theta.copy(), params[0].copy(), solver, theirs
        params[0][:] = theta
        theirs.iteration_ends(20 * (step + 1))
        solver.epoch_ends(20 * (step + 1))


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "sgd", "momentum": 0.0}, {"solver": "sgd", "nesterovs_momentum": False}, {"solver": "sgd"},
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3}, {"solver": "sgd", "momentum": 1.0},
        {"solver": "adam"}, {"solver": "adam", "beta_1": 0.5, "beta_2": 0.7, "epsilon": 1e-3},
    ],
    ids=str,
)  # fmt: skip
def test_updates(settings):
    for ours, theirs, *_ in steps({"learning_rate_init": 0.05, **settings}):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_rates_fall_and_training_stops_alike(learning_rate, capsys):
    settings = {"solver": "sgd", "learning_rate": learning_rate, "learning_rate_init": 1e-5}
    *_, solver, theirs = next(steps(settings))
    for _ in range(5):
        found = solver.stops("Enough.", True), solver.learning_rate
        printed = capsys.readouterr().out
        assert found == (theirs.trigger_stopping("Enough.", True), theirs.learning_rate)
        assert printed == capsys.readouterr().out
