"""Copies of estimators in every state: what one learns the other never sees; and weights that were made read-only."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn import neural_network
from sklearn.base import clone

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:lbfgs failed")

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(40, 3)
TARGETS = {
    "two": (X[:, 0] > 0).astype(int), "three": np.arange(40) % 3, "labels": (X > 0).astype(int), "number": X[:, 0],
    "numbers": X[:, :2],
}  # fmt: skip


def by_file(path, **options):
    def copied(model):
        joblib.dump(model, path)
        return joblib.load(path, **options)

    return copied


def learnt(model):
    """All that further training goes on from."""
    state = model.__dict__.get("_optimizer")
    moments = [] if state is None else [state.state.v, state.state.s, state.state.powers, [state.state.step]]
    curves = [getattr(model, name, None) or [] for name in ("loss_curve_", "validation_scores_")]
    arrays = [*model.coefs_, *model.intercepts_, *moments, *curves, model.history_.loss]
    return [np.array(array) for array in arrays]


def assert_equal(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda model: pickle.loads(pickle.dumps(model))}
STATES = ("fitted", "by parts", "held out", "predicted", "own weights", "lbfgs", "frozen")


def train(model, y):
    if model.solver != "lbfgs":
        model.partial_fit(X, y)
    model.set_params(warm_start=True).fit(X, y)


def in_state(kind, state, hidden=(4,)):
    y = TARGETS[kind]
    cls = fastnn.MLPRegressor if y.dtype.kind == "f" else fastnn.MLPClassifier
    model = cls(hidden_layer_sizes=hidden, max_iter=3, random_state=0, solver="lbfgs" if state == "lbfgs" else "adam")
    held_out = {"X_val": X, "y_val": y} if state == "held out" else {}
    model.fit(X, y, **held_out)
    if state == "by parts":
        model.partial_fit(X, y)
    if state == "predicted":
        model.predict(X)
    if state == "own weights":
        model.coefs_ = [c * 2 for c in model.coefs_]
    if state == "frozen":
        model.coefs_[0].flags.writeable = False
    return model, y


@pytest.mark.parametrize("way", [*COPIES, "joblib"])
@pytest.mark.parametrize("kind", TARGETS)
def test_copies_learn_on_their_own(kind, way, tmp_path):
    for state in STATES:
        for hidden in ((4,), ()) if state == "fitted" else ((4,),):
            model, y = in_state(kind, state, hidden)
            outputs = model.predict(X)
            other = (COPIES.get(way) or by_file(tmp_path / "model"))(model)
            before = learnt(model)
            assert_equal(learnt(other), before)
            train(other, y)
            assert_equal(learnt(model), before)
            np.testing.assert_array_equal(model.predict(X), outputs)
            if state != "frozen":
                before = learnt(other)
                train(model, y)
                assert_equal(learnt(other), before)


@pytest.mark.parametrize("way", COPIES)
def test_copies_go_on_as_the_original_does(way):
    model, y = in_state("three", "by parts")
    other = COPIES[way](model)
    assert_equal(learnt(model.partial_fit(X, y)), learnt(other.partial_fit(X, y)))


@pytest.mark.parametrize("way", COPIES)
def test_unfitted_ones_and_subclasses_can_be_copied(way):
    model = COPIES[way](fastnn.MLPClassifier(4, random_state=0, max_iter=2))
    assert model.fit(X, TARGETS["two"]).n_iter_ == 2
    assert not hasattr(clone(model), "coefs_")


def test_a_copy_shares_its_parameters():
    stream = np.random.RandomState(0)
    model = fastnn.MLPRegressor(random_state=stream, hidden_layer_sizes=[3])
    other = copy.copy(model)
    assert other.random_state is stream
    assert other.hidden_layer_sizes is model.hidden_layer_sizes


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kind", ["two", "numbers"])
def test_copies_from_the_midst_of_a_fit_stay_as_they_are(kind, way):
    kept = []

    def callback(owner, history):
        owner.callbacks, mine = None, owner.callbacks  # a local function cannot be pickled
        kept.append(COPIES[way](owner))
        owner.callbacks = mine
        kept[-1].partial_fit(X, TARGETS[kind])
        snapshots.append(learnt(kept[-1]))

    snapshots = []
    model, y = in_state(kind, "fitted")
    plain = learnt(copy.deepcopy(model).set_params(warm_start=True).fit(X, y))
    model.set_params(warm_start=True, callbacks=callback).fit(X, y)
    assert_equal(learnt(model), plain)
    for other, then in zip(kept, snapshots, strict=True):
        assert_equal(learnt(other), then)


def test_two_estimators_with_the_same_parameters_share_nothing():
    model, y = in_state("three", "by parts")
    other = type(model)().set_params(**model.get_params()).fit(X, y)
    before = learnt(model)
    other.partial_fit(X, y)
    assert_equal(learnt(model), before)


@pytest.mark.parametrize("kind", ["two", "numbers"])
def test_weights_made_read_only_are_not_trained(kind):
    for frozen in ("coefs_[0]", "intercepts_[1]", "network_.vector", "network_.parameters['b1']"):
        for go_on in ("partial_fit", "fit"):
            model, y = in_state(kind, "fitted")
            model.set_params(warm_start=True)
            eval(f"model.{frozen}").flags.writeable = False
            before = learnt(model)
            with pytest.raises(ValueError, match="must be writeable to be trained, got a read-only array") as error:
                getattr(model, go_on)(X, y)
            assert str(error.value).startswith(frozen)
            assert_equal(learnt(model), before)
            model.predict(X)
            # Weights that are drawn anew are others.
            model.set_params(warm_start=False).fit(X, y)
    theirs = neural_network.MLPClassifier(4, max_iter=2).fit(X, TARGETS["two"])
    theirs.coefs_[0].flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        theirs.partial_fit(X, TARGETS["two"])


def test_a_callback_may_freeze_weights():
    def callback(owner, history):
        owner.coefs_[0].flags.writeable = False
        frozen.append(owner.coefs_[0].copy())

    frozen = []
    model = fastnn.MLPClassifier(4, random_state=0, callbacks=callback)
    with pytest.raises(ValueError, match=r"coefs_\[0\] must be writeable"):
        model.fit(X, TARGETS["two"])
    assert len(frozen) == model.n_iter_ == 1
    np.testing.assert_array_equal(model.coefs_[0], frozen[0])


def test_read_only_weights_of_someone_else_are_copied():
    model, y = in_state("three", "fitted")
    given = [np.array(c) for c in model.coefs_]
    for array in given:
        array.flags.writeable = False
    before = [array.copy() for array in given]
    model.coefs_ = given
    model.partial_fit(X, y)
    assert_equal(given, before)
    assert not np.array_equal(model.coefs_[0], given[0])
