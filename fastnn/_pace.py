"""How many threads a step is worth."""

# Serial time of an example's way through one byte of weights, forward and back, through one unit, and of a step: rough.
WEIGHT_NS, UNIT_NS, STEP_NS = 0.0125, 0.5, 500.0

# A step shorter than this is not worth a second thread; one longer than that certainly is. In between it is measured.
SERIAL_STEP_NS, TEAM_STEP_NS = 700.0, 1e6
TRIAL_NS, TRIAL_EVERY_NS = 1e6, 5e8


def guessed_step_ns(batch: int, n_weights: int, n_units: int, item: int) -> float:
    """Return the serial time of a step, rough, in nanoseconds."""
    return STEP_NS + batch * (WEIGHT_NS * item * n_weights + UNIT_NS * n_units)


class Pace:
    """How many threads pay for a step, measured now and then; the bits do not depend on it."""

    def __init__(self, threads: int, guessed_ns: float) -> None:
        self.choices = sorted({1, threads} | {2**k for k in range(1, threads.bit_length()) if 2**k < threads})
        if guessed_ns < SERIAL_STEP_NS:
            self.choices = [1]
        elif guessed_ns > TEAM_STEP_NS:
            self.choices = [threads]
        self.step_ns = dict.fromkeys(self.choices, guessed_ns)
        self.trials = [n for _ in range(3) for n in self.choices] if len(self.choices) > 1 else []
        self.best = self.choices[-1]
        self.since_trial_ns = 0.0

    def next(self, left: int) -> tuple[int, int]:
        """Threads for the coming steps, and how many steps to do."""
        if not self.trials:
            if len(self.choices) > 1 and self.since_trial_ns > TRIAL_EVERY_NS:
                self.trials = [*self.choices]
                self.since_trial_ns = 0.0
            else:
                return self.best, left
        n = self.trials[0]
        return n, max(1, min(left, int(TRIAL_NS / self.step_ns[n])))

    def note(self, wanted: int, n: int, steps: int, spent_ns: float) -> None:
        """Take note of a run."""
        self.since_trial_ns += spent_ns
        if not self.trials or wanted != self.trials[0]:
            return
        self.trials.pop(0)
        if n == wanted:
            # The first of three may have loaded code: the latest counts.
            self.step_ns[n] = spent_ns / steps
        if not self.trials:
            self.best = min(self.choices, key=self.step_ns.__getitem__)
