"""Compile all kernels for any processor of a level, for a wheel to take along: python .ci/machine_code.py TREE.

Fills TREE/fastnn/machine_code with what this Python and numba will load; other versions compile for themselves, or are
let do the same. Nothing that is compiled is executed: any x86-64 machine will do.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Prints what a processor of each level is called.
LEVELS = """
from fastnn.kernels.compiler.cache import GENERIC
print(*(f"{level} {processor}" for level, (processor, _) in GENERIC.items()), sep="\\n")
"""
COMPILE = """
import numpy as np
from fastnn.engine.runtime import compilers
from fastnn.kernels import everything
from fastnn.kernels.compiler.together import compile_together

compile_together([job for dtype in (np.float32, np.float64) for job in everything.jobs(dtype)], compilers)
"""
# Prints the names of what the machine code in a file calls.
SYMBOLS = """
import pathlib, pickle, subprocess, sys, tempfile
import fastnn.kernels.everything

for path in sys.argv[1:]:
    (_, _, (code, _)), *_ = pickle.loads(pathlib.Path(path).read_bytes()[96:])
    with tempfile.NamedTemporaryFile() as file:
        file.write(code)
        file.flush()
        called = subprocess.run(["nm", "-u", file.name], check=True, stdout=subprocess.PIPE, text=True).stdout
    print(*called.split()[1::2], sep="\\n")
"""
# What they may call: what Python and numba have, whatever the system, and of the system what any has. For a name that
# is not there LLVM would end the process.
MAY_CALL = re.compile(
    r"_?Py\w+|NRT_\w+|numba_\w+|(de)?allocate_sched|do_scheduling_(un)?signed|[gs]et_(parallel_chunksize|num_threads)"
    r"|get_sched_size|memset|clock_gettime|sched_yield|printf"
)


def run(tree, code, *arguments, **settings):
    """Return the lines that a program prints that imports the tree's fastnn."""
    environment = {**os.environ, "PYTHONPATH": str(tree), **settings}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def main(tree):
    """Fill the tree's folder of machine code."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return
    folder = tree / "fastnn" / "machine_code"
    folder.mkdir(exist_ok=True)
    for line in run(tree, LEVELS):
        level, processor = line.split()
        with tempfile.TemporaryDirectory() as cache:
            settings = {"FASTNN_SIMD": level, "NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
            run(tree, COMPILE, NUMBA_CACHE_DIR=cache, **settings)
            paths = [*Path(cache).rglob("*.nbc")]
            strange = {name for name in run(tree, SYMBOLS, *paths) if name and not MAY_CALL.fullmatch(name)}
            if strange:
                raise SystemExit(f"another system may lack what this code calls: {', '.join(sorted(strange))}")
            for path in paths:
                shutil.move(path, folder / path.name)
        print(f"{level}: {len(paths)} kernels for {processor}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
