# %% [markdown]
# # Initialization
# The same network, begun three times: with zeros, with large numbers, and by He's rule.

# %%
import numpy as np
import matplotlib.pyplot as plt
import sklearn
import sklearn.datasets
from public_tests import *  #: 2021
from init_utils import sigmoid, relu, compute_loss, forward_propagation, backward_propagation
from init_utils import update_parameters, predict, load_dataset, plot_decision_boundary, predict_dec

# %matplotlib inline
plt.rcParams["figure.figsize"] = (7.0, 4.0)
plt.rcParams["image.interpolation"] = "nearest"
plt.rcParams["image.cmap"] = "gray"

train_X, train_Y, test_X, test_Y = load_dataset()  #: v1 v1b

# %% 2021
train_X, train_Y, test_X, test_Y = load_dataset()

# %% [markdown]
# ## The network

# %%
def model(X, Y, learning_rate=0.01, num_iterations=15000, print_cost=True, initialization="he"):
    """Train on all examples at once."""
    costs = []
    layers_dims = [X.shape[0], 10, 5, 1]
    if initialization == "zeros":
        parameters = initialize_parameters_zeros(layers_dims)
    elif initialization == "random":
        parameters = initialize_parameters_random(layers_dims)
    elif initialization == "he":
        parameters = initialize_parameters_he(layers_dims)
    for i in range(num_iterations):
        a3, cache = forward_propagation(X, parameters)
        cost = compute_loss(a3, Y)
        grads = backward_propagation(X, Y, cache)
        parameters = update_parameters(parameters, grads, learning_rate)
        if print_cost and i % 1000 == 0:
            print("Cost after iteration {}: {}".format(i, cost))
            costs.append(cost)
    plt.plot(costs)
    plt.ylabel("cost")
    plt.xlabel("iterations (per hundreds)")
    plt.title("Learning rate =" + str(learning_rate))
    plt.show()
    return parameters

# %%
# GRADED FUNCTION: initialize_parameters_zeros

def initialize_parameters_zeros(layers_dims):
    """Nothing to tell the units apart."""
    parameters = {}
    for l in range(1, len(layers_dims)):
        parameters["W" + str(l)] = np.zeros((layers_dims[l], layers_dims[l - 1]))
        parameters["b" + str(l)] = np.zeros((layers_dims[l], 1))
    return parameters

# %%
parameters = initialize_parameters_zeros([3, 2, 1])
for name in ("W1", "b1", "W2", "b2"):
    print(name + " = " + str(parameters[name]))
initialize_parameters_zeros_test(initialize_parameters_zeros)  #: 2021

# %%
parameters = model(train_X, train_Y, initialization="zeros")
print("On the train set:")
predictions_train = predict(train_X, train_Y, parameters)
print("On the test set:")
predictions_test = predict(test_X, test_Y, parameters)

# %%
print("predictions_train = " + str(predictions_train))
print("predictions_test = " + str(predictions_test))

# %%
plt.title("Model with Zeros initialization")
plt.gca().set(xlim=[-1.5, 1.5], ylim=[-1.5, 1.5])
plot_decision_boundary(lambda x: predict_dec(parameters, x.T), train_X, train_Y)

# %%
# GRADED FUNCTION: initialize_parameters_random

def initialize_parameters_random(layers_dims):
    """Far too large."""
    np.random.seed(3)
    parameters = {}
    for l in range(1, len(layers_dims)):
        parameters["W" + str(l)] = np.random.randn(layers_dims[l], layers_dims[l - 1]) * 10
        parameters["b" + str(l)] = np.zeros((layers_dims[l], 1))
    return parameters

# %%
parameters = initialize_parameters_random([3, 2, 1])
for name in ("W1", "b1", "W2", "b2"):
    print(name + " = " + str(parameters[name]))
initialize_parameters_random_test(initialize_parameters_random)  #: 2021

# %% tolerance=0.05
parameters = model(train_X, train_Y, initialization="random")
print("On the train set:")
predictions_train = predict(train_X, train_Y, parameters)
print("On the test set:")
predictions_test = predict(test_X, test_Y, parameters)

# %%
print(predictions_train)
print(predictions_test)

# %%
plt.title("Model with large random initialization")
plt.gca().set(xlim=[-1.5, 1.5], ylim=[-1.5, 1.5])
plot_decision_boundary(lambda x: predict_dec(parameters, x.T), train_X, train_Y)

# %%
# GRADED FUNCTION: initialize_parameters_he

def initialize_parameters_he(layers_dims):
    """By how many inputs a unit has."""
    np.random.seed(3)
    parameters = {}
    for l in range(1, len(layers_dims)):
        scale = np.sqrt(2.0 / layers_dims[l - 1])
        parameters["W" + str(l)] = np.random.randn(layers_dims[l], layers_dims[l - 1]) * scale
        parameters["b" + str(l)] = np.zeros((layers_dims[l], 1))
    return parameters

# %%
parameters = initialize_parameters_he([2, 4, 1])
for name in ("W1", "b1", "W2", "b2"):
    print(name + " = " + str(parameters[name]))
initialize_parameters_he_test(initialize_parameters_he)  #: 2021

# %%
parameters = model(train_X, train_Y, initialization="he")
print("On the train set:")
predictions_train = predict(train_X, train_Y, parameters)
print("On the test set:")
predictions_test = predict(test_X, test_Y, parameters)

# %%
plt.title("Model with He initialization")
plt.gca().set(xlim=[-1.5, 1.5], ylim=[-1.5, 1.5])
plot_decision_boundary(lambda x: predict_dec(parameters, x.T), train_X, train_Y)
