"""The compiled functions against the NumPy reference: results, dtypes, side effects, threads and memory."""

import contextlib
import importlib
import inspect
import io
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.testing as npt
import published
import pytest
from conftest import JIT
from hypothesis import given
from strategies import EXAMPLES, KERNELS, TRAININGS, VARIANTS, Arguments, Canaries, Case, Guarded, Plain, cases

import fastnn.kernels
from fastnn.course import propagation
from fastnn.engine import autotuner, runtime
from fastnn.kernels.program import entries, teamwork

DOUBLE, SINGLE = 1e-10, 2e-5


def _init_model(c):
    return c.X, c.label_row, 0.01, 3, False


def _reg_model(c):
    return c.X, c.label_row, 0.1, 3, False, c.lambd if c.keep_prob == 1 else 0, c.keep_prob


def _opt_model(c):
    optimizer = ("gd", "momentum", "adam")[c.seed % 3]
    return c.X, c.Y, c.sizes, optimizer, 0.01, 1 + c.seed % 70, 0.9, 0.9, 0.999, 1e-8, 2, False


# Arguments of every function that has a compiled twin, made from a case.
CALLS = {
    "backward_propagation": lambda c: (c.X, c.Y, c.cache),
    "backward_propagation_n": lambda c: (c.X, c.Y, c.cache),
    "backward_propagation_with_dropout": lambda c: (c.X, c.Y, c.masked_cache, c.keep_prob),
    "backward_propagation_with_regularization": lambda c: (c.X, c.Y, c.cache, c.lambd),
    "compute_cost": lambda c: (c.A, c.Y),
    "compute_cost_with_regularization": lambda c: (c.A, c.Y, c.parameters, c.lambd),
    "compute_loss": lambda c: (c.A, c.Y),
    "forward_propagation": lambda c: (c.X, c.parameters),
    "forward_propagation_n": lambda c: (c.X, c.Y, c.parameters),
    "forward_propagation_with_dropout": lambda c: (c.X, c.parameters, c.keep_prob),
    # A wide step, for at 1e-7 rounding leaves nine digits; and wrong gradients, for of right ones little is left.
    "gradient_check_n": lambda c: (c.parameters, {key: 1.5 * dW for key, dW in c.grads.items()}, c.X, c.Y, 1e-2),
    "initialization.model": _init_model,
    "optimization.model": _opt_model,
    "predict": lambda c: (c.X, c.Y, c.parameters),
    "predict_dec": lambda c: (c.parameters, c.X),
    "regularization.model": _reg_model,
    "relu": lambda c: (c.Z,),
    "sigmoid": lambda c: (c.Z,),
    "update_parameters": lambda c: (dict(c.parameters), c.grads, 0.1),
    "update_parameters_with_adam": lambda c: (dict(c.parameters), c.grads, dict(c.v), dict(c.s), 3, 0.1),
    "update_parameters_with_gd": lambda c: (dict(c.parameters), c.grads, 0.1),
    "update_parameters_with_momentum": lambda c: (dict(c.parameters), c.grads, dict(c.v), 0.9, 0.1),
}


def both(module):
    return importlib.import_module(f"fastnn.{module}"), importlib.import_module(f"fastnn.reference.{module}")


def twins():
    """(module, name) of every public function that is not the reference's own object."""
    for module in published.COURSE_MODULES:
        compiled, reference = both(module)
        for name in compiled.__all__:
            if getattr(compiled, name) is not getattr(reference, name):
                yield module, name


TWINS = list(twins())


def call_key(module, name):
    return f"{module}.{name}" if name == "model" else name


every_twin = pytest.mark.parametrize(("module", "name"), TWINS)


