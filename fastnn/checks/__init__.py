"""Checks of arguments, by what they check; callers write ``checks.count(...)``.

Every other folder calls these, so a bad argument gets the same sentence everywhere; they import `fastnn.interrupts`
alone. Good input leaves after a few attribute reads: nothing here looks at elements except `require_finite`, `targets`
at integer labels and `example_weights`, and what was wrong is worked out in helpers that only bad input reaches.
"""

from fastnn.checks.arrays import real_array, refuse_masked, require_finite
from fastnn.checks.callables import functions, needed_module, pair_function
from fastnn.checks.course import (
    backward_arguments,
    companions,
    decay_rule,
    difference_step,
    gradient_arrays,
    keep_probability,
    l2_penalty,
    labelled_examples,
    layer_keys,
    network,
    one_regularizer,
    parameter_arrays,
    propagation_cache,
)
from fastnn.checks.data import (
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
from fastnn.checks.settings import CheckedSettings as CheckedSettings  # users' type checkers, too, look for this base
