"""What we override or use of numba's and llvmlite's insides, which no release promises to keep."""

import hashlib
import importlib
import inspect

import llvmlite
import numba
import pytest
from numba.np.ufunc import parallel

POLICY, CACHE, RUNTIME = (
    "fastnn/kernels/compiler/policy.py", "fastnn/kernels/compiler/cache.py", "fastnn/engine/runtime.py",
)  # fmt: skip

# What is looked at: the file of ours that relies on it; digests of its source, which is the same in numba 0.66 to 0.68
# (another release's is added behind a space); and what to compare there.
PRIVATES = {
    "numba.core.ccallback:CFunc": (
        POLICY,
        "c6e5883e6d1e",
        "_Native, whose compile() is this one's but for the address, and which sets the same attributes",
    ),
    "numba.core.dispatcher:_FunctionCompiler": (
        POLICY,
        "cf89fa993734",
        "_NativeCompiler and _no_code_of_its_own, which change the flags in _customize_flags()",
    ),
    "numba.core.dispatcher:Dispatcher.compile": (
        POLICY,
        "0ab4aee15e79",
        "_compiled(), which wraps it and puts a KernelCache into _cache",
    ),
    "numba.core.dispatcher:Dispatcher.add_overload": (
        POLICY,
        "3cd1a5150786",
        "add_overload() of `inner`, which takes its place",
    ),
    "numba.core.dispatcher:_DispatcherBase._compile_for_args": (POLICY, "6fe2b0f0f701", "_compiled(), which wraps it"),
    "numba.core.cpu_options:ParallelOptions": (
        POLICY,
        "f906a22ff2ee",
        "EXPLICIT_PRANGE_ONLY, which has to name every option",
    ),
    "numba.core.caching:_Cache": (CACHE, "ee22baec643a", "the methods of KernelCache"),
    "numba.core.caching:NullCache": (CACHE, "4405257989b1", "KernelCache, its subclass"),
    "numba.core.compiler:CompileResult": (
        CACHE,
        "a4eb4c8684b4",
        "_reduce() and _rebuild(), what a file of the cache holds",
    ),
    "numba.core.codegen:JITCPUCodegen.magic_tuple": (
        CACHE,
        "754e19348032",
        "_index_key(), which tells processors apart by it",
    ),
    "numba.core.compiler_lock:_CompilerLock": (RUNTIME, "0679cf7e73e4", "_foreign_locks, of which it is the first"),
    "numba.np.ufunc.parallel:_launch_threads": (
        RUNTIME,
        "3b232adb1be7",
        "_foreign_locks, and in which order numba takes them",
    ),
    "numba.np.ufunc.parallel:get_num_threads": (RUNTIME, "09cf0c421ab6", "_mask(), which leaves out its first line"),
    "llvmlite.binding.ffi:_LLVMLock": (RUNTIME, "674e02dc78ae", "_foreign_locks, of which it is the last"),
    "llvmlite.binding.ffi:_lib_fn_wrapper": (RUNTIME, "65b248c1f3f2", "_foreign_locks: what LLVM's lock is taken for"),
}


def source_of(name):
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return inspect.getsource(inspect.unwrap(found))


def complaint(name, source):
    """Return a sentence if that source was never looked at, or is gone (None); otherwise None."""
    file, digests, what = PRIVATES[name]
    package = numba if name.startswith("numba") else llvmlite
    where = f"{name}: look in {file} at {what}"
    if source is None:
        return f"{package.__name__} {package.__version__} no longer has {where}"
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    if digest in digests.split():
        return None
    return (
        f"{package.__name__} {package.__version__} has changed {where}; if that is still right, add {digest} to its "
        f"digests in {__name__}.PRIVATES"
    )


@pytest.mark.parametrize("name", PRIVATES)
def test_what_we_override_is_what_we_have_looked_at(name):
    try:
        source = source_of(name)
    except (ImportError, AttributeError):
        source = None
    assert complaint(name, source) is None, complaint(name, source)


def test_a_change_is_told_in_a_sentence():
    name = "numba.core.ccallback:CFunc"
    said = complaint(name, "class CFunc: ...")
    assert said.startswith(f"numba {numba.__version__} has changed {name}: look in {POLICY} at _Native")
    assert f"no longer has {name}" in complaint(name, None)


@pytest.mark.needs_jit
def test_the_mask_is_told_without_a_lock():
    # As `runtime._mask` asks for it.
    before = numba.get_num_threads()
    assert parallel._get_num_threads() == before
    try:
        numba.set_num_threads(1)
        assert parallel._get_num_threads() == 1
    finally:
        numba.set_num_threads(before)


def test_every_lock_that_a_fork_waits_for_can_be_taken_and_given_back():
    from fastnn.engine.runtime import _foreign_locks

    for lock in _foreign_locks:
        for _ in range(2):
            with lock:
                pass