def call(function, module, name, case):
    """Return what the function returns, and what it prints, without NumPy's warnings."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), np.errstate(all="ignore"):
        result = function(*CALLS[call_key(module, name)](case))
    return result, printed.getvalue()


def leaves(result):
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, tuple | list):
        return [op for part in result for op in leaves(part)]
    return [result]


def largest(array):
    finite = np.abs(np.asarray(array, np.float64))
    finite = finite[np.isfinite(finite)]
    return finite.max() if finite.size else 0.0


def assert_agrees(out, ref, tolerance, scale=None):
    """Compare types, structure, shapes, dtypes, infinities and NaN, and numbers relative to the largest of an array.

    In float32 relative to the largest of all: a sum that cancels may keep no digit.
    """
    if scale is None and tolerance == SINGLE:
        scale = max(largest(op) for op in leaves(ref))
    assert type(out) is type(ref)
    if isinstance(ref, dict):
        assert list(out) == list(ref)
        out, ref = list(out.values()), list(ref.values())
    if isinstance(ref, list | tuple):
        assert len(out) == len(ref)
        for out_part, ref_part in zip(out, ref, strict=True):
            assert_agrees(out_part, ref_part, tolerance, scale)
        return
    assert out.dtype == ref.dtype
    assert out.shape == ref.shape
    if ref.dtype.kind != "f":
        npt.assert_array_equal(out, ref)
        return
    npt.assert_array_equal(np.isnan(out), np.isnan(ref))
    infinite = np.isinf(ref)
    npt.assert_array_equal(np.isinf(out), infinite)
    npt.assert_array_equal(out[infinite], ref[infinite])
    finite = np.isfinite(ref)
    npt.assert_allclose(
        out[finite], ref[finite], rtol=0 if scale else tolerance, atol=tolerance * (scale or largest(ref))
    )


def assert_printed_alike(out, ref, tolerance):
    words, ref_words = out.split(), ref.split()
    assert len(words) == len(ref_words)
    for word, ref_word in zip(words, ref_words, strict=True):
        try:
            number = float(ref_word.removesuffix("\033[0m"))
        except ValueError:
            assert word == ref_word
        else:
            npt.assert_allclose(float(word.removesuffix("\033[0m")), number, rtol=tolerance)


# The public face.


def test_every_twin_is_called_here():
    assert {call_key(*twin) for twin in TWINS} == set(CALLS)


@pytest.mark.parametrize("module", published.COURSE_MODULES)
def test_names_signatures_and_docstrings_are_those_of_the_reference(module):
    compiled, reference = both(module)
    assert compiled.__all__ == reference.__all__
    for name in compiled.__all__:
        out, ref = getattr(compiled, name), getattr(reference, name)
        assert inspect.signature(out) == inspect.signature(ref), name
        assert out.__doc__, name
        assert out.__doc__ == ref.__doc__, name
        assert out.__name__ == ref.__name__


# Agreement.

SMALL = {"widest": 6, "deepest": 3, "examples": (1, 2, 9, 17, 65)}


def undecided(reference, case):
    """Outputs so near one half that rounding in float32 decides."""
    with np.errstate(all="ignore"):
        a, _ = reference.forward_propagation(case.X, case.parameters)
    return bool(np.any(np.abs(a - 0.5) < 1e-4))


@every_twin
def test_twin_agrees(module, name):
    compiled, reference = both(module)

    @given(cases(**SMALL) if name == "gradient_check_n" else cases())
    def agrees(case):
        single = case.single or (case.x_dtype == "float32" and name in ("sigmoid", "relu"))
        if single and name in ("predict", "predict_dec") and undecided(reference, case):
            return
        tolerance = SINGLE if single and name not in ("model", "gradient_check_n") else DOUBLE
        (out, out_printed), (ref, ref_printed) = (
            call(getattr(side, name), module, name, case) for side in (compiled, reference)
        )
        assert_agrees(out, ref, tolerance)
        assert_printed_alike(out_printed, ref_printed, tolerance)

    agrees()


SPECIALS = (np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e150, -1e150, 1e308, 745.2, -745.2, 709.8)

# Where NumPy's sums may overflow or not, by their order, there is one huge number only and no other is large.
MATRIX_SPECIALS = (np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324, -1e-310, 1e150)


def with_specials(case, rng, values):
    """Scatter values over some arrays of a case, one into each."""
    targets = [array for array in case.arrays().values() if array.dtype.kind == "f"]
    for target in targets:
        if rng.random() < 0.4:
            target[tuple(rng.integers(0, size) for size in target.shape)] = rng.choice(values)
    return case


@every_twin
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_infinities_nan_and_extremes_spread_as_in_numpy(module, name, dtype):
    if name == "model":
        pytest.skip("model accepts finite data only")
    compiled, reference = both(module)
    values = np.array(MATRIX_SPECIALS)
    if dtype == "float32":
        values = np.where(np.abs(values) == 1e150, 1e15, values).astype(np.float32)
    rng = np.random.default_rng(0)
    for seed in range(30 if JIT else 4):
        # From 2 on: by a 1 x 1 matrix NumPy multiplies with BLAS's axpy, for which 0 * inf is 0.
        sizes = [int(n) for n in rng.integers(2, 8, rng.integers(2, 5))]
        m = int(rng.choice([m for m in EXAMPLES if 2 <= m < (70 if JIT else 10)]))
        case = with_specials(
            Case(seed, sizes, m, x_dtype=dtype, y_dtype=dtype, parameter_dtypes=(dtype,), lambd=0.7 * (seed % 2)),
            rng, values,
        )  # fmt: skip
        (out, _), (ref, _) = (call(getattr(side, name), module, name, case) for side in (compiled, reference))
        for out_leaf, ref_leaf in zip(leaves(out), leaves(ref), strict=True):
            assert out_leaf.dtype == ref_leaf.dtype
            npt.assert_array_equal(np.isnan(out_leaf), np.isnan(ref_leaf), err_msg=f"seed {seed}")
            npt.assert_array_equal(np.isposinf(out_leaf), np.isposinf(ref_leaf), err_msg=f"seed {seed}")
            npt.assert_array_equal(np.isneginf(out_leaf), np.isneginf(ref_leaf), err_msg=f"seed {seed}")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["sigmoid", "relu"])
def test_activations_of_extremes(name, dtype):
    compiled, reference = both("initialization")
    with np.errstate(all="ignore"):
        x = np.array(SPECIALS).astype(dtype)
        out, ref = getattr(compiled, name)(x), getattr(reference, name)(x)
    npt.assert_allclose(out, ref, rtol=1e-15 if dtype == "float64" else 1e-6, atol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_costs_of_saturated_outputs(dtype):
    values = np.array([0.0, 1.0, 0.5, 5e-324, np.nextafter(1, 0), np.nan, np.inf, -np.inf, -1.0, 2.0]).astype(dtype)
    for module, name in (("initialization", "compute_loss"), ("optimization", "compute_cost")):
        compiled, reference = both(module)
        for a in values:
            for y in (0.0, 1.0, 0.5, -0.0):
                with np.errstate(all="ignore"):
                    arguments = np.array([[a, 0.5]]), np.array([[y, 1.0]], dtype)
                    out = getattr(compiled, name)(*arguments)
                    ref = getattr(reference, name)(*arguments)
                assert type(out) is type(ref)
                npt.assert_allclose(out, ref, rtol=1e-14 if dtype == "float64" else 1e-6, err_msg=f"{name} {a} {y}")


@every_twin
@pytest.mark.parametrize("data_dtype", ["float64", "uint8"])
@pytest.mark.parametrize("dtypes", [("float16",), ("longdouble",), ("float64", "float16"), ("int64",)], ids="+".join)
def test_dtypes_without_kernels_are_computed_as_numpy_does(module, name, dtypes, data_dtype):
    compiled, reference = both(module)
    case = Case(3, [3, 4, 2], 9, x_dtype=data_dtype, y_dtype=data_dtype, parameter_dtypes=dtypes)
    (out, out_printed), (ref, ref_printed) = (
        call(getattr(side, name), module, name, case) for side in (compiled, reference)
    )
    assert_agrees(out, ref, DOUBLE)
    assert_printed_alike(out_printed, ref_printed, DOUBLE)


@pytest.mark.parametrize("dtype", ["float16", "longdouble", ">f8", ">f4", "int8", "uint64"])
def test_data_of_other_dtypes(dtype):
    for module, name in TWINS:
        case = Case(4, [3, 4, 1], 9)
        case.X, case.Y, case.Z = (array.astype(dtype) for array in (abs(case.X), case.Y, abs(case.Z)))
        compiled, reference = both(module)
        (out, _), (ref, _) = (call(getattr(side, name), module, name, case) for side in (compiled, reference))
        assert_agrees(out, ref, SINGLE if dtype == ">f4" and name in ("sigmoid", "relu") else DOUBLE)


def unaligned(array):
    raw = np.empty(array.nbytes + 1, np.uint8)
    shifted = raw[1:].view(array.dtype).reshape(array.shape)
    shifted[...] = array
    assert not shifted.flags.aligned
    return shifted


def test_unaligned_arrays():
    case = Case(5, [3, 17, 1], 65)
    case.X, case.A, case.Z = unaligned(case.X), unaligned(case.A), unaligned(case.Z)
    for module, name in (
        ("initialization", "sigmoid"), ("initialization", "compute_loss"),
        ("initialization", "forward_propagation"), ("initialization", "model"),
    ):  # fmt: skip
        compiled, reference = both(module)
        (out, _), (ref, _) = (call(getattr(side, name), module, name, case) for side in (compiled, reference))
        assert_agrees(out, ref, DOUBLE)


@pytest.mark.parametrize("x", [0.3, -0.3, np.float64(2), np.float32(0.3), 3, True, [1.0, -1.0], np.array(0.5)])
@pytest.mark.parametrize("name", ["sigmoid", "relu"])
def test_activations_of_scalars_and_of_any_dimensions(name, x):
    compiled, reference = both("optimization")
    with np.errstate(all="ignore"):
        assert_agrees(getattr(compiled, name)(x), getattr(reference, name)(x), DOUBLE)
        deep = np.full((2, 1, 3, 2), x) if np.ndim(x) == 0 else np.array([x])
        assert_agrees(
            getattr(compiled, name)(deep), getattr(reference, name)(deep), SINGLE if deep.dtype == "f4" else DOUBLE
        )


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("update")])
@pytest.mark.parametrize("shapes", [((3,), (2,)), ((2, 3, 4), (1,)), ((2, 3), (3, 3))])
def test_updates_take_arrays_of_any_shape(name, shapes):
    case, rng = Case(6, [1, 1], 1), np.random.default_rng(6)
    named = [(f"W{layer}", shapes[0]) for layer in (1, 2)] + [(f"b{layer}", shapes[1]) for layer in (1, 2)]
    case.parameters = {key: rng.standard_normal(shape) for key, shape in named}
    case.grads, case.v, case.s = ({f"d{key}": rng.random(shape) for key, shape in named} for _ in range(3))
    module = "initialization" if name == "update_parameters" else "optimization"
    compiled, reference = both(module)
    (out, _), (ref, _) = (call(getattr(side, name), module, name, case) for side in (compiled, reference))
    assert_agrees(out, ref, DOUBLE)


@pytest.mark.parametrize("beta", [0.0, 1.0, 0.9, -0.5, 2.0, np.nan, np.inf])
@pytest.mark.parametrize("t", [0, 1, -1, 0.5, 5000])
def test_adam_with_any_settings(beta, t):
    for beta1, beta2 in ((beta, 0.999), (0.9, beta)):
        results = []
        for side in both("optimization"):
            case = Case(7, [2, 3, 1], 5)
            with np.errstate(all="ignore"):
                results.append(
                    side.update_parameters_with_adam(
                        case.parameters, case.grads, case.v, case.s, t, 0.1, beta1, beta2, 0.0
                    )
                )
        assert_agrees(*results, DOUBLE)


# Side effects.


def plain_case(seed=8, sizes=(4, 7, 3, 1), m=19):
    return Case(seed, list(sizes), m, keep_prob=0.8)


@every_twin
def test_arguments_are_not_written_and_results_are_fresh(module, name):
    compiled, _ = both(module)
    case = plain_case()
    arrays = case.arrays()
    copies = {key: array.copy() for key, array in arrays.items()}
    for array in arrays.values():
        array.flags.writeable = False
    first, second = (call(getattr(compiled, name), module, name, case)[0] for _ in range(2))
    for key, array in arrays.items():
        npt.assert_array_equal(array, copies[key], err_msg=key)
    own = {id(array) for array in case.parameters.values()}
    fresh = list({id(op): op for op in leaves(first) if id(op) not in own}.values())
    others = list(arrays.values()) + [op for op in leaves(second) if id(op) not in own]
    for index, op in enumerate(fresh):
        assert not any(np.shares_memory(op, other) for other in others)
        assert not any(np.shares_memory(op, other) for other in fresh[:index])
    carried = [id(op) for op in leaves(first) if id(op) in own]
    assert carried == ([id(array) for array in case.parameters.values()] if "forward" in name else [])


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("update")])
@pytest.mark.parametrize("dtypes", [("float64",), ("float32", "float64")])
def test_updates_rebind_the_entries_of_the_dicts_they_get(name, dtypes):
    case = Case(9, [3, 4, 2], 5, parameter_dtypes=dtypes)
    dicts = {
        "update_parameters_with_momentum": (case.parameters, case.v),
        "update_parameters_with_adam": (case.parameters, case.v, case.s),
    }.get(name, (case.parameters,))
    before = [dict(arrays) for arrays in dicts]
    copies = [{key: array.copy() for key, array in arrays.items()} for arrays in dicts]
    compiled, _ = both("initialization" if name == "update_parameters" else "optimization")
    rest = {1: (0.1,), 2: (0.9, 0.1), 3: (2,)}[len(dicts)]
    result = getattr(compiled, name)(case.parameters, case.grads, *dicts[1:], *rest)
    assert all(
        out is given for out, given in zip(result if isinstance(result, tuple) else (result,), dicts, strict=True)
    )
    for now, old, copy in zip(dicts, before, copies, strict=True):
        assert list(now) == list(old)
        for key, array in old.items():
            assert now[key] is not array
            assert now[key].flags.owndata
            npt.assert_array_equal(array, copy[key])


def stream_after(function, *arguments):
    np.random.seed(1234)
    np.random.rand(5)
    with contextlib.redirect_stdout(io.StringIO()):
        function(*arguments)
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    return kind, keys.tobytes(), position, has_gauss, gauss


@every_twin
def test_the_global_stream_is_left_where_the_reference_leaves_it(module, name):
    compiled, reference = both(module)
    for keep_prob, sizes in ((0.8, (4, 7, 3, 1)), (1.0, (4, 1))):
        case = Case(10, list(sizes), 19, keep_prob=keep_prob)
        arguments = CALLS[call_key(module, name)](case)
        assert stream_after(getattr(compiled, name), *arguments) == stream_after(getattr(reference, name), *arguments)


@pytest.mark.parametrize("module", published.COURSE_MODULES)
def test_initializers_and_loaders_leave_the_stream_alike(module):
    compiled, reference = both(module)
    calls = {
        "initialize_parameters": ([2, 3, 1],), "initialize_parameters_he": ([2, 3, 1],),
        "initialize_parameters_random": ([2, 3, 1],), "initialize_parameters_xavier": ([2, 3, 1],),
        "initialize_parameters_zeros": ([2, 3, 1],), "load_params_and_grads": (4,), "load_planar_dataset": (0.1, 2),
        "random_mini_batches": (np.ones((2, 9)), np.ones(9), 4, 5),
    }  # fmt: skip
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module("sklearn")
        calls["load_dataset"] = ()
    for name, arguments in calls.items():
        if hasattr(compiled, name):
            out = stream_after(getattr(compiled, name), *arguments)
            assert out == stream_after(getattr(reference, name), *arguments), name


# Threads.


@pytest.fixture
def team(monkeypatch):
    """Set how many threads every launch gets, whatever its work, and every team, as far as there are so many."""

    def use(n_threads):
        monkeypatch.setattr(runtime, "_take_threads", lambda work_ns: n_threads)
        monkeypatch.setattr(runtime, "_take", lambda wanted: min(wanted, n_threads, runtime.available_threads()))
        monkeypatch.setattr(autotuner.Autotuner, "next", lambda self, left: (n_threads, left))

    monkeypatch.setattr(runtime, "PARALLEL_WORK_NS", 0.0)
    monkeypatch.setattr(propagation, "PARALLEL_WORK_NS", 0.0)
    return use


@every_twin
def test_the_bits_do_not_depend_on_the_number_of_threads(module, name, team):
    compiled, _ = both(module)
    small = name == "gradient_check_n" or not JIT
    case = Case(11, [3, 5, 2] if small else [37, 51, 19, 3], 17 if small else 333, keep_prob=0.8)
    results = []
    for n_threads in (1, 2, 3, 5):
        if name == "gradient_check_n" and n_threads > runtime.available_threads():
            continue  # it makes a row of scratch for each thread that there is
        team(n_threads)
        results.append(call(getattr(compiled, name), module, name, case))
    for result, printed in results[1:]:
        assert printed == results[0][1]
        for out, ref in zip(leaves(result), leaves(results[0][0]), strict=True):
            assert out.tobytes() == ref.tobytes()


# Kernels, called as such.


def kernel_modules():
    """All modules of `fastnn.kernels` but the compiler's."""
    for module in pkgutil.walk_packages(fastnn.kernels.__path__, "fastnn.kernels."):
        if not module.ispkg and ".compiler." not in module.name:
            yield importlib.import_module(module.name)


