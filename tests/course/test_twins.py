"""The course's compiled functions against the NumPy reference: names, results and dtypes."""

import inspect

import numpy as np
import numpy.testing as npt
import published
import pytest
from conftest import JIT
from course_twins import (
    CALLS,
    DOUBLE,
    SINGLE,
    TWINS,
    assert_agrees,
    assert_printed_alike,
    both,
    call,
    call_key,
    every_twin,
    leaves,
)
from hypothesis import given
from strategies import EXAMPLES, Case, cases

# The public face.


def test_every_twin_is_called_here():
    assert {call_key(*twin) for twin in TWINS} == set(CALLS)


@pytest.mark.parametrize("module", published.DOORS)
def test_names_signatures_and_docstrings_are_those_of_the_reference(module):
    compiled, reference = both(module)
    assert compiled.__all__ == reference.__all__
    for name in compiled.__all__:
        out, ref = getattr(compiled, name), getattr(reference, name)
        assert inspect.signature(out) == inspect.signature(ref), name
        assert out.__doc__, name
        assert out.__doc__ == ref.__doc__, name
        assert out.__name__ == ref.__name__


# Agreement.


SMALL = {"widest": 6, "deepest": 3, "examples": (1, 2, 9, 17, 65)}


def undecided(reference, case):
    """Outputs so near one half that rounding in float32 decides."""
    with np.errstate(all="ignore"):
        a, _ = reference.forward_propagation(case.X, case.parameters)
    return bool(np.any(np.abs(a - 0.5) < 1e-4))


@every_twin
def test_twin_agrees(module, name):
    compiled, reference = both(module)

    @given(cases(**SMALL) if name == "gradient_check_n" else cases())
    def agrees(case):
        single = case.single or (case.x_dtype == "float32" and name in ("sigmoid", "relu"))
        if single and name in ("predict", "predict_dec") and undecided(reference, case):
            return
        tolerance = SINGLE if single and name not in ("model", "gradient_check_n") else DOUBLE
        (out, out_printed), (ref, ref_printed) = (
            call(getattr(side, name), module, name, case) for side in (compiled, reference)
        )
        assert_agrees(out, ref, tolerance)
        assert_printed_alike(out_printed, ref_printed, tolerance)

    agrees()


SPECIALS = (np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e150, -1e150, 1e308, 745.2, -745.2, 709.8)

# Where NumPy's sums may overflow or not, by their order, there is one huge number only and no other is large.
MATRIX_SPECIALS = (np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324, -1e-310, 1e150)


def with_specials(case, rng, values):
    """Scatter values over some arrays of a case, one into each."""
    targets = [array for array in case.arrays().values() if array.dtype.kind == "f"]
    for target in targets:
        if rng.random() < 0.4:
            target[tuple(rng.integers(0, size) for size in target.shape)] = rng.choice(values)
    return case


@every_twin
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_infinities_nan_and_extremes_spread_as_in_numpy(module, name, dtype):
    if name == "model":
        pytest.skip("model accepts finite data only")
    compiled, reference = both(module)
    values = np.array(MATRIX_SPECIALS)
    if dtype == "float32":
        values = np.where(np.abs(values) == 1e150, 1e15, values).astype(np.float32)
    rng = np.random.default_rng(0)
    for seed in range(30 if JIT else 4):
        # From 2 on: by a 1 x 1 matrix NumPy multiplies with BLAS's axpy, for which 0 * inf is 0.
        sizes = [int(n) for n in rng.integers(2, 8, rng.integers(2, 5))]
        m = int(rng.choice([m for m in EXAMPLES if 2 <= m < (70 if JIT else 10)]))
        case = with_specials(
            Case(seed, sizes, m, x_dtype=dtype, y_dtype=dtype, parameter_dtypes=(dtype,), lambd=0.7 * (seed % 2)),
            rng, values,
        )  # fmt: skip
        (out, _), (ref, _) = (call(getattr(side, name), module, name, case) for side in (compiled, reference))
        for out_leaf, ref_leaf in zip(leaves(out), leaves(ref), strict=True):
            assert out_leaf.dtype == ref_leaf.dtype
            npt.assert_array_equal(np.isnan(out_leaf), np.isnan(ref_leaf), err_msg=f"seed {seed}")
            npt.assert_array_equal(np.isposinf(out_leaf), np.isposinf(ref_leaf), err_msg=f"seed {seed}")
            npt.assert_array_equal(np.isneginf(out_leaf), np.isneginf(ref_leaf), err_msg=f"seed {seed}")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["sigmoid", "relu"])
