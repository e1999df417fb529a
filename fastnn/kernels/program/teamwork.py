"""Threads of one team meet: a handshake before the work, barriers within it, and a way out that all take together.

A team is an array of words in memory that its threads share. They spin at barriers instead of leaving and entering
parallel regions, which takes 1 us with omp, 2 with tbb and 100 with workqueue; a barrier of two threads that come at
once takes 0.02 to 0.04 whatever the layer.
Spinning is safe because nobody spins before all are known to be there (`join`), and it stays cheap because a team whose
cores are taken by others breaks up at the end of a step (`leave_together`).
"""

from typing import TYPE_CHECKING

import numpy as np

from fastnn.kernels.compiler.host import JIT
from fastnn.kernels.compiler.policy import inner

if TYPE_CHECKING or not JIT:
    from fastnn.kernels.compiler import atomics_plain as atomics
else:
    from fastnn.kernels.compiler import atomics_llvm as atomics

# Words between fields: 128 bytes, because processors fetch lines of 64 bytes in pairs.
_LINE = 16
STATE, JOINED, BEGAN, MEETING, LOST, LEAVING = (_LINE * k for k in range(6))
_WORDS = _LINE * 6

# MEETING counts, above these bits, the barriers that are passed, and in them the threads that have come to the next
# one: a barrier in one word takes half the time of one in two.
_PASSED_SHIFT = 16

# Values of STATE.
WAITING, GOING, ABORTED = range(3)

# Threads of a region start within some 0.1 ms of each other, if they start at all.
HANDSHAKE_NS = 3_000_000

# A pause takes 10-45 ns on x86 and 1 on aarch64. Two threads on one core wait for each other's spins at every barrier:
# 26 us with 1000 spins; where the core is free, giving way takes 0.3 us.
_UNTIMED_SPINS = 50
_SPINS = 200

# A team that has run for less is not judged: one thread may lose its core once, for the 4 ms of a time slice.
JUDGED_NS = 10_000_000


def new_team():
    """Words of a team; every field has a line of its own."""
    room = np.zeros(_WORDS + _LINE, np.int64)
    first = -room.ctypes.data // 8 % _LINE
    return room[first : first + _WORDS]


def is_wasteful(lost_ns, spent_ns, n):
    """Whether `n` threads that lost so much in waiting have hardly done more in that time than one thread does.

    They worked `n * spent_ns - lost_ns` in all, one thread works `spent_ns`. With half of the second core's time lost a
    team of two is still 1.5 times as fast as one thread; with three quarters it had better leave the core to others.
    """
    return 4 * lost_ns > 3 * (n - 1) * spent_ns


_is_wasteful = inner(is_wasteful)


@inner
def part_begin(size, k, n):
    """Where part k begins of `size` things that are cut into n parts; for the only part without a division."""
    return size * k if n == 1 else size * k // n


@inner
def join(team, n):
    """Wait until all `n` threads are there, then True; if they do not come, False for all, even for the late.

    A layer may run several bodies on one thread, one after the other: the first would wait for the second for ever.
    """
    if n == 1:
        return True
    begin = atomics.now_ns()
    joined = atomics.add(team, JOINED, 1)
    if joined == 0:
        atomics.store(team, BEGAN, begin)
    if joined == n - 1:
        atomics.compare_and_swap(team, STATE, WAITING, GOING)
    spins = 0
    while atomics.load(team, STATE) == WAITING:
        if spins < _SPINS:
            atomics.pause()
            spins += 1
        else:
            atomics.give_way()
        if atomics.now_ns() - begin > HANDSHAKE_NS:
            atomics.compare_and_swap(team, STATE, WAITING, ABORTED)
    atomics.add(team, LOST, atomics.now_ns() - begin)
    return atomics.load(team, STATE) == GOING


@inner
def _wait(team, passed):
    """Spin until more than `passed` barriers are passed; what it takes beyond a few spins is lost time."""
    for _ in range(_UNTIMED_SPINS):
        if atomics.load(team, MEETING) >> _PASSED_SHIFT != passed:
            return
        atomics.pause()
    begin = atomics.now_ns()
    spins = _UNTIMED_SPINS
    while atomics.load(team, MEETING) >> _PASSED_SHIFT == passed:
        if spins < _SPINS:
            atomics.pause()
            spins += 1
        else:
            atomics.give_way()
    atomics.add(team, LOST, atomics.now_ns() - begin)


@inner
def barrier(team, n):
    """Wait until all `n` threads have come here; what each wrote before, all see after."""
    if n == 1:
        return
    meeting = atomics.add(team, MEETING, 1)
    passed = meeting >> _PASSED_SHIFT
    if meeting - (passed << _PASSED_SHIFT) == n - 1:
        atomics.store(team, MEETING, (passed + 1) << _PASSED_SHIFT)
    else:
        _wait(team, passed)


@inner
def leave_together(team, n):
    """Barrier at the end of a step; True, for all threads alike, if the team is not worth its cores and should go."""
    if n == 1:
        return False
    meeting = atomics.add(team, MEETING, 1)
    passed = meeting >> _PASSED_SHIFT
    if meeting - (passed << _PASSED_SHIFT) == n - 1:
        # The last to come decides for all: what is lost may change while they look at it.
        lost_ns = atomics.load(team, LOST)
        if lost_ns > JUDGED_NS // 2:
            spent_ns = atomics.now_ns() - atomics.load(team, BEGAN)
            if spent_ns > JUDGED_NS and _is_wasteful(lost_ns, spent_ns, n):
                atomics.store(team, LEAVING, 1)
        atomics.store(team, MEETING, (passed + 1) << _PASSED_SHIFT)
    else:
        _wait(team, passed)
    return atomics.load(team, LEAVING) == 1
