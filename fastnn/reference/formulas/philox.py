"""Counter-based random numbers, Philox4x32-10, and what the engine draws with them: masks and permutations.

A number depends on the seed and on its place alone (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3", 2011), so any thread can draw any of them.
"""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
WORD = 0xFFFFFFFF
ROUNDS = 10
PERMUTATION_LAYER = WORD  # no layer has this number, so no mask shares a counter with a permutation


def philox(seed: int, c0: ArrayLike, c1: ArrayLike, c2: ArrayLike, c3: ArrayLike) -> NDArray[np.uint32]:
    """Compute the four words of Philox4x32-10 at many counters.

    Ten rounds (c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)), after each of which
    a Weyl constant is added to each half of the key.

    Parameters
    ----------
    seed : int
        The key, 64 bits: k0 is its lower half, k1 its upper.
    c0, c1, c2, c3 : array_like of int
        The counter's words, below 2**32; they are broadcast against each other.

    Returns
    -------
    numpy.ndarray, shape (..., 4), uint32
        The words.

    Examples
    --------
    >>> print(" ".join(f"{word:08x}" for word in philox(0, 0, 0, 0, 0)))
    6627e8d5 e169c58d bc57ac4c 9b00dbd8
    """
    w0, w1, w2, w3 = np.broadcast_arrays(*(np.asarray(c, np.uint64) for c in (c0, c1, c2, c3)))
    k0, k1 = seed & WORD, seed >> 32
    for _ in range(ROUNDS):
        p0, p1 = w0 * np.uint64(MULTIPLIERS[0]), w2 * np.uint64(MULTIPLIERS[1])
        w0, w2 = (p1 >> np.uint64(32)) ^ w1 ^ np.uint64(k0), (p0 >> np.uint64(32)) ^ w3 ^ np.uint64(k1)
        w1, w3 = p1 & np.uint64(WORD), p0 & np.uint64(WORD)
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return np.stack([w0, w1, w2, w3], axis=-1).astype(np.uint32)


def dropout_mask(
    seed: int, step: int, layer: int, n_units: int, n_examples: int, drop: float, dtype: DTypeLike = np.float64
) -> np.ndarray:
    """Draw the mask of inverted dropout for one layer and one step.

    0 where word unit % 4 at the counter (example, unit // 4, layer, step) is below floor(drop 2^32), else
    1 / (1 - drop).

    Parameters
    ----------
    seed : int
        64 bits.
    step : int
        Steps done over the trainer's life; its lower 32 bits count.
    layer : int
        0 for the input, then 1, 2, ...
    n_units, n_examples : int
        Size of the layer and of the mini-batch.
    drop : float
        Probability of dropping a unit, in [0, 1).
    dtype : dtype
        Of the result.

    Returns
    -------
    numpy.ndarray, shape (n_units, n_examples)
        What the activations are multiplied with.

    Examples
    --------
    >>> print(dropout_mask(0, 0, 1, 2, 4, 0.5))
    [[2. 2. 2. 0.]
     [2. 2. 2. 2.]]
    """
    words = philox(seed, np.arange(n_examples), np.arange(-(-n_units // 4))[:, None], layer, step & WORD)
    words = words.transpose(0, 2, 1).reshape(-1, n_examples)[:n_units]  # (unit // 4, example, unit % 4) before
    return np.where(words < np.uint64(drop * 2**32), 0, 1 / (1 - drop)).astype(dtype)


def permutation(seed: int, epoch: int, m: int) -> NDArray[np.int64]:
    """Draw the order of the examples in an epoch: a Fisher-Yates shuffle.

    From 0, ..., m-1: for i = m-1, ..., 1 swap the entries i and floor(w_i (i+1) / 2^32), where w_i is word i % 4 at
    the counter (i // 4, 0, 2^32 - 1, epoch).

    Parameters
    ----------
    seed : int
        64 bits.
    epoch : int
        Epochs done over the trainer's life; its lower 32 bits count.
    m : int
        Number of examples.

    Returns
    -------
    numpy.ndarray, shape (m,), int64
        The order.

    Notes
    -----
    An index is off the uniform distribution by at most m / 2^32, in relative terms.

    Examples
    --------
    >>> print(permutation(0, 0, 8))
    [5 6 7 2 4 1 0 3]
    """
    words = philox(seed, np.arange(-(-m // 4)), 0, PERMUTATION_LAYER, epoch & WORD).ravel()[:m]
    picks = (np.multiply(words, np.arange(1, m + 1, dtype=np.uint64)) >> np.uint64(32)).tolist()
    order = list(range(m))
    for i in range(m - 1, 0, -1):
        j = picks[i]
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int64)