def kernel_named(name):
    # The course's functions are all that Python calls by their own names.
    for module in kernel_modules():
        found = getattr(module, name, None)
        if found is not None and ".course." in module.__name__:
            return found
    raise LookupError(name)


def entry_kernels(ways_in=False):
    """Dispatchers of `fastnn.kernels` that Python may call, the ways into the engine's body only with `ways_in`."""
    from numba.core.registry import CPUDispatcher

    found = {}
    for module in kernel_modules():
        if module is entries and not ways_in:
            continue
        for name, value in vars(module).items():
            options = getattr(value, "targetoptions", {})
            inner = options.get("no_cpython_wrapper")
            if isinstance(value, CPUDispatcher) and not inner:
                found[name] = value
    return found


def run(name, variant, dtype, shape, n_threads, memory=None):
    """Call a kernel, and return what it returns and writes."""
    arguments = Arguments(memory or Plain(), dtype, *shape)
    given = KERNELS[name][variant](arguments)
    with np.errstate(all="ignore"):
        returned = kernel_named(name)(*given, n_threads)
    arguments.memory.check()
    return returned, [array.tobytes() for array in arguments.results], arguments.results


SHAPES = [(1, 1, 1), (3, 5, 17), (19, 18, 67), (7, 33, 131)] if JIT else [(1, 1, 1), (3, 5, 17)]

