"""Every argument of every public name with values that nobody expects: they work, or a sentence names the argument."""

import collections
import contextlib
import dataclasses
import decimal
import fractions
import functools
import inspect
import math
import operator

import numpy as np
import published
import pytest
from test_checks import Good
from trainer_cases import OPTIMIZERS, SCHEDULES

import fastnn
import fastnn.reference

# NumPy's about matrices, and about numbers that overflow.
pytestmark = pytest.mark.filterwarnings("ignore")

SIDES = pytest.mark.parametrize("side", [fastnn, fastnn.reference], ids=["compiled", "reference"])


class Raising:
    """Fails wherever NumPy, or anybody, looks."""

    def __init__(self, error):
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error("not today")


class Called:
    """A callable object."""

    def __call__(self, *arguments):
        return 0.5, 0.5


def odd_values():
    """Make them anew: a generator is used up."""
    return [
        None, True, np.True_, 0, -1, 3, 10**400, -(10**400), 2**63, 2**64, -(2**63), 0.5, 1e308, -0.0,
        math.nan, math.inf, -math.inf, 1j, fractions.Fraction(1, 3), fractions.Fraction(10**400, 3),
        decimal.Decimal("0.1"), decimal.Decimal("NaN"), np.float16(0.5), np.longdouble("1e400"), np.uint64(2**63),
        np.int8(-1), np.complex64(1), np.datetime64("NaT"), np.timedelta64(1), np.str_("relu"), np.array(3),
        np.array(0.5), np.array([]), np.array([0.5]), np.array([[1, 2]]), np.array("a"), np.array([None]),
        np.zeros(3, [("a", "f8")]), np.ma.array([[1.0, 2.0]], mask=[[0, 1]]), np.ma.masked, np.matrix([[1.0, 2.0]]),
        "", "relu", "a\0b", b"ab", bytearray(b"\2\1"), memoryview(b"\2\1"), object(), type, int, Called, Called(), len,
        np.frexp, math.frexp, (lambda: None), (lambda *a: "ab"), (lambda *a: (0.5, 0.5)), functools.partial(max, 1),
        [], (), {}, set(), {2: 1, 3: 1}, {2, 1}, frozenset({2, 1}), (n for n in (2, 1)), range(2, 4), iter([2, 1]),
        {2: 1}.keys(), {1: 2}.values(), collections.deque([2, 1]), [2, 3, 1], [[1, 2], [3]], [None], ["a"], [object()],
        [[[[]]]], Raising(ValueError), Raising(TypeError), Raising(RuntimeError), [Raising(ValueError)], NotImplemented,
        ..., slice(3), inspect, Exception("no"),
    ]  # fmt: skip


def complaint(names, value, call):
    """Return what is wrong if a call neither works nor is refused in a sentence that has one of these names.

    What a function raises that was given, for a schedule say, is its own.
    """
    try:
        with np.errstate(all="ignore"):
            call()
    except Exception as error:
        named = callable(value) or any(name in str(error) for name in names)
        if type(error) not in (TypeError, ValueError) or not named:
            return f"{'/'.join(names)}, {type(value).__name__}: {type(error).__name__} {str(error)[:150]}"
    return None


def fitted(side, **settings):
    network = side.Network([2, 3, 1], output="sigmoid", seed=0)
    trainer = side.Trainer(**{"network": network, "optimizer": fastnn.SGD(0.1), **settings})
    trainer.fit(np.ones((2, 6)), np.eye(1, 6), epochs=2)


def optimised(side, optimizer, **settings):
    fitted(side, optimizer=dataclasses.replace(optimizer, **settings))


def scheduled(side, schedule, **settings):
    fitted(side, optimizer=fastnn.SGD(dataclasses.replace(schedule, **settings)))


def of_a_new_network(side, **settings):
    net = side.Network(**{"layer_sizes": [2, 3, 1], "seed": 0, **settings})
    net.predict(np.ones((net.layer_sizes[0], 2)))


def with_a_callback(side, name, **settings):
    needed = {"path": "net.npz"} if name == "Checkpoint" else {}
    trainer = side.Trainer(side.Network([2, 3, 1], seed=0))
    callback = getattr(fastnn, name)(**{**needed, **settings})
    trainer.fit(np.ones((2, 6)), np.eye(1, 6), epochs=2, callbacks=[callback])


def loaded(side, path):
    with contextlib.suppress(OSError):
        fastnn.Checkpoint.load(path, side.Network([2, 3, 1]))


CALLS = {
    "Network": of_a_new_network,
    "Trainer": fitted,
    "Checkpoint.load": loaded,
    "show_config": lambda side, mode: fastnn.show_config(mode),
    **{name: functools.partial(with_a_callback, name=name) for name in ("EarlyStopping", "Checkpoint")},
    **{type(optimizer).__name__: functools.partial(optimised, optimizer=optimizer) for optimizer in OPTIMIZERS},
    **{type(schedule).__name__: functools.partial(scheduled, schedule=schedule) for schedule in SCHEDULES},
}


