"""The four notebooks in the form of 2021 and later, in NumPy: modules of the names of those in `fastnn.reference`."""

from fastnn.reference.v2021 import gradient_checking, initialization, optimization, regularization

__all__ = ["gradient_checking", "initialization", "optimization", "regularization"]
