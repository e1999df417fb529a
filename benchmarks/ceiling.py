"""The processor's own limit: fused multiply-adds a second between registers alone."""

import functools
import os
import threading
import time

import numpy as np

ACCUMULATORS = 12  # enough to hide a latency of 4-5 cycles on two units, and few enough for 16 registers
TURNS = 400_000


def _register_bytes():
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


@functools.cache
def _kernel(dtype):
    """Compile `turns` rounds of multiply-adds on as many independent vectors; return it and its operations a turn."""
    import numba
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic

    scalar = numba.from_dtype(np.dtype(dtype))
    lanes = _register_bytes() * 8 // scalar.bitwidth

    @intrinsic
    def multiply_add(typingctx, turns, factor, term):
        def codegen(context, builder, signature, arguments):
            turns, *operands = arguments
            element, i64, i32 = operands[0].type, ir.IntType(64), ir.IntType(32)
            vector = ir.VectorType(element, lanes)
            undefined = ir.Constant(vector, ir.Undefined)
            zeros = ir.Constant(ir.VectorType(i32, lanes), [0] * lanes)
            factor, term = (
                builder.shuffle_vector(builder.insert_element(undefined, each, ir.Constant(i32, 0)), undefined, zeros)
                for each in operands
            )
            name = f"llvm.fma.v{lanes}f{scalar.bitwidth}"
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
            before, loop = builder.block, builder.append_basic_block("loop")
            builder.branch(loop)
            builder.position_at_end(loop)
            turn = builder.phi(i64)
            turn.add_incoming(ir.Constant(i64, 0), before)
            sums = [builder.phi(vector) for _ in range(ACCUMULATORS)]
            following = [builder.call(fma, [each, factor, term]) for each in sums]
            for index, (each, new) in enumerate(zip(sums, following, strict=True)):
                each.add_incoming(ir.Constant(vector, [float(index)] * lanes), before)
                each.add_incoming(new, loop)
            next_turn = builder.add(turn, ir.Constant(i64, 1))
            turn.add_incoming(next_turn, loop)
            after = builder.append_basic_block("after")
            builder.cbranch(builder.icmp_signed("<", next_turn, turns), loop, after)
            builder.position_at_end(after)
            total = functools.reduce(builder.fadd, following)
            return builder.extract_element(total, ir.Constant(i32, 0))

        return scalar(numba.int64, scalar, scalar), codegen

    @numba.njit([scalar(numba.int64, scalar, scalar)], nogil=True)
    def run(turns, factor, term):
        return multiply_add(turns, factor, term)

    return run, 2 * ACCUMULATORS * lanes


def flops_a_second(dtype, n_threads, rounds=100):
    """Return the best rate seen, all threads together."""
    run, flops_a_turn = _kernel(np.dtype(dtype).name)
    half = np.dtype(dtype).type(0.5)
    meeting = threading.Barrier(n_threads)
    spans = []

    def body():
        for _ in range(rounds):
            meeting.wait()
            begin = time.perf_counter()
            run(TURNS, half, half)
            spans.append((begin, time.perf_counter()))

    threads = [threading.Thread(target=body) for _ in range(n_threads - 1)]
    for thread in threads:
        thread.start()
    body()
    for thread in threads:
        thread.join()
    spans.sort()
    # Each round from the first beginning to the last end: the barrier keeps rounds apart.
    each = [spans[first : first + n_threads] for first in range(0, len(spans), n_threads)]
    shortest = min(max(end for _, end in team) - min(begin for begin, _ in team) for team in each)
    return n_threads * TURNS * flops_a_turn / shortest


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measure():
    """Return {(dtype, threads): operations a second} for one thread and for all cores."""
    return {
        (dtype, n_threads): flops_a_second(dtype, n_threads)
        for dtype in ("float32", "float64")
        for n_threads in sorted({1, cores()})
    }
