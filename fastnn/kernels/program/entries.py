"""The two ways into a body of training: on this thread, or on a team's.

The body is one `op`, called by its address, so that both ways run the same machine code: twins compiled into a serial
and a parallel caller were seen to differ in speed and in bits.
"""

from numba import prange
from numba.core import types

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.host import JIT
from fastnn.kernels.compiler.policy import kernel, parallel_kernel
from fastnn.kernels.compiler.simd import call, pointer, put_address
from fastnn.kernels.compiler.together import Job

# The numba type of a table.
TABLE = types.Array(types.uintp, 1, "C")


def _tuple_itself(table):
    return table


# Without JIT a table is a tuple.
_table_pointer = pointer if JIT else _tuple_itself


@kernel
def serial(entry, table):
    """Call the op whose address is the first in `entry`, as the only thread of a team of one."""
    call(_table_pointer(entry), 0, _table_pointer(table), 0, 1)


@parallel_kernel
def parallel(entry, table, n):
    """Call the op whose address is the first in `entry`, from `n` bodies of a parallel region at once."""
    for thread in prange(n):
        call(_table_pointer(entry), 0, _table_pointer(table), thread, n)


@kernel
def one(entry, table, x, out):
    """Call the op as `serial` does, for one example `x` and its results."""
    put_address(table, at.X, x)
    put_address(table, at.OUT, out)
    call(_table_pointer(entry), 0, _table_pointer(table), 0, 1)


def jobs(teams):
    """Return what there is to compile for bodies of training, with the way into teams of threads or without."""
    found = [Job(serial, (TABLE, TABLE))]
    if teams:
        found.append(Job(parallel, (TABLE, TABLE, types.int64)))
    return found
