"""Train fully connected neural networks on a CPU, with the API of a well-known course.

`initialization`, `regularization`, `gradient_checking` and `optimization` stand for the course's four notebooks,
compiled; `reference` holds the same four in plain NumPy. They are loaded when first used: importing `fastnn`
alone compiles nothing and loads neither numba nor NumPy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn import gradient_checking, initialization, optimization, reference, regularization

    __version__: str

__all__ = ["__version__", "gradient_checking", "initialization", "optimization", "reference", "regularization"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("fastnn-cpu")
        except metadata.PackageNotFoundError:  # run from its source folder
            return "0+unknown"
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
