"""Functions of the notebooks in one call: equal to the reference, and handed back untouched where they do not fit."""

import collections
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import environment
from strategies import EXAMPLES, Case, Guarded, laid_out

from fastnn import gradient_checking, initialization, optimization, regularization
from fastnn.course import direct, first_run
from fastnn.kernels.course import functions
from fastnn.kernels.course.activations import RELU, SIGMOID
from fastnn.reference.course import layers, optimizers
from fastnn.reference.course.activations import logistic

pytestmark = pytest.mark.needs_jit


nets = st.builds(
    Case,
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=5),
    m=st.sampled_from(EXAMPLES),
    y_dtype=st.sampled_from(["float64", "int64", "uint8", "bool", "float32"]),
    keep_prob=st.sampled_from([0.5, 0.86, 1.0, 1e-3]),
    saturated=st.booleans(),
)


def same(ours, theirs, rtol=1e-10):
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(theirs, tuple | list):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            same(mine, other, rtol)
        return
    mine, other = np.asarray(ours), np.asarray(theirs)
    assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
    finite = np.abs(other[np.isfinite(other)], dtype=float)
    np.testing.assert_allclose(mine, other, rtol=rtol, atol=rtol * finite.max(initial=0.0))


def labels(case):
    Y = np.asarray(case.Y)
    return Y.reshape(1, -1) if Y.ndim == 1 else Y


@given(nets)
def test_forward(case):
    found = direct.forward(case.X, case.parameters)
    with np.errstate(over="ignore"):
        same(found, layers.forward(case.X, case.parameters))
    assert all(any(array is own for own in case.parameters.values()) for array in (found[1][2], found[1][-1]))


@given(nets)
def test_forward_with_dropout_leaves_the_stream_where_the_reference_does(case):
    found = direct.forward(case.X, case.parameters, case.keep_prob)
    after = np.random.rand(3)
    np.random.seed(1)
    with np.errstate(over="ignore"):
        same(found, layers.forward(case.X, case.parameters, case.keep_prob))
    assert after.tolist() == np.random.rand(3).tolist()


@given(nets)
def test_backward(case):
    X, Y = case.X, labels(case)
    if case.y_dtype == "float32":  # whose gradients have NumPy's promotions
        assert direct.backward(X, case.Y, case.cache) is None
        return
    with np.errstate(all="ignore"):
        same(direct.backward(X, case.Y, case.cache, mean=True), layers.mean_backward(X, Y, case.cache))
        same(direct.backward(X, case.Y, case.cache), layers.total_backward(X, Y, case.cache))
        same(direct.backward(X, case.Y, case.cache, lambd=0.7), layers.total_backward(X, Y, case.cache, 0.7))
        masked = case.masked_cache
        same(
            direct.backward(X, case.Y, masked, keep_prob=case.keep_prob),
            layers.total_backward(X, Y, masked, None, case.keep_prob),
        )


@given(nets)
def test_costs(case):
    Y = labels(case)
    if case.y_dtype == "float32":
        assert direct.cost(case.A, case.Y, True, True) is None
        return
    with np.errstate(all="ignore"):
        terms = layers.cross_entropy(case.A, Y)
        squares = sum(np.sum(np.square(case.parameters[name])) for name in case.parameters if name[0] == "W")
        mean = 1.0 / case.m * np.nansum(terms)
        same(direct.cost(case.A, case.Y, True, True), mean)
        same(direct.cost(case.A, case.Y, False, False), np.sum(terms))
        same(direct.cost_with_weights(case.A, case.Y, case.parameters, 0.7), mean + 0.7 / (2 * case.m) * squares)


