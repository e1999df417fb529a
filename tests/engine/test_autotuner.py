"""How many threads a step gets: what trials say, and when there are any."""

from itertools import pairwise

import pytest

from fastnn.engine.autotuner import (
    AGAIN_NS,
    DENIED_AGAIN_NS,
    FIRST_AGAIN_NS,
    SHORT_CALL_NS,
    TEAM_STEP_NS,
    TRIAL_NS,
    Autotuner,
)

GUESS = 30e3


def run(autotuner, left, step_ns, entry_ns=0.0, there=8):
    """Let a call of so many steps go the autotuner's way; the threads that it asked for, slice by slice."""
    asked = []
    while left:
        wanted, steps = autotuner.next(left)
        n = min(wanted, there)
        autotuner.note(wanted, n, steps, steps * step_ns[n] + entry_ns * (n > 1))
        asked.append(wanted)
        left -= steps
    return asked


def test_long_calls_get_the_fastest_of_what_has_been_tried():
    for step_ns, best in (
        ({1: 20e3, 2: 12e3, 4: 9e3}, 4),
        ({1: 20e3, 2: 12e3, 4: 15e3}, 2),
        ({1: 5e3, 2: 6e3, 4: 9e3}, 1),
    ):
        autotuner = Autotuner(4, GUESS)
        assert run(autotuner, int(3e7 / step_ns[1]), step_ns)[:10] == [1, *(1, 2, 4) * 3]
        assert autotuner.best == best
        assert run(autotuner, 100, step_ns)[-1] == best


def test_short_calls_never_try_a_team():
    autotuner = Autotuner(2, GUESS)
    # The first one loads code.
    run(autotuner, 1, {1: 2e6})
    for _ in range(2 * int(AGAIN_NS / 20e3)):
        assert run(autotuner, 1, {1: 20e3}) == [1]
    # Longer ones of the same size still do.
    assert set(run(autotuner, 1000, {1: 20e3, 2: 12e3})) == {1, 2}
    assert autotuner.best == 2
    assert run(autotuner, int(SHORT_CALL_NS / 20e3) - 1, {1: 20e3}) == [1]


def test_the_way_into_a_team_counts():
    step_ns = {1: 2 * SHORT_CALL_NS, 2: 1.1 * SHORT_CALL_NS}
    for entry_ns, best in ((0.1 * SHORT_CALL_NS, 2), (SHORT_CALL_NS, 1)):
        autotuner = Autotuner(2, GUESS)
        calls = [run(autotuner, 1, step_ns, entry_ns) for _ in range(8)]
        assert calls == [[n] for n in (1, 1, 2, 1, 2, 1, 2, best)]


def test_trials_are_repeated_now_and_then():
    autotuner = Autotuner(2, GUESS)
    run(autotuner, 1000, {1: 20e3, 2: 12e3})
    assert run(autotuner, int(FIRST_AGAIN_NS / 12e3), {1: 20e3, 2: 12e3}) == [2]
    assert run(autotuner, 1000, {1: 20e3, 2: 24e3}) == [1, 2, 1]
    # Each time after twice as long as before, up to AGAIN_NS.
    calls = [run(autotuner, 100, {1: 20e3, 2: 24e3}) for _ in range(2000)]
    times = [2e6 * k for k, asked in enumerate(calls) if 2 in asked]
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[0] < 5 * FIRST_AGAIN_NS
    assert gaps == sorted(gaps)
    assert AGAIN_NS <= gaps[-1] < 1.1 * AGAIN_NS


def test_a_team_that_came_late_once_gets_as_many_steps_as_one_thread():
    autotuner, teams = Autotuner(2, GUESS), []
    for _ in range(7):
        wanted, steps = autotuner.next(1000)
        if wanted == 2:
            teams.append(steps)
        step_ns = 100e3 if wanted == 1 else 400e3 if len(teams) == 1 else 60e3
        autotuner.note(wanted, wanted, steps, steps * step_ns)
    assert teams[1] == TRIAL_NS / 100e3
    assert autotuner.best == 2


def test_a_team_whose_cores_were_taken_since_is_tried_anew_at_once():
    autotuner = Autotuner(2, GUESS)
    run(autotuner, 100, {1: 200e3, 2: 120e3})
    assert run(autotuner, 1, {2: 8e6}) == [2]
    assert [run(autotuner, 1, {1: 200e3, 2: 8e6}) for _ in range(4)] == [[1], [2], [1], [1]]


def test_what_was_never_there_is_not_chosen_and_soon_asked_for_again():
    autotuner = Autotuner(2, GUESS)
    assert run(autotuner, 200, {1: 60e3}, there=1)[-1] == 1
    assert run(autotuner, 10, {1: 60e3}) == [1]
    run(autotuner, int(DENIED_AGAIN_NS / 60e3), {1: 60e3})
    assert run(autotuner, 1000, {1: 60e3, 2: 40e3}) == [1, 2, 2]


@pytest.mark.parametrize(("threads", "guess", "only"), [(4, 100.0, 1), (4, 2 * TEAM_STEP_NS, 4), (1, GUESS, 1)])
def test_where_there_is_no_choice_there_is_no_trial(threads, guess, only):
    autotuner = Autotuner(threads, guess)
    step_ns = {only: guess}
    for _ in range(3):
        assert run(autotuner, int(3 * TRIAL_NS / guess) + 1, step_ns) == [only]
