"""Random inputs: networks and data of many shapes, layouts and dtypes; arguments of all kernels in chosen memory."""

import ctypes
import mmap
from dataclasses import dataclass, field

import numpy as np
from conftest import JIT
from hypothesis import strategies as st

from fastnn.course.model_run import GRADIENT_DESCENT, CourseTraining
from fastnn.gradient_checking import _layer_table
from fastnn.kernels import layout as at
from fastnn.kernels.course.activations import RELU, SIGMOID
from fastnn.kernels.course.gradient_check import BLOCK
from fastnn.kernels.course.losses import SQUARES_PER_SUM
from fastnn.kernels.matmul.matrices import products
from fastnn.kernels.program import teamwork
from fastnn.optimizers import UpdateRule
from fastnn.reference.course import layers

LAYOUTS = ("C", "F", "strided", "reversed", "mixed")
DATA_DTYPES = ("float64", "float32", "int64", "uint8", "bool")

# Tails of vectors, tiles, blocks and cache lines.
EXAMPLES = (1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 129, 257, 300)


def laid_out(array, layout, rng):
    """Return the same numbers in another place: Fortran order, strides of 2 and 3, or backwards."""
    if layout == "mixed":
        layout = rng.choice(LAYOUTS[:-1])
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.zeros([size * (axis + 2) for axis, size in enumerate(array.shape)], array.dtype)
        view = wide[tuple(slice(axis, None, axis + 2) for axis in range(array.ndim))]
        view[...] = array
        return view
    if layout == "reversed":
        backwards = (slice(None, None, -1),) * array.ndim
        return np.ascontiguousarray(array[backwards])[backwards]
    return np.ascontiguousarray(array)


def numbers(rng, shape, dtype):
    """Return numbers that the dtype can hold, small and of both signs where there are two."""
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    low = -3 if np.dtype(dtype).kind == "i" else 0
    return rng.integers(low, 2 if dtype == "bool" else 4, shape).astype(dtype)


@dataclass
class Case:
    """Arguments for every course function; they fit each other and are the same for equal fields."""

    seed: int
    sizes: list[int]
    m: int
    x_dtype: str = "float64"
    y_dtype: str = "int64"
    parameter_dtypes: tuple[str, ...] = ("float64",)
    moment_dtype: str | None = None
    layout: str = "C"
    as_list: bool = False
    saturated: bool = False
    keep_prob: float = 0.7
    lambd: float = 0.7
    X: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        place = lambda array: laid_out(array, self.layout, rng)  # noqa: E731
        depth, m = len(self.sizes) - 1, self.m
        self.parameters, self.v, self.s = {}, {}, {}
        for layer in range(1, depth + 1):
            n_out, n_in = self.sizes[layer], self.sizes[layer - 1]
            dtype = self.parameter_dtypes[(layer - 1) % len(self.parameter_dtypes)]
            scale = 1e4 if self.saturated and layer == depth else 1 / np.sqrt(n_in)
            W = rng.standard_normal((n_out, n_in)) * scale
            b = rng.standard_normal((n_out, 1)) * 0.3
            for name, array in ((f"W{layer}", W), (f"b{layer}", b)):
                self.parameters[name] = place(array.astype(dtype))
                moment = self.moment_dtype or dtype
                self.v[f"d{name}"] = place(rng.standard_normal(array.shape).astype(moment))
                self.s[f"d{name}"] = place(rng.random(array.shape).astype(moment))
        X, Y = numbers(rng, (self.sizes[0], m), self.x_dtype), rng.integers(0, 2, (self.sizes[-1], m))
        Y = Y.astype(self.y_dtype)
        with np.errstate(all="ignore"):
            X_float = layers.input_for(X, self.parameters)
            self.cache = self._placed(layers.forward(X_float, self.parameters)[1], place)
            state = np.random.get_state()
            np.random.seed(1)
            masked = layers.forward(X_float, self.parameters, self.keep_prob)[1]
            np.random.set_state(state)
            self.masked_cache = self._placed(masked, place)
            gradients = layers.mean_backward(X, Y, self.cache)
        self.grads = {key: place(gradients[key].astype(self.v[key].dtype)) for key in self.v}
        self.A = place(numbers(rng, (self.sizes[-1], m), "float64").astype(self.parameter_dtypes[-1]))
        self.A = place((1 / (1 + np.exp(-self.A))).astype(self.parameter_dtypes[-1]))
        if self.saturated:
            self.A[...] = np.where(rng.random(self.A.shape) < 0.3, rng.integers(0, 2, self.A.shape), self.A)
        self.Z = place(3 * numbers(rng, (self.sizes[-1], m), self.x_dtype))
        self.X, self.Y = place(X), place(Y)
        self.label_row = self.Y[0]
        if self.as_list:
            self.X, self.Y, self.Z = self.X.tolist(), self.Y.tolist(), self.Z.tolist()
            self.label_row = self.Y[0]
        elif self.sizes[-1] == 1 and self.seed % 2:
            self.Y = self.Y[0]

    def _placed(self, cache, place):
        """Lay a cache out anew, but for the W and b, which are the caller's."""
        own = {id(array) for array in self.parameters.values()}
        return tuple(array if id(array) in own else place(array) for array in cache)

    @property
    def single(self):
        """Whether anything but X is float32, so that NumPy rounds to it somewhere."""
        return "float32" in (*self.parameter_dtypes, self.moment_dtype)

    def arrays(self):
        """Return every array of the case, by a name."""
        named = {"X": self.X, "Y": self.Y, "Z": self.Z, "A": self.A}
        named |= {f"cache {i}": array for i, array in enumerate(self.cache)}
        named |= {f"masked cache {i}": array for i, array in enumerate(self.masked_cache)}
        for kind in ("parameters", "grads", "v", "s"):
            named |= {f"{kind} {key}": array for key, array in getattr(self, kind).items()}
        return named


