"""What this machine and its settings are, and compiling beforehand."""

import os
import platform
from pathlib import Path

import llvmlite
import numba
import numpy as np
from numba.core.codegen import get_host_cpu_features
from numpy.typing import DTypeLike

from fastnn import checks
from fastnn.engine.runtime import QUOTA, available_threads, compilers, cores
from fastnn.kernels import everything
from fastnn.kernels.compiler import cache, host
from fastnn.kernels.compiler.together import compile_together
from fastnn.version import installed_version

__all__ = ["processor", "show_config", "warmup"]


def processor() -> str:
    """Return the name of the processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _settings() -> dict[str, str]:
    try:
        layer, mask = numba.threading_layer(), numba.get_num_threads()
    except ValueError:  # asking for the mask would choose the layer, for the rest of the process
        layer, mask = "not chosen yet", numba.config.NUMBA_NUM_THREADS
    features = [f[1:] for f in get_host_cpu_features().split(",") if f.startswith(("+avx", "+fma", "+neon", "+sve"))]
    register_bytes = host.TILES[host.LEVEL][0]
    return {
        "fastnn": installed_version(),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "Numba": f"{numba.__version__} (llvmlite {llvmlite.__version__})",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "vector features": " ".join(sorted(features)) or "none known",
        "SIMD level": f"{host.LEVEL}, {8 * register_bytes} bits (FASTNN_SIMD={os.environ.get('FASTNN_SIMD', '')})",
        "threads": str(max(1, min(cores(), QUOTA, mask))),
        "threading layer": layer,
        "compiled code": "off (NUMBA_DISABLE_JIT)" if numba.config.DISABLE_JIT else "on",
        "cache": "none (NUMBA_DISABLE_JIT)" if numba.config.DISABLE_JIT else cache.places(),
    }


def show_config(mode: str = "stdout") -> dict[str, str] | None:
    """Print what decides how fast training is here: versions, processor, threads, and where machine code is kept.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print, or return a dict, as `numpy.show_config` does.

    Returns
    -------
    dict of str, or None
        The settings by name, with mode="dicts".

    Raises
    ------
    ValueError
        If `mode` is neither.

    Notes
    -----
    Asking starts no threads. "threads" is what the affinity of this process, its control group's quota and numba's mask
    allow. "cache" names the folders that machine code is read from, in that order; it is written to the one that is not
    said to be read-only or shipped, which is what a wheel may bring. FASTNN_SIMD in the environment (avx512, avx2, neon
    or none) forces the vector instructions, and NUMBA_THREADING_LAYER (omp, tbb or workqueue) the threading layer.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.show_config("dicts")["fastnn"] == fastnn.__version__
    True
    """
    if not isinstance(mode, str) or mode not in ("stdout", "dicts"):
        raise ValueError(f"mode must be 'stdout' or 'dicts', got {mode!r}")
    settings = _settings()
    if mode == "dicts":
        return settings
    for name, value in settings.items():
        print(f"{name + ':':<17}{value}")
    return None


def warmup(dtype: DTypeLike | None = None) -> None:
    """Compile, or load from the cache, all that training and predicting need.

    Without it the first call does so, which takes seconds on a machine that has never run fastnn. Afterwards neither
    `fastnn.Network` and `fastnn.Trainer`, nor the estimators, nor the functions of the course compile anything,
    whatever the layers, the batch, the activation, the loss and the optimiser. As many processes compile as there are
    cores, and a line on stderr counts what they have done.

    Parameters
    ----------
    dtype : dtype, optional
        Compile for networks of float32 or float64; None for both. The course's `model` functions need float64.

    Raises
    ------
    ValueError
        If `dtype` is something else.

    Notes
    -----
    Machine code is kept on disk, so once is enough for a machine: say, while a container is built. Not covered: the
    user's own activations and losses, which are compiled in each process anew. The code for teams of threads is
    compiled only where this process may use more than one core. Nothing happens with NUMBA_DISABLE_JIT=1.

    It is kept in NUMBA_CACHE_DIR if that is set; otherwise beside the package, or where that cannot be written in the
    user's cache, and read from both. So a filled folder may be read-only. Where none can be written and code has to be
    compiled, a line on stderr says so. Another model of processor and other versions of fastnn and numba have code of
    their own. A checksum finds damaged files, which are compiled anew; it is no defence against people: whoever may
    write to such a folder decides what runs in your processes.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.warmup("float64")
    """
    wanted = [checks.float_dtype("dtype", d) for d in (("float32", "float64") if dtype is None else (dtype,))]
    if numba.config.DISABLE_JIT:
        return
    teams = available_threads() > 1
    found = [job for number_type in wanted for job in everything.jobs(number_type, teams)]
    compile_together(found, compilers)
    for job in found:
        job.compile()