every_variant = pytest.mark.parametrize(("name", "variant", "dtype"), VARIANTS)


@pytest.mark.needs_jit
def test_every_kernel_is_called_here():
    assert set(entry_kernels()) == set(KERNELS)


@every_variant
def test_kernels_give_the_same_bits_on_any_number_of_threads(name, variant, dtype):
    for shape in SHAPES:
        returned, ref, results = run(name, variant, dtype, shape, 1)
        assert any((array != 5).any() for array in results), "no result was written"
        for n_threads in (1, 2, 3, 5):
            again, out, _ = run(name, variant, dtype, shape, n_threads)
            assert out == ref
            assert np.array_equal(again, returned) if returned is not None else again is None


def train(variant, shape, n_threads, memory=None):
    """Run the engine's body for a course `model`, and return what it writes."""
    for _ in range(20):
        arguments = Arguments(memory or Plain(), "float64", *shape)
        entry, table = TRAININGS[variant](arguments)
        if n_threads == 1:
            entries.serial(entry, table)
        else:
            entries.parallel(entry, table, n_threads)
            if arguments.team[teamwork.STATE] != teamwork.GOING or arguments.team[teamwork.LEAVING]:
                continue  # its cores were taken by others
        arguments.memory.check()
        return [array.tobytes() for array in arguments.results]
    raise AssertionError(f"{n_threads} threads did not come together in 20 attempts")


