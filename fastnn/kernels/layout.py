"""What lies where: the table of pointers by which kernels find arrays and settings, a name for every place.

A table of pointers stands for all arrays, because numba counts references to arrays around every call, and because
ops for float32 and float64 can then share one caller.

Activations are stored in panels of WIDTH examples, one panel after the other: [panel][unit][example]. Those that a
product over examples needs are stored a second time, packed: [panel of units][example][unit].

The columns of the comments: type (`number` is the network's own, float32 or float64), shape, owner, meaning. The owner
keeps the memory and fills it: the caller, the engine (for all of its runs), the workspace (when it is made), the run
(before every execution), the kernels. In shapes P is the number of parameters, L that of layers with the input, T of
threads, m of the caller's examples, B of those in a mini-batch, n_x and n_y of a network's inputs and outputs.
"""

import numpy as np

from fastnn.kernels.compiler.policy import inner
from fastnn.kernels.compiler.simd import advance, pointer_at

# fmt: off

# The table of pointers.
#                       type      shape             owner
SETTINGS = 0          # int64     [N_SETTINGS]      see below  settings of the run
RECORDS = 1           # int64     [L][RECORD]       workspace  a record for every layer, the input being layer 0
REALS = 2             # float64   [N_REALS]         workspace  constants of the run that are no integers
KEEPS = 3             # float64   [L]               workspace  what the units that dropout keeps are multiplied by
RATES = 4             # float64   [STEPS]           run        learning rates of the coming steps
POWERS = 5            # float64   [2]               caller     beta1^t and beta2^t, moved on by the kernels
THETA = 6             # number    [P]               caller     all parameters: W1 by rows, b1, W2, ...
GRADS = 7             # number    [P]               kernels    their gradients; of a small network, those of part 0
V = 8                 # number    [P] or [0]        caller     first moments, moved on by the kernels
S = 9                 # number    [P] or [0]        caller     second moments, likewise
H = 10                # number    [P] or [0]        caller     largest second moments so far (AMSGrad), likewise
PARTIAL_GRADS = 11    # number    [PARTS - 1][PARTIAL_SIZE]
#                                                   kernels    gradients of a small mini-batch's parts 1, 2, ...
X = 12                # X_TYPE    [n_x][m]          caller     examples; of a sparse table the numbers that it stores
COLUMNS = 13          # int32/64  as X              caller     of a sparse table: the feature of each number
ROW_STARTS = 14       # int64     [m + 1]           caller     of a sparse table: where each example begins
Y = 15                # Y_TYPE    [n_y][m] or [m]   caller     targets, or labels
SAMPLE_WEIGHTS = 16   # float64   [m]               caller     weights of the examples
ORDER = 17            # uint32    [m]               caller     which example comes when; PERMUTE writes it
GENERATOR = 18        # uint32    any               caller     what PERMUTE remembers from one epoch to the next
DA = 19               # number    [n_y][m]          caller     for a backward pass: the gradient by the outputs
ACTS = 20             # number    see RECORDS       kernels    activations of a chunk; of a small network the inputs
PACKED = 21           # number    see RECORDS       kernels    the same, packed
DELTAS = 22           # number    see RECORDS       kernels    slopes of the activations, then dZ, of a chunk
TARGETS = 23          # number    [panel][n_y][WIDTH]
#                                                   kernels    targets of the examples that were gathered last
FACTORS = 24          # number    [panel][WIDTH]    kernels    sample weights of these
MASKS = 25            # number    [units][m]        run        a course model's masks: 0 or 1 / keep_prob
TERMS = 26            # number    [example]         kernels    losses of examples, not yet added up
OUT = 27              # number    [n_y][m]          caller     results of a forward pass, by OUT_UNIT and OUT_EXAMPLE
OUT_DX = 28           # number    [n_x][m]          caller     results of a backward pass: the gradient by X
WEIGHT_SUMSQ = 29     # float64   [N_SUMSQ]         kernels    sums of squares of the weights, tile by tile
GRAD_SUMSQ = 30       # float64   [N_SUMSQ]         kernels    sums of squares of the gradients, tile by tile
PARTIAL_LOSSES = 31   # float64   [PARTS]           kernels    losses of a small mini-batch's parts
COSTS = 32            # float64   [STEPS]           kernels    for each step: its cost times the sum of its weights
SUMS = 33             # float64   [STEPS]           kernels    for each step: the sum of its sample weights
SCRATCH = 34          # number    [T][SCRATCH_SIZE] kernels    a thread's own
STEP_REALS = 35       # float64   [T][STEP_REALS_STRIDE]
#                                                   kernels    a thread's own copy of what changes with the step
OFFSETS = 36          # int64     [T][OFFSETS_STRIDE]
#                                                   kernels    a thread's own: where the examples of a panel are
USER_ACTIVATIONS = 37 # op        [L]               engine     the user's own activations, by layer
USER_LOSS = 38        # op        [1]               engine     the user's own loss
TEAM = 39             # int64     see `teamwork`    workspace  where threads meet

