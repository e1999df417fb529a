"""Ctrl-C during a fit: it waits for the end of a slice, and leaves what was done."""

import signal

import pytest
from trainer_cases import bits, data, network, side

import fastnn
from fastnn.engine import slices
from fastnn.reference import engine as numpy_engine

pytestmark = pytest.mark.usefixtures("default_ctrl_c")


@side
def test_interrupt_in_a_callback(side):
    X, Y = data()

    def interrupt(trainer, history):
        if history.epochs == 2:
            signal.raise_signal(signal.SIGINT)

    trainer = side.Trainer(network(side), seed=1)
    with pytest.warns(UserWarning, match="training was interrupted after 2 of 5 epochs"):
        history = trainer.fit(X, Y, epochs=5, callbacks=[interrupt])
    assert (history.epochs, history.stopped) == (2, True)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    uninterrupted = side.Trainer(network(side), seed=1)
    uninterrupted.fit(X, Y, epochs=2)
    assert bits(trainer) == bits(uninterrupted)


class Interrupting(numpy_engine.Engine):
    """Ctrl-C comes in the midst of each slice, before its steps are done."""

    def session(self, *arguments):
        session = super().session(*arguments)
        advance = session.advance

        def interrupted(rates):
            signal.raise_signal(signal.SIGINT)
            return advance(rates)

        session.advance = interrupted
        return session


class Interrupted(fastnn.reference.Trainer):
    @staticmethod
    def _engine_class():
        return Interrupting


def test_interrupt_in_a_slice_waits_for_its_end(monkeypatch):
    X, Y = data()
    monkeypatch.setattr(slices, "FIRST_SLICE", 6 * 16 * network(fastnn.reference).vector.size)
    trainer = Interrupted(network(fastnn.reference), seed=1)
    with pytest.warns(UserWarning, match="training was interrupted after 1 of 5 epochs"):
        history = trainer.fit(X, Y, epochs=5, batch_size=16)
    assert trainer.state.step == 6  # one slice: an epoch of 4 steps, and 2 of the next
    assert len(history.learning_rate) == history.epochs == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_user_s_is_left_alone():
    X, Y = data()
    seen = []
    kept = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        handler = signal.getsignal(signal.SIGINT)
        assert not Interrupted(network(fastnn.reference)).fit(X, Y, epochs=2, batch_size=None).stopped
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, kept)
    assert seen
