"""Fully connected networks: sizes, activations, and all parameters in one flat array."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnn import checks
from fastnn.activations import HIDDEN_ACTIVATIONS, Activation
from fastnn.initializers import Initializer, draw_weights
from fastnn.interrupts import imported
from fastnn.losses import OUTPUTS, Output, name_of
from fastnn.specs import Architecture, aligned_zeros

__all__ = ["ForwardCache", "Network"]


class ForwardCache:
    """What `Network.forward` keeps for `Network.backward`.

    Its copies and pickles refer to the network that is copied with them: ``copy.deepcopy((network, cache))``.
    """

    __slots__ = ("_inner", "_m", "_network")

    def __init__(self, network: "Network", inner: Any, m: int) -> None:
        self._network, self._inner, self._m = network, inner, m

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._network, self._inner, self._m)

    def __repr__(self) -> str:
        return f"<ForwardCache of {self._m} examples>"


class Network:
    """A fully connected network of any depth.

    A_0 = X; A_l = f_l(W_l A_{l-1} + b_l) for the hidden layers, A_L = output(W_L A_{L-1} + b_L); examples are columns.

    Parameters
    ----------
    layer_sizes : sequence of int
        Sizes of the layers, the input's first: two or more.
    hidden_activation : str, callable, or sequence of these
        A name of `fastnn.activations`, such as ``"relu"``, ``"gelu"`` or ``"tanh"``; or a function of a scalar z that
        returns f(z) and f'(z), compiled with ``numba.njit`` for the compiled engine. A sequence has one for each hidden
        layer.
    output : str
        ``"linear"``, ``"sigmoid"`` or ``"softmax"`` (over the outputs of an example).
    initializer : str
        A name that `fastnn.initializers.draw_weights` describes, such as ``"he"``, ``"glorot_uniform"`` or ``"zeros"``.
        Biases start at zero.
    dtype : dtype
        float32 or float64: of the parameters, the arithmetic and the results.
    seed : int, optional
        Seed of the initial weights, in [0, 2**32); None takes a fresh one.

    Attributes
    ----------
    vector : numpy.ndarray, shape (n_parameters,)
        All parameters, W1 (row by row), b1, ..., WL, bL, in one 64-byte aligned array. Made read-only, it is safe from
        training too, which raises then.
    parameters : mapping
        W1 of shape (n_1, n_0), b1 of shape (n_1, 1), ...: views of `vector`. Write into them, as in
        ``network.parameters["W1"][:] = W``; the mapping itself cannot be changed. As everywhere in NumPy, a view that
        is made read-only keeps nobody from writing through others: training goes by `vector`.
    layer_sizes : tuple of int
        As given.
    hidden_activations : tuple
        One for each hidden layer.
    output, initializer, seed
        As given.
    dtype : numpy.dtype
        As given.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    Copies (``copy.copy`` too) and unpickled networks have parameters of their own. Threads may predict with one network
    at the same time; training it meanwhile gives them weights from the midst of a step.

    Examples
    --------
    >>> from fastnn.reference import Network
    >>> net = Network([2, 3, 1], hidden_activation="tanh", output="sigmoid", initializer="zeros")
    >>> net
    Network([2, 3, 1], hidden_activation='tanh', output='sigmoid', initializer='zeros', dtype='float64', seed=None)
    >>> net.parameters["b2"][:] = 1
    >>> print(net.vector)
    [0. 0. 0. 0. 0. 0. 0. 0. 0. 0. 0. 0. 1.]
    >>> print(net.predict([[1.0, 2.0], [3.0, 4.0]]).round(3))
    [[0.731 0.731]]
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        hidden_activation: Activation | Sequence[Activation] = "relu",
        output: Output = "linear",
        initializer: Initializer = "he",
        dtype: DTypeLike = "float64",
        seed: int | None = None,
    ) -> None:
        sizes = checks.layer_sizes("layer_sizes", layer_sizes)
        number_type = checks.float_dtype("dtype", dtype)
        architecture = Architecture(
            sizes=tuple(sizes),
            hidden=_per_hidden_layer(hidden_activation, len(sizes) - 2, number_type),
            output=checks.one_of("output", output, OUTPUTS),
            dtype=number_type,
        )
        self._adopt(architecture, initializer, seed)
        for layer, W in enumerate(draw_weights(initializer, sizes, seed), start=1):
            self._parameters[f"W{layer}"][:] = W

    @classmethod
    def _of_zeros(cls, architecture: Architecture) -> "Network":
        """Make a network of zeros of checked settings, without a stream to draw them from."""
        network = cls.__new__(cls)
        network._adopt(architecture, "zeros", None)
        return network

    def _adopt(self, architecture: Architecture, initializer: Initializer, seed: int | None) -> None:
        """Become a network of zeros, with parameters of its own."""
        # A dtype that was pickled is equal to NumPy's own but another object: `predict_one` compares identities.
        self._dtype = np.dtype(architecture.dtype.name)
        self._architecture = replace(architecture, dtype=self._dtype)
        self._initializer, self._seed = initializer, seed
        self._input_shape = architecture.sizes[:1]
        self._vector = aligned_zeros(architecture.n_parameters, self._dtype)
        self._parameters = MappingProxyType(_named("", architecture, self._vector))
        self._cached_engine: Any = None
        self._one: Callable[[np.ndarray], np.ndarray] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_parameters": None, "_cached_engine": None, "_one": None}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        vars(self).update(attributes)
        vector = self._vector
        self._adopt(self._architecture, self._initializer, self._seed)
        self._vector[:] = vector

    def __repr__(self) -> str:
        names = [name_of(f) for f in self.hidden_activations]
        hidden = repr(names[0] if names and len(set(names)) == 1 else names)
        return (
            f"{type(self).__name__}({list(self.layer_sizes)}, hidden_activation={hidden}, output={self.output!r}, "
            f"initializer={self.initializer!r}, dtype={self._dtype.name!r}, seed={self.seed})"
        )

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Sizes of the layers, the input's first."""
        return self._architecture.sizes

    @property
    def hidden_activations(self) -> tuple[Activation, ...]:
        """Activations of the hidden layers."""
        return self._architecture.hidden

    @property
    def output(self) -> Output:
        """Activation of the last layer."""
        return self._architecture.output

    @property
    def initializer(self) -> Initializer:
        """Rule that the weights were drawn by."""
        return self._initializer

    @property
    def seed(self) -> int | None:
        """Seed that the weights were drawn with."""
        return self._seed

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type of the parameters."""
        return self._dtype

    @property
    def vector(self) -> NDArray[np.floating]:
        """All parameters in one flat array."""
        return self._vector

    @property
    def parameters(self) -> Mapping[str, NDArray[np.floating]]:
        """Views of `vector`: W1, b1, ..., WL, bL."""
        return self._parameters

    def predict(self, X: ArrayLike) -> NDArray[np.floating]:
        """Compute the outputs of the network, without dropout.

        Parameters
        ----------
        X : array_like, shape (n_x, m)
            Examples in columns; any real dtype and any strides, without a copy. Numbers beyond the network's dtype
            count as infinite.

        Returns
        -------
        numpy.ndarray, shape (n_y, m)
            Outputs, of the network's dtype: values, or probabilities if `output` is sigmoid or softmax.

        Raises
        ------
        TypeError
            If X does not hold real numbers.
        ValueError
            If it has another shape, or no examples.

        Examples
        --------
        >>> from fastnn.reference import Network
        >>> net = Network([2, 3], output="softmax", initializer="zeros")
        >>> net.predict([[1.0], [2.0]]).shape
        (3, 1)
        """
        A: NDArray[np.floating] = self._engine().predict(self._vector, checks.columns("X", X, self._input_shape[0]))
        return A

    def predict_one(self, x: ArrayLike) -> NDArray[np.floating]:
        """Compute the outputs for one example, with as little overhead as possible.

        Parameters
        ----------
        x : array_like, shape (n_x,) or (n_x, 1)
            The example; quickest if it is a contiguous array of the network's dtype and shape (n_x,).

        Returns
        -------
        numpy.ndarray, shape (n_y,)
            Outputs, of the network's dtype.

        Raises
        ------
        TypeError
            If x does not hold real numbers.
        ValueError
            If it has another shape.

        Examples
        --------
        >>> from fastnn.reference import Network
        >>> net = Network([2, 3], output="softmax", initializer="zeros")
        >>> net.predict_one([1.0, 2.0]).shape
        (3,)
        """
        if (
            type(x) is not np.ndarray
            or x.dtype is not self._dtype
            or x.shape != self._input_shape
            or not x.flags.carray
        ):
            x = self._example(x)
        one = self._one
        if one is None:
            one = self._one = self._one_predictor()
        return one(x)

    def forward(self, X: ArrayLike) -> tuple[NDArray[np.floating], ForwardCache]:
        """Compute the outputs, and keep what `backward` needs.

        Parameters
        ----------
        X : array_like, shape (n_x, m)
            Examples in columns.

        Returns
        -------
        A : numpy.ndarray, shape (n_y, m)
            Outputs, of the network's dtype, as from `predict`.
        cache : ForwardCache
            For `backward`.

        Raises
        ------
        TypeError
            If X does not hold real numbers.
        ValueError
            If it has another shape, or no examples.

        Examples
        --------
        The gradient of the sum of all outputs:

        >>> import numpy as np
        >>> from fastnn.reference import Network
        >>> net = Network([2, 1], initializer="zeros")
        >>> A, cache = net.forward([[1.0, 2.0], [3.0, 4.0]])
        >>> grads, dX = net.backward(np.ones_like(A), cache)
        >>> print(grads["dW1"], grads["db1"])
        [[3. 7.]] [[2.]]
        """
        X = checks.columns("X", X, self._input_shape[0])
        A, inner = self._engine().forward(self._vector, X)
        return A, ForwardCache(self, inner, X.shape[1])

    def backward(
        self, dA: ArrayLike, cache: ForwardCache
    ) -> tuple[dict[str, NDArray[np.floating]], NDArray[np.floating]]:
        """Carry the derivative of a loss with respect to the outputs back to the parameters and the input.

        Parameters
        ----------
        dA : array_like, shape (n_y, m)
            Derivative of the loss with respect to the outputs A, after the output's activation.
        cache : ForwardCache
            What `forward` returned. The parameters must not have changed since.

        Returns
        -------
        grads : dict
            dW1, db1, ..., dWL, dbL, of the parameters' shapes and dtype: sums over the examples, undivided.
        dX : numpy.ndarray, shape (n_x, m)
            Derivative with respect to the input.

        Raises
        ------
        TypeError
            If dA does not hold real numbers or cache is something else.
        ValueError
            If dA does not have the outputs' shape, or the cache is another network's.

        Notes
        -----
        Neither L2 nor dropout has a part in it. Threads may share a cache.

        Examples
        --------
        See `forward`.
        """
        if not isinstance(cache, ForwardCache):
            raise TypeError(f"cache must be the one that forward returned, got {type(cache).__name__}")
        if cache._network is not self:
            raise ValueError(
                "cache must be this network's, got one that another network's forward returned "
                "(a copy of both comes from copy.deepcopy((network, cache)))"
            )
        dA = checks.columns("dA", dA, self.layer_sizes[-1])
        if dA.shape[1] != cache._m:
            raise ValueError(f"dA must have one column for each of the {cache._m} examples, got shape {dA.shape}")
        gradient, dX = self._engine().backward(self._vector, dA, cache._inner)
        return _named("d", self._architecture, gradient), dX

    @staticmethod
    def _engine_class() -> type:
        """Return the engine that computes; the reference's network overrides it."""
        engine: type = imported("fastnn.engine.engine").Engine
        return engine

    def _engine(self) -> Any:
        """Return the engine, made when first needed: making it may compile."""
        if self._cached_engine is None:
            self._cached_engine = self._engine_class()(self._architecture)
        return self._cached_engine

    def _one_predictor(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function behind `predict_one`: the engine's own if it has one."""
        engine, theta = self._engine(), self._vector
        if hasattr(engine, "one_predictor"):
            predictor: Callable[[np.ndarray], np.ndarray] = engine.one_predictor(theta)
            return predictor
        return lambda x: engine.predict(theta, x.reshape(-1, 1))[:, 0]

    def _example(self, x: ArrayLike) -> np.ndarray:
        """Return a copy of one example that may be written: numba would compile anew for arrays that may not."""
        array = checks.real_array("x", x)
        n_x = self._input_shape[0]
        if array.shape not in ((n_x,), (n_x, 1)):
            raise ValueError(f"x must have shape ({n_x},), got shape {array.shape}")
        return array.reshape(n_x).astype(self._dtype)


def _per_hidden_layer(activation: Any, n_hidden: int, dtype: np.dtype[np.floating]) -> tuple[Activation, ...]:
    """Return one checked activation for each hidden layer."""

    def checked(name: str, value: Any) -> Activation:
        if callable(value):
            own: Activation = checks.pair_function(name, value, "f(z) and f'(z)", dtype.type(0.5))
            return own
        return checks.one_of(name, value, HIDDEN_ACTIVATIONS)

    if isinstance(activation, str) or callable(activation) or not isinstance(activation, Sequence):
        return (checked("hidden_activation", activation),) * n_hidden
    if len(activation) != n_hidden:
        raise ValueError(
            f"hidden_activation must have one entry for each of the {n_hidden} hidden layers, got {len(activation)}"
        )
    return tuple(checked(f"hidden_activation[{i}]", value) for i, value in enumerate(activation))


def _named(prefix: str, architecture: Architecture, flat: np.ndarray) -> dict[str, np.ndarray]:
    """Return W1, b1, ..., WL, bL, each name behind a prefix, as views of a flat array."""
    named = {}
    for layer, (W, b) in enumerate(architecture.split(flat), start=1):
        named[f"{prefix}W{layer}"] = W
        named[f"{prefix}b{layer}"] = b
    return named
