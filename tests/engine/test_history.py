"""Histories: what they note of time, and how they are shown."""

import math
import re
import sys

import numpy as np
import pytest

import fastnn
from fastnn import History
from fastnn.epochs import EpochSums

RANDOM = np.random.RandomState(0)


@pytest.mark.parametrize("side", [fastnn.reference, fastnn], ids=lambda side: side.__name__)
def test_seconds_rise_to_the_time_of_the_call(side):
    X, Y = RANDOM.randn(2, 40), RANDOM.randn(1, 40)
    for options in ({}, {"validation": (X, Y)}, {"optimizer": fastnn.LBFGS(), "batch_size": None}):
        history = side.train(side.Network([2, 3, 1], seed=0), X, Y, **{"epochs": 20, "batch_size": 16, **options})
        assert len(history.seconds) == history.epochs
        assert (np.diff([0, *history.seconds]) > 0).all()
        assert history.seconds[-1] < 60
        assert history.validation_score == []


def test_epochs_of_a_slice_share_its_time():
    history = History()
    sums = EpochSums(4, history)
    for count, begin, end in ((6, 1.0, 1.6), (1, 2.0, 3.0), (9, 3.0, 3.9)):
        sums.add(np.ones(count), np.ones(count), np.ones(count), begin, end)
    assert history.seconds == pytest.approx([1.4, 3.1, 3.5, 3.9])


def test_tables():
    history = History([3.0, 2.0, 1.0], [2.5, 1.5], [], True)
    assert history.stopped
    table = history.as_dict()
    assert list(table) == ["epoch", "loss", "validation_loss"]
    assert table["epoch"] == [1, 2, 3]
    assert table["validation_loss"][:2] == [2.5, 1.5]
    assert math.isnan(table["validation_loss"][2])
    table["loss"].append(0.0)
    assert history.epochs == 3
    assert History().as_dict() == {"epoch": []}


def test_data_frames(monkeypatch):
    pandas = pytest.importorskip("pandas")
    frame = History([3.0, 2.0], learning_rate=[0.2, 0.1], validation_score=[0.5, 0.6]).to_pandas()
    expected = pandas.DataFrame(
        {"loss": [3.0, 2.0], "validation_score": [0.5, 0.6], "learning_rate": [0.2, 0.1]},
        index=pandas.Index([1, 2], name="epoch"),
    )
    pandas.testing.assert_frame_equal(frame, expected)
    assert History().to_pandas().shape == (0, 0)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"^to_pandas needs pandas, which is not installed$"):
        History().to_pandas()


def test_histories_are_shown_shortly():
    assert repr(History()) == "<History of 0 epochs>"
    assert repr(History([0.5])) == "<History of 1 epoch: loss 0.5>"
    long = History([1 / 3] * 1000, [0.25] * 1000, [0.1] * 1000, True, [0.75] * 1000, [1.5] * 1000)
    assert repr(long) == (
        "<History of 1000 epochs, stopped early: loss 0.333333, validation_loss 0.25, validation_score 0.75, 1.5 s>"
    )


@pytest.mark.parametrize("epochs", [0, 1, 20, 21, 1000])
def test_html_tables(epochs):
    html = History([float(epoch) for epoch in range(epochs)], learning_rate=[0.1] * epochs)._repr_html_()
    rows = re.findall(r"<tr><td>(\d+|…)</td>", html)
    if epochs <= 20:
        assert rows == [str(epoch + 1) for epoch in range(epochs)]
    else:
        assert len(rows) == 20
        assert rows[:11] == [*"123456789", "10", "…"]
        assert rows[-1] == str(epochs)
    assert html.count("<th>") == (3 if epochs else 1)
    assert "_" not in html
