"""The optimization notebook in the form of 2017; the other three are those of `fastnn`."""

from fastnn.v1 import optimization

__all__ = ["optimization"]
