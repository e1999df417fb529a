"""The four notebooks in the form of 2021 and later: modules of the names of those in `fastnn`."""

from fastnn.v2021 import gradient_checking, initialization, optimization, regularization

__all__ = ["gradient_checking", "initialization", "optimization", "regularization"]
