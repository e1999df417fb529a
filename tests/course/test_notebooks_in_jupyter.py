"""The course's notebooks in a real kernel: the switched ones print and draw what they did with their own code."""

import pytest
from notebook_cases import TOPICS

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("sklearn")
pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

import notebooks

# Of the twelve that `tests/notebooks.py` runs, those of one version, and of the others what differs by more than names.
DIFFERENT = [("optimization", "v1"), ("gradient_checking", "2021"), ("optimization", "2021")]


@pytest.mark.slow
@pytest.mark.needs_jit
@pytest.mark.parametrize(("topic", "version"), [*((topic, "v1b") for topic in TOPICS), *DIFFERENT])
def test_switched_notebook_prints_and_draws_the_same(tmp_path, topic, version):
    result = notebooks.compare(topic, version, tmp_path, length=201, warm_only=True)
    assert result["differences"] == {}
    # All but the last digits of what rounding decides.
    assert result["printed_alike"] >= len(result["cells"]) - 5


@pytest.mark.parametrize(
    ("printed", "own", "tolerance", "same"),
    [
        ("cost 0.6931", "cost 0.6931", 0, True),
        ("cost 0.6931", "cost 0.6932", 0, True),  # a digit that was rounded the other way
        ("cost 0.6931", "cost 0.6933", 0, False),
        ("cost 0.69314718056", "cost 0.69314718256", 1e-9, False),
        ("cost 0.69314718056", "cost 0.69314718056012", 1e-9, True),
        ("1e-7", "3e-7", 0, False),
        ("inf", "inf", 0, True),
        ("inf", "7.5", 0, False),
        ("[1 2]", "[1  2]", 0, True),
        ("[1 2]", "[1 2 3]", 0, False),
        ("right", "wrong", 0, False),
    ],
)
def test_differences_are_seen(printed, own, tolerance, same):
    cells = [notebooks.CellRun("", 0.1, text, 1, tolerance) for text in (own, printed)]
    assert (notebooks.difference(*cells) is None) == same
    cells[0].figures = 2
    assert notebooks.difference(*cells) == "1 figures in place of 2"
