"""Every course function with kernel work: time of a call, and the ratio to the NumPy side."""

import numpy as np

from benchmarks import common

# Layers and examples that each notebook works with.
COURSE_SIZES = {
    "initialization": ([2, 10, 5, 1], 300),
    "regularization": ([2, 20, 3, 1], 211),
    "gradient_checking": ([4, 5, 3, 1], 3),
    "optimization": ([2, 5, 2, 1], 64),
}
LARGE_SIZE = ([512, 512, 512], 4096)


class Arguments:
    """Arguments of one size; the updates rebind entries, so that each side needs its own."""

    def __init__(self, layers_dims, m):
        forward = common.course(common.REFERENCE, "regularization")
        self.X, self.Y = common.draw_data(layers_dims[0], layers_dims[-1], m)
        self.parameters = common.draw_network(layers_dims)
        self.A, self.cache = forward.forward_propagation(self.X, self.parameters)
        self.masked = forward.forward_propagation_with_dropout(self.X, self.parameters, 0.86)[1]
        self.Z1, self.ZL = self.cache[0], self.cache[-4]
        self.grads = forward.backward_propagation(self.X, self.Y, self.cache)
        self.v = {f"d{name}": np.zeros_like(array) for name, array in self.parameters.items()}
        self.s = {f"d{name}": np.zeros_like(array) for name, array in self.parameters.items()}


CALLS = {
    "initialization.sigmoid": lambda a: (a.ZL,),
    "initialization.relu": lambda a: (a.Z1,),
    "initialization.forward_propagation": lambda a: (a.X, a.parameters),
    "initialization.backward_propagation": lambda a: (a.X, a.Y, a.cache),
    "initialization.update_parameters": lambda a: (a.parameters, a.grads, 0.01),
    "initialization.compute_loss": lambda a: (a.A, a.Y),
    "initialization.predict": lambda a: (a.X, a.Y, a.parameters),
    "initialization.predict_dec": lambda a: (a.parameters, a.X),
    "regularization.backward_propagation": lambda a: (a.X, a.Y, a.cache),
    "regularization.compute_cost": lambda a: (a.A, a.Y),
    "regularization.compute_cost_with_regularization": lambda a: (a.A, a.Y, a.parameters, 0.7),
    "regularization.backward_propagation_with_regularization": lambda a: (a.X, a.Y, a.cache, 0.7),
    "regularization.forward_propagation_with_dropout": lambda a: (a.X, a.parameters, 0.86),
    "regularization.backward_propagation_with_dropout": lambda a: (a.X, a.Y, a.masked, 0.86),
    "gradient_checking.forward_propagation_n": lambda a: (a.X, a.Y, a.parameters),
    "gradient_checking.backward_propagation_n": lambda a: (a.X, a.Y, a.cache),
    "gradient_checking.gradient_check_n": lambda a: (a.parameters, a.grads, a.X, a.Y),
    "optimization.compute_cost": lambda a: (a.A, a.Y),
    "optimization.update_parameters_with_gd": lambda a: (a.parameters, a.grads, 0.0007),
    "optimization.update_parameters_with_momentum": lambda a: (a.parameters, a.grads, a.v, 0.9, 0.0007),
    "optimization.update_parameters_with_adam": lambda a: (a.parameters, a.grads, a.v, a.s, 2),
}


class Kernels(common.Quiet):
    """Small functions at the sizes of their notebooks, then at layers of 512 with 4096 examples."""

    params = (list(CALLS), ["course", "512x512"])
    param_names = ("function", "size")

    def setup(self, function, size):
        super().setup()
        if function.endswith("gradient_check_n") and size != "course":
            raise NotImplementedError("two forward passes for each of half a million parameters")
        self.compiled = self._call(common.COMPILED, function, size)
        self.reference = self._call(common.REFERENCE, function, size)
        self.compiled()

    def _call(self, side, function, size):
        module, name = function.split(".")
        arguments = CALLS[function](Arguments(*COURSE_SIZES[module] if size == "course" else LARGE_SIZE))
        function = getattr(common.course(side, module), name)
        return lambda: function(*arguments)

    def track_call(self, function, size):
        return common.seconds(self.compiled)

    track_call.unit = "seconds"

    def track_speedup_over_numpy(self, function, size):
        return round(common.speedup(self.compiled, self.reference), 2)

    track_speedup_over_numpy.unit = "x"
