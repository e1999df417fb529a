"""Data that cannot be trained on, and trainings that come to nothing: each says so in a sentence."""

import math
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import LBFGS, SGD, Adam, AdamW, AMSGrad, RMSProp, checks

SIDES = (fastnn.reference, fastnn)
side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.__name__)

RANDOM = np.random.RandomState(0)
X, Y = RANDOM.randn(3, 12), RANDOM.randn(2, 12)
WEIGHTS = RANDOM.rand(12) + 0.5


def trainer(side, output="linear", dtype="float64", optimizer=SGD(0.01), **options):  # noqa: B008 - frozen
    net = side.Network([3, 5, 2], "tanh", output, dtype=dtype, seed=0)
    return side.Trainer(net, optimizer, seed=1, **options)


def bits(trainer):
    return trainer.network.vector.tobytes(), trainer.state.step, trainer.state.epoch


def doors(owner):
    """Every way that an array goes in, by the name that a sentence gives it."""
    net = owner.network
    _, cache = net.forward(X)
    return {
        "X": [
            (net.predict, X), (net.forward, X),
            (lambda A: owner.fit(A, Y), X), (lambda A: owner.step(A, Y), X), (lambda A: fastnn.train(net, A, Y), X),
            (lambda A: fastnn.gradient_check(owner, A, Y), X),
        ],
        "Y": [(lambda A: owner.fit(X, A), Y), (lambda A: owner.step(X, A), Y)],
        "x": [(net.predict_one, X[:, 0])],
        "dA": [(lambda A: net.backward(A, cache), Y)],
        "sample_weight": [
            (lambda A: owner.fit(X, Y, sample_weight=A), WEIGHTS), (lambda A: owner.step(X, Y, A), WEIGHTS),
        ],
        "X of validation": [(lambda A: owner.fit(X, Y, validation=(A, Y)), X)],
        "Y of validation": [(lambda A: owner.fit(X, Y, validation=(X, A)), Y)],
        "weights of validation": [(lambda A: owner.fit(X, Y, validation=(X, Y, A)), WEIGHTS)],
    }  # fmt: skip


def refused_everywhere(side, change, kind, message, names=None):
    owner = trainer(side)
    before = bits(owner)
    for name, ways in doors(owner).items():
        for way, good in ways if names is None or name in names else ():
            with pytest.raises(kind, match=f"^{name} {message}"):
                way(change(good))
            assert bits(owner) == before


@side
def test_masked_entries_are_not_taken_for_numbers(side):
    message = "must have no masked entries, got 1: fill them first"
    refused_everywhere(
        side, lambda a: np.ma.masked_array(a, np.arange(a.size).reshape(a.shape) == 2), ValueError, message
    )
    names = ("X", "Y", "dA", "X of validation", "Y of validation")
    refused_everywhere(side, lambda a: [*a[:-1], np.ma.masked_equal(a[-1], a[-1, 0])], ValueError, message, names)


def test_masked_rows_behind_others_are_seen():
    rows = [[1.0, 2.0], np.ma.array([1.0, 9.0], mask=[False, True])]
    with pytest.raises(ValueError, match="X must have no masked entries, got 1"):
        fastnn.Network([2, 1], seed=0).predict(rows)


@side
def test_masked_arrays_without_masked_entries_are_arrays(side):
    owner, twin = trainer(side), trainer(side)
    masked = np.ma.masked_array
    owner.fit(masked(X), masked(Y), 1, None, masked(WEIGHTS, False), validation=(masked(X, np.zeros(X.shape)), Y))
    twin.fit(X, Y, 1, None, WEIGHTS, validation=(X, Y))
    assert bits(owner) == bits(twin)
    assert owner.network.predict(masked(X)).tobytes() == owner.network.predict(X).tobytes()


@side
@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_array"])
def test_sparse_tables_are_refused_in_words(side, form):
    sparse = getattr(pytest.importorskip("scipy.sparse"), form)
    names = ("X", "Y", "dA", "X of validation", "Y of validation")
    refused_everywhere(
        side, sparse, TypeError, rf"must be dense, got a sparse {form}: give its toarray\(\) \(MLPCl", names
    )


