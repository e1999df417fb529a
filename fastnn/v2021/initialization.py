"""The initialization notebook of 2021: `fastnn.initialization`, in which nothing changed."""

from fastnn.initialization import *  # noqa: F403
from fastnn.initialization import __all__ as __all__