def cases(widest=40, deepest=5, examples=EXAMPLES, **fixed):
    """Strategy for `Case`; `fixed` fields have the given values."""
    if not JIT:
        widest, deepest, examples = min(widest, 5), min(deepest, 3), [m for m in examples if m < 20]
    floats = st.sampled_from([("float64",), ("float64",), ("float32",), ("float64", "float32"), ("float32", "float64")])
    fields = {
        "seed": st.integers(0, 2**32 - 1),
        "sizes": st.lists(st.integers(1, widest), min_size=2, max_size=deepest + 1),
        "m": st.sampled_from(examples),
        "x_dtype": st.sampled_from(DATA_DTYPES),
        "y_dtype": st.sampled_from(DATA_DTYPES),
        "parameter_dtypes": floats,
        "moment_dtype": st.sampled_from([None, None, "float64"]),
        "layout": st.sampled_from(LAYOUTS),
        "as_list": st.sampled_from([False, False, False, True]),
        "saturated": st.booleans(),
        "keep_prob": st.sampled_from([0.5, 0.86, 1.0, 1e-3]),
        "lambd": st.sampled_from([0.0, 0.7]),
    }
    return st.builds(Case, **{**fields, **{key: st.just(value) for key, value in fixed.items()}})


# Memory for kernels.


class Plain:
    """Arrays where NumPy puts them."""

    def empty(self, size, dtype, filler):
        return np.full(size, filler, dtype)

    def check(self):
        """Nothing to see."""


class Canaries(Plain):
    """Arrays in the middle of larger ones, whose rest must neither be written nor show in results."""

    def __init__(self):
        self.surrounded = []

    def empty(self, size, dtype, filler):
        margin = 256
        canary = np.nan if np.dtype(dtype).kind == "f" else 1 if dtype == np.bool_ else 77
        whole = np.full(size + 2 * margin, canary, dtype)
        inside = whole[margin : margin + size]
        inside[...] = filler
        self.surrounded += [(whole[:margin], canary), (whole[margin + size :], canary)]
        return inside

    def check(self):
        for outside, canary in self.surrounded:
            np.testing.assert_array_equal(outside, np.full(outside.size, canary, outside.dtype))


