"""What `model` says where the notebook defines functions that it does not call."""

import types
import warnings

import published
import pytest
from course_cases import draw_data

X, Y = draw_data(2, 1, 4)
BOTH = pytest.mark.parametrize("side", published.SIDES)

# By module, how model is called, and which functions of the notebook that would call.
CALLED = [
    ("initialization", "num_iterations=0, initialization='zeros'",
     "initialize_parameters_zeros forward_propagation backward_propagation compute_loss update_parameters"),
    ("regularization", "num_iterations=0",
     "initialize_parameters forward_propagation compute_cost backward_propagation update_parameters"),
    ("regularization", "num_iterations=0, lambd=0.7",
     "initialize_parameters forward_propagation compute_cost_with_regularization "
     "backward_propagation_with_regularization update_parameters"),
    ("regularization", "num_iterations=0, keep_prob=0.5",
     "initialize_parameters forward_propagation_with_dropout compute_cost backward_propagation_with_dropout "
     "update_parameters"),
    *((module, f"[2, 3, 1], {optimizer!r}, num_epochs=0",
       f"initialize_parameters {state}random_mini_batches forward_propagation backward_propagation compute_cost "
       f"update_parameters_with_{optimizer}")
      for module in ("v1.optimization", "optimization", "v2021.optimization")
      for optimizer, state in (("gd", ""), ("momentum", "initialize_velocity "), ("adam", "initialize_adam "))),
]  # fmt: skip


def notebook(side, module):
    """A module with all that a notebook's module has, as `from ... import *` brings it."""
    made = types.ModuleType("__main__")
    made.__dict__.update(X=X, Y=Y)
    exec(f"from {side}.{module} import *", made.__dict__)
    return made.__dict__


def warned(cell, names):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile(cell, "cell", "exec"), names)
    assert [warning.filename for warning in caught] == ["cell"] * len(caught)
    return [str(warning.message) for warning in caught]


@BOTH
@pytest.mark.parametrize(("module", "arguments", "called"), CALLED)
def test_redefined_functions_are_named_once(side, module, arguments, called):
    names, cell = notebook(side, module), f"model(X, Y, {arguments})"
    assert warned(cell, names) == []
    for name in published.course(side, module).__all__:
        if name != "model":
            exec(f"def {name}(*given): raise AssertionError", names)
    assert warned(f"{cell[:-1]}, warn_redefined=False)", names) == []
    assert warned(cell, names) == [
        f"model calls fastnn's own {', '.join(called.split())}, not what __main__ defines: keep the notebook's model "
        f"to train with that, or pass warn_redefined=False"
    ]
    assert warned(cell, names) == []
    exec("def forward_propagation(): pass\nforward_propagation_with_dropout = forward_propagation", names)
    (message,) = warned(cell, names)
    assert message.startswith(("model calls fastnn's own forward_propagation, not",
                               "model calls fastnn's own forward_propagation_with_dropout, not"))  # fmt: skip


@BOTH
def test_other_names_and_fastnn_s_own_functions_are_no_news(side):
    names, cell = notebook(side, "optimization"), "model(X, Y, [2, 3, 1], 'adam', num_epochs=0)"
    exec("def relu(): pass\ndef update_parameters_with_gd(): pass\nforward_propagation = 3", names)
    exec("from fastnn.v2021.optimization import update_parameters_with_adam", names)
    exec("from fastnn.reference.optimization import backward_propagation", names)
    assert warned(cell, names) == []


@BOTH
def test_a_function_within_which_model_is_called_belongs_to_its_module(side):
    names = notebook(side, "initialization")
    exec("def update_parameters(): pass", names)
    other = {"__name__": "other", "model": names["model"], **names, "update_parameters": None}
    exec("def train():\n    return model(X, Y, num_iterations=0)", other)
    names["train"] = other["train"]
    assert warned("train()", names) == []
    assert len(warned("model(X, Y, num_iterations=0)", names)) == 1


@BOTH
def test_warn_redefined_is_a_bool(side):
    model = published.course(side, "initialization").model
    with pytest.raises(TypeError, match="warn_redefined must be True or False, got 1"):
        model(X, Y, num_iterations=0, warn_redefined=1)