@given(nets)
def test_updates(case):
    def twice(step, reference, *moments):
        before = {name: array.copy() for name, array in case.parameters.items()}
        mine, theirs = ([dict(case.parameters), *(dict(moment) for moment in moments)] for _ in range(2))
        assert step(*mine)
        reference(*theirs)
        same(mine, theirs, 1e-12)
        same(case.parameters, before, 0.0)
        assert not any(np.shares_memory(mine[0][name], array) for name, array in case.parameters.items())

    g, v, s = case.grads, case.v, case.s
    twice(lambda p: direct.update(functions.GRADIENT_DESCENT, p, g, (), 0.1), lambda p: layers.gradient_step(p, g, 0.1))
    twice(
        lambda p, v: direct.update(functions.MOMENTUM, p, g, (v,), 0.1, 0.9),
        lambda p, v: optimizers.momentum_step(p, g, v, 0.9, 0.1),
        v,
    )
    left1, left2 = 1 - 0.9**3, 1 - 0.99**3
    twice(
        lambda p, v, s: direct.update(functions.ADAM, p, g, (v, s), 0.1 / left1, 0.9, 0.99, 1e-8, 1 / left2),
        lambda p, v, s: optimizers.adam_step(p, g, v, s, 3, 0.1, 0.9, 0.99, 1e-8),
        v,
        s,
    )


@given(nets)
def test_activations(case):
    with np.errstate(over="ignore"):
        same(direct.activation(case.cache[0], SIGMOID), logistic(case.cache[0]))
    same(direct.activation(case.cache[0], RELU), np.maximum(0, case.cache[0]))


@given(nets)
def test_differences(case):
    Y = labels(case).astype(np.float64)
    shapes = {name: array.shape for name, array in case.parameters.items()}
    theta = np.concatenate([array.ravel() for array in case.parameters.values()])
    if theta.size > 100:
        return
    before = theta.copy()
    with np.errstate(all="ignore"):
        ref = gradient_checking.reference.costs_around(theta.reshape(-1, 1), shapes, case.X, Y, 1e-2)
    same(direct.differences(theta, list(shapes.values()), case.X, Y, 1e-2), ref)
    assert theta.tolist() == before.tolist()


class Subclass(np.ndarray):
    pass


# What takes the place of an array that fits.
ODD = {
    "float32": lambda a: a.astype(np.float32),
    "big-endian": lambda a: a.astype(">f8"),
    "integers": lambda a: a.astype(np.int64),
    "objects": lambda a: a.astype(object),
    "strided": lambda a: laid_out(a, "strided", None),
    "unaligned": lambda a: np.frombuffer(bytearray(a.nbytes + 1), np.float64, a.size, 1).reshape(a.shape),
    "subclass": lambda a: a.view(Subclass),
    "matrix": lambda a: a.view(np.matrix),
    "masked": np.ma.masked_array,
    "a row more": lambda a: np.vstack([a, a[:1]]),
    "a column more": lambda a: np.hstack([a, a[:, :1]]),
    "no columns": lambda a: a[:, :0],
    "no rows": lambda a: a[:0],
    "flat": np.ravel,
    "three axes": lambda a: a[None],
    "number": lambda a: np.float64(3.0),
    "array of no axes": lambda a: np.array(3.0),
    "list": lambda a: a.tolist(),
    "None": lambda a: None,
    "text": lambda a: "W",
}
PLACES = ("X", "Y", "A", "W1", "b1", "W2", "b2", "W3", "b3")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", PLACES)
def test_what_does_not_fit_is_left_alone(place, odd):
    case = Case(3, [4, 5, 3, 2], 7, y_dtype="float64")
    made = lambda name, array: ODD[odd](array) if name == place else array  # noqa: E731
    X, A, Y = made("X", case.X), made("A", case.A), made("Y", labels(case))
    parameters = {name: made(name, array) for name, array in case.parameters.items()}
    np.random.seed(5)
    if place in case.parameters or (place == "X" and odd not in ("strided", "a column more")):
        assert direct.forward(X, parameters) is None
        assert direct.forward(X, parameters, 0.5) is None
        # A strided matrix is copied, as parameters' new values are.
        for update, moments in ((2, ()), (3, (dict(case.v),)), (4, (dict(case.v), dict(case.s)))):
            if place != "X" and odd not in ("strided", "unaligned"):
                before = dict(parameters), [dict(moment) for moment in moments]
                assert not direct.update(update, parameters, case.grads, moments, 0.1, 0.9, 0.9, 0.1, 1.0)
                same_objects(before[0], parameters)
                for old, new in zip(before[1], moments, strict=True):
                    same_objects(old, new)
    if place in ("A", "Y") and not (place == "Y" and odd == "integers"):
        assert direct.cost(A, Y, True, True) is None
    if place == "Y" and odd != "integers":
        assert direct.backward(case.X, Y, case.cache) is None
    if place in case.parameters:
        at = next(i for i, array in enumerate(case.cache) if array is case.parameters[place])
        changed = (*case.cache[:at], parameters[place], *case.cache[at + 1 :])
        for cache in (case.cache[:at], changed, dict(enumerate(case.cache))):
            assert direct.backward(case.X, labels(case), cache) is None
    assert np.random.randint(10**6) == np.random.RandomState(5).randint(10**6)


