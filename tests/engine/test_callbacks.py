"""Callbacks: when they are called, and what each does with a trainer or with an owner like an estimator."""

import copy
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from callback_cases import HELD_OUT, Owner, X, Y, side, trainer_of
from processes import environment

import fastnn
from fastnn import LBFGS, SGD, Adam, Checkpoint, EarlyStopping, LearningRateScheduler, ProgressBar


class Notes:
    """Notes its calls."""

    def __init__(self, name, notes, fails=None):
        self.name, self.notes, self.fails = name, notes, fails

    def _note(self, what, *more):
        self.notes.append((what, self.name, *more))
        if self.fails == what:
            raise ArithmeticError(what)

    def begin(self, owner, history, epochs):
        self._note("begin", history.epochs, epochs)

    def __call__(self, owner, history):
        self._note("call", history.epochs)

    def end(self, owner, history):
        self._note("end", history.epochs, history.stopped)


# When they are called.


@side
@pytest.mark.parametrize("optimizer", [SGD(0.1), LBFGS()], ids=repr)
def test_hooks_are_called_in_order(side, optimizer):
    notes = []
    plain = lambda owner, history: notes.append("plain") or history.epochs == 2  # noqa: E731
    trainer_of(side, optimizer).fit(
        X, Y, epochs=5, batch_size=None, callbacks=[Notes("a", notes), plain, Notes("b", notes)]
    )
    epochs = [entry for epoch in (1, 2) for entry in (("call", "a", epoch), "plain", ("call", "b", epoch))]
    begin, end = ([(what, name, *more) for name in "ab"] for what, *more in (("begin", 0, 5), ("end", 2, True)))
    assert notes == [*begin, *epochs, *end]


def test_hooks_without_epochs():
    notes = []
    trainer_of(fastnn.reference).fit(X, Y, epochs=0, callbacks=[Notes("a", notes)])
    assert notes == [("begin", "a", 0, 0), ("end", "a", 0, False)]


@side
@pytest.mark.parametrize(
    ("fails", "ended"), [("begin", ["a"]), ("call", ["a", "b", "c"]), ("end", ["a", "b", "c"])], ids=str
)
def test_hooks_end_what_has_begun_after_an_exception(side, fails, ended):
    notes = []
    callbacks = [Notes("a", notes), Notes("b", notes, fails), Notes("c", notes)]
    with pytest.raises(ArithmeticError, match=fails):
        trainer_of(side).fit(X, Y, epochs=2, callbacks=callbacks)
    assert [name for what, name, *_ in notes if what == "end"] == ended


@side
def test_hooks_end_after_an_interrupt(side):
    notes = []

    def interrupt(trainer, history):
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted after 1 of 5"):
        trainer_of(side).fit(X, Y, epochs=5, callbacks=[Notes("a", notes), interrupt])
    assert notes[-1] == ("end", "a", 1, True)


def test_a_class_is_no_callback():
    with pytest.raises(TypeError, match=r"callbacks\[0\] must be a function or an instance, got the class Early"):
        trainer_of(fastnn.reference).fit(X, Y, callbacks=[EarlyStopping])


def all_callbacks(folder):
    return [
        EarlyStopping(patience=2),
        Checkpoint(folder / "net.npz", save_best_only=True),
        LearningRateScheduler(halved),
        ProgressBar("fit"),
    ]


def halved(epoch, rate):
    return rate / 2 if epoch else 0.1


@side
def test_callbacks_serve_again_and_again(side, tmp_path):
    """Bits are those of fresh callbacks after use, pickling, copying and cloning, before and after a training."""
    clone = pytest.importorskip("sklearn.base").clone
    results, callbacks = [], all_callbacks(tmp_path)
    used = copy.deepcopy(callbacks)
    trainer_of(side).fit(X[:, :30], Y[:, :30], epochs=7, callbacks=used)
    for given in (callbacks, used, pickle.loads(pickle.dumps(used)), copy.deepcopy(callbacks), clone(used, safe=False)):
        trainer = trainer_of(side)
        history = trainer.fit(X, Y, epochs=9, validation=HELD_OUT, callbacks=given)
        results.append((trainer.network.vector.tobytes(), history, repr(given), vars(given[0]), given[1].best_value_))
    assert all(result == results[0] for result in results)
    assert repr(callbacks[0]) == "EarlyStopping(monitor=None, patience=2, min_delta=0.0, restore_best=True)"


