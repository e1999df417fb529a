"""What a notebook's first run does until there is machine code: where it is done sooner, NumPy computes."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from fastnn.engine.runtime import PARALLEL_WORK_NS, compilers
from fastnn.engine.small_plan import SMALL_NET
from fastnn.engine.workspace import ops_of
from fastnn.kernels import layout as at
from fastnn.kernels.compiler.cache import writable_folder
from fastnn.kernels.compiler.host import JIT
from fastnn.kernels.compiler.together import Job, compile_meanwhile, op_jobs, seconds_missing
from fastnn.kernels.course import functions
from fastnn.kernels.course.ops import COURSE_OPS
from fastnn.kernels.program import entries
from fastnn.kernels.program.body import body

# Tests and benchmarks, which mean the machine code, say False and wait for it.
NUMPY_MEANWHILE = True

# Rough times of the reference: of a layer's calls in one step, of those that update its W and b, of an element of its
# activations, and of a multiply-add.
LAYER_NS = 35_000.0
UPDATE_NS = {"gd": 0.0, "momentum": 8_000.0, "adam": 25_000.0}
ELEMENT_NS = 30.0
FMA_NS = 0.5

# NumPy takes some five times as long as a kernel on one thread, and a kernel some seconds to be compiled.
SERIAL_NS_WORTH_COMPILING = 0.5e9

# Rough time of the trainings that NumPy does in a process. Other processes have compiled everything long before, unless
# something is in their way; then it is done here.
NUMPY_SECONDS = 60.0

_is_compiled = False
_numpy_seconds = 0.0
_work_ns: dict[object, float] = {}


def pays(kernel: Any, work_ns: float) -> bool:
    """Tell whether a parallel kernel is to be called for so much serial work, or NumPy.

    It is if its machine code is loaded or some of it in the cache, or if it has been asked for often enough.

    Parameters
    ----------
    kernel : callable
        A parallel kernel.
    work_ns : float
        Rough time that it takes on one thread, in nanoseconds.

    Returns
    -------
    bool
        Never where a call is over before threads have woken up.
    """
    if work_ns < PARALLEL_WORK_NS:
        return False
    done_ns = _work_ns.get(kernel, 0.0)
    if done_ns < SERIAL_NS_WORTH_COMPILING and NUMPY_MEANWHILE and JIT:
        ready = not done_ns and (kernel.overloads or kernel._cache.holds_some())
        _work_ns[kernel] = math.inf if ready else done_ns + work_ns
        return bool(ready)
    return True


def _training_jobs() -> list[Job]:
    """Return what a `model` needs of machine code."""
    ops = ops_of(COURSE_OPS, at.TRAIN, True).values()
    found: list[Job] = op_jobs([body, *ops], "float64") + entries.jobs(False)
    return found


def numpy_is_done_first(sizes: Sequence[int], batch: int, steps: int, optimizer: str = "gd") -> bool:
    """Tell whether NumPy trains a net before machine code for that would be there, which other processes then make.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer, the input's first.
    batch : int
        Examples in a step.
    steps : int
        How many there are.
    optimizer : {"gd", "momentum", "adam"}
        Their rule.

    Returns
    -------
    bool
        False as soon as everything is compiled, or in the cache, or after a minute of such trainings.
    """
    global _is_compiled, _numpy_seconds
    weights = [n_in * n_out for n_in, n_out in itertools.pairwise(sizes)]
    if not JIT or _is_compiled or not NUMPY_MEANWHILE or sum(weights) + sum(sizes[1:]) > SMALL_NET:
        return False
    seconds = seconds_missing(_training_jobs()) / compilers()
    if not seconds:
        _is_compiled = True
        return False
    step_ns = len(weights) * (LAYER_NS + UPDATE_NS[optimizer])
    step_ns += batch * (ELEMENT_NS * sum(sizes[1:]) + 3 * FMA_NS * sum(weights))
    numpy_seconds = 1e-9 * step_ns * steps
    # Without a cache nobody compiles for this process.
    most = NUMPY_SECONDS if writable_folder() else seconds
    if numpy_seconds > seconds or _numpy_seconds + numpy_seconds > most:
        return False
    _numpy_seconds += numpy_seconds
    compile_meanwhile(_training_jobs() + functions.jobs(), compilers)
    return True