def same_objects(before, after):
    assert list(before) == list(after)
    assert all(before[name] is after[name] for name in before)


@pytest.mark.parametrize("change", ["without W2", "another name", "more", "none", "a list", "no dict"])
def test_dicts_that_do_not_fit_are_left_alone(change):
    case = Case(3, [4, 5, 3, 2], 7, y_dtype="float64")
    dicts = {
        "without W2": lambda d: {k: a for k, a in d.items() if "2" not in k or "b" in k},
        "another name": lambda d: {k.replace("2", "5"): a for k, a in d.items()},
        "more": lambda d: {**d, "z": 1},
        "none": lambda d: {},
        "a list": lambda d: list(d.values()),
        "no dict": lambda d: None,
    }
    parameters, grads = dicts[change](case.parameters), dicts[change](case.grads)
    assert direct.forward(case.X, parameters) is None
    assert not direct.update(2, parameters, case.grads, (), 0.1)
    assert not direct.update(2, dict(case.parameters), grads if change != "more" else {}, (), 0.1)
    assert direct.cost_with_weights(case.A, case.Y, parameters, 0.1) is None


@pytest.mark.parametrize("shared", ["v and s", "v and grads", "s and grads"])
def test_dicts_in_two_places_are_updated_in_the_notebooks_order(shared):
    case = Case(3, [4, 5, 3, 2], 7)

    def dicts():
        parameters, grads, v, s = map(dict, (case.parameters, case.grads, case.v, case.s))
        v |= {name: np.abs(array) for name, array in v.items()}  # where it is s its root is taken
        one = {"v and s": (grads, v, v), "v and grads": (v, v, s), "s and grads": (s, v, s)}
        return parameters, *one[shared]

    mine, theirs = dicts(), dicts()
    optimization.update_parameters_with_adam(*mine, 2)
    optimizers.update_parameters_with_adam(*theirs, 2)
    same(mine, theirs, 1e-12)


class ChangingItsMind(dict):
    """Gives matrices of many more rows from some time on."""

    left = 0

    def __getitem__(self, name):
        self.left -= 1
        array = super().__getitem__(name)
        return array if self.left >= 0 else np.ones((50 * array.shape[0], array.shape[1]))


