"""The regularization notebook of 2021: `fastnn.regularization`, in which nothing changed."""

from fastnn.regularization import *  # noqa: F403
from fastnn.regularization import __all__ as __all__
