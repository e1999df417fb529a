"""The regularization notebook of 2021: `fastnn.reference.regularization`, in which nothing changed."""

from fastnn.reference.regularization import *  # noqa: F403
from fastnn.reference.regularization import __all__ as __all__
