"""How kernels are compiled: exact arithmetic, pointers from arrays only, packed loops, one file that says so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.codegen import get_host_cpu_features

import fastnn.kernels

KERNELS = Path(fastnn.kernels.__file__).parent


def test_only_the_policy_compiles():
    # `inner`, `kernel` and `parallel_kernel` are the only ways to compile, so that no kernel has flags of its own.
    for path in KERNELS.glob("*.py"):
        if path.name == "policy.py":
            continue
        text = path.read_text()
        assert not re.search(r"\bn?jit\b|fastmath|error_model|inttoptr", text), path.name


def test_the_policy_has_exact_arithmetic():
    from fastnn.kernels import policy

    code = re.sub(r'""".*?"""', "", Path(policy.__file__).read_text(), flags=re.DOTALL)
    assert "fastmath" not in code
    assert code.count("numba.njit(") == code.count('error_model="numpy"') > 0


@pytest.mark.needs_jit
def test_a_division_by_zero_is_inf_and_not_an_exception():
    from fastnn.kernels.policy import kernel

    @kernel
    def divide(a, b):
        return a / b

    assert divide(1.0, 0.0) == np.inf


def assembly(function, arguments):
    function(*arguments)
    (text,) = function.inspect_asm().values()
    return text


@pytest.mark.needs_jit
@pytest.mark.skipif("+fma" not in get_host_cpu_features(), reason="the processor has no x86 FMA")
def test_the_tile_loop_is_packed_fma_and_spills_no_vector():
    from fastnn.kernels.matmul import product_block
    from fastnn.kernels.simd import pointer

    @numba.njit(error_model="numpy")
    def product(W, A, b, Z):
        n_out, n_in = W.shape
        m = A.shape[1]
        product_block(
            pointer(W), 0, n_in, 1, n_out, n_in, pointer(b), 0, pointer(A), 0, m, pointer(Z), 0, m, m
        )  # fmt: skip

    text = assembly(product, (np.ones((8, 8)), np.ones((8, 32)), np.ones(8), np.ones((8, 32))))
    loops = [block for block in re.split(r"\n(?=\.LBB)", text) if len(re.findall(r"vfmadd\w+pd", block)) >= 8]
    assert loops, "no loop with eight packed fused multiply-adds"
    for loop in loops:
        body = loop[: loop.rindex("vfmadd")]
        # LLVM unrolls by four and reloads some integer offsets; a vector on the stack would be an accumulator lost.
        assert not [line for line in body.splitlines() if "(%rsp)" in line and "mm" in line]
        assert "callq" not in body


@pytest.mark.needs_jit
def test_hot_functions_count_no_references(tmp_path):
    code = """
import numpy as np
from fastnn.kernels import train
from fastnn._training import CourseTraining
parameters = {"W1": np.ones((2, 2)), "b1": np.zeros((2, 1)), "W2": np.ones((1, 2)), "b2": np.zeros((1, 1))}
CourseTraining(parameters, np.ones((2, 20)), np.ones((1, 20)), 0).run(2, 0.1, None, 1)
(text,) = train.train_serial.inspect_asm().values()
functions = text.split("\\n\\t.globl\\t")
hot = [f for f in functions if "vfmadd" in f.split("\\n", 1)[1]]
assert hot
named = {f.split("\\n", 1)[0]: f for f in hot}
print(sum(f.count("NRT_incref") for name, f in named.items() if "cpython" not in name and "_train" not in name))
"""
    # From an empty cache: cached code has no assembly to inspect.
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "0"
