"""Schedules: against their formulas, against PyTorch's, and one rate against many."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainer_cases import SCHEDULES

from fastnn import Constant, Cosine, InverseScaling, OneCycle, Polynomial, StepDecay, schedules
from fastnn.schedules import rates


def test_all_schedules_are_tested():
    assert {type(schedule).__name__ for schedule in SCHEDULES} == {*schedules.__all__} - {"Schedule", "rates"}


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
@given(first=st.integers(0, 200), count=st.integers(0, 40))
def test_many_rates_are_the_bits_of_one_at_a_time(schedule, first, count):
    many = rates(schedule, first, count)
    assert many.dtype == np.float64
    assert many.tolist() == [schedule(step) for step in range(first, first + count)]


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (Constant(0.1), lambda t: 0.1),
        (StepDecay(0.1, every=7, factor=0.5), lambda t: 0.1 * 0.5 ** (t // 7)),
        (InverseScaling(0.1, power=0.7), lambda t: 0.1 / (t + 1) ** 0.7),
        (
            Cosine(0.1, steps=50, warmup=9, final=0.01),
            lambda t: 0.1 * (t + 1) / 9 if t < 9 else 0.01 + 0.09 * (1 + math.cos(math.pi * min(1, (t - 9) / 41))) / 2,
        ),
        (Polynomial(0.1, steps=50, power=2.0, final=0.01), lambda t: 0.01 + 0.09 * (1 - min(t, 50) / 50) ** 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_formulas(schedule, formula):
    assert rates(schedule, 0, 100) == pytest.approx([formula(t) for t in range(100)], rel=1e-14)


def test_one_cycle_turns_where_it_should():
    cycle = OneCycle(0.1, steps=100)
    assert cycle(0) == pytest.approx(0.1 / 25)
    assert cycle(29) == pytest.approx(0.1)
    assert cycle(99) == cycle(1000) == pytest.approx(0.1 / 25 / 1e4)
    many = rates(cycle, 0, 100)
    assert (np.diff(many[:30]) > 0).all()
    assert (np.diff(many[29:]) < 0).all()


def torch_rates(make, count):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    found = []
    for step in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < count - 1:
            scheduler.step()
    return found


@pytest.mark.parametrize("steps", [2, 5, 10, 97])
@pytest.mark.parametrize("pct_start", [0.3, 0.05, 0.9])
def test_one_cycle_is_torch_s(steps, pct_start):
    expected = torch_rates(
        lambda schedulers, optimizer: schedulers.OneCycleLR(
            optimizer, max_lr=0.3, total_steps=steps, pct_start=pct_start, cycle_momentum=False
        ),
        steps,
    )
    assert rates(OneCycle(0.3, steps=steps, pct_start=pct_start), 0, steps) == pytest.approx(expected, rel=1e-9)


def test_cosine_is_torch_s():
    expected = torch_rates(
        lambda schedulers, optimizer: schedulers.CosineAnnealingLR(optimizer, T_max=40, eta_min=0.01), 41
    )
    assert rates(Cosine(0.3, steps=40, final=0.01), 0, 41) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("power", [1.0, 0.5, 3.0])
def test_polynomial_is_torch_s(power):
    expected = torch_rates(
        lambda schedulers, optimizer: schedulers.PolynomialLR(optimizer, total_iters=40, power=power), 50
    )
    assert rates(Polynomial(0.3, steps=40, power=power), 0, 50) == pytest.approx(expected, rel=1e-12)


def test_numbers_and_functions_are_schedules_too():
    assert rates(0.5, 3, 2).tolist() == [0.5, 0.5]
    seen = []
    assert rates(lambda step: seen.append(step) or step / 2, 3, 2).tolist() == [1.5, 2.0]
    assert seen == [3, 4]
    assert all(type(step) is int for step in seen)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (math.nan, ValueError, r"learning_rate\(4\) must be finite, got nan"),
        (-1.0, ValueError, r"learning_rate\(4\) must not be negative, got -1.0"),
        ("fast", TypeError, r"learning_rate\(4\) must be a real number, got 'fast'"),
        (None, TypeError, r"learning_rate\(4\) must be a real number, got None"),
    ],
)
def test_a_function_s_bad_rate_names_its_step(value, kind, message):
    with pytest.raises(kind, match=message):
        rates(lambda step: 0.1 if step < 4 else value, 0, 10)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Constant(-0.1), ValueError, "learning_rate must not be negative, got -0.1"),
        (lambda: Constant(math.inf), ValueError, "learning_rate must be finite, got inf"),
        (lambda: Constant("x"), TypeError, "learning_rate must be a real number, got 'x'"),
        (lambda: StepDecay(0.1, every=0), ValueError, "every must be at least 1, got 0"),
        (lambda: StepDecay(0.1, every=1.5), TypeError, "every must be an integer, got 1.5"),
        (lambda: StepDecay(0.1, every=2, factor=0), ValueError, "factor must be positive, got 0"),
        (lambda: InverseScaling(0.1, power=-1), ValueError, "power must not be negative, got -1"),
        (lambda: Cosine(0.1, steps=5, warmup=5), ValueError, "warmup must be less than steps, 5, got 5"),
        (lambda: Cosine(0.1, steps=5, final=-1), ValueError, "final must not be negative, got -1"),
        (lambda: OneCycle(0.1, steps=5, pct_start=1.5), ValueError, r"pct_start must be in \[0, 1\], got 1.5"),
        (lambda: OneCycle(0.1, steps=5, div_factor=0), ValueError, "div_factor must be positive, got 0"),
        (lambda: Polynomial(0.1, steps=0), ValueError, "steps must be at least 1, got 0"),
        (lambda: Polynomial(0.1, steps=5, power=0), ValueError, "power must be positive, got 0"),
        (lambda: Polynomial(0.1, steps=5, final=-1), ValueError, "final must not be negative, got -1"),
        (lambda: Constant(0.1)(-1), ValueError, "step must be at least 0, got -1"),
        (lambda: Constant(0.1)(True), TypeError, "step must be an integer, got True"),
    ],
)
def test_bad_settings(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_schedules_are_values(schedule):
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert hash(schedule) == hash(pickle.loads(pickle.dumps(schedule)))
    with pytest.raises(AttributeError):
        schedule.learning_rate = 1.0


def test_edges_of_one_cycle():
    assert OneCycle(0.1, steps=1)(0) <= 0.1
    assert OneCycle(0.1, steps=10, pct_start=0.1)(0) == pytest.approx(0.1)
    assert OneCycle(0.1, steps=10, pct_start=1.0)(9) == pytest.approx(0.1)
    assert rates(OneCycle(0.1, steps=10, pct_start=0.0), 0, 10)[-1] == pytest.approx(0.1 / 25 / 1e4)
