"""The rows of `benchmarks.peers`: each a network, and what we want to see of it."""

from dataclasses import dataclass

from benchmarks import nets


@dataclass(frozen=True)
class Row:
    """A network, and what we want to see: times over JAX, milliseconds a step, or a share of the ceiling."""

    net: nets.Net
    kind: str = ""
    need: float = 0.0
    aim: float = 0.0

    def verdict(self, achieved):
        if not self.kind:
            return ""
        better = -1 if self.kind == "milliseconds" else 1
        met = "aim met" if achieved * better >= self.aim * better else "need met"
        if achieved * better < self.need * better:
            met = "MISSED"
        return f"need {self.need:g}, aim {self.aim:g}: {met}"


MOONS = nets.Net((2, 5, 2, 1), 300, 64)
FULL = nets.Net((2, 20, 3, 1), 300, 300)
PATTERN = nets.Net((4, 32, 16, 4), 10_000, 10_000, "float32", hidden="tanh", output="linear")
# At a rate of 1e-3 its first steps overshoot: losses beyond 10, which scikit-learn clips.
WIDER = nets.Net((784, 2048, 2048, 10), 4096, 1024, "float32", output="softmax", learning_rate=1e-4)
ROWS = (
    Row(MOONS, "JAX", 15, 30),
    Row(FULL, "JAX", 12, 20),
    # A full batch needs no order: the rivals at their very best.
    Row(FULL.but(shuffle=False)),
    Row(nets.Net((2, 10, 5, 1), 300, 1), "JAX", 4, 8),
    Row(nets.DIGITS, "JAX", 4, 6),
    Row(nets.Net((2, 64, 64, 1), 10_000, 128), "JAX", 4, 6),
    Row(PATTERN, "milliseconds", 0.36, 0.25),
    Row(PATTERN.but(shuffle=False)),
    Row(nets.WIDE.but(batch=128), "share", 0.65, 0.85),
    Row(nets.WIDE, "share", 0.82, 0.92),
    Row(WIDER, "share", 0.82, 0.92),
    Row(nets.WIDE.but(dtype="float64"), "share", 0.80, 0.90),
)
