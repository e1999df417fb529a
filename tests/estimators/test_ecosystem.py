"""The estimators inside what scikit-learn builds of estimators."""

import warnings

import joblib
import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn

pytestmark = [pytest.mark.needs_jit, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


@pytest.fixture
def digits():
    X, y = load_digits(n_class=4, return_X_y=True)
    return X[:200] / 16, y[:200]


def small(**options):
    return fastnn.MLPClassifier(8, max_iter=12, learning_rate_init=0.02, random_state=0, **options)


# The warnings of scikit-learn's that workers raise are theirs; one core a worker is what the estimators take.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_searches_give_one_result_however_they_run(backend, digits):
    def search(n_jobs):
        grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__dropout": [0.0, 0.2]}
        with joblib.parallel_backend(backend, n_jobs=n_jobs):
            return GridSearchCV(make_pipeline(StandardScaler(), small()), grid, cv=3, n_jobs=n_jobs).fit(*digits)

    one, two = search(1), search(2)
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    assert one.best_score_ > 0.9


def test_a_search_on_a_dask_cluster(digits):
    distributed = pytest.importorskip("distributed")
    grid = {"alpha": [1e-4, 1.0]}
    alone = GridSearchCV(small(), grid, cv=3).fit(*digits)
    # Dask and what it is made of warn of each other.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None),
            joblib.parallel_config("dask"),
        ):
            spread = GridSearchCV(small(), grid, cv=3).fit(*digits)
    np.testing.assert_array_equal(spread.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_halving_search(backend, digits):
    search = HalvingGridSearchCV(small(), {"alpha": [1e-4, 10.0]}, cv=3, random_state=0, min_resources=100, n_jobs=2)
    with joblib.parallel_backend(backend):
        assert search.fit(*digits).best_score_ > 0.8


def test_clones_have_equal_parameters():
    model = small(dropout=[0.1, 0.2], callbacks=[fastnn.EarlyStopping("loss")], learning_rate=fastnn.Cosine(0.1, 50))
    copied = clone(model)
    assert copied.dropout == [0.1, 0.2]
    assert copied.learning_rate == model.learning_rate
    assert copied.callbacks[0] is not model.callbacks[0]
    assert "dropout=[0.1, 0.2]" in repr(model)
    assert "MLPClassifier" in model._repr_html_()


@pytest.mark.parametrize("wrap", [
    lambda model: CalibratedClassifierCV(model, cv=3),
    lambda model: BaggingClassifier(model, n_estimators=3, random_state=0),
    lambda model: VotingClassifier([("a", model), ("b", clone(model))], voting="soft", n_jobs=2),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_ensembles(wrap, digits):
    assert wrap(small()).fit(*digits).score(*digits) > 0.9


def test_permutation_importance(digits):
    model = small().fit(*digits)
    importance = permutation_importance(model, *digits, n_repeats=2, random_state=0).importances_mean
    # The first pixel of every digit is empty.
    assert importance[0] == 0
    assert importance.max() > 0.02


def test_held_out_data_go_through_a_pipeline(digits):
    X, y = digits
    X = X * 100
    with config_context(enable_metadata_routing=True):
        model = small().set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline([("scale", StandardScaler()), ("net", model)], transform_input=["X_val"])
        pipeline.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
    assert pipeline[-1].best_validation_score_ == pipeline.score(X[150:], y[150:]) > 0.9


def test_frames_keep_their_names(digits):
    pandas = pytest.importorskip("pandas")
    X, y = digits
    names = [f"pixel{i}" for i in range(64)]
    frame = pandas.DataFrame(X, columns=names)
    model = small().fit(frame, y)
    assert model.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(model.predict_proba(frame), small().fit(X, y).predict_proba(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[names[::-1]])


def test_polars_frames_keep_their_names(digits):
    polars = pytest.importorskip("polars")
    X, y = digits
    names = [f"pixel{i}" for i in range(64)]
    frame = polars.DataFrame(X, schema=names)
    model = small().fit(frame, polars.Series("digit", y))
    assert model.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(model.predict_proba(frame), small().fit(X, y).predict_proba(X))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_pipeline_sets_frames_for_its_outputs(library, digits):
    module = pytest.importorskip(library)
    X, y = digits
    frame = module.DataFrame({f"pixel{i}": X[:, i] for i in range(64)})
    model = make_pipeline(StandardScaler(), small()).set_output(transform=library).fit(frame, y)
    assert model[-1].feature_names_in_.tolist() == list(frame.columns)
    assert model.score(frame, y) > 0.9


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_of_a_table_changes_nothing(order, digits):
    X, y = digits
    np.testing.assert_array_equal(small().fit(np.array(X, order=order), y).coefs_[0], small().fit(X, y).coefs_[0])


def test_saved_by_joblib(digits, tmp_path):
    model = small().fit(*digits)
    joblib.dump(model, tmp_path / "model")
    for mode in (None, "r"):
        loaded = joblib.load(tmp_path / "model", mmap_mode=mode)
        np.testing.assert_array_equal(loaded.predict_proba(digits[0]), model.predict_proba(digits[0]))
        assert loaded.network_.layer_sizes == (64, 8, 4)


def test_pictures_of_a_fit(digits):
    pytest.importorskip("matplotlib").use("agg")
    X, y = digits
    model = small().fit(X[:, [20, 35]], y)
    assert fastnn.plot_history(model).lines
    assert fastnn.plot_decision_boundary(model, X[:, [20, 35]], y, resolution=20).collections
