"""How many threads a step is worth."""

import math

# Serial time of an example's way through one byte of weights, forward and back, through one unit, and of a step: rough.
WEIGHT_NS, UNIT_NS, STEP_NS = 0.0125, 0.5, 500.0

# A step shorter than this is not worth a second thread; one longer than that certainly is. In between it is measured.
SERIAL_STEP_NS, TEAM_STEP_NS = 700.0, 1e6
TRIAL_NS = 1e6
# A verdict is looked at again after so much time, and then twice as much each time: the first one may have been about
# threads that were still asleep, and short trainings would live with it for long.
FIRST_AGAIN_NS, AGAIN_NS = 2e7, 5e8
# A trial that did not get its threads is soon made up for; to ask for them in vain takes no time.
DENIED_AGAIN_NS = 5e7

# A call shorter than this, all its steps on one thread, is left there untried: a thread that went to sleep since the
# last call takes 50-100 us to wake, and one whose core is taken 3-8 ms.
SHORT_CALL_NS = 1e5


def guessed_step_ns(batch: int, n_weights: int, n_units: int, item: int) -> float:
    """Return the serial time of a step, rough, in nanoseconds."""
    return STEP_NS + batch * (WEIGHT_NS * item * n_weights + UNIT_NS * n_units)


class Autotuner:
    """How many threads pay for a step, measured now and then; the bits do not depend on it.

    A trial measures a call as a whole, with the way into the team and out of it.
    """

    def __init__(self, threads: int, guessed_ns: float) -> None:
        self.choices = sorted({1, threads} | {2**k for k in range(1, threads.bit_length()) if 2**k < threads})
        if guessed_ns < SERIAL_STEP_NS:
            self.choices = [1]
        elif guessed_ns > TEAM_STEP_NS:
            self.choices = [threads]
        self.guessed_ns = guessed_ns
        self.step_ns: dict[int, float] = {}  # by threads, where they have been tried and were there
        self.serial_ns = math.inf  # the least so far
        # The first trials may load code: of one thread before it is known whether calls are short, and then of each.
        self.trials = [1, *(n for _ in range(3) for n in self.choices)] if len(self.choices) > 1 else []
        self.trying = False
        self.best = self.choices[-1]
        self.since_trial_ns, self.again_ns = 0.0, FIRST_AGAIN_NS

    def next(self, left: int) -> tuple[int, int]:
        """Threads for the coming steps, and how many steps to do."""
        self.trying = False
        if left * self.serial_ns < SHORT_CALL_NS:
            return 1, left
        if not self.trials:
            if len(self.choices) == 1 or self.since_trial_ns <= self.again_ns:
                return self.best, left
            self._try_anew()
        self.trying = True
        n = self.trials[0]
        # A team that was slow to come is given no fewer steps for that: it would not show what it can do.
        step_ns = min(self.step_ns.get(n, self.guessed_ns), self.serial_ns)
        return n, max(1, min(left, int(TRIAL_NS / step_ns)))

    def note(self, wanted: int, n: int, steps: int, spent_ns: float) -> None:
        """Take note of a run."""
        self.since_trial_ns += spent_ns
        step_ns = spent_ns / steps
        if wanted == 1 and step_ns < self.serial_ns:
            self.serial_ns = step_ns
        if self.trying:
            self.trials.pop(0)
            if n == wanted:
                # The first ones may have loaded code: the latest counts.
                self.step_ns[n] = step_ns
            else:
                self.since_trial_ns = max(self.since_trial_ns, self.again_ns - DENIED_AGAIN_NS)
            if not self.trials:
                self.best = min(self.step_ns, key=self.step_ns.__getitem__)
        elif wanted > 1 and step_ns > 2.0 * self.step_ns.get(1, math.inf):
            # The cores that were free in the trial are taken by now.
            self._try_anew()

    def _try_anew(self) -> None:
        self.trials = [*self.choices]
        self.since_trial_ns, self.again_ns = 0.0, min(2.0 * self.again_ns, AGAIN_NS)