def test_parameters_that_change_after_their_check_are_not_computed_with():
    large, small = Case(3, [400, 300, 1], 7), Case(3, [4, 5, 1], 7)
    # How often each may ask for an array before it has W1 as it was and b1 as it has become.
    for calls, case, function in [
        (10, large, lambda p: initialization.forward_propagation(large.X, p)),
        (9, large, lambda p: optimization.update_parameters_with_gd(p, large.grads, 0.1)),
        (13, large, lambda p: optimization.update_parameters_with_momentum(p, large.grads, dict(large.v), 0.9, 0.1)),
        (
            17,
            large,
            lambda p: optimization.update_parameters_with_adam(p, large.grads, dict(large.v), dict(large.s), 2),
        ),
        (11, small, lambda p: gradient_checking.gradient_check_n(p, small.grads, small.X, small.Y)),
    ]:
        parameters = ChangingItsMind(case.parameters)
        parameters.left = calls
        with pytest.raises(ValueError, match="could not be broadcast"):
            function(parameters)


class NoUpdate(collections.UserDict):
    update = None


def test_mappings_need_no_update():
    case = Case(3, [4, 5, 1], 7)
    parameters = NoUpdate()
    parameters.data = dict(case.parameters)
    theirs = dict(case.parameters)
    assert direct.update(functions.GRADIENT_DESCENT, parameters, case.grads, (), 0.1)
    same(parameters.data, layers.gradient_step(theirs, case.grads, 0.1), 1e-12)


def test_arrays_with_a_dtype_of_their_own_fit():
    case = Case(3, [4, 5, 3, 2], 7)
    X, parameters, cache = pickle.loads(pickle.dumps((case.X, case.parameters, case.masked_cache)))
    same(direct.forward(X, parameters), direct.forward(case.X, case.parameters), 0.0)
    assert direct.backward(X, labels(case), cache, keep_prob=0.7) is not None


def test_large_work_is_left_to_tiles_and_threads():
    wide = Case(3, [80, 80, 1], 3)
    assert direct.forward(wide.X, wide.parameters) is None
    assert direct.backward(wide.X, labels(wide), wide.cache) is None
    W = np.ones((2, direct.MOST_NUMBERS // 2))
    b, A = np.ones((2, 1)), W / 2
    assert not direct.update(functions.GRADIENT_DESCENT, {"W1": W, "b1": b}, {"dW1": W, "db1": b}, (), 0.1)
    assert direct.cost(A, W, True, True) is not None
    assert direct.cost(np.hstack([A, A]), np.hstack([W, W]), True, True) is None


def test_threads_do_not_disturb_each_other():
    case = Case(3, [4, 5, 3, 2], 65)
    ref = direct.forward(case.X, case.parameters), direct.backward(case.X, labels(case), case.cache)

    def often(_):
        for _ in range(300):
            same(direct.forward(case.X, case.parameters), ref[0], 0.0)
            same(direct.backward(case.X, labels(case), case.cache), ref[1], 0.0)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(often, range(4)))


def run_against_guards():
    """Call everything on arrays that touch pages nobody may touch: a step outside ends the process."""
    first_run.NUMPY_MEANWHILE = False
    for at_end in (True, False):
        memory = Guarded(at_end)

        def empty(shape, dtype=np.float64, memory=memory):
            return memory.empty(int(np.prod(shape)), dtype, 1).reshape(shape)

        def placed(array, empty=empty):
            copy = empty(array.shape, array.dtype)
            copy[...] = array
            return copy

        direct._empty = empty
        for sizes, m in (([1, 1], 1), ([2, 5, 2, 1], 9), ([3, 7, 4, 2], 17), ([2, 9, 1], 64)):
            case = Case(5, sizes, m, y_dtype="float64")
            X, Y, A = placed(case.X), placed(labels(case)), placed(case.A)
            parameters, grads, v, s = (
                {name: placed(array) for name, array in arrays.items()}
                for arrays in (case.parameters, case.grads, case.v, case.s)
            )
            results = [
                direct.forward(X, parameters),
                direct.forward(X, parameters, 0.5),
                direct.backward(X, Y, tuple(map(placed, case.cache)), lambd=0.1),
                direct.backward(X, Y, tuple(map(placed, case.masked_cache)), keep_prob=0.7),
                direct.cost_with_weights(A, Y, parameters, 0.1),
                direct.activation(A, SIGMOID),
                direct.differences(np.ones(sum(a.size for a in parameters.values())),
                                   [a.shape for a in parameters.values()], X, Y, 0.1),
            ]  # fmt: skip
            assert all(result is not None for result in results)
            assert direct.update(functions.ADAM, parameters, grads, (v, s), 0.1, 0.9, 0.9, 0.1, 1.0)
    print("done")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect is called as on Linux")
def test_no_page_beyond_the_arrays_is_touched():
    code = "from test_direct import run_against_guards; run_against_guards()"
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(__file__).rpartition('/')[0]!r}); {code}"],
        env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


