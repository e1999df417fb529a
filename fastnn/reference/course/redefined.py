"""Functions that a notebook defines itself, where it may believe that `model` calls them."""

import sys
import warnings
from collections.abc import Iterable
from types import FrameType

# By module and name, what was warned of: the cells of a notebook train more than once.
_told: dict[tuple[object, str], object] = {}


def warn_of_redefined(names: Iterable[str]) -> None:
    """Warn if the module that called fastnn has functions of its own under some of the names, once for each."""
    frame: FrameType | None = sys._getframe()
    level = 1
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("fastnn."):
        frame, level = frame.f_back, level + 1
    if frame is None:
        return
    module = frame.f_globals.get("__name__")
    redefined = {(module, name): frame.f_globals[name] for name in names if _is_foreign(frame.f_globals.get(name))}
    news = [name for (_, name), value in redefined.items() if _told.get((module, name)) is not value]
    if news:
        _told.update(redefined)
        warnings.warn(
            f"model calls fastnn's own {', '.join(news)}, not what {module} defines: keep the notebook's model to "
            f"train with that, or pass warn_redefined=False",
            UserWarning,
            stacklevel=level,
        )


def _is_foreign(value: object) -> bool:
    """Tell whether a value can be called and was not made by fastnn."""
    return callable(value) and not str(getattr(value, "__module__", "")).startswith("fastnn.")
