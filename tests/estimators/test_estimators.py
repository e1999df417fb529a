"""The estimators against scikit-learn's own: equal numbers, for every solver and option that both have."""

import pickle
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from scipy import sparse  # noqa: E402
from sklearn import neural_network  # noqa: E402
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402

import fastnn  # noqa: E402

needs_jit = pytest.mark.needs_jit


def digits(n=200, classes=10):
    X, y = load_digits(n_class=classes, return_X_y=True)
    return X[:n] / 16, y[:n]


def labels():
    return make_multilabel_classification(150, 12, n_classes=4, random_state=0)


def diabetes(outputs=1):
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    return X[:150] * 20, y[:150] if outputs == 1 else np.stack([y[:150], np.sin(y[:150])], axis=1)


def both(name, X, y, weights=None, **options):
    """Fit ours and scikit-learn's."""
    options = {"random_state": 3, "max_iter": 20, "hidden_layer_sizes": (12, 7), **options}
    fitted = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for module in (fastnn, neural_network):
            fitted.append(getattr(module, name)(**options).fit(X, y, sample_weight=weights))
    return fitted


def assert_same(ours, theirs, X, rtol=1e-8):
    for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert (ours.n_layers_, ours.n_outputs_, ours.out_activation_) == (
        theirs.n_layers_, theirs.n_outputs_, theirs.out_activation_,
    )  # fmt: skip
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=rtol)
    if hasattr(theirs, "loss_curve_"):
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
        assert (ours.validation_scores_ is None) == (theirs.validation_scores_ is None)
        if theirs.validation_scores_ is not None:
            np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=rtol)
            np.testing.assert_allclose(ours.best_validation_score_, theirs.best_validation_score_, rtol=rtol)
        else:
            np.testing.assert_allclose(ours.best_loss_, theirs.best_loss_, rtol=rtol)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e3 * rtol)
    if hasattr(theirs, "predict_proba"):
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e3 * rtol, atol=rtol)


@needs_jit
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("classes", [2, 10])
def test_classifiers_agree(solver, activation, classes):
    X, y = digits(classes=classes)
    ours, theirs = both("MLPClassifier", X, y, solver=solver, activation=activation)
    assert_same(ours, theirs, X, 1e-5 if solver == "lbfgs" else 1e-8)


@needs_jit
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regressors_agree(solver, outputs, loss):
    X, y = diabetes(outputs)
    y = np.exp(y) if loss == "poisson" else y
    y[::7] = 0
    ours, theirs = both("MLPRegressor", X, y, solver=solver, loss=loss)
    assert_same(ours, theirs, X, 1e-5 if solver == "lbfgs" else 1e-8)