FEW_AND_MANY = """
import sys
import numpy as np
from fastnn import initialization
from fastnn.course import direct, first_run
x = np.ones((2, 3))
ready = []
for call in range(direct.MANY_CALLS):
    initialization.relu(x)
    ready.append(direct._activation.table is not None)
print(ready.index(True))
"""


def test_few_calls_compile_nothing_and_the_next_process_loads_it_sooner(tmp_path):
    def first_direct_call():
        result = subprocess.run(
            [sys.executable, "-c", FEW_AND_MANY], env=environment(NUMBA_CACHE_DIR=str(tmp_path)), check=True,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        return int(result.stdout)

    assert first_direct_call() == 99
    assert first_direct_call() == 9


def test_where_objects_lie_otherwise_nobody_looks_into_them(monkeypatch):
    fresh = direct._Direct(functions.activation)
    monkeypatch.setattr(direct, "ITEMS_AT", direct.ITEMS_AT + 8)
    assert fresh.prepare() is None
    monkeypatch.setattr(direct, "ITEMS_AT", direct.ITEMS_AT - 8)
    assert fresh.prepare() is not None


def test_too_few_objects_are_refused():
    case = Case(3, [4, 5, 3, 2], 7)
    direct.forward(case.X, case.parameters)
    for objects in ((), (case.X,), (case.X, *case.parameters.values())):
        done, _ = direct.on_objects(direct._forward.table, id(objects) + direct.ITEMS_AT, 3, 1, 0.0, 0.0, 0.0, 0.0, 0.0)
        assert not done


def test_public_functions_go_the_direct_way(monkeypatch):
    def none_other(*arguments, **options):
        raise AssertionError("the long way")

    case = Case(3, [2, 5, 2, 1], 64)
    X, Y, parameters = np.asfortranarray(case.X), labels(case), dict(case.parameters)
    initialization.relu(X.copy()), optimization.sigmoid(X.copy())
    for name in ("examples", "network", "companions", "backward_arguments", "outputs_and_labels"):
        monkeypatch.setattr(f"fastnn.checks.{name}", none_other)
    a, cache = initialization.forward_propagation(X, parameters)
    initialization.compute_loss(a, Y), optimization.compute_cost(a, Y), regularization.compute_cost(a, Y)
    regularization.compute_cost_with_regularization(a, Y, parameters, 0.1)
    for grads in (initialization.backward_propagation(X, Y, cache), regularization.backward_propagation(X, Y, cache),
                  regularization.backward_propagation_with_regularization(X, Y, cache, 0.1)):  # fmt: skip
        initialization.update_parameters(parameters, grads, 0.1)
    a, cache = regularization.forward_propagation_with_dropout(X, parameters, 0.8)
    regularization.backward_propagation_with_dropout(X, Y, cache, 0.8)
    v, s = dict(case.v), dict(case.s)
    optimization.update_parameters_with_gd(parameters, grads, 0.1)
    optimization.update_parameters_with_momentum(parameters, grads, v, 0.9, 0.1)
    optimization.update_parameters_with_adam(parameters, grads, v, s, 2)
    _, cache = gradient_checking.forward_propagation_n(X, Y[0], parameters)
    gradient_checking.backward_propagation_n(X, Y[0], cache)
