# %% [markdown]
# # Optimization methods
# Four ways to go down, on mini-batches of two moons.

# %%
import numpy as np
import matplotlib.pyplot as plt
import scipy.io
import math
import sklearn
import sklearn.datasets

from opt_utils import load_params_and_grads, initialize_parameters, forward_propagation, backward_propagation  #: v1
from opt_utils import compute_cost, predict, predict_dec, plot_decision_boundary, load_dataset  #: v1
from opt_utils_v1a import load_params_and_grads, initialize_parameters, forward_propagation, backward_propagation  #: v1b 2021
from opt_utils_v1a import compute_cost, predict, predict_dec, plot_decision_boundary, load_dataset  #: v1b 2021
from copy import deepcopy  #: 2021
from testCases import *
from public_tests import *  #: 2021

# %matplotlib inline
plt.rcParams["figure.figsize"] = (7.0, 4.0)
plt.rcParams["image.interpolation"] = "nearest"
plt.rcParams["image.cmap"] = "gray"

# %%
# GRADED FUNCTION: update_parameters_with_gd

def update_parameters_with_gd(parameters, grads, learning_rate):
    """Straight down."""
    L = len(parameters) // 2
    for l in range(1, L + 1):
        parameters["W" + str(l)] = parameters["W" + str(l)] - learning_rate * grads["dW" + str(l)]
        parameters["b" + str(l)] = parameters["b" + str(l)] - learning_rate * grads["db" + str(l)]
    return parameters

# %%
parameters, grads, learning_rate = update_parameters_with_gd_test_case()
parameters = update_parameters_with_gd(parameters, grads, learning_rate)
for name in ("W1", "b1", "W2", "b2"):
    print(name + " =\n" + str(parameters[name]))
update_parameters_with_gd_test(update_parameters_with_gd)  #: 2021

# %%
# GRADED FUNCTION: random_mini_batches

def random_mini_batches(X, Y, mini_batch_size=64, seed=0):
    """Shuffle and cut."""
    np.random.seed(seed)
    m = X.shape[1]
    mini_batches = []
    permutation = list(np.random.permutation(m))
    shuffled_X = X[:, permutation]
    shuffled_Y = Y[:, permutation].reshape((1, m))
    whole = math.floor(m / mini_batch_size)
    for k in range(0, whole):
        mini_batch_X = shuffled_X[:, k * mini_batch_size : (k + 1) * mini_batch_size]
        mini_batch_Y = shuffled_Y[:, k * mini_batch_size : (k + 1) * mini_batch_size]
        mini_batches.append((mini_batch_X, mini_batch_Y))
    if m % mini_batch_size != 0:
        mini_batch_X = shuffled_X[:, whole * mini_batch_size :]
        mini_batch_Y = shuffled_Y[:, whole * mini_batch_size :]
        mini_batches.append((mini_batch_X, mini_batch_Y))
    return mini_batches

# %% 2021
np.random.seed(1)
mini_batch_size = 64
nx = 12288
m = 148
X = np.arange(nx * m).reshape((m, nx)).T
Y = np.random.randn(1, m) < 0.5
mini_batches = random_mini_batches(X, Y, mini_batch_size)
assert len(mini_batches) == math.ceil(m / mini_batch_size)
print([batch_X[0, 0] for batch_X, _ in mini_batches])

# %%
t_X, t_Y, mini_batch_size = random_mini_batches_test_case()
mini_batches = random_mini_batches(t_X, t_Y, mini_batch_size)
for k in range(3):
    print("shapes of mini-batch " + str(k) + ": " + str(mini_batches[k][0].shape) + str(mini_batches[k][1].shape))
print("mini batch sanity check: " + str(mini_batches[0][0][0][0:3]))
random_mini_batches_test(random_mini_batches)  #: 2021

# %%
# GRADED FUNCTION: initialize_velocity

