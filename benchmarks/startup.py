"""What a person waits for: the import, and the first `model` of a process with a cold and with a warm cache."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import common

FIRST_CALLS = {
    "initialization": "model(X, Y, num_iterations=10, print_cost=False)",
    "regularization": "model(X, Y, num_iterations=10, print_cost=False)",
    "optimization": "model(X, Y, [2, 5, 2, 1], 'adam', num_epochs=10, print_cost=False)",
}

_SCRIPT = """
import numpy as np
from fastnn.{module} import model
X = np.random.default_rng(0).standard_normal((2, 300))
Y = (X[:1] > 0).astype(int)
{call}
"""


def python(script, **environment):
    """Run a script in a process of its own, where bytecode is kept as users have it."""
    environment = {**os.environ, **environment}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True)


def first_call(module, **environment):
    """Train for a moment in a process of its own."""
    python(_SCRIPT.format(module=module, call=FIRST_CALLS[module]), **environment)


def timeraw_import_numpy():
    return "import numpy"


def timeraw_import_fastnn():
    return "import fastnn"


def timeraw_import_optimization():
    return "import fastnn.optimization"


def track_import_over_numpy():
    rounds = common.rounds_of_seconds(
        lambda: python("import numpy"), lambda: python("import numpy, fastnn"), round_seconds=0
    )
    return statistics.median(both - numpy for numpy, both in rounds)


track_import_over_numpy.unit = "seconds"


class FirstCall:
    """Seconds from the start of Python to its end, with a first `model` of ten steps between."""

    params = (list(FIRST_CALLS),)
    param_names = ("module",)

    def setup(self, module):
        self.folder = tempfile.TemporaryDirectory()
        python(f"import fastnn.{module}")

    def teardown(self, module):
        self.folder.cleanup()

    def _seconds(self, module):
        begin = time.perf_counter()
        first_call(module, NUMBA_CACHE_DIR=self.folder.name)
        return time.perf_counter() - begin

    def track_cold(self, module):
        return self._seconds(module)

    def track_warm(self, module):
        python("import fastnn; fastnn.warmup('float64')", NUMBA_CACHE_DIR=self.folder.name)
        return statistics.median(self._seconds(module) for _ in range(5))

    track_cold.unit = track_warm.unit = "seconds"