@needs_jit
@pytest.mark.parametrize(
    "options",
    [
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2, "max_iter": 40},
        {"solver": "sgd", "momentum": 0, "nesterovs_momentum": False},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4},
        {"early_stopping": True, "max_iter": 60, "n_iter_no_change": 3, "validation_fraction": 0.2},
        {"solver": "sgd", "early_stopping": True, "learning_rate": "adaptive", "n_iter_no_change": 2},
        {"tol": 0.1, "n_iter_no_change": 3, "max_iter": 200},
        {"shuffle": False},
        {"shuffle": False, "early_stopping": True},
        {"batch_size": 1, "max_iter": 4},
        {"batch_size": 33},
        {"batch_size": 200},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 300, "batch_size": 50, "max_iter": 8},
        {"alpha": 1.0, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
        {"n_iter_no_change": np.inf, "tol": 10.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_options_agree(options, weighted):
    X, y = digits()
    weights = np.random.RandomState(0).uniform(0.1, 3, len(y)) if weighted else None
    ours, theirs = both("MLPClassifier", X, y, weights, **options)
    assert_same(ours, theirs, X)


@needs_jit
@pytest.mark.parametrize("early_stopping", [False, True])
def test_several_labels_agree(early_stopping):
    X, y = labels()
    ours, theirs = both("MLPClassifier", X, y, early_stopping=early_stopping)
    assert_same(ours, theirs, X)


@needs_jit
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("hidden", [5, (150, 60)])
def test_sparse_tables_agree(form, batch_size, hidden):
    X, y = digits(60)
    X = form(np.where(X > 0.5, X, 0))
    ours, theirs = both("MLPClassifier", X, y, batch_size=batch_size, hidden_layer_sizes=hidden, max_iter=5)
    assert_same(ours, theirs, X)
    np.testing.assert_allclose(ours.predict_proba(X), ours.predict_proba(X.toarray()), rtol=1e-12)


@needs_jit
def test_unscaled_data_meet_the_bounds_of_the_loss():
    X, y = load_digits(return_X_y=True)
    ours, theirs = both("MLPClassifier", X[:150] * 100, y[:150], max_iter=3, learning_rate_init=0.1)
    assert max(theirs.loss_curve_) > 30
    assert_same(ours, theirs, X[:150])


@needs_jit
def test_float32_stays_and_agrees():
    X, y = digits()
    ours, theirs = both("MLPClassifier", X.astype(np.float32), y)
    assert ours.coefs_[0].dtype == ours.predict_proba(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-4)


@needs_jit
@pytest.mark.parametrize("batch_size", [30, 200])
def test_a_generator_goes_on_where_scikit_learn_leaves_it(batch_size):
    X, y = digits()
    after = []
    for module in (fastnn, neural_network):
        stream = np.random.RandomState(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            module.MLPClassifier(5, random_state=stream, max_iter=7, batch_size=batch_size).fit(X, y)
        after.append(stream.randint(10**9, size=4))
    np.testing.assert_array_equal(*after)


@needs_jit
def test_another_generator_shuffles_alike():
    X, y = digits()
    made = [np.random.RandomState(np.random.PCG64(5)) for _ in range(2)]
    fitted = [
        module.MLPClassifier(5, random_state=stream, max_iter=300, tol=0.05).fit(X, y)
        for module, stream in zip((fastnn, neural_network), made, strict=True)
    ]
    assert_same(*fitted, X)


@needs_jit
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fits_agree(solver):
    X, y = digits()
    fitted = [module.MLPClassifier(9, solver=solver, random_state=0) for module in (fastnn, neural_network)]
    for model in fitted:
        for begin in (0, 100, 50, 0):
            model.partial_fit(X[begin : begin + 100], y[begin : begin + 100], classes=np.arange(10))
    assert_same(*fitted, X)


@needs_jit
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_warm_starts_agree(solver):
    X, y = digits()
    fitted = [
        module.MLPClassifier(9, solver=solver, random_state=0, warm_start=True, max_iter=4)
        for module in (fastnn, neural_network)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for model in fitted:
            model.fit(X, y).fit(X, y)
    assert_same(*fitted, X, 1e-5 if solver == "lbfgs" else 1e-8)


@needs_jit
def test_the_same_lines_are_printed(capsys):
    X, y = digits()
    printed = []
    for options in ({"tol": 0.2, "n_iter_no_change": 2}, {"early_stopping": True, "max_iter": 3}):
        for module in (fastnn, neural_network):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                module.MLPClassifier(5, random_state=0, verbose=True, **options).fit(X, y)
            printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != ""
    assert printed[2] == printed[3] != ""


def tiny(kind):
    """A table of 14 rows, for runs without compiled code too."""
    stream = np.random.RandomState(0)
    X = stream.randn(14, 3)
    targets = {
        "two": np.array(["a", "b"])[(X[:, 0] > 0).astype(int)], "three": np.arange(14) % 3, "one": np.zeros(14, int),
        "labels": (X > 0).astype(int), "number": X[:, 0], "numbers": X[:, :2], "counts": np.arange(14) % 4,
    }  # fmt: skip
    return X, targets[kind]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", ["two", "three", "one", "labels", "number", "numbers", "counts"])
def test_tiny_tables_agree(kind, solver):
    X, y = tiny(kind)
    name = "MLPRegressor" if kind in ("number", "numbers", "counts") else "MLPClassifier"
    options = {"loss": "poisson"} if kind == "counts" else {}
    weights = np.arange(14) % 3 + 0.5
    ours, theirs = both(name, X, y, weights, solver=solver, hidden_layer_sizes=3, max_iter=2, batch_size=5, **options)
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5 if solver == "lbfgs" else 1e-8)
    predicted = ours.predict(X), theirs.predict(X)
    if kind in ("number", "numbers", "counts"):
        np.testing.assert_allclose(*predicted, rtol=1e-5)
    else:
        np.testing.assert_array_equal(*predicted)
        np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-4)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y))


def quietly(model, *data, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data, **named)


def test_held_out_data_stop_the_training_and_restore_the_best_weights():
    X, y = tiny("two")
    model = fastnn.MLPClassifier(3, random_state=0, max_iter=30, n_iter_no_change=2, learning_rate_init=0.1)
    quietly(model, X[:10], y[:10], X_val=X[10:], y_val=y[10:])
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_ < 30
    assert model.score(X[10:], y[10:]) == model.best_validation_score_ == max(model.validation_scores_)
    probabilities = model.predict_proba(X[10:])[np.arange(4), (y[10:] == "b").astype(int)]
    best = int(np.argmax(model.validation_scores_))
    assert model.validation_loss_curve_[best] == pytest.approx(-np.log(probabilities).mean())
    assert model.history_.validation_loss == model.validation_loss_curve_


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.5}, {"dropout": [0.1, 0.2]}, {"clip_norm": 0.01}, {"initializer": "he"},
        {"label_smoothing": 0.2}, {"activation": "gelu"}, {"solver": "adamw"}, {"solver": "rmsprop"},
        {"class_weight": "balanced"}, {"class_weight": {0: 5.0}},
        {"learning_rate": fastnn.StepDecay(0.1, every=2)},
    ],
    ids=str,
)  # fmt: skip
def test_what_scikit_learn_lacks_changes_the_result_and_is_repeatable(options):
    X, y = tiny("three")
    plain = quietly(fastnn.MLPClassifier(3, random_state=0, max_iter=2), X[:13], y[:13])
    models = [quietly(fastnn.MLPClassifier(3, random_state=0, max_iter=2, **options), X[:13], y[:13]) for _ in "ab"]
    np.testing.assert_array_equal(models[0].coefs_[0], models[1].coefs_[0])
    assert not np.array_equal(models[0].coefs_[0], plain.coefs_[0])


