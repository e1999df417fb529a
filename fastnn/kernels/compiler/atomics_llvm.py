"""Memory shared by threads, and waiting: what the barriers of `teamwork` are made of, as LLVM instructions.

Words are int64, named by a pointer and an index. Loads acquire, stores release, the other two do both.
"""

import os
import platform
import time

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from fastnn.kernels.compiler.simd_llvm import _call

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WORD = types.CPointer(types.int64)

_HINTS = {"x86_64": "llvm.x86.sse2.pause", "AMD64": "llvm.x86.sse2.pause"}
_HINTS |= dict.fromkeys(("aarch64", "arm64", "ARM64"), "llvm.aarch64.hint")
_HINT = _HINTS.get(platform.machine())
_IS_POSIX = os.name == "posix"
_CLOCK = getattr(time, "CLOCK_MONOTONIC", 0)


@intrinsic
def add(typingctx, pointer, index, number):
    """Add to a word; its value before."""

    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("add", builder.gep(args[0], [args[1]]), args[2], "acq_rel")

    return types.int64(_WORD, types.int64, types.int64), codegen


@intrinsic
def compare_and_swap(typingctx, pointer, index, expected, number):
    """Set a word to `number` if it is as `expected`; its value before."""

    def codegen(context, builder, sig, args):
        result = builder.cmpxchg(builder.gep(args[0], [args[1]]), args[2], args[3], "acq_rel", "acquire")
        return builder.extract_value(result, 0)

    return types.int64(_WORD, types.int64, types.int64, types.int64), codegen


@intrinsic
def load(typingctx, pointer, index):
    """Value of a word; what its writer wrote before is seen from here on."""

    def codegen(context, builder, sig, args):
        return builder.load_atomic(builder.gep(args[0], [args[1]]), "acquire", 8)

    return types.int64(_WORD, types.int64), codegen


@intrinsic
def store(typingctx, pointer, index, number):
    """Set a word; who reads it sees all that was written before."""

    def codegen(context, builder, sig, args):
        builder.store_atomic(args[2], builder.gep(args[0], [args[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(_WORD, types.int64, types.int64), codegen


@intrinsic
def pause(typingctx):
    """Tell the processor that this thread spins."""

    def codegen(context, builder, sig, args):
        if _HINT is not None:
            # The hint number 1 of aarch64 is "yield".
            _call(builder, _HINT, ir.VoidType(), [_I32(1)] if "aarch64" in _HINT else [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def give_way(typingctx):
    """Let another thread have this core, where the system has a call for it."""

    def codegen(context, builder, sig, args):
        if _IS_POSIX:
            _call(builder, "sched_yield", _I32, [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def now_ns(typingctx):
    """Nanoseconds on a clock that never goes back; off POSIX, cycles of 3 GHz."""

    def codegen(context, builder, sig, args):
        if not _IS_POSIX:
            return builder.udiv(_call(builder, "llvm.readcyclecounter", _I64, []), _I64(3))
        with builder.goto_entry_block():
            instant = builder.alloca(ir.ArrayType(_I64, 2))
        _call(builder, "clock_gettime", _I32, [_I32(_CLOCK), instant])
        seconds, rest = (builder.load(builder.gep(instant, [_I32(0), _I32(k)])) for k in range(2))
        return builder.add(builder.mul(seconds, _I64(1_000_000_000)), rest)

    return types.int64(), codegen