@side
@pytest.mark.parametrize(("dtype", "form"), [("uint8", "C"), ("int16", "F"), ("float32", "C"), ("float64", "F")])
@pytest.mark.parametrize("m", [4, pytest.param(5000, marks=pytest.mark.needs_jit)])
def test_labels_out_of_range_are_refused_by_steps_too(side, dtype, form, m):
    X, Y = np.ones((3, m)), np.zeros((2, m), dtype, form)
    Y[1, m // 2] = 1
    for output, low, high in (("sigmoid", -1, 255), ("softmax", -1, None)):
        owner = trainer(side, output)
        before = bits(owner)
        for bad in (low, high):
            if bad is None or (bad < 0 and dtype == "uint8"):
                continue
            wrong = Y.copy(form)
            wrong[0, m - 1] = bad
            for work in (owner.fit, owner.step):
                with pytest.raises(ValueError, match=f"Y must .* with loss .*, got {bad}"):
                    work(X, wrong)
            assert bits(owner) == before
        owner.step(X, Y)
        owner.fit(X, Y, epochs=1)
        if dtype != "uint8":
            with pytest.raises(ValueError, match=r"Y must .* with loss"):
                owner.step(X, wrong)
    poisson = trainer(side, loss="poisson")
    if dtype != "uint8":
        with pytest.raises(ValueError, match="Y must not be negative with loss 'poisson', got -1"):
            poisson.step(X, Y - np.ones(1, dtype))


@side
@pytest.mark.parametrize("bad", [1e300, -1e40, 3.5e38])
def test_data_beyond_float32_are_refused_by_float32_networks(side, bad):
    owner = trainer(side, dtype="float32")
    before = bits(owner)
    for name, ways in doors(owner).items():
        if name in ("X", "Y", "X of validation", "Y of validation"):
            for way, good in ways:
                if way in (owner.network.predict, owner.network.forward) or "step" in way.__code__.co_names:
                    continue
                wrong = good.copy()
                wrong[1, 3] = bad
                with pytest.raises(ValueError, match=f"^{name} must be within float32, .*, got .* at index .1, 3.$"):
                    way(wrong)
    assert bits(owner) == before
    wide = trainer(side)
    wide.fit(np.where(X > 1, bad, X), Y, epochs=1)


def test_the_bound_is_where_rounding_overflows():
    largest = float(np.finfo(np.float32).max)
    bound = checks.arrays.FLOAT32_OVERFLOW
    with np.errstate(over="ignore"):
        assert np.float32(bound) == math.inf
        assert np.float32(np.nextafter(bound, 0)) == largest
    float32 = np.dtype("float32")
    checks.require_finite("X", np.array([np.nextafter(bound, 0), -largest]), float32)
    for bad in (bound, -bound):
        with pytest.raises(ValueError, match="X must be within float32"):
            checks.require_finite("X", np.array([0.0, bad]), float32)
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=r"X must be finite, got .* at index \(1,\)"):
            checks.require_finite("X", np.array([1e300, bad]), float32)


@side
@pytest.mark.parametrize("callbacks", [(), (lambda trainer, history: None,)])
def test_a_training_that_diverges_says_so_once(side, callbacks):
    owner = trainer(side, optimizer=SGD(1e40))
    with pytest.warns(RuntimeWarning, match="training diverges: the loss of epoch .* is") as caught:
        history = owner.fit(X, Y, epochs=40, batch_size=4, callbacks=callbacks)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    first = next(epoch for epoch, loss in enumerate(history.loss, 1) if not math.isfinite(loss))
    assert f"the loss of epoch {first} is {history.loss[first - 1]}" in str(caught[0].message)


@side
@pytest.mark.parametrize("optimizer", [SGD(1e308), SGD(lambda step: 1e308)])
def test_weights_that_the_last_step_has_lost(side, optimizer):
    owner = trainer(side, optimizer=optimizer)
    with pytest.warns(RuntimeWarning, match="training diverges: there are weights that are not finite after epoch 1"):
        history = owner.fit(X, 1e10 * Y, epochs=1, batch_size=None)
    assert math.isfinite(history.loss[0])
    assert not np.isfinite(owner.network.vector).all()


@side
def test_lbfgs_and_train_warn_too(side):
    pytest.importorskip("scipy")
    net = side.Network([3, 2], seed=0)
    with pytest.warns(RuntimeWarning, match="training diverges: the loss of epoch 1 is"):
        side.train(net, X, 1e200 * Y, epochs=3, optimizer=SGD(0.1))
    net.vector[:] = math.nan
    with pytest.warns(RuntimeWarning, match="training diverges"):
        side.train(net, X, Y, epochs=1, batch_size=None, optimizer=LBFGS())


@side
def test_what_does_not_diverge_is_quiet(side):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer(side).fit(X, Y, epochs=3)
        trainer(side).fit(X, Y, epochs=0)


@side
@pytest.mark.parametrize("optimizer", [Adam(), AdamW(), AMSGrad(), RMSProp(), SGD(1e-30, momentum=0.9)], ids=repr)
def test_weights_that_stand_still_are_told_of(side, optimizer):
    """Squares of these gradients overflow float32, and neither the losses nor the gradients do."""
    owner = side.Trainer(side.Network([3, 2], dtype="float32", seed=0), optimizer)
    before = owner.network.vector.copy()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = owner.fit(1e9 * X, 1e15 * Y, epochs=2)
    assert np.isfinite(history.loss).all()
    still = np.isinf(owner.state.s)
    assert still.any() == (not isinstance(optimizer, SGD))
    assert [str(w.message).startswith("some weights stand still") for w in caught] == [True] * int(still.any())
    if not isinstance(optimizer, AdamW):
        assert (owner.network.vector[: still.size][still] == before[: still.size][still]).all()
