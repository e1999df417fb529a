"""Checks of arguments, by what they check; callers write ``checks.count(...)``.

Every other folder calls these, so a bad argument gets the same sentence everywhere; they import `fastnn.interrupts`
alone. Good input leaves after a few attribute reads: nothing here looks at elements except `require_finite`, `targets`
at integer labels and `example_weights`, and what was wrong is worked out in helpers that only bad input reaches.
"""

from fastnn.checks.arrays import (
    real_array,
    refuse_masked,
    require_finite,
)
from fastnn.checks.callables import (
    functions,
    needed_module,
    pair_function,
)
from fastnn.checks.course import (
    backward_arguments,
    decay_rule,
    difference_step,
    gradient_arrays,
    gradients,
    keep_probability,
    l2_penalty,
    labelled_examples,
    layer_keys,
    moments,
    network,
    one_regularizer,
    parameter_arrays,
    propagation_cache,
)
from fastnn.checks.data import (
    SMALLEST_TOTAL,
    columns,
    example_weights,
    examples,
    labels,
    layer_sizes,
    layers_for_data,
    outputs_and_labels,
    targets,
    training_data,
)
from fastnn.checks.scalars import (
    count,
    decay_factor,
    finite_number,
    flag,
    float_dtype,
    learning_rate,
    legacy_seed,
    not_negative,
    one_of,
    positive_number,
    real_number,
    seed64,
    thread_count,
)
from fastnn.checks.settings import (
    CheckedSettings,
)

__all__ = [
    "SMALLEST_TOTAL",
    "CheckedSettings",
    "backward_arguments",
    "columns",
    "count",
    "decay_factor",
    "decay_rule",
    "difference_step",
    "example_weights",
    "examples",
    "finite_number",
    "flag",
    "float_dtype",
    "functions",
    "gradient_arrays",
    "gradients",
    "keep_probability",
    "l2_penalty",
    "labelled_examples",
    "labels",
    "layer_keys",
    "layer_sizes",
    "layers_for_data",
    "learning_rate",
    "legacy_seed",
    "moments",
    "needed_module",
    "network",
    "not_negative",
    "one_of",
    "one_regularizer",
    "outputs_and_labels",
    "pair_function",
    "parameter_arrays",
    "positive_number",
    "propagation_cache",
    "real_array",
    "real_number",
    "refuse_masked",
    "require_finite",
    "seed64",
    "targets",
    "thread_count",
    "training_data",
]
