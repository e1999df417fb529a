"""The course's four modules in plain NumPy: the specification that every compiled function is tested against.

`initialization`, `regularization`, `gradient_checking` and `optimization` stand for the four
notebooks, helpers included. They are loaded when first used.
"""

import importlib
from types import ModuleType

__all__ = ["gradient_checking", "initialization", "optimization", "regularization"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
