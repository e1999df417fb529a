"""scikit-learn's own tests and estimator checks, on our estimators."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")  # whose tests these are

from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn

pytestmark = pytest.mark.needs_jit


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([fastnn.MLPClassifier(), fastnn.MLPRegressor()])
def test_estimator_checks(estimator, check):
    check(estimator)


def test_the_suite_of_scikit_learn_passes(tmp_path):
    programs = Path(__file__).parents[1] / "programs"
    environment = {**os.environ, "PYTHONPATH": f"{programs}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "sklearn_tests", "-p", "no:cacheprovider",
         "--pyargs", "sklearn.neural_network.tests.test_mlp"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]
    assert " 1 deselected" in result.stdout


def test_a_gradient_is_that_of_differences():
    # In place of the one test of scikit-learn's that is left out: one step of plain gradient descent.
    from sklearn.neural_network._base import binary_log_loss, log_loss

    X = np.random.RandomState(42).rand(5, 10)
    for n_labels in (2, 3):
        y = 1 + np.mod(np.arange(5) + 1, n_labels)
        model = fastnn.MLPClassifier(
            10, activation="tanh", solver="sgd", momentum=0, learning_rate_init=1.0, alpha=1e-5
        )
        model.set_params(random_state=1, warm_start=True).partial_fit(X, y, classes=np.unique(y))
        before = model.network_.vector.copy()
        wanted = np.eye(n_labels)[y - 1] if n_labels == 3 else (y == 2)[:, None]

        def cost(theta, model=model, wanted=wanted, n_labels=n_labels):
            model.network_.vector[:] = theta
            probabilities = model.predict_proba(X)
            data = log_loss(wanted, probabilities) if n_labels == 3 else binary_log_loss(wanted, probabilities[:, 1:])
            return data + 1e-5 / 2 / 5 * sum((c**2).sum() for c in model.coefs_)

        steps = 1e-5 * np.eye(before.size)
        numeric = np.array([(cost(before + e) - cost(before - e)) / 2e-5 for e in steps])
        model.network_.vector[:] = before
        model.partial_fit(X, y)
        np.testing.assert_allclose(before - model.network_.vector, numeric, rtol=1e-4, atol=1e-8)
