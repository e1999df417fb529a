"""Training in slices of steps, between which Ctrl-C acts, the clock is read and callbacks are called."""

import time
from collections.abc import Callable

import numpy as np

from fastnn.interrupts import Interrupts

# As far as Ctrl-C, a limit of time and a printed cost can lag behind.
SLICE_SECONDS = 0.1
# So many steps' rates and costs stay in the L2 cache: of a step of [2, 5, 2, 1], which takes 0.65 us, what is
# not compiled takes 0.02 us then, and 0.03 in slices of 0.1 s.
MOST_STEPS = 1 << 13
# Multiply-adds of a first slice, before its speed is known.
FIRST_SLICE = 1_000_000


class Slices:
    """Runs the steps of a training in slices of about `SLICE_SECONDS`, however long a step takes.

    Parameters
    ----------
    advance : callable
        Does a step for each learning rate, and returns two numbers for each.
    work : int
        Multiply-adds of a step, at a guess: examples times parameters.
    interrupts : Interrupts
        Holds Ctrl-C back while steps run, if it was entered.

    Attributes
    ----------
    longest : int
        Steps of the next slice at most.
    begin, end : float
        Between these readings of `time.perf_counter` the last `run` took place.

    Examples
    --------
    >>> slices = Slices(lambda rates: (2 * rates, rates), work=400_000, interrupts=Interrupts())
    >>> slices.longest
    2
    >>> slices.run(np.array([0.5, 0.25, 0.125]))
    (array([1.  , 0.5 , 0.25]), array([0.5  , 0.25 , 0.125]))
    """

    def __init__(
        self, advance: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], work: int, interrupts: Interrupts
    ) -> None:
        self._advance, self._interrupts = advance, interrupts
        self.longest = max(1, FIRST_SLICE // work)
        self.begin = self.end = 0.0

    def run(self, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Do a step for each rate, or fewer if Ctrl-C comes; it stays held back.

        Parameters
        ----------
        rates : numpy.ndarray, shape (n,)
            Learning rates of the next steps, at least one.

        Returns
        -------
        tuple of numpy.ndarray
            What `advance` returns, for all steps that were done: those of one slice at least.
        """
        interrupts, n, done, parts = self._interrupts, rates.size, 0, []
        interrupts.hold()
        self.begin = self.end = time.perf_counter()
        while done < n and not (done and interrupts.pending):
            count, begin = min(self.longest, n - done), self.end
            parts.append(self._advance(rates[done : done + count]))
            self.end = time.perf_counter()
            done += count
            # The first slice may have compiled: grow step by step, never by one measurement alone.
            fitting = min(int(count * SLICE_SECONDS / max(self.end - begin, 1e-9)), MOST_STEPS)
            self.longest = min(max(1, fitting), 16 * max(count, self.longest))
        if len(parts) == 1:
            return parts[0]
        firsts, seconds = zip(*parts, strict=True)
        return np.concatenate(firsts), np.concatenate(seconds)
