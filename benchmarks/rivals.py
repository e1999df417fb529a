"""The sides of the comparison, each at its best: fastnn, JAX, scikit-learn, PyTorch.

Each side is a class with `settings`, the ways of running it that are tried, `version()`, and
`train(setting, epochs) -> (seconds, losses)`: a run from the initial weights, in which every step has its share of the
shuffle, the gather, forward, the loss's value, backward and Adam. Preparations are not in the seconds.
"""

import contextlib
import functools
import importlib
import time
import warnings

import numpy as np

from benchmarks import ceiling


def _thread_settings():
    return {str(n): n for n in sorted({1, ceiling.cores()})}


class Fastnn:
    """Ours, through the public contract; `package` may also be the NumPy reference."""

    package = "fastnn"

    def __init__(self, net):
        self.net = net
        self.package = importlib.import_module(self.package)
        self.settings = {**_thread_settings(), "None": None}
        X, Y = net.draw_data()
        # A row-major table of examples, as the other sides have it: taken as columns without a copy.
        self.X, self.Y = X.T, Y if net.output == "softmax" else Y.T

    def version(self):
        import numba

        with contextlib.suppress(ValueError):
            return f"fastnn {self.package.__version__}, numba {numba.__version__}, {numba.threading_layer()}"
        return f"fastnn {self.package.__version__}, numba {numba.__version__}"

    def trainer(self, setting):
        """Return a trainer at the initial weights."""
        net = self.net
        network = self.package.Network(
            list(net.sizes), hidden_activation=net.hidden, output=net.output, dtype=net.dtype, seed=0
        )
        for index, drawn in enumerate(net.draw_weights()):
            network.parameters[f"{'Wb'[index % 2]}{index // 2 + 1}"][...] = drawn if drawn.ndim == 2 else drawn[:, None]
        optimizer = importlib.import_module("fastnn").Adam(net.learning_rate, epsilon=net.epsilon)
        return self.package.Trainer(
            network, optimizer=optimizer, dropout=net.dropout, n_threads=self.settings[setting], seed=0
        )

    def train(self, setting, epochs):
        trainer = self.trainer(setting)
        begin = time.perf_counter()
        history = trainer.fit(self.X, self.Y, epochs=epochs, batch_size=self.net.batch, shuffle=self.net.shuffle)
        return time.perf_counter() - begin, history.loss


class Reference(Fastnn):
    """The NumPy oracle of the engine."""

    package = "fastnn.reference"

    def version(self):
        return f"NumPy {np.__version__}"


class Torch:
    """Tensors in memory, batches by `index_select`, one flat loop, no DataLoader and no Module.

    `torch.compile` is no setting: on a CPU it needs a C++ compiler.
    """

    def __init__(self, net):
        import torch

        self.net, self.torch = net, torch
        torch.set_flush_denormal(True)
        self.settings = {
            f"{n} thread{'s' * (n > 1)}, {kind}": (n, {kind: True})
            for n in _thread_settings().values()
            for kind in ("fused", "foreach")
        }
        self.X, self.Y = map(torch.from_numpy, net.draw_data())
        self.initial = net.draw_weights()

    def version(self):
        return f"torch {self.torch.__version__}, {self.torch.backends.cpu.get_cpu_capability()}"

    def _loss(self, parameters, x, y):
        functional = self.torch.nn.functional
        activate = {"relu": self.torch.relu, "tanh": self.torch.tanh}[self.net.hidden]
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = activate(functional.linear(x, W, b))
        z = functional.linear(x, *parameters[-2:])
        if self.net.output == "softmax":
            return functional.cross_entropy(z, y)
        if self.net.output == "sigmoid":
            return functional.binary_cross_entropy_with_logits(z, y)
        return functional.mse_loss(z, y, reduction="sum") / (2 * len(y))

    def _epoch(self, parameters, optimizer, total):
        m, size = self.net.m, self.net.batch
        order = self.torch.randperm(m) if self.net.shuffle else None
        for begin in range(0, m, size):
            x, y = self.X[begin : begin + size], self.Y[begin : begin + size]
            if order is not None:
                chosen = order[begin : begin + size]
                x, y = self.X.index_select(0, chosen), self.Y.index_select(0, chosen)
            optimizer.zero_grad(set_to_none=True)
            loss = self._loss(parameters, x, y)
            loss.backward()
            optimizer.step()
            total.add_(loss.detach(), alpha=len(y))

    def train(self, setting, epochs):
        n_threads, kind = self.settings[setting]
        self.torch.set_num_threads(n_threads)
        parameters = [self.torch.tensor(array, requires_grad=True) for array in self.initial]
        optimizer = self.torch.optim.Adam(parameters, lr=self.net.learning_rate, eps=self.net.epsilon, **kind)
        totals = self.torch.zeros(epochs, dtype=self.torch.float64)
        begin = time.perf_counter()
        for epoch in range(epochs):
            self._epoch(parameters, optimizer, totals[epoch])
        seconds = time.perf_counter() - begin
        return seconds, (totals / self.net.m).tolist()


