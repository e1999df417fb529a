# %% [markdown]
# # Gradient checking
# Whether the gradients are those of the cost.

# %%
import numpy as np
from testCases import *
from public_tests import *  #: 2021
from gc_utils import sigmoid, relu, dictionary_to_vector, vector_to_dictionary, gradients_to_vector

# %%
# GRADED FUNCTION: forward_propagation

def forward_propagation(x, theta):
    """A model of one parameter."""
    J = theta * x
    return J

# %%
x, theta = 2, 4
J = forward_propagation(x, theta)
print("J = " + str(J))
forward_propagation_test(forward_propagation)  #: 2021

# %%
# GRADED FUNCTION: backward_propagation

def backward_propagation(x, theta):
    """Its derivative."""
    dtheta = x
    return dtheta

# %%
x, theta = 2, 4
dtheta = backward_propagation(x, theta)
print("dtheta = " + str(dtheta))
backward_propagation_test(backward_propagation)  #: 2021

# %%
# GRADED FUNCTION: gradient_check

def gradient_check(x, theta, epsilon=1e-7):  #: v1 v1b
def gradient_check(x, theta, epsilon=1e-7, print_msg=False):  #: 2021
    """A step to either side."""
    J_plus = forward_propagation(x, theta + epsilon)
    J_minus = forward_propagation(x, theta - epsilon)
    gradapprox = (J_plus - J_minus) / (2 * epsilon)
    grad = backward_propagation(x, theta)
    numerator = np.linalg.norm(grad - gradapprox)
    denominator = np.linalg.norm(grad) + np.linalg.norm(gradapprox)
    difference = numerator / denominator
    if difference < 1e-7:  #: v1 v1b
        print("The gradient is correct!")  #: v1 v1b
    else:  #: v1 v1b
        print("The gradient is wrong!")  #: v1 v1b
    if print_msg:  #: 2021
        if difference > 2e-7:  #: 2021
            print("\033[93m" + "There is a mistake in the backward propagation! difference = " + str(difference) + "\033[0m")  #: 2021
        else:  #: 2021
            print("\033[92m" + "Your backward propagation works perfectly fine! difference = " + str(difference) + "\033[0m")  #: 2021
    return difference

# %%
x, theta = 2, 4
difference = gradient_check(x, theta)  #: v1 v1b
difference = gradient_check(x, theta, print_msg=True)  #: 2021
print("difference = " + str(difference))  #: v1 v1b

# %%
def forward_propagation_n(X, Y, parameters):
    """A model of 47."""
    m = X.shape[1]
    W1, b1 = parameters["W1"], parameters["b1"]
    W2, b2 = parameters["W2"], parameters["b2"]
    W3, b3 = parameters["W3"], parameters["b3"]
    Z1 = np.dot(W1, X) + b1
    A1 = relu(Z1)
    Z2 = np.dot(W2, A1) + b2
    A2 = relu(Z2)
    Z3 = np.dot(W3, A2) + b3
    A3 = sigmoid(Z3)
    logprobs = np.multiply(-np.log(A3), Y) + np.multiply(-np.log(1 - A3), 1 - Y)
    cost = 1.0 / m * np.sum(logprobs)
    cache = (Z1, A1, W1, b1, Z2, A2, W2, b2, Z3, A3, W3, b3)
    return cost, cache

# %%
def backward_propagation_n(X, Y, cache):
    """Its gradients, with two mistakes."""
    m = X.shape[1]
    (Z1, A1, W1, b1, Z2, A2, W2, b2, Z3, A3, W3, b3) = cache
    dZ3 = A3 - Y
    dW3 = 1.0 / m * np.dot(dZ3, A2.T)
    db3 = 1.0 / m * np.sum(dZ3, axis=1, keepdims=True)
    dA2 = np.dot(W3.T, dZ3)
    dZ2 = np.multiply(dA2, np.int64(A2 > 0))
    dW2 = 1.0 / m * np.dot(dZ2, A1.T) * 2
    db2 = 1.0 / m * np.sum(dZ2, axis=1, keepdims=True)
    dA1 = np.dot(W2.T, dZ2)
    dZ1 = np.multiply(dA1, np.int64(A1 > 0))
    dW1 = 1.0 / m * np.dot(dZ1, X.T)
    db1 = 4.0 / m * np.sum(dZ1, axis=1, keepdims=True)
    gradients = {"dZ3": dZ3, "dW3": dW3, "db3": db3, "dA2": dA2, "dZ2": dZ2, "dW2": dW2, "db2": db2,
                 "dA1": dA1, "dZ1": dZ1, "dW1": dW1, "db1": db1}
    return gradients

# %%
# GRADED FUNCTION: gradient_check_n

def gradient_check_n(parameters, gradients, X, Y, epsilon=1e-7):  #: v1 v1b
def gradient_check_n(parameters, gradients, X, Y, epsilon=1e-7, print_msg=False):  #: 2021
    """A step to either side, for each of them."""
    parameters_values, _ = dictionary_to_vector(parameters)
    grad = gradients_to_vector(gradients)
    num_parameters = parameters_values.shape[0]
    J_plus = np.zeros((num_parameters, 1))
    J_minus = np.zeros((num_parameters, 1))
    gradapprox = np.zeros((num_parameters, 1))
    for i in range(num_parameters):
        theta_plus = np.copy(parameters_values)
        theta_plus[i] = theta_plus[i] + epsilon
        J_plus[i], _ = forward_propagation_n(X, Y, vector_to_dictionary(theta_plus))
        theta_minus = np.copy(parameters_values)
        theta_minus[i] = theta_minus[i] - epsilon
        J_minus[i], _ = forward_propagation_n(X, Y, vector_to_dictionary(theta_minus))
        gradapprox[i] = (J_plus[i] - J_minus[i]) / (2 * epsilon)
    numerator = np.linalg.norm(grad - gradapprox)
    denominator = np.linalg.norm(grad) + np.linalg.norm(gradapprox)
    difference = numerator / denominator
    print_msg = True  #: v1 v1b
    if print_msg:
        if difference > 2e-7:
            print("\033[93m" + "There is a mistake in the backward propagation! difference = " + str(difference) + "\033[0m")
        else:
            print("\033[92m" + "Your backward propagation works perfectly fine! difference = " + str(difference) + "\033[0m")
    return difference

# %%
X, Y, parameters = gradient_check_n_test_case()
cost, cache = forward_propagation_n(X, Y, parameters)
gradients = backward_propagation_n(X, Y, cache)
difference = gradient_check_n(parameters, gradients, X, Y)  #: v1 v1b
difference = gradient_check_n(parameters, gradients, X, Y, 1e-7, True)  #: 2021

# %% tolerance=0.001
# The mistakes put right.
gradients["dW2"] = gradients["dW2"] / 2
gradients["db1"] = gradients["db1"] / 4
difference = gradient_check_n(parameters, gradients, X, Y)  #: v1 v1b
difference = gradient_check_n(parameters, gradients, X, Y, 1e-7, True)  #: 2021
