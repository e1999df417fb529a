"""Whether there is machine code, and for which vector instructions: the host's, or what FASTNN_SIMD asks for."""

import os
import platform

from numba import config
from numba.core.codegen import get_host_cpu_features

# Bytes in a register; registers side by side in a tile; tile heights; heights of broad tiles, 8 registers side by side.
# 8 x 2 registers reach 58.4 of 58.7 GFLOP/s on a Zen 4 core (float64), as much as 14 x 2 do, and divide the usual layer
# sizes; on a Zen 5 core 12 x 2, 14 x 2, 8 x 3 and 6 x 4 are within 1 % of it or below.
TILES = {
    "avx512": (64, 2, (8, 4, 2, 1), (2, 1)),
    "avx2": (32, 2, (6, 4, 2, 1), (1, 1)),
    "neon": (16, 4, (6, 4, 2, 1), (2, 1)),
    "none": (8, 2, (4, 3, 2, 1), (1, 1)),
}

# Numba makes the names of its settings when it is imported.
JIT = not config.DISABLE_JIT  # type: ignore[attr-defined]


def _level():
    asked = os.environ.get("FASTNN_SIMD", "")
    if asked:
        if asked not in TILES:
            raise ValueError(f"FASTNN_SIMD must be one of {', '.join(TILES)}, got {asked}")
        return asked
    features = config.CPU_FEATURES
    if features is None:
        features = get_host_cpu_features() if config.CPU_NAME in (None, "host") else ""
    if "+avx512f" in features:
        return "avx512"
    if "+avx2" in features and "+fma" in features:
        return "avx2"
    return "neon" if platform.machine() in ("aarch64", "arm64") else "none"


LEVEL = _level()