# Early stopping.


@pytest.mark.parametrize(
    ("lists", "options", "best", "stopped"),
    [
        ({"loss": [3, 2, 1, 2, 2, 2]}, {"patience": 2}, (3, 1), 5),
        ({"loss": [3, 2, 1, 2, 2, 2]}, {"patience": 4}, (3, 1), None),
        ({"loss": [3, 2, 1, 1, 1, 0]}, {"patience": 2}, (3, 1), 5),
        ({"loss": [3, 2, 1], "validation_loss": [1, 2, 3]}, {"patience": 1}, (1, 1), 2),
        ({"loss": [3, 2, 1], "validation_loss": [1, 2, 3]}, {"patience": 1, "monitor": "loss"}, (3, 1), None),
        ({"validation_loss": [1, 2, 3], "validation_score": [0.1, 0.3, 0.2]}, {"patience": 1}, (2, 0.3), 3),
        # Small steps add up to an improvement; the best is the best, however little better.
        ({"loss": [1, 0.96, 0.92, 0.88, 0.84]}, {"patience": 3, "min_delta": 0.1}, (5, 0.84), None),
        ({"loss": [1, 0.96, 0.92, 0.88, 0.84]}, {"patience": 2, "min_delta": 0.1}, (3, 0.92), 3),
        ({"loss": [math.nan, 2, math.nan, -math.inf, 3]}, {"patience": 3}, (2, 2), 5),
        ({"validation_score": [math.nan, math.inf, -1, -2]}, {"patience": 5}, (3, -1), None),
    ],
)
def test_early_stopping(lists, options, best, stopped):
    stopping, owner = EarlyStopping(**options), Owner()
    history = owner.fit([stopping], **lists)
    assert (stopping.best_epoch_, stopping.best_value_) == best
    assert stopping.stopped_epoch_ == stopped
    assert history.epochs == stopped or stopped is None
    assert (owner.network_.vector == (best[0] or history.epochs)).all()
    owner.fit([EarlyStopping(**{**options, "restore_best": False})], **lists)
    assert (owner.network_.vector == history.epochs).all()


@pytest.mark.parametrize("restore_best", [True, False])
def test_no_epoch_is_best(tmp_path, restore_best):
    stopping, owner = EarlyStopping(patience=2, restore_best=restore_best), Owner()
    checkpoint = Checkpoint(tmp_path / "net.npz", "loss", save_best_only=True)
    with pytest.warns(UserWarning, match="no epoch's loss") as noted:
        history = owner.fit([stopping, checkpoint], loss=[math.nan, math.inf, math.nan])
    why = "no epoch's loss was a finite number, the last is inf"
    said = {str(warning.message) for warning in noted}
    expected = {f"Checkpoint has written nothing: {why}"}
    assert said == (
        expected | {f"EarlyStopping leaves the weights of the last epoch: {why}"} if restore_best else expected
    )
    assert (stopping.best_epoch_, stopping.best_value_, stopping.stopped_epoch_) == (None, None, 2)
    assert (owner.network_.vector == history.epochs).all()
    assert not list(tmp_path.iterdir())
    # Nor is anything said where no epoch was looked at.
    owner.fit([EarlyStopping(), Checkpoint(tmp_path / "net.npz", save_best_only=True, every=9)], loss=[1.0, math.nan])


@side
@pytest.mark.parametrize("optimizer", [Adam(0.05), LBFGS()], ids=repr)
def test_best_weights_of_a_trainer(side, optimizer):
    kept = []
    stopping = EarlyStopping(patience=3)
    trainer = trainer_of(side, optimizer)
    note = lambda trainer, history: kept.append(trainer.network.vector.copy())  # noqa: E731
    history = trainer.fit(X, Y, epochs=300, batch_size=None, validation=HELD_OUT, callbacks=[stopping, note])
    assert history.stopped
    assert stopping.best_value_ == min(history.validation_loss)
    assert stopping.best_epoch_ == history.epochs - 3 == stopping.stopped_epoch_ - 3
    assert trainer.network.vector.tobytes() == kept[stopping.best_epoch_ - 1].tobytes()
    assert all(not isinstance(value, np.ndarray) for value in vars(stopping).values())


