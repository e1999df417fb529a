"""What the course's compiled functions write, draw and leave behind, on any number of threads: as the reference."""

import contextlib
import importlib
import io

import numpy as np
import numpy.testing as npt
import published
import pytest
from conftest import JIT
from course_twins import CALLS, both, call, call_key, every_twin, leaves
from strategies import Case

from fastnn import gradient_checking
from fastnn.course import direct, first_run
from fastnn.engine import autotuner, runtime


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
    fresh = list({id(leaf): leaf for leaf in leaves(first) if id(leaf) not in own}.values())
    others = list(arrays.values()) + [leaf for leaf in leaves(second) if id(leaf) not in own]
    for index, leaf in enumerate(fresh):
        assert not any(np.shares_memory(leaf, other) for other in others)
        assert not any(np.shares_memory(leaf, other) for other in fresh[:index])
    carried = [id(leaf) for leaf in leaves(first) if id(leaf) in own]
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
        if module != "regularization":  # whose data set is a file of the course
            calls["load_dataset"] = ()
    for name, arguments in calls.items():
        if hasattr(compiled, name):
            out = stream_after(getattr(compiled, name), *arguments)
            assert out == stream_after(getattr(reference, name), *arguments), name


@pytest.fixture
def team(monkeypatch):
    """Set how many threads every launch gets, whatever its work, and every team, as far as there are so many."""

    def use(n_threads):
        monkeypatch.setattr(runtime, "_take_threads", lambda work_ns: n_threads)
        monkeypatch.setattr(runtime, "_take", lambda wanted: min(wanted, n_threads, runtime.available_threads()))
        monkeypatch.setattr(autotuner.Autotuner, "next", lambda self, left: (n_threads, left))

    monkeypatch.setattr(runtime, "PARALLEL_WORK_NS", 0.0)
    monkeypatch.setattr(first_run, "PARALLEL_WORK_NS", 0.0)
    monkeypatch.setattr(gradient_checking, "SMALL_CHECK_NS", 0.0)
    # A whole function in one call would be the caller's thread's alone.
    monkeypatch.setattr(direct, "JIT", False)
    for function in vars(direct).values():
        if isinstance(function, direct._Direct):
            monkeypatch.setattr(function, "table", None)
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