TEAMS = sorted({1, 2, runtime.available_threads()} & set(range(1, runtime.available_threads() + 1))) if JIT else [1]

every_training = pytest.mark.parametrize("variant", TRAININGS)


@every_training
def test_training_gives_the_same_bits_on_any_number_of_threads(variant):
    for shape in [(2, 5, 7), (33, 40, 300)] if JIT else [(2, 5, 7)]:
        ref = train(variant, shape, 1)
        for n_threads in TEAMS:
            assert train(variant, shape, n_threads) == ref


@every_training
def test_training_keeps_to_its_arrays(variant):
    for shape in [*SHAPES, (2, 2, 15), (4, 3, 9)]:
        for n_threads in TEAMS:
            assert train(variant, shape, n_threads, Canaries()) == train(variant, shape, 1)


@every_variant
def test_kernels_keep_to_their_arrays(name, variant, dtype):
    for shape in [*SHAPES, (2, 2, 15), (4, 3, 9)]:
        for n_threads in (1, 3):
            returned, ref, _ = run(name, variant, dtype, shape, n_threads)
            again, out, _ = run(name, variant, dtype, shape, n_threads, Canaries())
            assert out == ref
            assert again == returned


AGAINST_GUARDS = """
from test_twins import run_against_guards
run_against_guards()
"""