def initialize_velocity(parameters):
    """At rest."""
    v = {}
    for l in range(1, len(parameters) // 2 + 1):
        v["dW" + str(l)] = np.zeros(parameters["W" + str(l)].shape)
        v["db" + str(l)] = np.zeros(parameters["b" + str(l)].shape)
    return v

# %%
parameters = initialize_velocity_test_case()
v = initialize_velocity(parameters)
print('v["dW1"] = ' + str(v["dW1"]))
initialize_velocity_test(initialize_velocity)  #: 2021

# %%
# GRADED FUNCTION: update_parameters_with_momentum

def update_parameters_with_momentum(parameters, grads, v, beta, learning_rate):
    """With a memory."""
    L = len(parameters) // 2
    for l in range(1, L + 1):
        v["dW" + str(l)] = beta * v["dW" + str(l)] + (1 - beta) * grads["dW" + str(l)]
        v["db" + str(l)] = beta * v["db" + str(l)] + (1 - beta) * grads["db" + str(l)]
        parameters["W" + str(l)] = parameters["W" + str(l)] - learning_rate * v["dW" + str(l)]
        parameters["b" + str(l)] = parameters["b" + str(l)] - learning_rate * v["db" + str(l)]
    return parameters, v

# %%
parameters, grads, v = update_parameters_with_momentum_test_case()
parameters, v = update_parameters_with_momentum(parameters, grads, v, beta=0.9, learning_rate=0.01)
print("W1 = " + str(parameters["W1"]))
print('v["dW1"] = ' + str(v["dW1"]))
update_parameters_with_momentum_test(update_parameters_with_momentum)  #: 2021

# %%
# GRADED FUNCTION: initialize_adam

def initialize_adam(parameters):
    """Two memories."""
    v = {}
    s = {}
    for l in range(1, len(parameters) // 2 + 1):
        v["dW" + str(l)] = np.zeros(parameters["W" + str(l)].shape)
        v["db" + str(l)] = np.zeros(parameters["b" + str(l)].shape)
        s["dW" + str(l)] = np.zeros(parameters["W" + str(l)].shape)
        s["db" + str(l)] = np.zeros(parameters["b" + str(l)].shape)
    return v, s

# %%
parameters = initialize_adam_test_case()
v, s = initialize_adam(parameters)
print('s["dW2"] = ' + str(s["dW2"]))
initialize_adam_test(initialize_adam)  #: 2021

# %%
# GRADED FUNCTION: update_parameters_with_adam

def update_parameters_with_adam(parameters, grads, v, s, t, learning_rate=0.01,
                                beta1=0.9, beta2=0.999, epsilon=1e-8):
    """With both."""
    L = len(parameters) // 2
    v_corrected = {}
    s_corrected = {}
    for l in range(1, L + 1):
        for x in ("W" + str(l), "b" + str(l)):
            v["d" + x] = beta1 * v["d" + x] + (1 - beta1) * grads["d" + x]
            v_corrected["d" + x] = v["d" + x] / (1 - np.power(beta1, t))
            s["d" + x] = beta2 * s["d" + x] + (1 - beta2) * np.power(grads["d" + x], 2)
            s_corrected["d" + x] = s["d" + x] / (1 - np.power(beta2, t))
            step = v_corrected["d" + x] / (np.sqrt(s_corrected["d" + x]) + epsilon)
            parameters[x] = parameters[x] - learning_rate * step
    return parameters, v, s  #: v1 v1b
    return parameters, v, s, v_corrected, s_corrected  #: 2021

# %%
parameters, grads, v, s = update_parameters_with_adam_test_case()
parameters, v, s = update_parameters_with_adam(parameters, grads, v, s, t=2)  #: v1 v1b
parameters, v, s, vc, sc = update_parameters_with_adam(parameters, grads, v, s, 2, 0.02, 0.8, 0.888, 1e-2)  #: 2021
for name in ("W1", "b1", "W2", "b2"):
    print(name + " = \n" + str(parameters[name]))
print('s["dW1"] = \n' + str(s["dW1"]))
update_parameters_with_adam_test(update_parameters_with_adam)  #: 2021

# %%
train_X, train_Y = load_dataset()

# %%
def model(X, Y, layers_dims, optimizer, learning_rate=0.0007, mini_batch_size=64, beta=0.9,
          beta1=0.9, beta2=0.999, epsilon=1e-8, num_epochs=10000, print_cost=True):  #: v1 v1b
          beta1=0.9, beta2=0.999, epsilon=1e-8, num_epochs=5000, print_cost=True):  #: 2021
          beta1=0.9, beta2=0.999, epsilon=1e-8, num_epochs=5000, print_cost=True, decay=None, decay_rate=1):  #: decay
    """Train on mini-batches."""
    costs = []
    t = 0
    seed = 10
    m = X.shape[1]
    learning_rate0 = learning_rate  #: decay
    parameters = initialize_parameters(layers_dims)
    if optimizer == "gd":
        pass
    elif optimizer == "momentum":
        v = initialize_velocity(parameters)
    elif optimizer == "adam":
        v, s = initialize_adam(parameters)
    for i in range(num_epochs):
        seed = seed + 1
        minibatches = random_mini_batches(X, Y, mini_batch_size, seed)
        cost_total = 0  #: v1b 2021 decay
        for minibatch in minibatches:
            (minibatch_X, minibatch_Y) = minibatch
            a3, caches = forward_propagation(minibatch_X, parameters)
            cost = compute_cost(a3, minibatch_Y)  #: v1
            cost_total += compute_cost(a3, minibatch_Y)  #: v1b 2021 decay
            grads = backward_propagation(minibatch_X, minibatch_Y, caches)
            if optimizer == "gd":
                parameters = update_parameters_with_gd(parameters, grads, learning_rate)
            elif optimizer == "momentum":
                parameters, v = update_parameters_with_momentum(parameters, grads, v, beta, learning_rate)
            elif optimizer == "adam":
                t = t + 1
                parameters, v, s = update_parameters_with_adam(parameters, grads, v, s, t, learning_rate, beta1, beta2, epsilon)  #: v1 v1b
                parameters, v, s, _, _ = update_parameters_with_adam(parameters, grads, v, s, t, learning_rate, beta1, beta2, epsilon)  #: 2021 decay
        cost = cost_total / m  #: v1b 2021 decay
        if decay:  #: decay
            learning_rate = decay(learning_rate0, i, decay_rate)  #: decay
        if print_cost and i % 1000 == 0:
            print("Cost after epoch %i: %f" % (i, cost))
            if decay:  #: decay
                print("learning rate after epoch %i: %f" % (i, learning_rate))  #: decay
        if print_cost and i % 100 == 0:
            costs.append(cost)
    plt.plot(costs)
    plt.ylabel("cost")
    plt.xlabel("epochs (per 100)")
    plt.title("Learning rate = " + str(learning_rate))
    plt.show()
    return parameters