# Ops: entries of the table that are functions of the kernels; see `program.ops`.
READ = 40             # numbers of any type, made those of the network
GATHER = 41           # a mini-batch's examples, targets and weights, from the caller's arrays to panels
PRODUCT = 42          # matrix product for panels of examples
PRODUCT_OF_ONE = 43   # the same for a single example
BROAD_PRODUCT = 44    # the same for few rows or short sums
TRANSPOSE = 45        # panels, packed, and back
ACTIVATE = 46         # activations and their slopes
SLOPE = 47            # dA times the slopes
DROPOUT = 48          # a panel times its masks
OUTPUT_ONLY = 49      # outputs alone
OUTPUT_LOSS = 50      # outputs, losses and dZ of the last layer
OUTPUT_DELTA = 51     # dZ of the last layer from the caller's dA
DELIVER = 52          # panels to the caller's results
GRADIENT_OVER_INPUTS = 53    # tiles of dW whose lanes run over the inputs
GRADIENT_OVER_EXAMPLES = 54  # tiles of dW whose lanes run over the examples
BIAS_GRADIENT = 55    # groups of db
UPDATE = 56           # the optimiser's rule for a run of parameters
SUM_TERMS = 57        # sum of losses
PERMUTE = 58          # the order of an epoch
EXAMPLES = 59         # large plan: a thread's examples, forward and back
WEIGHTS_PHASE = 60    # large plan: a thread's tiles of all weight gradients
UPDATE_PARAMETERS = 61       # a thread's range of the parameters, updated in a pass of its own
SMALL_EXAMPLES = 62   # small plan: a thread's examples, forward, back and into partial gradients
REDUCE_GRADIENTS = 63 # small plan: the sum of the partial gradients
SUM_SQUARES = 64      # sum of squares
CLIP_WIDELY = 65      # gradients scaled down, where a factor would overflow
TABLE_SIZE = 66

# SETTINGS, all int64. Flags are 0 or 1.
#                       owner
TASK = 0              # workspace  what one run of the body does, below
HAS_TARGETS = 1       # workspace  flag: the task computes losses
DEPTH = 2             # workspace  layers with weights: L - 1
M = 3                 # run        the caller's examples
BATCH = 4             # workspace  examples in a mini-batch
CHUNK = 5             # workspace  large plan: examples whose activations are kept at a time
WIDTH = 6             # workspace  examples in a panel (large plan) or in a block of one (small): 1 or 2 vectors
BLOCK = 7             # workspace  large plan: panels that go through all layers together
ITEM = 8              # workspace  bytes in a number
LANES = 9             # workspace  numbers in a vector
N_PARAMETERS = 10     # workspace  P
OPTIMIZER = 11        # workspace  the rule of updates, a code of `formulas.optimizers`
ADAPTIVE = 12         # workspace  flag: the rule has both moments, and corrects their bias
OUTPUT = 13           # workspace  a code of `formulas.losses`
LOSS = 14             # workspace  a code of `formulas.losses`, or USERS_OWN
SKIP_NAN = 15         # run        flag, of a course model: losses that are NaN count nothing
FUSED = 16            # workspace  flag: parameters are updated while their gradients are in the cache
N_SUMSQ = 17          # workspace  entries of WEIGHT_SUMSQ and GRAD_SUMSQ
SHUFFLE = 18          # run        flag: examples come as ORDER says, which training permutes before every epoch
START = 19            # run        the first example, counted in the order
STEPS = 20            # run        how many steps of training
STEP = 21             # run        number of the first step, modulo 2^32
EPOCH = 22            # run        number of the first epoch, modulo 2^32
KEY0 = 23             # workspace  the seed's lower 32 bits
KEY1 = 24             # workspace  the seed's upper 32 bits
MASKED = 25           # run        flag: dropout
COSTED = 26           # run        flag: costs are wanted
PACKED_ONCE = 27      # run        flag: the mini-batch is all examples, and stays where the first step has gathered it
DONE = 28             # kernels    steps of training that are done
X_TYPE = 29           # run        type of X, a place in `simd.NUMBER_TYPES`
X_UNIT = 30           # run        bytes from one feature of X to the next
X_EXAMPLE = 31        # run        bytes from one example of X to the next; 1 for a sparse table
X_PLAIN = 32          # run        flag: X is of the network's type
Y_TYPE = 33           # run        as for X
Y_UNIT = 34           # run        as for X
Y_EXAMPLE = 35        # run        as for X
Y_PLAIN = 36          # run        as for X
LABELS = 37           # run        flag: Y holds labels
WEIGHTED = 38         # run        flag: there are sample weights
INDEX_BYTES = 39      # run        of a sparse table: bytes in a number of COLUMNS
OUT_UNIT = 40         # run        numbers from one unit of OUT to the next
OUT_EXAMPLE = 41      # run        numbers from one example of OUT to the next
SCRATCH_SIZE = 42     # workspace  numbers that a thread has in SCRATCH
TILE_IN = 43          # workspace  where in these room for a tile is, or for a copy of weights
DX = 44               # run        flag: a backward pass gives the gradient by X
PARTS = 45            # workspace  small plan: parts of a mini-batch, each with gradients of its own; large plan: 0
PARTIAL_SIZE = 46     # workspace  small plan: numbers from one part's gradients to the next part's
PANEL = 47            # workspace  small plan: examples in a panel, at most
TERMS_KEPT = 48       # workspace  small plan, flag: losses are added up for the whole mini-batch, not panel by panel
N_SETTINGS = 49