def run_against_guards():
    """Call every kernel on arrays that touch pages nobody may touch: a step outside ends the process."""
    for name, variant, dtype in VARIANTS:
        for shape in SHAPES:
            for at_end in (True, False):
                for n_threads in (1, 3):
                    print(name, variant, dtype, shape, "end" if at_end else "beginning", n_threads, flush=True)
                    assert (
                        run(name, variant, dtype, shape, n_threads, Guarded(at_end))[1]
                        == (run(name, variant, dtype, shape, n_threads)[1])
                    )
    for variant in TRAININGS:
        for shape in SHAPES:
            for at_end in (True, False):
                print("training", variant, shape, "end" if at_end else "beginning", flush=True)
                assert train(variant, shape, 1, Guarded(at_end)) == train(variant, shape, 1)
    print("done")


def in_subprocess(code, **environment):
    here = Path(__file__).parents[1]
    paths = [str(here), str(Path(fastnn.__file__).parents[1])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.needs_jit
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect is called as on Linux")
def test_kernels_touch_no_page_beyond_their_arrays():
    result = in_subprocess(AGAINST_GUARDS)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, f"ended by {result.returncode} in {lines[-1:]}: {result.stderr}"
    assert lines[-1] == "done"


@pytest.mark.needs_jit
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect is called as on Linux")
def test_the_guard_pages_end_a_process_that_touches_them():
    code = """
import ctypes
from strategies import Guarded
array = Guarded(True).empty(3, "f8", 0)
ctypes.c_double.from_address(array.ctypes.data + array.nbytes).value
"""
    assert in_subprocess(code).returncode < 0


PARALLEL_REGIONS = """
from strategies import DOUBLE_ONLY, KERNELS, Arguments, Plain
from test_twins import entry_kernels
for name, kernel in entry_kernels().items():
    if not kernel.targetoptions.get("parallel"):
        continue
    make = next(iter(KERNELS[name].values()))
    arguments = Arguments(Plain(), "float64", 3, 5, 17)
    kernel(*make(arguments), 2)
    assert not kernel.stats.cache_hits, "diagnostics are not kept in the cache"
    (signature,) = kernel.signatures
    print(name, kernel.get_metadata(signature)["parfor_diagnostics"].count_parfors())
"""


@pytest.mark.needs_jit
def test_every_parallel_kernel_has_a_parallel_region(tmp_path):
    # The regions are found before LLVM sees the code: what it makes of it need not be fast.
    result = in_subprocess(PARALLEL_REGIONS, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_OPT="0")
    assert result.returncode == 0, result.stderr
    regions = dict(line.split() for line in result.stdout.splitlines())
    assert set(regions) == set(KERNELS)
    assert all(int(count) >= 1 for count in regions.values()), regions


@pytest.mark.needs_jit
def test_only_the_ways_into_a_body_for_one_thread_have_none():
    serial = {name for name, kernel in entry_kernels(ways_in=True).items() if not kernel.targetoptions.get("parallel")}
    assert serial == {"serial", "one"}
