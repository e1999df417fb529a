"""Names of hidden activations, and PyTorch's modules for them.

- ``"identity"``: z
- ``"relu"``: max(z, 0)
- ``"leaky_relu"``: z where z > 0, else 0.01 z
- ``"elu"``: z where z > 0, else exp(z) - 1
- ``"selu"``: 1.0507 z where z > 0, else 1.7581 (exp(z) - 1)
- ``"gelu"``: z Phi(z), with the error function
- ``"silu"``: z sigmoid(z)
- ``"tanh"``: tanh(z)
- ``"sigmoid"``: 1 / (1 + exp(-z))
- ``"softplus"``: log(1 + exp(z))
- ``"mish"``: z tanh(log(1 + exp(z)))
"""

from collections.abc import Callable
from typing import Literal, get_args

__all__ = ["HIDDEN_ACTIVATIONS", "TORCH_MODULES", "Activation", "HiddenActivation"]

# A place in this list is the activation's code in `fastnn.kernels.formulas.activations`.
HiddenActivation = Literal[
    "identity", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softplus",
    "mish",
]  # fmt: skip
HIDDEN_ACTIVATIONS: tuple[HiddenActivation, ...] = get_args(HiddenActivation)

# A name, or a function of a scalar z that returns f(z) and f'(z).
Activation = HiddenActivation | Callable[[float], tuple[float, float]]

# What PyTorch calls them, and makes them with.
TORCH_MODULES: dict[str, tuple[str, dict[str, float]]] = {
    "identity": ("Identity", {}),
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "elu": ("ELU", {}),
    "selu": ("SELU", {}),
    "gelu": ("GELU", {}),
    "silu": ("SiLU", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    # From there on the line is softplus in every digit of a double; PyTorch's own 20 is not far enough.
    "softplus": ("Softplus", {"threshold": 40.0}),
    "mish": ("Mish", {}),
}