# A layer's record, all int64, filled in by the workspace. Places in the large plan count from the beginning of ACTS,
# PACKED and DELTAS; in the small plan those of layers with weights count from the beginning of a thread's SCRATCH.
UNITS = 0             # how many units
WEIGHTS_AT = 1        # where in THETA the weights are; likewise in GRADS and the moments
BIASES_AT = 2         # where the biases are
ACTIVATION = 3        # a code of `formulas.activations`, or USERS_OWN; nothing for the input and the last layer
THRESHOLD = 4         # of 2^32 random words, those below it drop a unit; 0 without dropout
MASKS_AT = 5          # of a course model: the first row of MASKS
ROWS = 6              # rows of a panel: units, and what keeps panels apart (large plan; of the input also small)
ACTS_AT = 7           # where the activations are
SLOPES_AT = 8         # small plan: where the slopes are
DELTAS_AT = 9         # where dZ will be: over the slopes, or in the small plan over relu's activations
PACKED_AT = 10        # where the packed activations are, if there are any
OVER_INPUTS = 11      # flag: dW of the next layer is summed by lanes that run over its inputs, which are packed for it
SUMSQ_AT = 12         # large plan: the layer's first entry of WEIGHT_SUMSQ and GRAD_SUMSQ
RECORD_FIELDS = 13
RECORD = 16           # numbers from one record to the next: two cache lines

# REALS, all float64, filled in by the workspace.
L2 = 0                # coefficient of the L2 penalty
WEIGHT_DECAY = 1      # of decoupled weight decay
CLIP = 2              # 2-norm to which gradients are clipped; 0 without
BETA1 = 3             # the optimiser's
BETA2 = 4             # the optimiser's
EPSILON = 5           # the optimiser's
SMOOTHING = 6         # of labels
TINY = 7              # the smallest normal number: moments below it become 0
LEAST_LOSS = 8        # of an estimator's logarithmic loss
MOST_LOSS = 9         # of an estimator's logarithmic loss
LOSS_SCALE = 10       # what an estimator's squared errors are multiplied by
N_REALS = 11

# STEP_REALS, all float64, written by the kernels in every step.
RATE = 0              # learning rate
FIRST_FACTOR = 1      # the rate with the correction of the first moments
SECOND_FACTOR = 2     # correction of the second moments
L2_SCALE = 3          # the L2 penalty's coefficient, divided by the sum of weights
DECAY = 4             # rate times weight decay
CLIP_FACTOR = 5       # what the update multiplies gradients by
LOSS_SUM = 6          # losses of the mini-batch
N_STEP_REALS = 7

# TASK.
TRAIN = 0             # steps of training
DIFFERENTIATE = 1     # cost and gradients of one mini-batch
EVALUATE = 2          # its losses alone
PREDICT = 3           # outputs alone
REMEMBER = 4          # a forward pass whose workspace is kept
RETURN = 5            # its backward pass

# fmt: on

# Doubles from one thread's STEP_REALS to the next thread's: two cache lines.
STEP_REALS_STRIDE = 16

# Examples in the widest panel: what a thread has of OFFSETS.
OFFSETS_STRIDE = 1024

# ACTIVATION and LOSS: a function of the user's own.
USERS_OWN = -1


@inner
def record_of(table, layer):
    """A pointer to a layer's record."""
    return advance(pointer_at(table, RECORDS, np.int64), layer * RECORD)


@inner
def step_reals_of(table, thread):
    """A pointer to a thread's STEP_REALS."""
    return advance(pointer_at(table, STEP_REALS, np.float64), thread * STEP_REALS_STRIDE)
