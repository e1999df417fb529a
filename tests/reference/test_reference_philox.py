"""Random numbers in NumPy: known answers, the documented order of words, statistics."""

import math

import numpy as np
import numpy.testing as npt
import pytest

from fastnn.reference.formulas.philox import dropout_mask, permutation, philox


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0, 0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 4, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0xA4093822, 0x299F31D0),
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_known_answers(key, counter, words):
    # From the known-answer file of Random123, the authors' library.
    assert " ".join(f"{word:08x}" for word in philox(key[0] | key[1] << 32, *counter)) == words


SEED = 0x123456789ABCDEF0


@pytest.mark.parametrize("n_units", [1, 3, 4, 5, 9])
def test_a_mask_lies_in_the_words_as_documented(n_units):
    step, layer, drop = 2**32 + 5, 2, 0.3
    mask = dropout_mask(SEED, step, layer, n_units, 7, drop)
    assert mask.shape == (n_units, 7)
    for unit, example in np.ndindex(mask.shape):
        word = int(philox(SEED, example, unit // 4, layer, 5)[unit % 4])
        assert mask[unit, example] == (0 if word < math.floor(drop * 2**32) else 1 / (1 - drop))


def test_a_word_at_the_threshold_is_kept():
    word = int(philox(SEED, 0, 0, 1, 0)[0])
    for threshold, kept in ((word, True), (word + 1, False)):
        assert (dropout_mask(SEED, 0, 1, 1, 1, threshold / 2**32) > 0) == kept


@pytest.mark.parametrize("drop", [0.1, 0.5, 0.9])
def test_masks_drop_their_share(drop):
    n_units, m = 203, 500
    kept = dropout_mask(3, 0, 1, n_units, m, drop, np.float32)
    assert kept.dtype == np.float32
    share = (kept == 0).mean()
    deviation = math.sqrt(drop * (1 - drop) / kept.size)
    assert abs(share - drop) < 4 * deviation
    # Rows and columns vary as independent draws do: their shares have the binomial's variance, to 4 deviations.
    for axis, n in ((0, n_units), (1, m)):
        assert (kept == 0).mean(axis=axis).var() == pytest.approx(drop * (1 - drop) / n, rel=0.4)


def test_masks_differ_between_seeds_steps_and_layers():
    masks = [
        dropout_mask(seed, step, layer, 40, 100, 0.5).ravel()
        for seed in (1, 2, 1 << 32)
        for step in (0, 1)
        for layer in (0, 1)
    ]
    correlations = np.corrcoef(masks) - np.eye(len(masks))
    assert np.abs(correlations).max() < 4.5 / math.sqrt(4000)


def test_no_mask_where_nothing_drops():
    npt.assert_array_equal(dropout_mask(1, 2, 3, 4, 5, 0.0), np.ones((4, 5)))


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 37, 300])
def test_a_permutation_is_the_documented_shuffle(m):
    epoch = 2**32 + 3
    expected = list(range(m))
    for i in range(m - 1, 0, -1):
        word = int(philox(SEED, i // 4, 0, 0xFFFFFFFF, 3)[i % 4])
        j = word * (i + 1) >> 32
        expected[i], expected[j] = expected[j], expected[i]
    order = permutation(SEED, epoch, m)
    npt.assert_array_equal(order, expected)
    npt.assert_array_equal(np.sort(order), np.arange(m))


def test_all_permutations_are_equally_likely():
    n = 4800
    orders, counts = np.unique([permutation(9, epoch, 4) for epoch in range(n)], axis=0, return_counts=True)
    assert len(orders) == 24
    chi_square = ((counts - n / 24) ** 2 / (n / 24)).sum()
    assert 5.0 < chi_square < 50.0  # 23 degrees of freedom: outside with a probability of 1e-3