def test_best_weights_after_an_interrupt_and_an_exception():
    def fail(error):
        def callback(trainer, history):
            best.setdefault(history.validation_loss[-1], trainer.network.vector.copy())
            if history.epochs == 4:
                raise error

        return callback

    for error in (KeyboardInterrupt, ArithmeticError):
        trainer, stopping, best = trainer_of(fastnn.reference, SGD(2.0)), EarlyStopping(), {}
        with pytest.warns(UserWarning, match="after 4 of 9") if error is KeyboardInterrupt else pytest.raises(error):
            trainer.fit(X, Y, epochs=9, validation=HELD_OUT, callbacks=[stopping, fail(error)])
        assert len(best) == 4
        assert (trainer.network.vector == best[min(best)]).all()


@pytest.mark.parametrize(
    ("monitor", "options", "message"),
    [
        ("validation_loss", {}, r"must be 'loss', which this training records, got 'validation_loss': give fit valid"),
        ("validation_score", {}, "must be 'loss', which this training records, got 'validation_score': give fit"),
        (
            "validation_score",
            {"validation": HELD_OUT},
            "must be 'validation_loss' or 'loss', which .*: only estimators compute scores",
        ),
    ],
)
def test_monitored_values_must_be_recorded(monitor, options, message, tmp_path):
    for callback in (EarlyStopping(monitor), Checkpoint(tmp_path / "net.npz", monitor, save_best_only=True)):
        with pytest.raises(ValueError, match=message):
            trainer_of(fastnn.reference).fit(X, Y, epochs=3, callbacks=[callback], **options)


# Learning rates.


@side
def test_scheduled_rates(side):
    seen = []

    def schedule(epoch, rate):
        seen.append((epoch, rate))
        return 0.1 / (epoch + 1)

    trainer = trainer_of(side, Adam(fastnn.StepDecay(0.4, every=1)))
    scheduler = LearningRateScheduler(schedule)
    rates = [0.1 / (epoch + 1) for epoch in range(3)]
    for _ in range(2):
        assert trainer.fit(X, Y, epochs=3, callbacks=[scheduler]).learning_rate == rates
    assert seen == [(0, 0.4), (1, rates[0]), (2, rates[1]), (0, rates[2]), (1, rates[0]), (2, rates[1])]
    assert trainer.fit(X, Y, epochs=0, callbacks=[scheduler]).learning_rate == []
    assert trainer.get_learning_rate() == rates[-1]


def test_scheduled_rates_of_an_estimator():
    owner = Owner()
    owner.fit([LearningRateScheduler(lambda epoch, rate: np.float32(rate / 2))], loss=[1.0, 2.0])
    assert owner.rates == [0.1, pytest.approx(0.05), pytest.approx(0.025)]


@pytest.mark.parametrize(
    ("result", "kind", "message"),
    [
        (-1, ValueError, r"schedule\(0, 0.1\) must not be negative, got -1"),
        (math.nan, ValueError, r"schedule\(0, 0.1\) must be finite, got nan"),
        (None, TypeError, r"schedule\(0, 0.1\) must be a real number, got None"),
    ],
)
def test_bad_rates(result, kind, message):
    with pytest.raises(kind, match=message):
        trainer_of(fastnn.reference).fit(X, Y, callbacks=[LearningRateScheduler(lambda epoch, rate: result)])


def test_lbfgs_has_no_rate_to_schedule():
    with pytest.raises(TypeError, match="get_learning_rate needs an optimiser with a learning rate, got LBFGS"):
        trainer_of(fastnn.reference, LBFGS()).fit(
            X, Y, batch_size=None, callbacks=[LearningRateScheduler(lambda epoch, rate: rate)]
        )


# Progress.


