"""The networks that all sides train: sizes, data, initial weights, and the arithmetic of a step."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from benchmarks import common

# Libraries add epsilon to the root before or after its correction. With 1e-8 that shows in the losses' fifth digit,
# for many of a wide net's gradients are small; with this it does not show.
EPSILON_OF_CHECKS = 1e-16


@dataclass(frozen=True)
class Net:
    """A network and how it is trained: by Adam, at its default settings, from He's weights."""

    sizes: tuple[int, ...]
    m: int
    batch: int
    dtype: str = "float64"
    hidden: str = "relu"
    output: str = "sigmoid"
    dropout: float = 0.0
    shuffle: bool = True
    learning_rate: float = 1e-3
    epsilon: float = 1e-8

    @property
    def name(self):
        """The row's name, which `--only` takes."""
        kind = "" if self.dtype == "float64" else "-f32"
        order = "" if self.shuffle else "-unshuffled"
        batch = "full" if self.batch == self.m else f"b{self.batch}"
        return "-".join(map(str, self.sizes)) + f"-{batch}{kind}{order}"

    @property
    def steps(self):
        """Steps an epoch."""
        return math.ceil(self.m / self.batch)

    @property
    def weights(self):
        return sum(n_in * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def flops(self):
        """Operations of a step's products: nobody needs the gradient of the input."""
        return 6 * self.batch * self.weights - 2 * self.batch * self.sizes[0] * self.sizes[1]

    @property
    def wide(self):
        """Whether the processor's arithmetic is the limit, not calls and passes over memory."""
        return self.weights > 100_000

    def but(self, **changes):
        """Return the same network with some settings changed."""
        return dataclasses.replace(self, **changes)

    def for_checks(self):
        """Return a network with few examples, the last batch a short one, in their own order."""
        m = self.m if self.batch == self.m else min(self.m, 5 * self.batch + max(1, self.batch // 3))
        return self.but(m=m, batch=min(self.batch, m), shuffle=False, epsilon=EPSILON_OF_CHECKS)

    def draw_data(self):
        """Return X (m, n_x) and Y: labels (m,) for softmax, otherwise (m, n_y); examples in rows."""
        rng = np.random.default_rng(1)
        X = rng.standard_normal((self.m, self.sizes[0])).astype(self.dtype)
        target = X @ rng.standard_normal((self.sizes[0], self.sizes[-1])) / math.sqrt(self.sizes[0])
        target += 0.5 * rng.standard_normal(target.shape)
        if self.output == "softmax":
            return X, np.argmax(target, axis=1)
        if self.output == "sigmoid":
            return X, (target > 0).astype(self.dtype)
        return X, np.tanh(target).astype(self.dtype)

    def draw_weights(self):
        """Return [W1 (n_1, n_x), b1 (n_1,), ..., WL, bL]."""
        drawn = common.draw_network(self.sizes)
        return [
            array.astype(self.dtype).reshape(array.shape if name[0] == "W" else -1) for name, array in drawn.items()
        ]


DIGITS = Net((64, 64, 10), 1797, 64, output="softmax")
WIDE = Net((784, 512, 256, 10), 8192, 1024, "float32", output="softmax")
