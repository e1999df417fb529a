"""The four notebooks in the form of 2021 and later: modules of the names of those in `fastnn`."""