def test_class_weights_are_sample_weights():
    X, y = tiny("three")
    a = quietly(fastnn.MLPClassifier(3, random_state=0, max_iter=3, class_weight={0: 2.0, 2: 0.5}), X, y)
    b = quietly(fastnn.MLPClassifier(3, random_state=0, max_iter=3), X, y, np.array([2.0, 1.0, 0.5])[y])
    np.testing.assert_array_equal(a.coefs_[1], b.coefs_[1])


def test_callbacks_see_the_estimator_and_can_end_the_training():
    X, y = tiny("three")
    seen = []

    def callback(model, history):
        seen.append((model.n_iter_, history.loss[-1] == model.loss_, model.get_learning_rate()))
        model.set_learning_rate(0.5)
        return model.n_iter_ == 3

    model = fastnn.MLPClassifier(3, random_state=0, callbacks=callback).fit(X, y)
    assert seen == [(1, True, 0.001), (2, True, 0.5), (3, True, 0.5)]
    assert model.history_.stopped
    assert model.history_.learning_rate == [0.001, 0.5, 0.5]


def test_ready_made_callbacks_take_estimators(tmp_path):
    X, y = tiny("three")
    callbacks = [fastnn.EarlyStopping("loss", patience=2, min_delta=10.0), fastnn.Checkpoint(tmp_path / "net.npz")]
    model = fastnn.MLPClassifier(3, random_state=0, callbacks=callbacks).fit(X, y)
    assert model.n_iter_ == 3
    assert (tmp_path / "net.npz").exists()


def test_time_can_be_limited():
    X, y = tiny("three")
    model = fastnn.MLPClassifier(3, random_state=0, max_time=1e-9).fit(X, y)
    assert model.n_iter_ < 200


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array])
def test_sparse_tables_give_the_dense_result(form):
    X, y = tiny("three")
    X = np.where(X > 0, X, 0)
    dense = quietly(fastnn.MLPClassifier(3, random_state=0, max_iter=2, early_stopping=True), X, y)
    thin = quietly(fastnn.MLPClassifier(3, random_state=0, max_iter=2, early_stopping=True), form(X), y)
    np.testing.assert_array_equal(dense.coefs_[0], thin.coefs_[0])
    np.testing.assert_array_equal(dense.predict_proba(X), thin.predict_proba(form(X)))


def test_columns_out_of_range_are_refused():
    X, y = tiny("three")
    broken = sparse.csr_matrix(X)
    model = quietly(fastnn.MLPClassifier(3, random_state=0, max_iter=1), broken, y)
    broken.indices[5] = 1_000_000
    with pytest.raises(ValueError, match=r"ind(ices|ex)"):  # SciPy's own words
        model.predict(broken)


def test_pickles_and_copies_predict_alike_and_go_on_alike():
    X, y = tiny("three")
    model = fastnn.MLPClassifier(3, random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    np.testing.assert_array_equal(model.partial_fit(X, y).coefs_[0], other.partial_fit(X, y).coefs_[0])
    other.coefs_[0] = other.coefs_[0] * 0
    assert not np.array_equal(model.predict_proba(X), other.predict_proba(X))
    assert other.network_.parameters["W1"].max() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": [0.1]}, "dropout must be a number, or have 2 entries"),
        ({"dropout": 0.5, "solver": "lbfgs"}, "dropout does not go with solver='lbfgs'"),
        ({"class_weight": {7: 1.0}}, "class_weight must have classes of y only"),
        ({"n_threads": 0}, "n_threads"),
        ({"hidden_layer_sizes": (3, -1)}, "hidden_layer_sizes must be > 0"),
    ],
    ids=str,
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        fastnn.MLPClassifier(**{"hidden_layer_sizes": 3, "random_state": 0, **options}).fit(*tiny("three"))


def test_bad_data_are_named():
    X, y = tiny("three")
    with pytest.raises(ValueError, match="sample_weight must not be negative"):
        fastnn.MLPClassifier(3).fit(X, y, sample_weight=np.arange(14) - 1.0)
    with pytest.raises(ValueError, match="y must not be negative with loss='poisson'"):
        fastnn.MLPRegressor("poisson", 3).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="X_val and y_val must be given together"):
        fastnn.MLPClassifier(3).fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="y_val must have classes of y only"):
        fastnn.MLPClassifier(3).fit(X, y, X_val=X, y_val=y + 7)
