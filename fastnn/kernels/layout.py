"""What lies where: the engine's tables, by which its leaves find their arrays and settings.

A table of pointers stands for all arrays, because numba counts references to arrays around every call, and because
leaves for float32 and float64 can then share one caller. Activations of a chunk of examples are stored in panels of
WIDTH examples, one panel after the other: [panel][unit][example]. Activations that a product over examples needs are
stored a second time, packed: [panel of units][example][unit].
"""

# The table of pointers.
(
    # int64 arrays: settings of the run (below), then an entry for every layer, the input being layer 0; RECORDS has
    # several for a layer (below)
    SETTINGS, RECORDS, SIZES, WEIGHTS_AT, BIASES_AT, ROWS, ACTS_AT, PACKED_AT, DELTAS_AT, CODES, THRESHOLDS, SLOTS_AT,
    MASKS_AT,
    # float64 arrays: reals of the run (below), a factor for every layer with dropout, rates of the coming steps, beta^t
    REALS, KEEPS, RATES, POWERS,
    # numbers: all parameters, their gradients, moments; gradients of a mini-batch's parts, without the first part's
    THETA, GRADS, V, S, H, PART_GRADS,
    # the caller's data, any type: examples (of a sparse table the numbers, their columns, where its rows begin),
    # targets; float64 sample weights; uint32 order of an epoch
    X, COLUMNS, ROW_STARTS, Y, WEIGHTS, ORDER,
    # numbers: one chunk of examples (of a small network the inputs and targets); a course model's masks, a row of M for
    # each unit; examples' losses; the caller's results
    ACTS, PACKED, DELTAS, MASKS, TERMS, OUT, OUT_DX,
    # float64: sums of squares, tile by tile (weights; gradients); losses of a mini-batch's parts; results of every step
    WEIGHT_SUMSQ, GRAD_SUMSQ, PART_LOSSES, COSTS, SUMS,
    # a part for every thread: numbers; float64; int64
    SCRATCH, STEP_REALS, OFFSETS,
    # tables: of the user's own activations, layer by layer; of the user's loss
    USER_ACTIVATIONS, USER_LOSS,
    # int64: where threads meet
    TEAM,
    # leaves
    READ, GATHER, PRODUCT, PRODUCT_OF_ONE, BROAD_PRODUCT, TRANSPOSE, ACTIVATE, SLOPE, DROPOUT, OUTPUT_ONLY,
    OUTPUT_LOSS, OUTPUT_DELTA, DELIVER, GRADIENT_OVER_INPUTS, GRADIENT_OVER_EXAMPLES, BIAS_GRADIENT, UPDATE, SUM_TERMS,
    PERMUTE,
    EXAMPLES, WEIGHTS_PHASE, UPDATE_PARAMETERS, SMALL_EXAMPLES, REDUCE_PARTS, SUM_SQUARES, CLIP_WIDELY,
    TABLE_SIZE,
) = range(74)  # fmt: skip

# SETTINGS
(
    TASK, DEPTH, M, BATCH, CHUNK, WIDTH, BLOCK, ITEM, LANES, N_PARAMETERS, OPTIMIZER, OUTPUT, LOSS, FUSED, N_SLOTS,
    SHUFFLE, START, STEPS, STEP, EPOCH, KEY0, KEY1, MASKED, COSTED, PACKED_ONCE, DONE,
    X_TYPE, X_UNIT, X_EXAMPLE, X_PLAIN, Y_TYPE, Y_UNIT, Y_EXAMPLE, Y_PLAIN, LABELS, WEIGHTED,
    INDEX_BYTES, OUT_UNIT, OUT_EXAMPLE,
    SCRATCH_SIZE, TARGETS_IN, FACTORS_IN, DA_IN, TILE_IN, DX, PARTS, PART_SIZE, PANEL, PACKED_IN, TERMS_KEPT,
    N_SETTINGS,
) = range(51)  # fmt: skip

# RECORDS of the plan for small networks, for each layer: its units; where in the arena its weights and biases are;
# where in a thread's SCRATCH its activations, slopes, dZ, and packed activations are (of the input, in ACTS: how many
# numbers an example has); its activation; whether it has dropout; how its dW is summed.
(
    UNITS, W_AT, B_AT, A_AT, SLOPES_AT, D_AT, T_AT, CODE, DROPS, OVER_INPUTS,
) = range(10)  # fmt: skip
RECORD = 16

# REALS; the last three are the estimators': bounds of a logarithmic loss, and a factor of the squared error.
L2, WEIGHT_DECAY, CLIP, BETA1, BETA2, EPSILON, SMOOTHING, TINY, LEAST_LOSS, MOST_LOSS, LOSS_SCALE, N_REALS = range(12)

# STEP_REALS: what of these changes with the step, one set a thread.
(
    RATE, FIRST_FACTOR, SECOND_FACTOR, L2_SCALE, DECAY, CLIP_FACTOR, LOSS_SUM, N_STEP_REALS,
) = range(8)  # fmt: skip

# TASK: what one run of the body does. Those up to EVALUATE have targets; REMEMBER is a forward pass whose workspace
# is kept, and RETURN its backward pass.
TRAIN, DIFFERENTIATE, EVALUATE, PREDICT, REMEMBER, RETURN = range(6)

# Doubles from one thread's STEP_REALS to the next thread's: two cache lines.
STEP_REALS_STRIDE = 16

# Examples in the widest panel: a thread's share of OFFSETS.
OFFSETS_STRIDE = 1024

# CODES and LOSS: a function of the user's own.
USERS_OWN = -1
