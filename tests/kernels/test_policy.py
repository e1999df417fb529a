"""How kernels are compiled: exact arithmetic, pointers from arrays only, packed loops, one file that says so."""

import platform
import re
from pathlib import Path

import numpy as np
import pytest
from numba.core.codegen import get_host_cpu_features

import fastnn.kernels
from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Op
from fastnn.kernels.program.ops import OPS

KERNELS = Path(fastnn.kernels.__file__).parent


def code_of(path):
    """Return a file without its docstrings."""
    return re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)


def files_that_compile(folder):
    """Return the files, in all subfolders, that choose how they are compiled."""
    paths = folder.rglob("*.py")
    return [path.name for path in paths if re.search(r"\bn?jit\b|fastmath|error_model|inttoptr", code_of(path))]


def test_only_the_policy_compiles():
    # `inner`, `kernel` and `parallel_kernel` are the only ways to compile, so that no kernel has flags of its own.
    assert files_that_compile(KERNELS) == ["policy.py"]


def test_a_kernel_in_a_subfolder_that_compiles_is_seen(tmp_path):
    (tmp_path / "matmul" / "deeper").mkdir(parents=True)
    (tmp_path / "matmul" / "deeper" / "fast.py").write_text("@numba.njit(fastmath=True)\ndef f(): ...\n")
    (tmp_path / "matmul" / "dots.py").write_text("from fastnn.kernels.compiler.policy import kernel\n")
    assert files_that_compile(tmp_path) == ["fast.py"]


def test_the_policy_has_exact_arithmetic():
    from fastnn.kernels.compiler import policy

    code = code_of(Path(policy.__file__))
    assert "fastmath" not in code
    assert code.count("numba.njit(") == code.count('error_model="numpy"') > 0


@pytest.mark.needs_jit
def test_a_division_by_zero_is_inf_and_not_an_exception():
    from fastnn.kernels.compiler.policy import kernel, users_function

    def divide(a, b):
        return a / b

    assert kernel(divide)(1.0, 0.0) == np.inf
    assert users_function(divide)(1.0, 0.0) == np.inf


def assembly(op):
    # Compiled anew, for cached code has no assembly to inspect.
    return Op(op.function, cached=False).compiled(np.dtype(np.float64))._library.get_asm_str()


@pytest.fixture(scope="module")
def product_assembly():
    return assembly(OPS[at.PRODUCT])


@pytest.mark.needs_jit
@pytest.mark.skipif("+fma" not in get_host_cpu_features(), reason="the processor has no x86 FMA")
def test_the_tile_loops_are_packed_fma_and_spill_no_vector(product_assembly):
    blocks = re.split(r"\n(?=\.LBB)", product_assembly)
    loops = [block for block in blocks if len(re.findall(r"vfmadd\w+pd", block)) >= 8]
    assert loops, "no loop with eight packed fused multiply-adds"
    bodies = [loop[: loop.rindex("vfmadd")] for loop in loops]
    sums = [set(re.findall(r"vfmadd.*%(.mm\d+)$", body, re.MULTILINE)) for body in bodies]
    for body, own in zip(bodies, sums, strict=True):
        # LLVM unrolls by four or eight and reloads some integer offsets; for AVX2, whose registers are few, it parks
        # operands of the lower tiles.
        parked = re.findall(r"%(.mm\d+), -?\d*\(%rsp\)", body)
        assert not own.intersection(parked), "an accumulator is lost"
        # In the tallest tile, which does nearly all of the work, nothing is parked.
        assert len(own) < max(map(len, sums)) or not re.search(r"mm.*\(%rsp\)|\(%rsp\).*mm", body)
        assert "callq" not in body


@pytest.mark.needs_jit
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
def test_ops_need_little_stack(product_assembly):
    # Threads may have 16 KB; the longest way through the ops goes through three of them.
    for text in (product_assembly, *(assembly(OPS[index]) for index in (at.SMALL_EXAMPLES, at.OUTPUT_LOSS))):
        frames = [int(size) for size in re.findall(r"subq\s+\$(\d+), %rsp", text)]
        assert frames
        assert max(frames) <= 4096


@pytest.mark.needs_jit
def test_hot_functions_count_no_references(product_assembly):
    for text in (product_assembly, *(assembly(OPS[index]) for index in (at.EXAMPLES, at.WEIGHTS_PHASE, at.UPDATE))):
        assert "NRT_incref" not in text
