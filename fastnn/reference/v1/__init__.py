"""The optimization notebook in the form of 2017, in NumPy; the other three are those of `fastnn.reference`."""

from fastnn.reference.v1 import optimization

__all__ = ["optimization"]
