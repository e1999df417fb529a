"""Estimators that are fitted again with something changed, and data that do not go together: nothing may be read or
written beyond its end, and nothing wrong may go unnoticed."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:lbfgs failed")

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(60, 5)
BINARY = (X[:, 0] > 0).astype(int)
THREE = BINARY + (X[:, 1] > 0)
REAL = X[:, 0] + np.sin(X[:, 1])
LABELS = np.stack([BINARY, 1 - BINARY], axis=1)


def classifier(**options):
    return fastnn.MLPClassifier(**{"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0, **options})


def regressor(**options):
    return fastnn.MLPRegressor(**{"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0, **options})


@pytest.mark.parametrize(
    ("hidden", "table", "targets"),
    [(3000, X, BINARY), (2, X, BINARY), (4, X, THREE), (4, X.astype(np.float32), BINARY), (4, X[:, :2], BINARY)],
    ids=["larger", "smaller", "more outputs", "float32", "fewer features"],
)
def test_moments_of_another_network_are_left_behind(hidden, table, targets):
    model = classifier().fit(X, BINARY)
    model.set_params(solver="lbfgs", hidden_layer_sizes=hidden).fit(table, targets)
    before = model.coefs_[0].copy()
    model.set_params(solver="adam").partial_fit(table, targets)
    assert model._optimizer.state.v.size == model.network_.vector.size
    # A first step of Adam's is at most its rate.
    assert 0 < np.abs(model.coefs_[0] - before).max() < 0.0011


def test_weights_of_the_user_have_moments_of_their_dtype():
    model = classifier().fit(X, BINARY)
    model.coefs_ = [c.astype(np.float32) for c in model.coefs_]
    model.partial_fit(X, BINARY)
    assert model.coefs_[0].dtype == model._optimizer.state.v.dtype == np.float32


def test_tables_must_have_as_many_features_as_the_weights_have_rows():
    model = classifier().fit(RANDOM.randn(60, 500), BINARY)
    with pytest.raises(ValueError, match="sample_weight must not be negative"):
        model.fit(X, BINARY, sample_weight=-np.ones(60))
    with pytest.raises(ValueError, match="X has 5 features, but MLPClassifier is expecting 500"):
        model.predict(X)
    model.fit(X, BINARY).coefs_ = [np.ones((50_000, 4)), np.ones((4, 1))]
    with pytest.raises(ValueError, match=r"X must have 50000 features, as coefs_\[0\] has rows, got 5"):
        model.predict(X)


@pytest.mark.parametrize("rows", [1, 3])
def test_weights_of_the_user_must_fit_each_other(rows):
    model = classifier().fit(X, THREE)
    model.coefs_ = [np.ones((5, 4)), np.ones((rows, 3))]
    with pytest.raises(ValueError, match=rf"coefs_\[1\] must have shape \(4, 3\), got shape \({rows}, 3\)"):
        model.predict(X)


@pytest.mark.parametrize(
    ("make", "y", "y_val", "message"),
    [
        (classifier, LABELS, BINARY, "y_val must have as many dimensions as y, got shape"),
        (classifier, THREE, LABELS, "y_val must have as many dimensions as y, got shape"),
        (regressor, np.c_[REAL, REAL], REAL, r"y_val must have the columns of y, 2, got shape \(60,\)"),
        (regressor, REAL, np.c_[REAL, REAL], r"y_val must have the columns of y, 1, got shape \(60, 2\)"),
        (regressor, REAL, REAL[:59], "y_val must have one entry for each of the 60 rows of X_val, got 59"),
    ],
)
def test_held_out_targets_must_have_the_shape_of_the_others(make, y, y_val, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, y, X_val=X, y_val=y_val)


@pytest.mark.parametrize("y", [BINARY, THREE])
def test_held_out_classes_may_stand_in_a_column(y):
    flat = classifier().fit(X, y, X_val=X, y_val=y)
    column = classifier().fit(X, y, X_val=X, y_val=y.reshape(-1, 1))
    assert column.validation_scores_ == flat.validation_scores_
    assert column.validation_loss_curve_ == flat.validation_loss_curve_


def test_training_goes_on_without_the_held_out_data():
    model = regressor().fit(X, REAL, X_val=X, y_val=REAL)
    assert model.partial_fit(X, REAL).best_loss_ == min(model.loss_curve_)
    model = regressor(warm_start=True).fit(X, REAL, X_val=X, y_val=REAL)
    assert model.fit(X, REAL).best_loss_ == min(model.loss_curve_)
    theirs = neural_network.MLPRegressor(hidden_layer_sizes=4, early_stopping=True, max_iter=3, random_state=0).fit(
        X, REAL
    )
    ours = fastnn.MLPRegressor.from_sklearn(theirs).set_params(early_stopping=False).partial_fit(X, REAL)
    assert len(ours.loss_curve_) == 4


@pytest.mark.parametrize("make", [classifier, regressor])
def test_held_out_data_must_not_be_too_few(make):
    with pytest.raises(ValueError, match=r"The validation set is too small. X_val must have at least 2 rows, got 1"):
        make().fit(X, BINARY, X_val=X[:1], y_val=BINARY[:1])


# Scores of -inf and NaN: residuals, and the targets' own variation, have squares without end.
UNSCORED = {"-inf": (1e200, 1.0), "nan": (1.0, 1e200)}


@pytest.mark.parametrize("score", UNSCORED)
def test_epochs_that_cannot_be_scored_are_not_lost(score):
    X_val, y_val, weights = X[:9].copy(), REAL[:9].copy(), []

    def fit(scored):
        """Train for an epoch more than `scored` has flags, which say whether each can be scored."""
        left = [*scored, scored[-1]]

        def next_epoch(owner=None, history=None):
            if owner is not None:
                weights.append(owner.network_.vector.copy())
            features, targets = (1.0, 1.0) if left.pop(0) else UNSCORED[score]
            X_val[:], y_val[:] = X[:9] * features, REAL[:9] * targets

        next_epoch()
        model.set_params(callbacks=next_epoch, max_iter=len(scored))
        with np.errstate(all="ignore"):
            model.fit(X, REAL, X_val=X_val, y_val=y_val)

    model = regressor(warm_start=True)
    with pytest.warns(
        UserWarning, match=f"No epoch could be scored: .* {score}. The weights are those of the last epoch"
    ):
        fit([False, False, False])
    np.testing.assert_array_equal(model.network_.vector, weights[-1])
    fit([False, True, False, False])
    np.testing.assert_array_equal(model.network_.vector, weights[-3])
    # What the score of an earlier fit was is no reason to lose this one.
    with pytest.warns(UserWarning, match="No epoch could be scored"):
        fit([False, False])
    np.testing.assert_array_equal(model.network_.vector, weights[-1])


def test_a_split_that_cannot_be_scored_is_not_lost():
    options = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 1e-200, "early_stopping": True}
    weights = []
    keep = lambda owner, history: weights.append(owner.network_.vector.copy())  # noqa: E731
    with np.errstate(all="ignore"), pytest.warns(UserWarning, match="No epoch could be scored: .* nan"):
        model = regressor(**options, callbacks=[keep]).fit(X, REAL * 1e200)
    np.testing.assert_array_equal(model.network_.vector, weights[-1])
    assert not np.array_equal(weights[-1], weights[0])


def test_held_out_data_need_epochs():
    with pytest.raises(ValueError, match="X_val and y_val do not go with solver='lbfgs'"):
        regressor(solver="lbfgs").fit(X, REAL, X_val=X, y_val=REAL)


def test_a_changed_activation_counts():
    ours = classifier().fit(X, BINARY).set_params(activation="tanh")
    theirs = neural_network.MLPClassifier(4, max_iter=3, random_state=0).fit(X, BINARY).set_params(activation="tanh")
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ours)).predict_proba(X), ours.predict_proba(X))
    for model in (ours, theirs):
        model.set_params(warm_start=True, activation="logistic").fit(X, BINARY)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-8)
    with pytest.raises(ValueError, match="activation must be"):
        ours.set_params(activation="no such").predict(X)


@pytest.mark.parametrize("max_iter", [1, 3, 30])
def test_warm_starts_with_early_stopping_agree(max_iter):
    options = {"early_stopping": True, "warm_start": True, "max_iter": max_iter, "random_state": 0}
    fitted = [module.MLPClassifier(4, **options) for module in (fastnn, neural_network)]
    for _ in range(3):
        for model in fitted:
            model.fit(X, BINARY)
        for a, b in zip(fitted[0].coefs_, fitted[1].coefs_, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8)
        assert fitted[0].best_validation_score_ == fitted[1].best_validation_score_


def test_a_schedule_goes_on_after_pickling():
    model = classifier(learning_rate=fastnn.Cosine(0.1, 100))
    model.partial_fit(X, BINARY, classes=[0, 1])
    copy = pickle.loads(pickle.dumps(model))
    assert copy.get_learning_rate() == model.get_learning_rate() < 0.1
    for each in (model, copy):
        each.partial_fit(X, BINARY)
    np.testing.assert_array_equal(copy.coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_weights_of_zero_for_all_are_refused(solver):
    with pytest.raises(ValueError, match="class_weight must not be zero for all samples"):
        classifier(solver=solver, class_weight={0: 0, 1: 0}).fit(X, BINARY)
    with pytest.raises(ValueError, match="class_weight must not be zero for all samples"):
        classifier(solver=solver, class_weight={0: 0}).fit(X, BINARY, sample_weight=1.0 - BINARY)


def test_balance_needs_all_examples():
    with pytest.raises(ValueError, match="class_weight must be a dict or None for partial_fit"):
        classifier(class_weight="balanced").partial_fit(X, BINARY, classes=[0, 1])
    # Of a chunk without weight nothing is learnt.
    model = classifier(class_weight={0: 0.0}).partial_fit(X, BINARY, classes=[0, 1])
    before = model.coefs_[0].copy()
    np.testing.assert_array_equal(model.partial_fit(X[BINARY == 0], BINARY[BINARY == 0]).coefs_[0], before)


@pytest.mark.parametrize(("before", "after"), [((4,), (6,)), ((4,), (4, 4)), ((4, 4), (4,)), ((4,), ())], ids=str)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_layers_stay_in_a_warm_start(before, after, solver):
    model = classifier(hidden_layer_sizes=before, solver=solver, warm_start=True).fit(X, BINARY)
    weights = [array.copy() for array in model.coefs_]
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must give the layers of the fit before, \(5, 4, .*, got"):
        model.set_params(hidden_layer_sizes=after).fit(X, BINARY)
    for array, old in zip(model.coefs_, weights, strict=True):
        np.testing.assert_array_equal(array, old)
    assert model.set_params(hidden_layer_sizes=before).fit(X, BINARY).n_layers_ == len(before) + 2
    # scikit-learn trains the old layers as if nothing had changed, or fails somewhere.
    theirs = neural_network.MLPClassifier(before, solver="adam", warm_start=True, max_iter=3).fit(X, BINARY)
    theirs.set_params(hidden_layer_sizes=after)
    if len(after) == len(before):
        assert theirs.fit(X, BINARY).coefs_[0].shape == (5, 4)
    else:
        with pytest.raises((AttributeError, IndexError)):
            theirs.fit(X, BINARY)


def test_sizes_must_be_whole():
    with pytest.raises(TypeError):
        classifier(hidden_layer_sizes=[5.7]).fit(X, BINARY)


def test_classes_are_native():
    model = classifier().fit(X, BINARY.astype(">i8"))
    assert model.classes_.dtype.isnative
    assert model.predict(X).dtype.isnative


def test_an_end_that_raises_comes_once():
    pytest.importorskip("sklearn.callback")
    ends = []

    class Interrupting:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            ends.append((context.task_name, context.task_id))
            if context.task_id == 1:
                raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted by user"):
        classifier().set_callbacks(Interrupting()).fit(X, BINARY)
    assert ends == [("epoch", 0), ("epoch", 1), ("fit", 0)]


CHANGES = {
    "solver": ["adam", "sgd", "lbfgs"], "early_stopping": [False, True], "batch_size": ["auto", 7, 50],
    "activation": ["relu", "tanh", "logistic", "identity"], "learning_rate": ["constant", "invscaling", "adaptive"],
    "warm_start": [False, True], "momentum": [0.0, 0.9], "alpha": [0.0, 0.1], "shuffle": [True, False],
}  # fmt: skip


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_changes_between_fits(name, seed):
    stream, stale = np.random.RandomState(seed), False
    options = {"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0}
    ours, theirs = (getattr(module, name)(**options) for module in (fastnn, neural_network))
    for _ in range(6):
        change = {key: values[stream.randint(len(values))] for key, values in CHANGES.items() if stream.rand() < 0.3}
        partial, table = stream.rand() < 0.5, X.astype((np.float32, np.float64)[stream.randint(2)])
        if partial:
            change["early_stopping"] = False
            change["solver"] = change.get("solver", ours.solver).replace("lbfgs", "adam")
        classes = {"classes": [0, 1]} if partial and name == "MLPClassifier" else {}
        fresh = not hasattr(ours, "coefs_") or not (partial or change.get("warm_start", ours.warm_start))
        getattr(ours.set_params(**change), "partial_fit" if partial else "fit")(table, BINARY, **classes)
        # scikit-learn's moments outlive the weights that they belong to, if L-BFGS comes between.
        stale = (fresh and ours.solver == "lbfgs") or (stale and partial)
        try:
            getattr(theirs.set_params(**change), "partial_fit" if partial else "fit")(table, BINARY, **classes)
        except (AttributeError, TypeError):  # no loss_curve_ after L-BFGS, no scores after a fit without
            return
        if stale and ours.solver != "lbfgs":
            return
        assert ours.coefs_[0].dtype == theirs.coefs_[0].dtype
        assert ours.n_iter_ == theirs.n_iter_
        for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=0.02 * np.abs(b).max())


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "rmsprop"])
@pytest.mark.parametrize("how", ["warm start", "partial_fit", "held out", "split"])
def test_epochs_after_lbfgs(solver, how):
    model = classifier(solver="lbfgs", warm_start=True).fit(X, BINARY)
    before = model.coefs_[0].copy()
    model.set_params(solver=solver, early_stopping=how == "split")
    if how == "partial_fit":
        model.partial_fit(X, BINARY)
    else:
        model.fit(X, BINARY, **({"X_val": X, "y_val": BINARY} if how == "held out" else {}))
    assert len(model.loss_curve_) == model.n_iter_ == (1 if how == "partial_fit" else 3)
    assert 0 < np.abs(model.coefs_[0] - before).max() < 0.1
    assert (model.validation_scores_ is None) == (how in ("warm start", "partial_fit"))


def test_a_changed_loss_changes_what_is_predicted():
    model = regressor(max_iter=50).fit(X, np.exp(REAL)).set_params(loss="poisson", warm_start=True)
    model.fit(X, np.exp(REAL))
    assert model.out_activation_ == "exp"
    assert model.predict(X).min() > 0
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_lbfgs_says_why_it_has_no_partial_fit():
    with pytest.raises(AttributeError) as caught:
        _ = classifier(solver="lbfgs").partial_fit
    assert "lbfgs is not stochastic" in f"{caught.value} {caught.value.__cause__}"
