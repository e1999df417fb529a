"""Plans: what lies where in a workspace, without one; and codes that kernels and names have to agree on."""

from dataclasses import FrozenInstanceError
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn.engine.large_plan import large_plan
from fastnn.engine.plan import rounded, stacked
from fastnn.engine.small_plan import is_small, small_plan
from fastnn.kernels import layout as at
from fastnn.kernels.formulas import optimizers as codes
from fastnn.optimizers import UPDATE_RULES
from fastnn.specs.architecture import Architecture

TASKS = (at.TRAIN, at.DIFFERENTIATE, at.EVALUATE, at.PREDICT, at.REMEMBER)

architectures = st.builds(
    lambda sizes, hidden, dtype: Architecture(tuple(sizes), hidden[: len(sizes) - 2], "linear", np.dtype(dtype)),
    st.lists(st.integers(1, 300), min_size=2, max_size=5),
    st.tuples(*[st.sampled_from(("relu", "tanh"))] * 3),
    st.sampled_from(("f4", "f8")),
)


def assert_apart(places, sizes, room):
    """Pieces of memory that neither meet nor leave their room."""
    pieces = sorted((place, place + size) for place, size in zip(places, sizes, strict=True) if size)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(pieces))
    assert not pieces or (pieces[0][0] >= 0 and pieces[-1][1] <= room)


def test_rounding():
    assert [rounded(n, 8) for n in (0, 1, 8, 9)] == [0, 8, 8, 16]
    assert stacked([3, 0, 9], 8) == ([0, 8, 8], 24)
    assert stacked([], 8) == ([], 0)


@given(architecture=architectures, batch=st.integers(1, 3000), task=st.sampled_from(TASKS), keep_all=st.booleans())
def test_layers_of_large_networks_lie_apart(architecture, batch, task, keep_all):
    plan = large_plan(architecture, task, batch, 2, keep_all=keep_all)
    settings, layers, sizes = plan.settings, plan.layers, architecture.sizes
    chunk, width, lanes = settings[at.CHUNK], settings[at.WIDTH], settings[at.LANES]
    assert chunk >= batch if keep_all else chunk <= rounded(1024, width)
    assert all(rows >= n for rows, n in zip(layers[at.ROWS], sizes, strict=True))
    used = [rows * chunk for rows in layers[at.ROWS]]
    assert_apart(layers[at.ACTS_AT], used, plan.numbers[at.ACTS])
    assert not any(place % (2 * lanes) for place in (*layers[at.ACTS_AT], *layers[at.DELTAS_AT]))
    if at.DELTAS in plan.numbers:
        assert_apart(layers[at.DELTAS_AT][1:], used[1:], plan.numbers[at.DELTAS])
    if width > 1 and task == at.TRAIN:
        packed = [rounded(n, 2 * lanes) * chunk if place >= 0 else 0 for n, place in zip(sizes, layers[at.PACKED_AT])]  # noqa: B905
        assert_apart(layers[at.PACKED_AT], packed, plan.numbers[at.PACKED])
    own = [settings[place] for place in (at.TARGETS_IN, at.FACTORS_IN, at.DA_IN, at.TILE_IN)]
    assert own == sorted(own)
    assert own[-1] < settings[at.SCRATCH_SIZE] == plan.numbers[at.SCRATCH] // 2


@given(architecture=architectures, batch=st.integers(1, 3000))
def test_layers_of_small_networks_lie_apart(architecture, batch):
    plan = small_plan(architecture, batch, 2)
    settings, panel = plan.settings, plan.settings[at.PANEL]
    places, sizes = [], []
    for record in np.reshape(plan.layers[at.RECORDS], (-1, at.RECORD))[1:]:
        places.append(record[at.A_AT])
        sizes.append((record[at.UNITS] + 1) * panel)
        if record[at.D_AT] != record[at.A_AT]:
            places.append(record[at.D_AT])
            sizes.append(record[at.UNITS] * panel)
        if record[at.OVER_INPUTS]:
            places.append(record[at.T_AT])
            sizes.append(record[at.UNITS] * panel)
    assert_apart(places, sizes, settings[at.TILE_IN])
    assert settings[at.TILE_IN] < settings[at.SCRATCH_SIZE]
    inputs = [0, settings[at.PACKED_IN], settings[at.TARGETS_IN], settings[at.FACTORS_IN]]
    assert inputs == sorted(inputs)
    assert settings[at.FACTORS_IN] + 2 * panel <= plan.numbers[at.ACTS]
    assert 1 <= plan.most_threads <= settings[at.PARTS]


@given(architecture=architectures)
def test_parameters_lie_as_they_are_split(architecture):
    flat = np.arange(architecture.n_parameters)
    for plan in (large_plan(architecture, at.TRAIN, 64, 1), small_plan(architecture, 64, 1)):
        for layer, (W, b) in enumerate(architecture.split(flat), start=1):
            assert (W[0, 0], b[0, 0]) == (plan.layers[at.WEIGHTS_AT][layer], plan.layers[at.BIASES_AT][layer])
        assert plan.settings[at.N_PARAMETERS] == flat.size


def test_plans_depend_on_their_arguments_alone_and_do_not_change():
    architecture = Architecture((20, 30, 5), ("relu",), "softmax", np.dtype("f4"))
    plan = large_plan(architecture, at.TRAIN, 64, 2)
    assert plan == large_plan(architecture, at.TRAIN, 64, 2)
    assert plan != large_plan(architecture, at.TRAIN, 65, 2)
    assert (plan.is_small, small_plan(architecture, 64, 2).is_small) == (False, True)
    with pytest.raises(FrozenInstanceError):
        plan.batch = 1


def test_gradients_are_stored_where_an_update_has_to_wait():
    architecture = Architecture((200, 300, 5), ("relu",), "softmax", np.dtype("f8"))
    for task, batch, fused, stored in (
        (at.TRAIN, 64, True, False), (at.TRAIN, 64, False, True), (at.TRAIN, 5000, True, True),
        (at.DIFFERENTIATE, 64, True, True), (at.PREDICT, 64, True, False),
    ):  # fmt: skip
        assert (at.GRADS in large_plan(architecture, task, batch, 1, fused).numbers) == stored


def test_which_networks_are_small():
    for hidden, small in ((81, True), (82, False)):
        architecture = Architecture((98, hidden, 1), ("relu",), "linear", np.dtype("f8"))
        assert is_small(architecture, at.TRAIN) == small
        assert not is_small(architecture, at.PREDICT)


def test_update_rules_are_named_in_the_order_of_their_codes():
    assert [getattr(codes, name.upper()) for name in UPDATE_RULES] == [*range(len(UPDATE_RULES))]
