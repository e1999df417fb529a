"""Frozen settings that store what was checked."""

from collections.abc import Callable
from typing import Any


class CheckedSettings:
    """Base of frozen dataclasses whose `__post_init__` checks what they were given."""

    __slots__ = ()

    def _check(self, check: Callable[..., object], *names: str, **limits: Any) -> None:
        """Store what a check of this package, given its `limits`, makes of the settings with these names."""
        self._checked(**{name: check(name, getattr(self, name), **limits) for name in names})

    def _checked(self, **values: object) -> None:
        """Store checked values: assignments raise in a frozen class."""
        for name, value in values.items():
            object.__setattr__(self, name, value)
