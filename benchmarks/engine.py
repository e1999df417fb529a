"""The engine on the nets of `benchmarks.peers`: time of a step, the ratio to the NumPy engine, memory, first runs."""

import statistics
import tempfile
import time

from benchmarks import common, costs, nets, rivals, rows, startup

NETS = {row.net.name: row.net for row in rows.ROWS if row.net.shuffle}
ROUND_SECONDS = 0.1


def _epochs(side, setting):
    """Return the number of epochs that fill a round."""
    seconds = min(side.train(setting, 1)[0] for _ in range(2))
    return max(1, round(ROUND_SECONDS / seconds))


class Training:
    """A step within `Trainer.fit`, with a given number of threads."""

    params = (list(NETS), ["1", "None"])
    param_names = ("net", "n_threads")

    def setup(self, name, n_threads):
        self.side = rivals.Fastnn(NETS[name])
        self.epochs = _epochs(self.side, n_threads)

    def track_step(self, name, n_threads):
        rounds = []
        for _ in range(9):
            time.sleep(common.REST_SECONDS)
            rounds.append(self.side.train(n_threads, self.epochs)[0])
        return statistics.median(rounds) / (self.epochs * self.side.net.steps)

    track_step.unit = "seconds"


class OverReference:
    """The same training by the NumPy engine: the median ratio of rounds in turns."""

    params = ([name for name, net in NETS.items() if not net.wide],)
    param_names = ("net",)

    def track_speedup_over_numpy(self, name):
        ours, theirs = rivals.Fastnn(NETS[name]), rivals.Reference(NETS[name])
        epochs = _epochs(ours, "None")
        ratios = []
        for _ in range(5):
            time.sleep(common.REST_SECONDS)
            mine = ours.train("None", epochs)[0] / epochs
            time.sleep(common.REST_SECONDS)
            ratios.append(theirs.train("None", 1)[0] / mine)
        return round(statistics.median(ratios), 2)

    track_speedup_over_numpy.unit = "x"


class Memory:
    """Peak memory of a process that trains: a workspace that grew with the batch would be seen."""

    params = ([64, 1024, 8192],)
    param_names = ("batch",)

    def setup(self, batch):
        # Fill the cache in a process of its own: a compiler's memory is not a training run's.
        startup.python(costs.FIRST_TRAINING)
        self.side = rivals.Fastnn(nets.WIDE.but(batch=batch))

    def peakmem_fit(self, batch):
        self.side.train("None", 1)


class Calls:
    """Single calls from Python on [64, 64, 10]."""

    def setup(self):
        side = rivals.Fastnn(nets.DIGITS)
        self.trainer = side.trainer("None")
        self.X, self.Y = side.X[:, :64].copy(), side.Y[:64].copy()
        self.x = self.X[:, 0].copy()

    def track_step(self):
        return common.seconds(lambda: self.trainer.step(self.X, self.Y))

    def track_predict_one(self):
        return common.seconds(lambda: self.trainer.network.predict_one(self.x))

    def track_predict(self):
        return common.seconds(lambda: self.trainer.network.predict(self.X))

    track_step.unit = track_predict_one.unit = track_predict.unit = "seconds"


class FirstTraining:
    """Seconds of a whole process that trains [64, 64, 10] for two epochs."""

    timeout = 120

    def setup(self):
        startup.python(costs.FIRST_TRAINING)  # leaves bytecode behind
        self.folder = tempfile.TemporaryDirectory()

    def teardown(self):
        self.folder.cleanup()

    def _seconds(self):
        begin = time.perf_counter()
        startup.python(costs.FIRST_TRAINING, NUMBA_CACHE_DIR=self.folder.name)
        return time.perf_counter() - begin

    def track_cold(self):
        return self._seconds()

    def track_warm(self):
        self._seconds()
        return statistics.median(self._seconds() for _ in range(5))

    track_cold.unit = track_warm.unit = "seconds"
