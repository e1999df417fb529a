"""Everything that fastnn computes in plain NumPy: the specification that every compiled function is tested against.

`initialization`, `regularization`, `gradient_checking` and `optimization` stand for the course's four notebooks,
helpers included, `v1` and `v2021` for the form that its first and its latest ones have; `Network`, `Trainer` and
`train` are the engine. They are loaded when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn.reference import gradient_checking, initialization, optimization, regularization
    from fastnn.reference import v1 as v1
    from fastnn.reference import v2021 as v2021
    from fastnn.reference.network import Network
    from fastnn.reference.trainer import Trainer, train

_VERSIONS = ("v1", "v2021")
_MODULES = ("gradient_checking", "initialization", "optimization", "regularization", *_VERSIONS)
_HOMES = {"Network": "network", "Trainer": "trainer", "train": "trainer"}

__all__ = ["Network", "Trainer", "gradient_checking", "initialization", "optimization", "regularization", "train"]


if not TYPE_CHECKING:  # a checker is told the names above, and no others

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"{__name__}.{name}")
        if name in _HOMES:
            value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
            globals()[name] = value
            return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_VERSIONS})