# %%
layers_dims = [train_X.shape[0], 5, 2, 1]
parameters = model(train_X, train_Y, layers_dims, optimizer="gd")
predictions = predict(train_X, train_Y, parameters)
plt.title("Model with Gradient Descent optimization")
plt.gca().set(xlim=[-1.5, 2.5], ylim=[-1, 1.5])
plot_decision_boundary(lambda x: predict_dec(parameters, x.T), train_X, train_Y)

# %%
layers_dims = [train_X.shape[0], 5, 2, 1]
parameters = model(train_X, train_Y, layers_dims, beta=0.9, optimizer="momentum")
predictions = predict(train_X, train_Y, parameters)
plt.title("Model with Momentum optimization")
plt.gca().set(xlim=[-1.5, 2.5], ylim=[-1, 1.5])
plot_decision_boundary(lambda x: predict_dec(parameters, x.T), train_X, train_Y)

# %%
layers_dims = [train_X.shape[0], 5, 2, 1]
parameters = model(train_X, train_Y, layers_dims, optimizer="adam")
predictions = predict(train_X, train_Y, parameters)
plt.title("Model with Adam optimization")
plt.gca().set(xlim=[-1.5, 2.5], ylim=[-1, 1.5])
plot_decision_boundary(lambda x: predict_dec(parameters, x.T), train_X, train_Y)

# %% 2021 again=model decay

# %% 2021
# GRADED FUNCTION: update_lr

def update_lr(learning_rate0, epoch_num, decay_rate):
    """Smaller with every epoch."""
    learning_rate = learning_rate0 / (1 + decay_rate * epoch_num)
    return learning_rate

# %% 2021
learning_rate = 0.5
print("Updated learning rate: ", update_lr(learning_rate, 2, 1))
update_lr_test(update_lr)

# %% 2021
layers_dims = [train_X.shape[0], 5, 2, 1]
parameters = model(train_X, train_Y, layers_dims, optimizer="gd", learning_rate=0.1, num_epochs=5000, decay=update_lr)
predictions = predict(train_X, train_Y, parameters)
plt.title("Model with Gradient Descent optimization")
plt.gca().set(xlim=[-1.5, 2.5], ylim=[-1, 1.5])
plot_decision_boundary(lambda x: predict_dec(parameters, x.T), train_X, train_Y)

# %% 2021
# GRADED FUNCTION: schedule_lr_decay

def schedule_lr_decay(learning_rate0, epoch_num, decay_rate, time_interval=1000):
    """Smaller from time to time."""
    learning_rate = learning_rate0 / (1 + decay_rate * np.floor(epoch_num / time_interval))
    return learning_rate

# %% 2021
learning_rate = 0.5
print("Updated learning rate after 10 epochs: ", schedule_lr_decay(learning_rate, 10, 0.3, 100))
print("Updated learning rate after 100 epochs: ", schedule_lr_decay(learning_rate, 100, 0.3, 100))
schedule_lr_decay_test(schedule_lr_decay)

# %% 2021
layers_dims = [train_X.shape[0], 5, 2, 1]
parameters = model(train_X, train_Y, layers_dims, optimizer="gd", learning_rate=0.1, num_epochs=5000, decay=schedule_lr_decay)
predictions = predict(train_X, train_Y, parameters)
plt.title("Model with Gradient Descent optimization")
plt.gca().set(xlim=[-1.5, 2.5], ylim=[-1, 1.5])
plot_decision_boundary(lambda x: predict_dec(parameters, x.T), train_X, train_Y)

# %% 2021
layers_dims = [train_X.shape[0], 5, 2, 1]
parameters = model(train_X, train_Y, layers_dims, optimizer="momentum", learning_rate=0.1, num_epochs=5000, decay=schedule_lr_decay)
predictions = predict(train_X, train_Y, parameters)
plt.title("Model with Gradient Descent with momentum optimization")
plt.gca().set(xlim=[-1.5, 2.5], ylim=[-1, 1.5])
plot_decision_boundary(lambda x: predict_dec(parameters, x.T), train_X, train_Y)

# %% 2021
layers_dims = [train_X.shape[0], 5, 2, 1]
parameters = model(train_X, train_Y, layers_dims, optimizer="adam", learning_rate=0.01, num_epochs=5000, decay=schedule_lr_decay)
predictions = predict(train_X, train_Y, parameters)
plt.title("Model with Adam optimization")
plt.gca().set(xlim=[-1.5, 2.5], ylim=[-1, 1.5])
plot_decision_boundary(lambda x: predict_dec(parameters, x.T), train_X, train_Y)
