"""The initialization notebook of 2021: `fastnn.reference.initialization`, in which nothing changed."""

from fastnn.reference.initialization import *  # noqa: F403
from fastnn.reference.initialization import __all__ as __all__