@SIDES
@pytest.mark.parametrize("name", CALLS)
def test_settings_work_or_are_refused_in_a_sentence(side, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    owner = getattr(side, name, None) or operator.attrgetter(name)(fastnn)
    arguments = ["path"] if name == "Checkpoint.load" else inspect.signature(owner).parameters
    complaints = [
        complaint([argument], value, lambda a=argument, v=value: CALLS[name](side, **{a: v}))
        for argument in arguments
        for value in odd_values()
    ]
    assert [c for c in complaints if c] == []


def usual_arguments(name, function):
    """Return arguments of a course's function that work."""
    good = Good()
    arguments = {
        "X": good.X, "x": good.X, "Y": good.Y, "y": good.Y, "a3": good.A, "A3": good.A, "parameters": good.parameters,
        "grads": good.grads, "gradients": good.grads, "v": good.v, "s": good.s, "cache": good.cache, "t": 1,
        "learning_rate": 0.1, "learning_rate0": 0.1, "beta": 0.9, "epoch_num": 1, "decay_rate": 1.0, "randomness": 0.1,
        "layers_dims": [2, 3, 1], "layer_dims": [2, 3, 1], "optimizer": "gd", "seed": 1, "theta": np.ones((47, 1)),
        "num_iterations": 1, "num_epochs": 1, "print_cost": False, "model": lambda points: points[:, 0] > 0,
    }  # fmt: skip
    if name != "model":
        arguments.update(lambd=0.1, keep_prob=0.5)
    if name == "backward_propagation_with_dropout":
        arguments["cache"] = good.masked
    names = inspect.signature(function).parameters
    if "theta" in names and name != "vector_to_dictionary":
        arguments["x"] = arguments["theta"] = 2.0
    return {argument: arguments[argument] for argument in names if argument in arguments}


def with_odd_entries(arrays, all_of_them=False):
    """Yield copies of a dict or tuple of arrays, each with one odd entry."""
    for key in arrays if isinstance(arrays, dict) else range(len(arrays)):
        masked, matrix = np.ma.array(arrays[key], mask=True), np.ones(arrays[key].shape).view(np.matrix)
        odd = [None, 0.5, np.array(0.5), np.ma.masked, masked, matrix, arrays[key] * 1j, [[0.5]], Raising(ValueError)]
        for value in odd_values() if all_of_them else odd:
            if isinstance(arrays, dict):
                yield value, {**arrays, key: value}
            else:
                yield value, (*arrays[:key], value, *arrays[key + 1 :])


@pytest.mark.parametrize("module", published.DIFFERENT)
@SIDES
def test_the_courses_functions_work_or_say_why(side, module):
    """Also with odd entries of parameters, gradients, moments and caches."""
    course, complaints = published.course(side.__name__, module), []
    for name in published.own_names(side.__name__, module):
        if name in ("load_dataset", "load_2D_dataset", "load_cat_dataset", "plot_decision_boundary"):
            continue  # slow, or need files
        function = getattr(course, name)
        given = usual_arguments(name, function)
        function(**usual_arguments(name, function))
        for argument in inspect.signature(function).parameters:
            odd = [(value, value) for value in odd_values()]
            if isinstance(given.get(argument), dict | tuple):
                odd += with_odd_entries(given[argument])
            for value, changed in odd:
                if argument == "print_cost":
                    continue  # taken for what `if` makes of it, as in the notebooks
                if argument in ("num_iterations", "num_epochs") and isinstance(value, int) and value > 3:
                    continue  # and should take for ever
                arguments = {**usual_arguments(name, function), argument: changed}
                names = [*given, argument, *("W1", "b1", "W2", "b2", "W3", "b3")]
                found = complaint(names, value, lambda f=function, a=arguments: f(**a))
                complaints += [f"{name} {found}"] if found else []
    assert complaints == []


# What used to be taken for something else.


@pytest.mark.parametrize("bad", [
    {3: 1, 2: 1}, {3, 2}, frozenset({3, 2}), {3: 1, 2: 1}.keys(), iter([2, 3, 1]), (n for n in (2, 3, 1)), "231",
    b"231", bytearray(b"231"), np.array(3), map(int, "231"),
], ids=lambda bad: type(bad).__name__)  # fmt: skip
@SIDES
def test_layer_sizes_have_an_order(side, bad):
    course = [
        (published.course(side.__name__, "optimization").initialize_parameters, "layer_dims"),
        (published.course(side.__name__, "initialization").initialize_parameters_zeros, "layers_dims"),
        (side.Network, "layer_sizes"),
    ]
    for function, name in course:
        with pytest.raises(TypeError, match=f"{name} must be a sequence of integers, got "):
            function(bad)


@SIDES
def test_layer_sizes_of_every_ordered_kind(side):
    pandas = pytest.importorskip("pandas")
    for good in ([2, 3, 1], (2, 3, 1), np.array([2, 3, 1]), collections.deque([2, 3, 1]), pandas.Series([2, 3, 1])):
        assert side.Network(good).layer_sizes == (2, 3, 1)
    assert side.Network(range(2, 4)).layer_sizes == (2, 3)


class Owner:
    def method(self, z):
        return z, 1.0


@pytest.mark.parametrize("function", [
    functools.partial(lambda a, z: (a * z, a), 2.0), Called(), Called, Owner().method, math.frexp, np.frexp, float,
], ids=["partial", "object", "class", "method", "builtin", "ufunc", "type"])  # fmt: skip
@SIDES
def test_what_numba_does_not_compile_is_refused_at_once(side, function):
    for given in (function, [function]):
        with pytest.raises(
            TypeError, match=r"hidden_activation(\[0\])? must be made by def, lambda or numba.njit, got "
        ):
            side.Network([2, 3, 1], given)
    with pytest.raises(TypeError, match=r"loss must be made by def, lambda or numba.njit, got "):
        side.Trainer(side.Network([2, 3, 1]), loss=function)


@SIDES
def test_functions_that_raise_are_refused_at_once(side):
    with pytest.raises(TypeError, match=r"hidden_activation must take 1 number\(s\), and raised TypeError\(.*takes 0"):
        side.Network([2, 3, 1], lambda: (1, 2))
    with pytest.raises(TypeError, match=r"loss must take 2 number\(s\), and raised ZeroDivisionError"):
        side.Trainer(side.Network([2, 3, 1]), loss=lambda a, y: 1 / 0)


@pytest.mark.needs_jit
def test_functions_that_do_not_compile_are_named():
    def by_its_text(z):
        return float(f"{z:g}"), 1.0

    net = fastnn.Network([2, 3, 1], by_its_text)
    with pytest.raises(
        TypeError, match=r"hidden_activation by_its_text must be a function that numba.njit can compile: "
    ):
        net.predict(np.ones((2, 3)))
    trainer = fastnn.Trainer(fastnn.Network([2, 3, 1]), loss=lambda a, y: by_its_text(a))
    with pytest.raises(TypeError, match=r"loss <lambda> must be a function that numba.njit can compile: "):
        trainer.fit(np.ones((2, 3)), np.ones((1, 3)))


@pytest.mark.parametrize("error", [ValueError, TypeError, RuntimeError])
@SIDES
def test_arrays_that_raise_are_no_unequal_rows(side, error):
    net = side.Network([2, 3, 1])
    for value in (Raising(error), [Raising(error)]):
        kind = "list" if isinstance(value, list) else "Raising"
        with pytest.raises((ValueError, TypeError), match=f"X must be an array, got {kind}, .* cannot read: not today"):
            net.predict(value)
    with pytest.raises(ValueError, match="X must be an array, got a sequence of unequal rows"):
        net.predict([[1, 2], [3]])


@pytest.mark.parametrize("kind", [
    lambda a: np.ma.array(a, mask=False), lambda a: np.ma.array(a, mask=True), lambda a: a.view(np.matrix),
], ids=["unmasked", "masked", "matrix"])  # fmt: skip
@SIDES
def test_arrays_of_other_arithmetic_in_dicts_and_caches_are_refused(side, kind):
    """Compiled code saw no masks, and the reference multiplied matrices where it should multiply elements."""
    for module in published.COURSE_MODULES:
        course = published.course(side.__name__, module)
        for name in course.__all__:
            if name.startswith(("load_", "plot_", "initialize_parameters")) or name == "model":
                continue
            given = usual_arguments(name, getattr(course, name))
            for argument, arrays in given.items():
                if not isinstance(arrays, dict | tuple):
                    continue
                for key in arrays if isinstance(arrays, dict) else range(len(arrays)):
                    changed = kind(arrays[key])
                    entries = (
                        {**arrays, key: changed}
                        if isinstance(arrays, dict)
                        else (*arrays[:key], changed, *arrays[key + 1 :])
                    )
                    with pytest.raises(TypeError, match=r" must be an array, got (MaskedArray|matrix)"):
                        getattr(course, name)(**{**given, argument: entries})


HUGE = [10**400, 2**63, np.uint64(2**63)]


@pytest.mark.parametrize("huge", HUGE, ids=["10**400", "2**63", "uint64"])
def test_counts_that_fit_nowhere_are_refused_when_given(huge):
    for make, name in (
        (lambda: fastnn.StepDecay(0.1, every=huge), "every"), (lambda: fastnn.Cosine(0.1, steps=huge), "steps"),
        (lambda: fastnn.OneCycle(0.1, steps=huge), "steps"), (lambda: fastnn.Polynomial(0.1, steps=huge), "steps"),
        (lambda: fastnn.Constant(0.1)(huge), "step"), (lambda: fastnn.LBFGS(history_size=huge), "history_size"),
        (lambda: fastnn.EarlyStopping(patience=huge), "patience"),
        (lambda: fastnn.Checkpoint("x", every=huge), "every"), (lambda: fastnn.Network([2, huge]), "layer_sizes"),
        (lambda: fastnn.train(fastnn.Network([1, 1]), [[1.0]], [[1.0]], batch_size=huge), "batch_size"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=rf"{name}(\[1\])? must be less than 2\*\*63, got {int(huge)}"):
            make()
