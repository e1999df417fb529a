"""What the docstrings of both estimators share."""

from typing import TypeVar

Estimator = TypeVar("Estimator", bound=type)

SHARED = """hidden_layer_sizes : array-like of int, default=(100,)
        Units of each hidden layer.
    activation : str or callable, default='relu'
        scikit-learn's 'identity', 'logistic', 'tanh' or 'relu'; besides any other name of `fastnn.activations`, such as
        'gelu', or a function as for `fastnn.Network`.
    solver : {'lbfgs', 'sgd', 'adam', 'adamw', 'rmsprop'}, default='adam'
        The first three are scikit-learn's; 'adamw' is `fastnn.AdamW` with `alpha` as its decoupled weight decay,
        'rmsprop' is `fastnn.RMSProp` with `beta_2` as rho. Weights have X's dtype, but those of 'lbfgs' are float64.
    alpha : float, default=0.0001
        The cost of a mini-batch contains alpha / (2 S) times the sum of squared weights, S its sum of sample weights.
    batch_size : int, default='auto'
        Examples in a mini-batch; 'auto' is min(200, n_samples).
    learning_rate : {'constant', 'invscaling', 'adaptive'} or callable, default='constant'
        The words hold for 'sgd' only, as in scikit-learn; a schedule, or any function of the step, for every stochastic
        solver.
    learning_rate_init : float, default=0.001
        First learning rate, where no schedule is given.
    power_t : float, default=0.5
        'invscaling': learning_rate_init / (t + 1)^power_t after t examples.
    max_iter : int, default=200
        Epochs at most; iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether each epoch has an order of its own.
    random_state : int, RandomState instance or None, default=None
        For first weights, the split of early stopping and shuffles, drawn as scikit-learn draws them.
    tol : float, default=1e-4
        Less than this is no improvement.
    verbose : bool, default=False
        Whether to print scikit-learn's lines.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before.
    momentum, nesterovs_momentum : float, bool, default=0.9, True
        Of 'sgd'.
    early_stopping : bool, default=False
        Whether to hold out part of the data, stop when its score does not improve, and restore the best weights.
    validation_fraction : float, default=0.1
        That part.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
        Of 'adam' and its kin.
    n_iter_no_change : int, default=10
        Epochs without improvement before training ends.
    max_fun : int, default=15000
        Evaluations of the cost by 'lbfgs' at most.
    dropout : float or sequence, default=0.0
        Fraction of units dropped in hidden layers; a sequence starts with the input.
    clip_norm : float, default=None
        Largest 2-norm of a step's gradient.
    initializer : str, default=None
        A rule of `fastnn.Network` for the first weights, biases at zero; None is scikit-learn's.
    callbacks : callable or sequence of callable, default=None
        Each is called as ``callback(estimator, history)`` after every epoch; a true value ends the training.
    n_threads : int, default=None
        Threads at most, -1 for all; None for as many as pay, and one in worker processes.
    max_time : float, default=None
        Seconds after which training ends with its epoch."""

ATTRIBUTES = """coefs_, intercepts_ : list of numpy.ndarray
        Weights (n_in, n_out) and biases of each layer, views of `network_`.
    loss_, loss_curve_, best_loss_ : float, list of float, float
        Losses of the epochs, as scikit-learn has them.
    validation_scores_, best_validation_score_ : list of float, float
        Scores of the held-out data; None without any.
    validation_loss_curve_ : list of float
        Mean losses of the held-out data, without L2 and dropout; None without any.
    n_iter_, t_, n_layers_, n_outputs_, n_features_in_, feature_names_in_, out_activation_
        As in scikit-learn.
    history_ : History
        The last fit, epoch by epoch.
    network_ : Network
        The network itself."""


def documented(cls: Estimator) -> Estimator:
    """Fill in what both docstrings share."""
    if cls.__doc__ is not None:  # there is none with python -OO
        cls.__doc__ = cls.__doc__.replace("{parameters}", SHARED).replace("{attributes}", ATTRIBUTES)
    return cls