class Guarded(Plain):
    """Arrays that end where a page begins that nobody may touch, or begin where one ends."""

    def __init__(self, at_end):
        self.at_end = at_end
        self.protect = ctypes.CDLL(None, use_errno=True).mprotect
        self.maps = []

    def empty(self, size, dtype, filler):
        page, n_bytes = mmap.PAGESIZE, size * np.dtype(dtype).itemsize
        pages = -(-n_bytes // page)
        room = mmap.mmap(-1, (pages + 2) * page)
        self.maps.append(room)
        start = ctypes.addressof(ctypes.c_char.from_buffer(room))
        for guard in (start, start + (pages + 1) * page):
            if self.protect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        offset = (pages + 1) * page - n_bytes if self.at_end else page
        array = np.frombuffer(room, dtype, size, offset)
        array[...] = filler
        return array


class Arguments:
    """Arguments of one kernel call, all arrays in one kind of memory; `results` are those that it writes."""

    def __init__(self, memory, dtype, n_in, n_out, m, seed=0):
        self.memory, self.dtype = memory, np.dtype(dtype)
        self.n_in, self.n_out, self.m = n_in, n_out, m
        self.rng = np.random.default_rng(seed)
        self.results = []

    def copy(self, array):
        placed = self.memory.empty(array.size, array.dtype, 0).reshape(array.shape)
        placed[...] = array
        return placed

    def normal(self, *shape):
        return self.copy(self.rng.standard_normal(shape).astype(self.dtype))

    def uniform(self, *shape):
        return self.copy(self.rng.random(shape).astype(self.dtype))

    def result(self, *shape, dtype=None):
        size = int(np.prod(shape))
        self.results.append(self.memory.empty(size, dtype or self.dtype, 5).reshape(shape))
        return self.results[-1]

    def training(self, rule, full_batch):
        """Return the engine's entry and table for three epochs of a course `model`; the results are what they leave."""
        sizes, m = [self.n_in, self.n_out, 3, 2], self.m
        parameters = {}
        for layer in range(1, len(sizes)):
            parameters[f"W{layer}"] = self.rng.standard_normal((sizes[layer], sizes[layer - 1])) / 2
            parameters[f"b{layer}"] = self.rng.standard_normal((sizes[layer], 1)) / 2
        X, Y = self.normal(self.n_in, m), self.copy(self.rng.integers(0, 2, (2, m)).astype(np.float64))
        if full_batch:
            masks = tuple(self.rng.random((n_l, m)) < 0.8 for n_l in sizes[1:-1])
            training = CourseTraining(parameters, X, Y, rule, masks=masks, keep_prob=0.8, skip_nan=True)
        else:
            training = CourseTraining(parameters, X, Y, rule, batch=max(1, m // 3), first_seed=11, lambd=0.1)
        workspace = training._session.workspace
        steps = 3 * -(-m // training._session.batch)
        for index, array in ((at.RATES, np.linspace(0.1, 0.2, steps)), (at.COSTS, np.zeros(steps)),
                             (at.SUMS, np.zeros(steps)), (at.TEAM, teamwork.new_team())):  # fmt: skip
            workspace.bind(index, array)
        placed = {id(X): X, id(Y): Y}
        self.kept_alive = list(workspace.arrays)  # or another array might take the identity of one that is gone
        for index, array in enumerate(self.kept_alive):
            if isinstance(array, np.ndarray) and array.size:
                if id(array) not in placed:
                    placed[id(array)] = self._with_a_line_to_spare(array)
                if index not in (at.X, at.Y):
                    workspace.bind(index, placed[id(array)])
        workspace.arrays[at.SETTINGS][[at.STEPS, at.COSTED]] = steps, 1
        self.results = [workspace.arrays[i] for i in (at.THETA, at.V, at.S, at.POWERS, at.COSTS, at.SUMS)]
        self.team, self.workspace = workspace.arrays[at.TEAM], workspace
        return workspace.entry, workspace.table

    def _with_a_line_to_spare(self, array):
        # As `aligned_zeros` has it.
        placed = self.memory.empty(array.size + 64 // array.itemsize, array.dtype, 0)[: array.size].reshape(array.shape)
        placed[...] = array
        return placed


def _adam_settings(a):
    return a.copy(np.array([0.9, 0.1, 1 - 0.9**3, 0.999, 0.001, 1 - 0.999**3, 1e-8, 0.01]))


def _shapes(a, per_parameter, made):
    """Arrays of W's shape, then of b's; as many of both, the last `made` of each for results."""
    given = [make(*shape) for shape in ((a.n_out, a.n_in), (a.n_out, 1)) for make in per_parameter]
    return given, [a.result(*shape) for shape in ((a.n_out, a.n_in), (a.n_out, 1)) for _ in range(made)]


def _momentum(a):
    given, made = _shapes(a, (a.normal, a.normal, a.normal), 2)
    return (*given, 0.9, 0.1, 0.01, *made)


def _adam(a):
    given, made = _shapes(a, (a.normal, a.normal, a.normal, a.uniform), 3)
    return (*given, _adam_settings(a), *made)


def _gradient_descent(a):
    given, made = _shapes(a, (a.normal, a.normal), 1)
    return (*given, 0.01, *made)


def _hidden(a, masked):
    D = a.copy(a.rng.random((a.n_in, a.m)) < 0.7) if masked else np.zeros((0, 0), np.bool_)
    return (
        products(a.dtype), a.normal(a.n_out, a.n_in), a.normal(a.n_out, a.m), a.normal(a.n_in, a.m), D, 0.7,
        a.result(a.n_in, a.m), a.result(a.n_in, a.m),
    )  # fmt: skip


def _weights(a, decayed):
    return (
        products(a.dtype), a.normal(a.n_out, a.m), a.normal(a.n_in, a.m), a.normal(a.n_out, a.n_in), 0.5, decayed, 0.1,
        a.result(a.n_out, a.n_in), a.result(a.n_out, 1),
    )  # fmt: skip


def _layer(a, activation):
    return (
        products(a.dtype), a.normal(a.n_out, a.n_in), a.normal(a.n_in, a.m), a.normal(a.n_out, 1),
        a.result(a.n_out, a.m), a.result(a.n_out, a.m), activation,
    )  # fmt: skip


def _differences(a):
    sizes = [a.n_in, a.n_out, 2]
    *table, n_parameters = _layer_table(sizes)
    rows = 8  # at least as many as threads in any test
    theta = np.repeat(a.rng.standard_normal((1, n_parameters)), rows, axis=0)
    Y = a.copy(a.rng.integers(0, 2, (2, a.m)).astype(np.float64))
    first, count = min(3, n_parameters - 1), min(9, n_parameters - min(3, n_parameters - 1))
    return (
        products(a.dtype), *(a.copy(part) for part in table), a.normal(a.n_in, a.m), Y, 1e-3, first, a.result(2, count),
        a.copy(theta), a.copy(np.zeros((rows, sum(sizes) * BLOCK))), a.copy(np.zeros((rows, 2 * a.m))),
    )  # fmt: skip


def _squares(a):
    # Three sums and a bit, for one would leave nothing to share out.
    W = a.normal(3 * SQUARES_PER_SUM + a.n_out, 1) if a.n_in > 10 else a.normal(a.n_out, a.n_in)
    return W, a.result(-(-W.size // SQUARES_PER_SUM))


def _dropped(a):
    size = a.n_out * a.m
    uniform = a.copy(a.rng.random(size))
    return uniform, 0.7, a.normal(size), a.result(size, dtype=np.bool_), a.result(size)


# What every kernel takes, without the number of threads; several variants of some.
KERNELS = {
    "activation_forward": {
        "sigmoid": lambda a: (a.normal(a.n_out, a.m), a.result(a.n_out, a.m), SIGMOID),
        "relu": lambda a: (a.normal(a.n_out, a.m), a.result(a.n_out, a.m), RELU),
    },
    "adam_update": {"": _adam},
    "cost_differences": {"": _differences},
    "cross_entropy": {
        "": lambda a: (
            a.uniform(a.n_out, a.m),
            a.copy(a.rng.integers(0, 2, (a.n_out, a.m)).astype(a.dtype)),
            a.result(a.n_out * a.m),
            False,
        )
    },
    "dropout_forward": {"": _dropped},
    "gd_update": {"": _gradient_descent},
    "hidden_backward": {"plain": lambda a: _hidden(a, False), "dropout": lambda a: _hidden(a, True)},
    "layer_forward": {"relu": lambda a: _layer(a, RELU), "sigmoid": lambda a: _layer(a, SIGMOID)},
    "momentum_update": {"": _momentum},
    "output_delta": {
        "": lambda a: (a.normal(a.n_out, a.m), a.normal(a.n_out, a.m), 0.25, a.result(a.n_out, a.m)),
    },
    "square_sum": {"": _squares},
    "weight_gradient": {"plain": lambda a: _weights(a, False), "decayed": lambda a: _weights(a, True)},
}  # fmt: skip

# Kernels that know one dtype.
DOUBLE_ONLY = ("cost_differences",)

VARIANTS = [
    (name, variant, dtype)
    for name, variants in KERNELS.items()
    for variant in variants
    for dtype in (("float64",) if name in DOUBLE_ONLY else ("float64", "float32"))
]

# Runs of the engine's body, for `shells.serial` and `shells.parallel`.
TRAININGS = {
    "gd": lambda a: a.training(GRADIENT_DESCENT, True),
    "momentum": lambda a: a.training(UpdateRule("averaged", "v", 0.9), False),
    "adam": lambda a: a.training(UpdateRule("adam", "vs", 0.9, 0.999, 1e-8), False),
}
