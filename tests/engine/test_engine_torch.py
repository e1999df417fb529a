"""PyTorch as a second, independent oracle: the same weights, batches and masks give the same trajectory.

The engine trains through its sessions; PyTorch is given the batches and masks that follow from the seed, and does
everything else by itself: layers, losses, gradients, clipping, updates.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.testing as npt
import pytest
from engine_cases import Model

from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.engine.engine import Engine as CompiledEngine
from fastnn.losses import LOSSES, SMOOTHED
from fastnn.optimizers import SGD, Adam, AdamW, AMSGrad, Momentum, RMSProp
from fastnn.reference.engine import Engine as ReferenceEngine
from fastnn.reference.formulas.philox import dropout_mask, permutation
from fastnn.schedules import Cosine

torch = pytest.importorskip("torch")
functional = torch.nn.functional

ENGINES = [
    pytest.param(lambda: ReferenceEngine, id="reference"),
    pytest.param(lambda: CompiledEngine, id="compiled"),
]

M, BATCH = 22, 8  # an epoch: 8, 8 and 6 examples
TOLERANCES = {1: 1e-9, 10: 1e-9, 1000: 1e-6}
PAIRS = [(output, loss) for output, names in LOSSES.items() for loss in names]

# Rates at which 1000 steps neither diverge nor stand still.
OPTIMIZERS = {
    "sgd": SGD(0.02),
    "momentum": SGD(0.005, momentum=0.9),
    "nesterov": SGD(0.005, momentum=0.9, nesterov=True),
    "averaged": Momentum(0.02, beta=0.8),
    "rmsprop": RMSProp(1e-3, rho=0.95, epsilon=1e-3),
    "adam": Adam(1e-3),
    "adam_other": Adam(2e-3, beta1=0.8, beta2=0.95, epsilon=1e-4),
    "amsgrad": AMSGrad(1e-3, beta2=0.9),
    "adamw": AdamW(1e-3, weight_decay=0.1),
}


# A thousand steps of PyTorch take about a second.
last_step = pytest.mark.parametrize("last", [10, pytest.param(1000, marks=pytest.mark.slow)])


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    # Nets this small gain nothing from more, and on a busy machine PyTorch's threads wait for each other: 10x slower.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=ENGINES)
def engine_class(request):
    return request.param()


def make_model(hidden="tanh", output="linear", loss=None, optimizer="sgd", **settings):
    return Model(
        sizes=(3, 6, 5, 4),
        hidden=(hidden,) * 2,
        output=output,
        loss=LOSSES[output][0] if loss is None else loss,
        dtype=np.dtype(np.float64),
        optimizer=OPTIMIZERS[optimizer],
        seed=0xFEDCBA9876543210,
        **settings,
    )


def draw(model, weighted):
    """Draw parameters with biases, examples, targets that fit the loss, and sample weights if need be."""
    rng = np.random.default_rng(17)
    theta = 0.6 * rng.standard_normal(model.architecture.n_parameters)
    X = rng.standard_normal((model.sizes[0], M))
    shape = (model.sizes[-1], M)
    if model.output == "softmax":
        Y = rng.integers(0, shape[0], M)
    elif model.loss == "binary_cross_entropy":
        Y = rng.integers(0, 2, shape).astype(np.float64)
    elif model.loss == "poisson":
        Y = rng.poisson(1.5, shape).astype(np.float64)
    else:
        Y = 1.5 * rng.standard_normal(shape)
    return theta, X, Y, rng.uniform(0.1, 2.0, M) if weighted else None


TORCH_ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": functional.relu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": lambda z: functional.softplus(z, threshold=1000.0),  # by default linear above 20
    "mish": functional.mish,
}


def torch_losses(model, Z, Y):
    """Loss of every example; Z has a row for each."""
    if model.loss == "cross_entropy":
        return functional.cross_entropy(Z, Y, reduction="none", label_smoothing=model.label_smoothing)
    if model.loss == "binary_cross_entropy":
        e = model.label_smoothing
        return functional.binary_cross_entropy_with_logits(Z, (1 - e) * Y + e / 2, reduction="none").sum(dim=1)
    A = {"linear": lambda Z: Z, "sigmoid": torch.sigmoid}[model.output](Z)
    return {
        "squared_error": lambda: functional.mse_loss(A, Y, reduction="none") / 2,
        "absolute_error": lambda: functional.l1_loss(A, Y, reduction="none"),
        "huber": lambda: functional.huber_loss(A, Y, reduction="none"),
        "poisson": lambda: functional.poisson_nll_loss(A, Y, reduction="none"),
    }[model.loss]().sum(dim=1)


def torch_optimizer(model, weights, biases):
    """PyTorch's optimiser for the model's; the biases are a group of their own, because they do not decay."""
    rule = model.optimizer
    groups = [
        {"params": weights, "weight_decay": model.training.rule.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    adam = {}
    if isinstance(rule, Adam | AMSGrad | AdamW):
        adam = {"lr": rule.learning_rate, "betas": (rule.beta1, rule.beta2), "eps": rule.epsilon}
    if isinstance(rule, AdamW) or (adam and model.weight_decay):
        return torch.optim.AdamW(groups, amsgrad=isinstance(rule, AMSGrad), **adam)
    assert not model.weight_decay, "weight_decay of PyTorch's other optimisers is L2"
    if adam:
        return torch.optim.Adam(groups, amsgrad=isinstance(rule, AMSGrad), **adam)
    if isinstance(rule, RMSProp):
        return torch.optim.RMSprop(groups, lr=rule.learning_rate, alpha=rule.rho, eps=rule.epsilon)
    if isinstance(rule, Momentum):
        # PyTorch's velocity, beta u + (1 - dampening) g, starts at the first gradient itself, not at a share of it:
        # without dampening u = v / (1 - beta) from the first step on.
        return torch.optim.SGD(groups, lr=rule.learning_rate * (1 - rule.beta), momentum=rule.beta)
    return torch.optim.SGD(groups, lr=rule.learning_rate, momentum=rule.momentum, nesterov=rule.nesterov)


class TorchTrainer:
    """A model trained by PyTorch, example by row."""

    def __init__(self, model, theta, X, Y, sample_weights):
        self.model = model
        layers = [(torch.tensor(W), torch.tensor(b[:, 0])) for W, b in model.architecture.split(theta)]
        self.weights, self.biases = ([layer[k].requires_grad_() for layer in layers] for k in (0, 1))
        self.optimizer = torch_optimizer(model, self.weights, self.biases)
        self.X, self.Y = torch.tensor(X.T), torch.tensor(Y.T)
        self.sample_weights = torch.tensor(np.ones(M) if sample_weights is None else sample_weights)

    def masked(self, A, layer, step):
        drop = self.model.training.objective.drop(layer)
        if drop == 0:
            return A
        return A * torch.tensor(dropout_mask(self.model.seed, step, layer, A.shape[1], A.shape[0], drop).T)

    def step(self, batch, step):
        """Train on the examples `batch`; the cost before."""
        A = self.masked(self.X[batch], 0, step)
        for layer, hidden in enumerate(self.model.hidden, start=1):
            Z = functional.linear(A, self.weights[layer - 1], self.biases[layer - 1])
            A = self.masked(TORCH_ACTIVATIONS[hidden](Z), layer, step)
        Z = functional.linear(A, self.weights[-1], self.biases[-1])
        w = self.sample_weights[batch]
        cost = (w * torch_losses(self.model, Z, self.Y[batch])).sum() / w.sum()
        cost = cost + self.model.l2 / (2 * w.sum()) * sum((W**2).sum() for W in self.weights)
        self.optimizer.zero_grad()
        cost.backward()
        if self.model.clip_norm is not None:
            clip(self.weights + self.biases, self.model.clip_norm)
        self.optimizer.step()
        return cost.item()

    def theta(self):
        parts = [t.detach().numpy().ravel() for pair in zip(self.weights, self.biases, strict=True) for t in pair]
        return np.concatenate(parts)


def clip(parameters, clip_norm):
    """Clip as `torch.nn.utils.clip_grad_norm_` does, without the 1e-6 that it adds to the norm."""
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
    for p in parameters:
        p.grad.mul_(torch.clamp(clip_norm / norm, max=1.0))


def assert_same_trajectory(engine_class, model, weighted=False, shuffle=True, last=10):
    """Compare parameters and costs after 1, 10 and, if `last` says so, 1000 steps."""
    theta, X, Y, sample_weights = draw(model, weighted)
    start = theta.copy()
    rival = TorchTrainer(model, theta, X, Y, sample_weights)
    state = model.state()
    session = engine_class(*model).session(theta, state, X, Y, sample_weights, BATCH, shuffle)
    steps_an_epoch = -(-M // BATCH)
    for first, end in pairwise([0, *(n for n in TOLERANCES if n <= last)]):
        expected = []
        for step in range(first, end):
            epoch, at = divmod(step, steps_an_epoch)
            order = permutation(model.seed, epoch, M) if shuffle else np.arange(M)
            expected.append(rival.step(order[at * BATCH : (at + 1) * BATCH], step))
        costs, _ = session.advance(np.full(end - first, model.optimizer.learning_rate))
        rtol = TOLERANCES[end]
        npt.assert_allclose(costs, expected, rtol=rtol, err_msg=f"costs up to step {end}")
        # A parameter near 0 is known to the rounding of its moves, not to that of itself.
        npt.assert_allclose(theta, rival.theta(), rtol=rtol, atol=rtol * 1e-2, err_msg=f"parameters after step {end}")
        assert not np.allclose(theta, start, rtol=1e-6)
    assert (state.step, state.epoch) == (last, last // steps_an_epoch)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@last_step
def test_optimisers(engine_class, optimizer, last):
    assert_same_trajectory(engine_class, make_model(optimizer=optimizer), last=last)


@pytest.mark.parametrize("hidden", HIDDEN_ACTIVATIONS)
@last_step
def test_activations(engine_class, hidden, last):
    assert_same_trajectory(engine_class, make_model(hidden=hidden), last=last)


@pytest.mark.parametrize(("output", "loss"), PAIRS)
@last_step
def test_losses(engine_class, output, loss, last):
    assert_same_trajectory(engine_class, make_model(output=output, loss=loss), last=last)


@pytest.mark.parametrize("output", LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_setting_at_once(engine_class, optimizer, output):
    smoothing = 0.15 if LOSSES[output][0] in SMOOTHED else 0.0
    model = make_model(
        "relu", output, None, optimizer, l2=0.2, clip_norm=0.7, label_smoothing=smoothing, dropout=(0.1, 0.4, 0.25)
    )
    assert_same_trajectory(engine_class, model, weighted=True)


@pytest.mark.parametrize("optimizer", ["adam", "amsgrad"])
@last_step
def test_decoupled_decay(engine_class, optimizer, last):
    assert_same_trajectory(engine_class, make_model(optimizer=optimizer, weight_decay=0.3), weighted=True, last=last)


def test_decay_that_does_not_depend_on_the_base_rate(engine_class):
    """Loshchilov and Hutter's Algorithm 2, as `AdamW` says to get it: W <- W - eta (alpha Adam's move + lambda W)."""
    for alpha in (5e-4, 2e-3):
        schedule, decay = Cosine(alpha, steps=12, warmup=3), 0.05
        model = replace(make_model(), optimizer=AdamW(schedule, weight_decay=decay / alpha))
        theta, X, Y, _ = draw(model, False)
        rival = TorchTrainer(replace(model, optimizer=Adam(alpha)), theta, X, Y, None)

        def decayed(optimizer, *_, alpha=alpha, decay=decay):
            eta = optimizer.param_groups[0]["lr"] / alpha
            with torch.no_grad():
                for W in optimizer.param_groups[0]["params"]:
                    W.sub_(eta * decay * W)

        rival.optimizer.register_step_pre_hook(decayed)
        for step in range(10):
            for group in rival.optimizer.param_groups:
                group["lr"] = schedule(step)
            rival.step(np.arange(M), step)
        session = engine_class(*model).session(theta, model.state(), X, Y, None, M, False)
        session.advance(np.array([schedule(step) for step in range(10)]))
        npt.assert_allclose(theta, rival.theta(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@last_step
def test_l2(engine_class, optimizer, last):
    assert_same_trajectory(engine_class, make_model(optimizer=optimizer, l2=0.5), last=last)


@pytest.mark.parametrize("clip_norm", [1e-2, 0.5, 1e3])
@last_step
def test_clipping(engine_class, clip_norm, last):
    assert_same_trajectory(engine_class, make_model(clip_norm=clip_norm), last=last)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("hidden", ["relu", "tanh"])
@last_step
def test_dropout(engine_class, hidden, optimizer, last):
    model = make_model(hidden, "softmax", None, optimizer, dropout=(0.2, 0.5, 0.3))
    assert_same_trajectory(engine_class, model, last=last)


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_sample_weights(engine_class, output, loss):
    assert_same_trajectory(engine_class, make_model(output=output, loss=loss), weighted=True)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
@last_step
def test_label_smoothing(engine_class, output, last):
    assert_same_trajectory(engine_class, make_model(output=output, label_smoothing=0.2), last=last)


def test_examples_in_their_own_order(engine_class):
    assert_same_trajectory(engine_class, make_model(), shuffle=False)
