"""Functions that a notebook defines itself, where it may believe that `model` calls them."""

import sys
import warnings
from collections.abc import Iterable
from types import FrameType


def warn_of_redefined(names: Iterable[str]) -> None:
    """Warn if the module that called fastnn has functions of its own under some of the names."""
    frame: FrameType | None = sys._getframe()
    level = 1
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("fastnn."):
        frame, level = frame.f_back, level + 1
    if frame is None:
        return
    found = [name for name in names if _is_foreign(frame.f_globals.get(name))]
    if found:
        warnings.warn(
            f"model calls fastnn's own {', '.join(found)}, not those of {frame.f_globals.get('__name__')}: keep the "
            f"notebook's model to train with them, or pass warn_redefined=False",
            UserWarning,
            stacklevel=level,
        )


def _is_foreign(value: object) -> bool:
    """Tell whether a value can be called and was not made by fastnn."""
    return callable(value) and not str(getattr(value, "__module__", "")).startswith("fastnn.")