@side
def test_progress_is_shown_on_stderr(side, capsys):
    pytest.importorskip("tqdm")
    bar = ProgressBar("fit")
    history = trainer_of(side).fit(X, Y, epochs=12, validation=HELD_OUT, callbacks=[bar])
    out, err = capsys.readouterr()
    assert out == ""
    last = err.rstrip("\n").split("\r")[-1]
    assert last.startswith("fit: 100%")
    assert "12/12 [00:" in last
    assert f"loss {history.loss[-1]:.4g}, validation loss {history.validation_loss[-1]:.4g}" in last
    owner = Owner()
    owner.fit([ProgressBar(), lambda owner, history: history.epochs == 2], planned=9, validation_score=[0.5, 0.75, 1])
    last = capsys.readouterr().err.rstrip("\n").split("\r")[-1]
    assert "2/9" in last
    assert "loss 1, validation score 0.75" in last
    Owner().fit([ProgressBar(leave=False)], loss=[1.0])
    assert capsys.readouterr().err.split("\r")[-1].strip() == ""


def test_bars_are_closed_whatever_happens(capsys):
    tqdm = pytest.importorskip("tqdm").tqdm

    def fail(trainer, history):
        raise ArithmeticError

    bar = ProgressBar()
    for _ in tqdm(range(2)):
        with pytest.raises(ArithmeticError):
            trainer_of(fastnn.reference).fit(X, Y, callbacks=[bar, fail])
        assert bar._bar is None
    assert not getattr(tqdm, "_instances", ())
    assert capsys.readouterr().out == ""


def test_progress_needs_tqdm(monkeypatch):
    notes = []
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"^ProgressBar needs tqdm, which is not installed$"):
        trainer_of(fastnn.reference).fit(X, Y, callbacks=[Notes("a", notes), ProgressBar()])
    assert notes[-1][0] == "end"


def test_a_notebook_without_widgets_is_no_warning():
    pytest.importorskip("tqdm")
    code = (
        "import sys, types, warnings; warnings.simplefilter('error')\n"
        "shell = types.SimpleNamespace(config={'IPKernelApp': {}})\n"
        "sys.modules['IPython'] = types.SimpleNamespace(get_ipython=lambda: shell)\n"
        "sys.modules['ipywidgets'] = None\n"
        "from fastnn import ProgressBar; from fastnn.reference import Network, train\n"
        "train(Network([1, 1]), [[1.0]], [[1.0]], epochs=3, callbacks=[ProgressBar()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "3/3" in done.stderr
    assert "Warning" not in done.stderr


# Settings.


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda: EarlyStopping("accuracy"),
            ValueError,
            "monitor must be one of 'validation_score', .*, got 'accuracy'",
        ),
        (lambda: EarlyStopping(3), TypeError, "monitor must be one of .*, got 3"),
        (lambda: EarlyStopping(patience=0), ValueError, "patience must be at least 1, got 0"),
        (lambda: EarlyStopping(patience=1.5), TypeError, "patience must be an integer, got 1.5"),
        (lambda: EarlyStopping(min_delta=-1), ValueError, "min_delta must not be negative, got -1"),
        (lambda: EarlyStopping(restore_best=1), TypeError, "restore_best must be True or False, got 1"),
        (lambda: Checkpoint(3), TypeError, "path must be a string or a Path, got 3"),
        (lambda: Checkpoint("{loss}"), ValueError, r"path must have no braces but \{epoch\} and .*, got '\{loss\}'"),
        (lambda: Checkpoint("{"), ValueError, "path must have no braces"),
        (lambda: Checkpoint("{}"), ValueError, "path must have no braces"),
        (lambda: Checkpoint("{epoch:s}"), ValueError, "path must have no braces"),
        (lambda: Checkpoint("x", "loss"), ValueError, "monitor needs save_best_only=True, got monitor='loss' without"),
        (lambda: Checkpoint("x", save_best_only=0), TypeError, "save_best_only must be True or False, got 0"),
        (lambda: Checkpoint("x", every=0), ValueError, "every must be at least 1, got 0"),
        (lambda: LearningRateScheduler(0.1), TypeError, "schedule must be a function of an epoch and a rate, got 0.1"),
        (lambda: ProgressBar(3), TypeError, "description must be a string, got 3"),
        (lambda: ProgressBar(leave="no"), TypeError, "leave must be True or False, got 'no'"),
    ],
)
def test_bad_settings(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
