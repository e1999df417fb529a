"""The engine in plain NumPy: the specification that the compiled one is tested against.

Examples are columns. All parameters lie in one flat array, theta: W1 (row by row), b1, ..., WL, bL. Arithmetic is in
the network's dtype; costs, sums of weights and norms are float64. What NumPy would warn about (overflow, 0/0) is
silent, as in compiled code.
"""

import numpy as np

from fastnn.interrupts import held
from fastnn.reference.formulas.activations import hidden_activation
from fastnn.reference.formulas.losses import loss_and_delta, output, output_delta, smoothed_targets
from fastnn.reference.formulas.optimizers import clip, update
from fastnn.reference.formulas.philox import dropout_mask, permutation
from fastnn.specs import Architecture, State, Training

quiet = np.errstate(all="ignore")

# Every layer's input and every hidden layer's slope, both after dropout; Z and A of the last layer.
Pass = tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]
# What of these, the outputs being A, a backward pass needs.
Cache = tuple[list[np.ndarray], list[np.ndarray], np.ndarray]


class Engine:
    """Computes a network's outputs, costs and gradients, and opens sessions that train it.

    Parameters
    ----------
    architecture : Architecture
        The network's layers, checked by the caller.
    training : Training, optional
        What is minimised and how; outputs can do without.
    n_threads : int, optional
        Taken because the compiled engine takes it; NumPy decides here.

    Notes
    -----
    All arguments of the methods are checked by the caller: X (n_x, m) of any real dtype and strides, Y (n_y, m) or,
    for softmax, integer labels (m,); weights (m,) or None; theta flat, contiguous, of the network's dtype.

    Examples
    --------
    >>> from fastnn.optimizers import SGD
    >>> from fastnn.specs import Objective
    >>> architecture, rule = Architecture((1, 1), (), "linear", np.dtype("f8")), SGD(0.5).rule()
    >>> engine, theta = Engine(architecture, Training(Objective("squared_error"), rule)), np.array([0.0, 1.0])
    >>> X, Y = np.array([[1.0, 3.0]]), np.array([[2.0, 2.0]])
    >>> engine.loss_and_gradient(theta, X, Y, None)
    (0.5, array([-2., -1.]))
    >>> session = engine.session(theta, State.zeros(architecture, rule), X, Y, None, batch_size=2, shuffle=True)
    >>> session.advance(np.array([0.5]))
    (array([0.5]), array([2.]))
    >>> print(theta)
    [1.  1.5]
    """

    def __init__(
        self, architecture: Architecture, training: Training | None = None, n_threads: int | None = None
    ) -> None:
        self.architecture, self._training = architecture, training
        self._activations = [hidden_activation(f) for f in architecture.hidden]

    @property
    def training(self) -> Training:
        """What is minimised and how."""
        if self._training is None:
            raise TypeError("an engine needs a training for costs, gradients and steps")
        return self._training

    def session(
        self, theta: np.ndarray, state: State, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None,
        batch_size: int, shuffle: bool,
    ) -> "Session":  # fmt: skip
        """Begin to train at the beginning of an epoch.

        Parameters
        ----------
        theta : numpy.ndarray, shape (n_parameters,)
            Parameters; its steps change them.
        state : State
            Moments and counters; its steps change them.
        X, Y, weights : numpy.ndarray
            Examples, targets, sample weights or None.
        batch_size : int
            Examples a step; the last step of an epoch takes what is left.
        shuffle : bool
            Whether an epoch has an order of its own, or the examples' own.

        Returns
        -------
        Session
            Does the steps.
        """
        return Session(self, theta, state, X, Y, weights, batch_size, shuffle)

    def step(
        self, theta: np.ndarray, state: State, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None, rate: float
    ) -> float:
        """Do one step on all examples at once, in no epoch.

        Parameters
        ----------
        theta, state, X, Y, weights
            As for `session`; the step is counted, an epoch is not.
        rate : float
            Learning rate.

        Returns
        -------
        float
            Cost of the examples before the update; 0 if their weights are all zero, which changes nothing else.
        """
        epoch = state.epoch
        with held():
            try:
                costs, _ = self.session(theta, state, X, Y, weights, X.shape[1], False).advance(np.array([rate]))
            finally:
                # A session counts its batch as an epoch; the orders of later epochs should not depend on it.
                state.epoch = epoch
        return float(costs[0])

    @quiet
    def loss(self, theta: np.ndarray, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None) -> float:
        """Compute (1/S) sum_t w_t loss_t, without dropout and L2.

        Parameters
        ----------
        theta, X, Y, weights : numpy.ndarray
            Parameters, examples, targets, sample weights or None.

        Returns
        -------
        float
            The mean loss; targets are smoothed as in training. NaN if S = 0.
        """
        w = self._weights(X, weights)
        _, _, Z, A = self._forward(theta, X)
        losses, _ = loss_and_delta(self.training.objective.loss, self.architecture.output, Z, A, self._targets(Y))
        return float(w @ losses / w.sum())

    @quiet
    def loss_and_gradient(
        self, theta: np.ndarray, X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None, step: int | None = None
    ) -> tuple[float, np.ndarray]:
        """Compute the cost of all examples as one batch, and its gradient.

        (1/S) sum_t w_t loss_t + l2 / (2 S) sum_l sum(W_l^2), S being the sum of the w_t.

        Parameters
        ----------
        theta, X, Y, weights : numpy.ndarray
            Parameters, examples, targets, sample weights or None.
        step : int, optional
            Number of the step whose dropout masks are used; None uses no masks.

        Returns
        -------
        cost : float
            The cost, L2 included.
        gradient : numpy.ndarray, shape (n_parameters,)
            Its gradient, not clipped. Both are NaN if S = 0.
        """
        objective, w = self.training.objective, self._weights(X, weights)
        S = w.sum()
        inputs, slopes, Z, A = self._forward(theta, X, step)
        losses, dZ = loss_and_delta(objective.loss, self.architecture.output, Z, A, self._targets(Y))
        cost = w @ losses / S
        gradient, _ = self._backward(theta, inputs, slopes, dZ * (w / S).astype(self.architecture.dtype))
        if objective.l2:
            split = self.architecture.split
            for (W, _), (dW, _) in zip(split(theta), split(gradient), strict=True):
                cost += objective.l2 / (2 * S) * np.sum(np.square(W, dtype=np.float64))
                dW += float(objective.l2 / S) * W
        return float(cost), gradient

    @quiet
    def predict(self, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Compute the outputs, without dropout.

        Parameters
        ----------
        theta, X : numpy.ndarray
            Parameters and examples.

        Returns
        -------
        numpy.ndarray, shape (n_y, m)
            Outputs, of the network's dtype.
        """
        A: np.ndarray = self._forward(theta, X)[-1]
        return A

    @quiet
    def forward(self, theta: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, Cache]:
        """Compute the outputs, without dropout, and what `backward` needs.

        Parameters
        ----------
        theta, X : numpy.ndarray
            Parameters and examples.

        Returns
        -------
        A : numpy.ndarray, shape (n_y, m)
            Outputs.
        cache : tuple
            For `backward`.
        """
        inputs, slopes, _, A = self._forward(theta, X)
        return A, (inputs, slopes, A.copy())

    @quiet
    def backward(self, theta: np.ndarray, dA: np.ndarray, cache: Cache) -> tuple[np.ndarray, np.ndarray]:
        """Carry a derivative with respect to the outputs back to the parameters and the input.

        Parameters
        ----------
        theta : numpy.ndarray, shape (n_parameters,)
            The parameters of the forward pass.
        dA : numpy.ndarray, shape (n_y, m)
            Derivative of a loss with respect to the outputs.
        cache : tuple
            From `forward`.

        Returns
        -------
        gradient : numpy.ndarray, shape (n_parameters,)
            Sums over the examples, without L2.
        dX : numpy.ndarray, shape (n_x, m)
            Derivative with respect to the input.
        """
        inputs, slopes, A = cache
        dZ = output_delta(self.architecture.output, A, dA.astype(self.architecture.dtype))
        return self._backward(theta, inputs, slopes, dZ)

    def _forward(self, theta: np.ndarray, X: np.ndarray, step: int | None = None) -> Pass:
        """Pass examples through the network, with the masks of a step if it is given."""
        layers = self.architecture.split(theta)
        A = X.astype(self.architecture.dtype) * self._mask(0, X.shape[1], step)  # (n_0, m)
        inputs, slopes = [A], []
        for layer, ((W, b), activation) in enumerate(zip(layers, self._activations, strict=False), start=1):
            Z = W @ A + b  # (n_l, m)
            A, slope = activation(Z)
            mask = self._mask(layer, A.shape[1], step)
            A = A * mask
            inputs.append(A)
            slopes.append(slope * mask)
        W, b = layers[-1]
        Z = W @ A + b  # (n_L, m)
        return inputs, slopes, Z, output(self.architecture.output, Z)

    def _backward(
        self, theta: np.ndarray, inputs: list[np.ndarray], slopes: list[np.ndarray], dZ: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the flat gradient and the derivative with respect to the input, from dZ of the last layer."""
        gradient = np.empty_like(theta)
        layers, grads = self.architecture.split(theta), self.architecture.split(gradient)
        for layer in range(len(layers), 0, -1):
            dW, db = grads[layer - 1]
            dW[:] = dZ @ inputs[layer - 1].T
            db[:] = dZ.sum(axis=1, keepdims=True)
            dA = layers[layer - 1][0].T @ dZ  # (n_{l-1}, m)
            if layer > 1:
                dZ = dA * slopes[layer - 2]
        return gradient, dA

    def _mask(self, layer: int, m: int, step: int | None) -> np.ndarray | int:
        """Return a layer's dropout mask, or 1 if there is none."""
        if step is None:
            return 1
        architecture, drop = self.architecture, self.training.objective.drop(layer)
        if drop == 0:
            return 1
        return dropout_mask(self.training.seed, step, layer, architecture.sizes[layer], m, drop, architecture.dtype)

    def _targets(self, Y: np.ndarray) -> np.ndarray:
        """Return targets (n_y, m), smoothed; labels become columns with a single 1."""
        if Y.ndim == 1:
            Y = np.arange(self.architecture.sizes[-1])[:, None] == Y
        objective = self.training.objective
        return smoothed_targets(objective.loss, Y.astype(self.architecture.dtype), objective.label_smoothing)

    @staticmethod
    def _weights(X: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        """Return the sample weights as float64; ones if there are none."""
        return np.ones(X.shape[1]) if weights is None else weights.astype(np.float64)


class Session:
    """A training in progress: does steps, epoch after epoch.

    Made by `Engine.session`, which describes the arguments.
    """

    def __init__(
        self, engine: Engine, theta: np.ndarray, state: State, X: np.ndarray, Y: np.ndarray,
        weights: np.ndarray | None, batch_size: int, shuffle: bool,
    ) -> None:  # fmt: skip
        self._engine, self._theta, self._state = engine, theta, state
        self._X, self._Y, self._weights = X, Y, weights
        self._batch_size, self._shuffle = batch_size, shuffle
        self._start = 0  # of the next mini-batch, within the epoch's order
        self._order = np.arange(X.shape[1])

    @quiet
    def advance(self, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Do the next steps, across the ends of epochs if need be.

        A step: cost and gradient of the next mini-batch, with L2; clip the gradient; update; decay. A mini-batch whose
        sample weights sum to 0 changes nothing but the counters.

        Parameters
        ----------
        rates : numpy.ndarray, shape (n,), float64
            Learning rates of the next n steps.

        Returns
        -------
        costs, weight_sums : numpy.ndarray, shape (n,), float64
            Cost of every step's mini-batch before the update, and the sum of its sample weights; both 0 for a step that
            changed nothing.
        """
        costs, weight_sums = np.zeros(len(rates)), np.zeros(len(rates))
        architecture, training, state = self._engine.architecture, self._engine.training, self._state
        if training.rule is None:
            raise TypeError("a session needs a rule of its updates")
        state.check(architecture, self._theta)
        for i, rate in enumerate(rates):
            X, Y, w = self._next_batch()
            S = X.shape[1] if w is None else float(w.sum(dtype=np.float64))
            if S != 0:
                costs[i], gradient = self._engine.loss_and_gradient(self._theta, X, Y, w, state.step)
                weight_sums[i] = S
                clip(gradient, training.clip_norm)
                update(architecture, training.rule, self._theta, gradient, state, float(rate))
            state.step += 1
            if self._start >= len(self._order):
                self._start = 0
                state.epoch += 1
        return costs, weight_sums

    def _next_batch(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the examples, targets and weights of the next step; a new order at an epoch's start."""
        if self._start == 0 and self._shuffle:
            self._order = permutation(self._engine.training.seed, self._state.epoch, len(self._order))
        batch = self._order[self._start : self._start + self._batch_size]
        self._start += self._batch_size
        return self._X[:, batch], self._Y[..., batch], None if self._weights is None else self._weights[batch]
