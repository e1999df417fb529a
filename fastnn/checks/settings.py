"""Frozen settings that store what was checked."""


class CheckedSettings:
    """Base of frozen dataclasses whose `__post_init__` checks what they were given."""

    __slots__ = ()

    def _checked(self, **values: object) -> None:
        """Store checked values: assignments raise in a frozen class."""
        for name, value in values.items():
            object.__setattr__(self, name, value)
