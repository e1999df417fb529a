"""scikit-learn's own callbacks, set on the estimators and on what searches with them."""

import numpy as np
import pytest

pytest.importorskip("sklearn.callback")

from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
Y = np.array(["one", "two", "three"])[Y]
solvers = pytest.mark.parametrize("solver", ["adam", "lbfgs"])


class Notes:
    """Notes the hooks' calls; ends the fit after an epoch, or raises in it."""

    def __init__(self, last=None, fails=None):
        self.calls, self.weights, self.last, self.fails = [], [], last, fails

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context, *, X=None, metadata=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name} {context.task_id}")
        if context.task_name == "epoch" and X is not None:
            self.metadata = metadata
            self.weights.append(fitted_estimator.coefs_[0].copy())
            if context.task_id == self.fails:
                raise ArithmeticError("no further")
            return context.task_id == self.last
        return False


def model(solver="adam", **options):
    return fastnn.MLPClassifier(6, solver=solver, max_iter=5, random_state=0, **options)


@solvers
def test_tasks_begin_and_end_in_order(solver):
    notes = Notes()
    fitted = model(solver).set_callbacks(notes).fit(X, Y)
    epochs = [call for k in range(5) for call in (f"begin epoch {k}", f"end epoch {k}")]
    assert notes.calls == ["setup", "begin fit 0", *epochs, "end fit 0", "teardown"]
    np.testing.assert_array_equal(notes.weights[-1], fitted.coefs_[0])
    assert not np.array_equal(notes.weights[0], notes.weights[1])
    np.testing.assert_array_equal(fitted.coefs_[0], model(solver).fit(X, Y).coefs_[0])


@solvers
def test_a_callback_ends_the_fit(solver):
    notes = Notes(last=2)
    fitted = model(solver).set_callbacks(notes).fit(X, Y)
    assert fitted.n_iter_ == fitted.history_.epochs == 3
    assert fitted.history_.stopped
    assert notes.calls[-3:] == ["end epoch 2", "end fit 0", "teardown"]
    np.testing.assert_array_equal(notes.weights[-1], fitted.coefs_[0])


@solvers
def test_an_exception_reaches_the_user_and_callbacks_are_torn_down(solver):
    notes = Notes(fails=1)
    with pytest.raises(ArithmeticError, match="no further"):
        model(solver).set_callbacks(notes).fit(X, Y)
    assert notes.calls[-2:] == ["end epoch 1", "teardown"]


def test_an_epoch_that_never_came_is_ended_empty():
    notes = Notes()
    fitted = model(tol=10.0, n_iter_no_change=1).set_callbacks(notes).fit(X, Y)
    assert fitted.n_iter_ == len(notes.weights) == 3
    assert notes.calls[-4:] == ["begin epoch 3", "end epoch 3", "end fit 0", "teardown"]


def test_weights_of_examples_are_metadata():
    notes, weights = Notes(), np.linspace(1, 2, len(Y))
    model().set_callbacks(notes).fit(X, Y, weights)
    assert notes.metadata == {"sample_weight": weights}


@solvers
@pytest.mark.filterwarnings("ignore")
def test_scores_are_monitored(solver):
    monitor = ScoringMonitor(scoring="accuracy")
    fitted = model(solver, learning_rate_init=0.01).set_callbacks(monitor).fit(X, Y)
    rows = monitor.get_logs().data
    scores = [row["accuracy"] for row in rows if row["task_name"] == "epoch"]
    assert len(scores) == 5
    assert scores[-1] == fitted.score(X, Y)


@pytest.mark.filterwarnings("ignore")
def test_fits_hang_in_the_tree_of_a_search():
    monitor = ScoringMonitor(scoring="accuracy")
    search = GridSearchCV(model().set_callbacks(monitor), {"alpha": [1e-4, 1.0]}, cv=3)
    assert search.fit(X, Y).best_estimator_.n_iter_ == 5
    assert len(monitor.get_logs("all")) >= 1
    assert model().set_callbacks(monitor).set_callbacks().fit(X, Y).n_iter_ == 5
    assert make_pipeline(StandardScaler(), model().set_callbacks(monitor)).fit(X, Y)[-1].n_iter_ == 5


@solvers
def test_with_callbacks_of_both_kinds(solver):
    seen = []
    fitted = model(solver, callbacks=lambda owner, history: seen.append(owner.loss_)).set_callbacks(Notes()).fit(X, Y)
    assert seen == fitted.history_.loss
    assert len(seen) == 5
