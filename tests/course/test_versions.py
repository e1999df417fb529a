"""The notebooks of 2017 and of 2021: what they do otherwise than those between."""

import contextlib
import inspect
import io
import re

import numpy as np
import numpy.testing as npt
import published
import pytest
from conftest import JIT
from course_cases import draw_data

from fastnn.reference.course import layers

BOTH = pytest.mark.parametrize("side", published.SIDES)

# By notebook, the names that some version's helper file or notebook defines.
INITIALIZATION = (
    "sigmoid relu compute_loss forward_propagation backward_propagation update_parameters predict load_dataset "
    "plot_decision_boundary predict_dec load_cat_dataset model initialize_parameters_zeros "
    "initialize_parameters_random initialize_parameters_he"
)
REGULARIZATION = (
    "sigmoid relu load_planar_dataset initialize_parameters forward_propagation backward_propagation update_parameters "
    "predict compute_cost load_dataset predict_dec plot_decision_boundary load_2D_dataset model "
    "compute_cost_with_regularization backward_propagation_with_regularization forward_propagation_with_dropout "
    "backward_propagation_with_dropout"
)
CHECKING = (
    "sigmoid relu dictionary_to_vector vector_to_dictionary gradients_to_vector forward_propagation "
    "backward_propagation gradient_check forward_propagation_n backward_propagation_n gradient_check_n"
)
OPTIMIZATION = (
    "sigmoid relu load_params_and_grads initialize_parameters compute_cost forward_propagation backward_propagation "
    "predict load_2D_dataset plot_decision_boundary predict_dec load_dataset update_parameters_with_gd "
    "random_mini_batches initialize_velocity update_parameters_with_momentum initialize_adam "
    "update_parameters_with_adam model"
)
NAMES = dict(zip(published.COURSE_MODULES, (INITIALIZATION, REGULARIZATION, CHECKING, OPTIMIZATION), strict=True))

ADAM = "parameters grads v s t learning_rate=0.01 beta1=0.9 beta2=0.999 epsilon=1e-08"
RATES = "learning_rate=0.0007 mini_batch_size=64 beta=0.9 beta1=0.9 beta2=0.999 epsilon=1e-08"
SIGNATURES = [
    ("v1.optimization", "model", f"X Y layers_dims optimizer {RATES} num_epochs=10000 print_cost=True"),
    ("v2021.optimization", "model",
     f"X Y layers_dims optimizer {RATES} num_epochs=5000 print_cost=True decay=None decay_rate=1"),
    ("optimization", "update_parameters_with_adam", ADAM),
    ("v2021.optimization", "update_parameters_with_adam", ADAM),
    ("v2021.optimization", "update_lr", "learning_rate0 epoch_num decay_rate"),
    ("v2021.optimization", "schedule_lr_decay", "learning_rate0 epoch_num decay_rate time_interval=1000"),
    ("gradient_checking", "gradient_check", "x theta epsilon=1e-07"),
    ("gradient_checking", "gradient_check_n", "parameters gradients X Y epsilon=1e-07"),
    ("v2021.gradient_checking", "gradient_check", "x theta epsilon=1e-07 print_msg=False"),
    ("v2021.gradient_checking", "gradient_check_n", "parameters gradients X Y epsilon=1e-07 print_msg=False"),
]  # fmt: skip


@BOTH
@pytest.mark.parametrize("module", published.DOORS)
def test_every_name_of_the_helpers_is_there(side, module):
    names = set(NAMES[module.rpartition(".")[2]].split())
    assert names <= set(published.course(side, module).__all__)