class ScikitLearn:
    """`MLPClassifier` or `MLPRegressor`, its `fit` with early stopping out of the way."""

    def __init__(self, net):
        from sklearn.neural_network import MLPClassifier, MLPRegressor
        from threadpoolctl import threadpool_limits

        self.net, self.limits = net, threadpool_limits
        self.settings = {"1 BLAS thread": 1} if ceiling.cores() == 1 else {"1 BLAS thread": 1, "free BLAS": None}
        self.X, Y = net.draw_data()
        kind = MLPRegressor if net.output == "linear" else MLPClassifier
        self.Y = Y.ravel() if Y.shape[1:] == (1,) else Y
        self.initial = [array.T for array in net.draw_weights()]
        self.model = kind(
            hidden_layer_sizes=net.sizes[1:-1], activation=net.hidden, learning_rate_init=net.learning_rate, alpha=0.0,
            epsilon=net.epsilon, batch_size=net.batch, max_iter=1, tol=0.0, n_iter_no_change=10**9, warm_start=True,
            shuffle=net.shuffle, random_state=0,
        )  # fmt: skip
        self._fit(1)

    def version(self):
        import sklearn

        return f"scikit-learn {sklearn.__version__}"

    def _fit(self, epochs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that max_iter ends the run
            self.model.set_params(max_iter=epochs).fit(self.X, self.Y)

    def train(self, setting, epochs):
        starts = {"coefs_": self.initial[::2], "intercepts_": self.initial[1::2]}
        for name, drawn in starts.items():
            for array, start in zip(getattr(self.model, name), drawn, strict=True):
                array[...] = start
        with self.limits(self.settings[setting], user_api="blas"):
            begin = time.perf_counter()
            self._fit(epochs)
            seconds = time.perf_counter() - begin
        # Its squared error is the mean over the outputs, though its gradient is that of their sum.
        scale = self.net.sizes[-1] if self.net.output == "linear" else 1
        return seconds, [scale * loss for loss in self.model.loss_curve_[-epochs:]]


class Jax:
    """All epochs in one `lax.scan` within one `jit`, buffers donated, shuffled inside by `jax.random.permutation`."""

    def __init__(self, net):
        import jax

        jax.config.update("jax_enable_x64", net.dtype == "float64")
        self.net, self.jax = net, jax
        # Parameters as a list of arrays or as one; the scan over an epoch's batches as it is or unrolled.
        self.settings = {"tree": (False, 1)}
        if not net.wide:
            self.settings["flat"] = True, 1
            if net.steps > 4:
                self.settings |= {"tree, unrolled": (False, 4), "flat, unrolled": (True, 4)}
        self.X, self.Y = map(jax.numpy.asarray, net.draw_data())
        self.initial = [array.T for array in net.draw_weights()]
        self.compiled = functools.cache(self._compile)

    def version(self):
        return f"jax {self.jax.__version__}"

    def _split(self, flat):
        ends = np.cumsum([array.size for array in self.initial])
        return [
            flat[end - array.size : end].reshape(array.shape) for array, end in zip(self.initial, ends, strict=True)
        ]

    def _loss(self, parameters, x, y):
        jax, jnp = self.jax, self.jax.numpy
        parameters = parameters if isinstance(parameters, list) else self._split(parameters)
        activate = {"relu": jax.nn.relu, "tanh": jnp.tanh}[self.net.hidden]
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = activate(x @ W + b)
        z = x @ parameters[-2] + parameters[-1]
        if self.net.output == "softmax":
            return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, y[:, None], axis=1)[:, 0])
        if self.net.output == "sigmoid":
            return jnp.mean(jax.nn.softplus(z) - z * y)
        return jnp.sum(jnp.square(z - y)) / (2 * len(y))

    def _step(self, carry, x, y):
        jnp, map_over, rate = self.jax.numpy, self.jax.tree_util.tree_map, self.net.learning_rate
        parameters, v, s, c1, c2 = carry
        loss, gradient = self.jax.value_and_grad(self._loss)(parameters, x, y)
        # 1 - beta^t, without the cancellation that float32 would suffer from.
        c1, c2 = 0.9 * c1 + (1 - 0.9), 0.999 * c2 + (1 - 0.999)
        v = map_over(lambda v, g: 0.9 * v + (1 - 0.9) * g, v, gradient)
        s = map_over(lambda s, g: 0.999 * s + (1 - 0.999) * g * g, s, gradient)
        parameters = map_over(
            lambda p, v, s: p - rate / c1 * v / (jnp.sqrt(s / c2) + self.net.epsilon), parameters, v, s
        )
        return (parameters, v, s, c1, c2), loss * len(x)

    def _epoch(self, unroll, X, Y, carry, key):
        jax, net = self.jax, self.net
        if net.shuffle:
            order = jax.random.permutation(key, net.m)
        elif net.batch == net.m:
            return self._step(carry, X, Y)

        def step(carry, begin, size=net.batch):
            if net.shuffle:
                chosen = jax.lax.dynamic_slice_in_dim(order, begin, size)
                return self._step(carry, X[chosen], Y[chosen])
            return self._step(carry, *(jax.lax.dynamic_slice_in_dim(array, begin, size) for array in (X, Y)))

        full, rest = divmod(net.m, net.batch)
        carry, losses = jax.lax.scan(step, carry, jax.numpy.arange(full) * net.batch, unroll=unroll)
        total = losses.sum()
        if rest:
            carry, loss = step(carry, net.m - rest, rest)
            total += loss
        return carry, total

    def _compile(self, setting, epochs):
        flat, unroll = self.settings[setting]

        @functools.partial(self.jax.jit, donate_argnums=0)
        def run(carry, key, X, Y):
            keys = self.jax.random.split(key, epochs)
            return self.jax.lax.scan(functools.partial(self._epoch, unroll, X, Y), carry, keys)

        return run.lower(self._start(flat), self._key(), self.X, self.Y).compile()

    def _key(self):
        # The cheapest of its generators: a shuffle of 300 is a third of a small net's epoch.
        return self.jax.random.key(0, impl="unsafe_rbg")

    def _start(self, flat):
        jnp = self.jax.numpy
        arrays = [np.concatenate([array.ravel() for array in self.initial])] if flat else self.initial
        parameters, v, s = ([jnp.array(array * scale) for array in arrays] for scale in (1, 0, 0))
        zeros = [jnp.zeros((), self.net.dtype) for _ in range(2)]
        return (parameters[0], v[0], s[0], *zeros) if flat else (parameters, v, s, *zeros)

    def train(self, setting, epochs):
        run = self.compiled(setting, epochs)
        start = self.jax.block_until_ready(self._start(self.settings[setting][0]))
        begin = time.perf_counter()
        _, losses = self.jax.block_until_ready(run(start, self._key(), self.X, self.Y))
        return time.perf_counter() - begin, (np.asarray(losses, float) / self.net.m).tolist()


SIDES = {"fastnn": Fastnn, "reference": Reference, "JAX": Jax, "scikit-learn": ScikitLearn, "torch": Torch}