def test_activations_of_extremes(name, dtype):
    compiled, reference = both("initialization")
    with np.errstate(all="ignore"):
        x = np.array(SPECIALS).astype(dtype)
        out, ref = getattr(compiled, name)(x), getattr(reference, name)(x)
    npt.assert_allclose(out, ref, rtol=1e-15 if dtype == "float64" else 1e-6, atol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_costs_of_saturated_outputs(dtype):
    values = np.array([0.0, 1.0, 0.5, 5e-324, np.nextafter(1, 0), np.nan, np.inf, -np.inf, -1.0, 2.0]).astype(dtype)
    for module, name in (("initialization", "compute_loss"), ("optimization", "compute_cost")):
        compiled, reference = both(module)
        for a in values:
            for y in (0.0, 1.0, 0.5, -0.0):
                with np.errstate(all="ignore"):
                    arguments = np.array([[a, 0.5]]), np.array([[y, 1.0]], dtype)
                    out = getattr(compiled, name)(*arguments)
                    ref = getattr(reference, name)(*arguments)
                assert type(out) is type(ref)
                npt.assert_allclose(out, ref, rtol=1e-14 if dtype == "float64" else 1e-6, err_msg=f"{name} {a} {y}")


@every_twin
@pytest.mark.parametrize("data_dtype", ["float64", "uint8"])
@pytest.mark.parametrize("dtypes", [("float16",), ("longdouble",), ("float64", "float16"), ("int64",)], ids="+".join)
def test_dtypes_without_kernels_are_computed_as_numpy_does(module, name, dtypes, data_dtype):
    compiled, reference = both(module)
    case = Case(3, [3, 4, 2], 9, x_dtype=data_dtype, y_dtype=data_dtype, parameter_dtypes=dtypes)
    (out, out_printed), (ref, ref_printed) = (
        call(getattr(side, name), module, name, case) for side in (compiled, reference)
    )
    assert_agrees(out, ref, DOUBLE)
    assert_printed_alike(out_printed, ref_printed, DOUBLE)


@pytest.mark.parametrize("dtype", ["float16", "longdouble", ">f8", ">f4", "int8", "uint64"])
def test_data_of_other_dtypes(dtype):
    for module, name in TWINS:
        case = Case(4, [3, 4, 1], 9)
        case.X, case.Y, case.Z = (array.astype(dtype) for array in (abs(case.X), case.Y, abs(case.Z)))
        compiled, reference = both(module)
        (out, _), (ref, _) = (call(getattr(side, name), module, name, case) for side in (compiled, reference))
        assert_agrees(out, ref, SINGLE if dtype == ">f4" and name in ("sigmoid", "relu") else DOUBLE)


def unaligned(array):
    raw = np.empty(array.nbytes + 1, np.uint8)
    shifted = raw[1:].view(array.dtype).reshape(array.shape)
    shifted[...] = array
    assert not shifted.flags.aligned
    return shifted


def test_unaligned_arrays():
    case = Case(5, [3, 17, 1], 65)
    case.X, case.A, case.Z = unaligned(case.X), unaligned(case.A), unaligned(case.Z)
    for module, name in (
        ("initialization", "sigmoid"), ("initialization", "compute_loss"),
        ("initialization", "forward_propagation"), ("initialization", "model"),
    ):  # fmt: skip
        compiled, reference = both(module)
        (out, _), (ref, _) = (call(getattr(side, name), module, name, case) for side in (compiled, reference))
        assert_agrees(out, ref, DOUBLE)


@pytest.mark.parametrize("x", [0.3, -0.3, np.float64(2), np.float32(0.3), 3, True, [1.0, -1.0], np.array(0.5)])
@pytest.mark.parametrize("name", ["sigmoid", "relu"])
def test_activations_of_scalars_and_of_any_dimensions(name, x):
    compiled, reference = both("optimization")
    with np.errstate(all="ignore"):
        assert_agrees(getattr(compiled, name)(x), getattr(reference, name)(x), DOUBLE)
        deep = np.full((2, 1, 3, 2), x) if np.ndim(x) == 0 else np.array([x])
        assert_agrees(
            getattr(compiled, name)(deep), getattr(reference, name)(deep), SINGLE if deep.dtype == "f4" else DOUBLE
        )


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("update")])
@pytest.mark.parametrize("shapes", [((3,), (2,)), ((2, 3, 4), (1,)), ((2, 3), (3, 3))])
def test_updates_take_arrays_of_any_shape(name, shapes):
    case, rng = Case(6, [1, 1], 1), np.random.default_rng(6)
    named = [(f"W{layer}", shapes[0]) for layer in (1, 2)] + [(f"b{layer}", shapes[1]) for layer in (1, 2)]
    case.parameters = {key: rng.standard_normal(shape) for key, shape in named}
    case.grads, case.v, case.s = ({f"d{key}": rng.random(shape) for key, shape in named} for _ in range(3))
    module = "initialization" if name == "update_parameters" else "optimization"
    compiled, reference = both(module)
    (out, _), (ref, _) = (call(getattr(side, name), module, name, case) for side in (compiled, reference))
    assert_agrees(out, ref, DOUBLE)


@pytest.mark.parametrize("beta", [0.0, 1.0, 0.9, -0.5, 2.0, np.nan, np.inf])
@pytest.mark.parametrize("t", [0, 1, -1, 0.5, 5000])
def test_adam_with_any_settings(beta, t):
    for beta1, beta2 in ((beta, 0.999), (0.9, beta)):
        results = []
        for side in both("optimization"):
            case = Case(7, [2, 3, 1], 5)
            with np.errstate(all="ignore"):
                results.append(
                    side.update_parameters_with_adam(
                        case.parameters, case.grads, case.v, case.s, t, 0.1, beta1, beta2, 0.0
                    )
                )
        assert_agrees(*results, DOUBLE)