@BOTH
@pytest.mark.parametrize(("module", "name", "expected"), SIGNATURES)
def test_signatures_are_the_version_s(side, module, name, expected):
    """Without what can only be given by name, which is ours."""
    function = inspect.signature(getattr(published.course(side, module), name))
    parameters = [p for p in function.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    given = [p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters]
    assert given == expected.split()


CHANGED = {
    "v1.optimization": {"compute_cost", "model"},
    "v2021.initialization": set(),
    "v2021.regularization": set(),
    "v2021.gradient_checking": {"gradient_check", "gradient_check_n"},
    "v2021.optimization": {"model", "update_parameters_with_adam"},
}


@BOTH
@pytest.mark.parametrize("module", CHANGED)
def test_what_a_version_does_not_change_is_one_object(side, module):
    assert set(published.own_names(side, module)) == CHANGED[module]


# 2021.


@BOTH
@pytest.mark.parametrize(("t", "dtype"), [(1, "float64"), (2, "float64"), (7, "float32"), (0, "float64")])
def test_adam_of_2021_returns_the_corrected_moments_too(side, t, dtype):
    new, usual = (published.course(side, module) for module in ("v2021.optimization", "optimization"))
    arguments = []
    for _ in range(2):
        rng = np.random.default_rng(t)
        parameters = {f"{x}{layer}": rng.random((2, 3)).astype(dtype) for layer in (1, 2) for x in "Wb"}
        arguments.append([parameters, *({f"d{key}": a + k for key, a in parameters.items()} for k in range(3))])
    beta1, beta2 = 0.8, 0.888
    with np.errstate(all="ignore"):
        *out, v_corrected, s_corrected = new.update_parameters_with_adam(*arguments[0], t, 0.02, beta1, beta2, 1e-2)
        expected = usual.update_parameters_with_adam(*arguments[1], t, 0.02, beta1, beta2, 1e-2)
        assert all(got is given for got, given in zip(out, (arguments[0][k] for k in (0, 2, 3)), strict=True))
        npt.assert_equal(tuple(out), expected)
        for corrected, moment, beta in ((v_corrected, out[1], beta1), (s_corrected, out[2], beta2)):
            assert list(corrected) == ["dW1", "db1", "dW2", "db2"]
            for key, array in corrected.items():
                assert array.dtype == dtype
                assert not np.shares_memory(array, moment[key])
                npt.assert_allclose(array, moment[key] / (1 - np.float64(beta) ** t), rtol=1e-6)


@BOTH
def test_checks_of_2021_are_silent_unless_asked(side, capsys):
    new, usual = (published.course(side, module) for module in ("v2021.gradient_checking", "gradient_checking"))
    right, wrong = (
        "\033[92mYour backward propagation works perfectly fine! difference = {}\033[0m\n",
        "\033[93mThere is a mistake in the backward propagation! difference = {}\033[0m\n",
    )
    difference = new.gradient_check(2, 4)
    assert capsys.readouterr().out == ""
    assert new.gradient_check(2, 4, 1e-7, True) == difference
    assert capsys.readouterr().out == right.format(difference)
    assert usual.gradient_check(2, 4) == difference
    assert capsys.readouterr().out == "The gradient is correct!\n"
    X, Y = draw_data(4, 1, 3)
    parameters = published.course(side, "optimization").initialize_parameters([4, 5, 3, 1])
    _, cache = new.forward_propagation_n(X, Y, parameters)
    gradients = new.backward_propagation_n(X, Y, cache)
    doubled = {**gradients, "dW2": gradients["dW2"] * 2}
    for grads, words in ((gradients, right), (doubled, wrong)):
        difference = new.gradient_check_n(parameters, grads, X, Y)
        assert capsys.readouterr().out == ""
        assert new.gradient_check_n(parameters, grads, X, Y, print_msg=True) == difference
        assert capsys.readouterr().out == words.format(difference)
        assert usual.gradient_check_n(parameters, grads, X, Y) == difference
        assert capsys.readouterr().out == words.format(difference)


@BOTH
def test_model_of_2021_is_the_usual_one(side, capsys):
    new, usual = (published.course(side, module) for module in ("v2021.optimization", "optimization"))
    arguments = (*draw_data(2, 1, 9), [2, 3, 1], "adam", 0.05, 4, 0.8, 0.7, 0.99, 1e-4, 3, True, new.update_lr, 0.5)
    out = new.model(*arguments)
    printed = capsys.readouterr().out
    npt.assert_equal(out, usual.model(*arguments))
    assert capsys.readouterr().out == printed
    assert re.fullmatch(r"Cost after epoch 0: 0\.\d{6}\nlearning rate after epoch 0: 0\.050000\n", printed)


# 2017.


@BOTH
def test_cost_of_2017_is_a_mean_that_keeps_nan(side):
    compute_cost = published.course(side, "v1.optimization").compute_cost
    total = published.course(side, "optimization").compute_cost
    a3, Y = np.array([[0.2, 0.9, 0.5]]), np.array([[0, 1, 1]])
    npt.assert_allclose(compute_cost(a3, Y), total(a3, Y) / 3, rtol=1e-15)
    npt.assert_allclose(compute_cost(a3, Y), -np.log([0.8, 0.9, 0.5]).mean(), rtol=1e-14)
    with np.errstate(all="ignore"):
        assert np.isnan(compute_cost([[1.0, 0.5]], [[1, 1]]))


@BOTH
@pytest.mark.parametrize("size", [4, 5, 10, 64])
@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam"])
def test_model_of_2017_reports_the_last_mini_batch(side, size, optimizer):
    door = published.course(side, "v1.optimization")
    X, Y = draw_data(2, 1, 10)
    epochs = 1001 if JIT and side == published.COMPILED and size == 4 else 1
    with contextlib.redirect_stdout(io.StringIO()) as text:
        door.model(X, Y, [2, 3, 1], optimizer, 0.01, size, num_epochs=epochs)
    costs = published.printed_costs(text.getvalue())
    assert list(costs) == list(range(0, epochs, 1000))
    parameters = door.initialize_parameters([2, 3, 1])
    v, s = door.initialize_adam(parameters)
    t = 0
    for epoch in range(epochs):
        for batch_X, batch_Y in door.random_mini_batches(X, Y, size, 11 + epoch):
            a3, cache = layers.forward(batch_X, parameters)
            cost = door.compute_cost(a3, batch_Y)
            grads = layers.mean_backward(batch_X, batch_Y, cache)
            t += 1
            if optimizer == "gd":
                door.update_parameters_with_gd(parameters, grads, 0.01)
            elif optimizer == "momentum":
                door.update_parameters_with_momentum(parameters, grads, v, 0.9, 0.01)
            else:
                door.update_parameters_with_adam(parameters, grads, v, s, t, 0.01)
        if epoch in costs:
            npt.assert_allclose(costs[epoch], cost, atol=1.1e-6)


@BOTH
@pytest.mark.parametrize(("optimizer", "cost"), [("gd", 0.690736), ("momentum", 0.690741), ("adam", 0.690552)])
def test_published_first_costs_of_2017(side, optimizer, cost, capsys):
    door = published.course(side, "v1.optimization")
    door.model(*published.moons(), [2, 5, 2, 1], optimizer, num_epochs=1)
    assert published.printed_costs(capsys.readouterr().out) == {0: cost}
