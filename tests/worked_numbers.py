"""What the kernels compute for the numbers worked by hand in docs/gradients.md: for each section, names and arrays."""

import numpy as np
from worked_branches import ends_of_episodes, surrogate_regions, value_cases

from kernels.acting import acting_forward, count_step
from kernels.activation import RELU, activation_backward, activation_forward, tanh_backward, tanh_forward
from kernels.advantage import gae, normalize
from kernels.bernoulli import bernoulli_backward, bernoulli_forward
from kernels.beta import beta_backward, beta_forward, beta_mode
from kernels.categorical import categorical_backward, categorical_forward
from kernels.finite import all_finite, first_outside
from kernels.gaussian import gaussian_backward, gaussian_forward, state_gaussian_backward
from kernels.initializer import orthogonal
from kernels.linear import linear_backward_input, linear_backward_parameters, linear_forward
from kernels.loss import LOSS_TERMS, ppo_loss_backward, ppo_loss_forward
from kernels.masked_categorical import masked_categorical_backward, masked_categorical_forward
from kernels.mlp import mlp_forward
from kernels.moments import discounted_sums, standardize, update_moments
from kernels.optimizer import adam, clip_by_global_norm, global_norm
from kernels.special import trigamma
from kernels.squashed import squashed_backward, squashed_forward
from ppo_np.config import PPOConfig
from ppo_np.learning.cloning import cloning_loss_and_gradient
from ppo_np.network.action_head import discrete
from ppo_np.network.model import ActorCritic

CLIP_COEF, ENT_COEF, VF_COEF = 0.2, 0.01, 0.5
NO, YES = np.array([[False], [True]])


def zeros(*shapes):
    return [np.zeros(shape) for shape in shapes]


def two_tools():
    def f(x):
        return x * x * x

    def relu(x):
        return max(x, 0.0)

    def one_sided(f, x, h):
        return (f(x + h) - f(x)) / h

    def central(f, x, h):
        return (f(x + h) - f(x - h)) / (2 * h)

    def complex_step(f, x, h):
        return f(x + 1j * h).imag / h

    def g(x):  # the function of the touch map, with the upstream gradient dy
        return np.array([x[0] * x[1], x[0] + x[1]]) @ dy

    x, dy = np.array([4.0, 5.0]), np.array([2.0, 3.0])
    dx = np.array([central(lambda t: g(np.array([t, x[1]])), x[0], 0.5), central(lambda t: g([x[0], t]), x[1], 0.5)])
    return {
        "f": f, "relu": relu, "one_sided": one_sided, "central": central, "complex_step": complex_step,
        "x": x, "dy": dy, "dx": dx,
    }  # fmt: skip


def example_params():
    """All 18 parameters of the example's network as one flat vector: W, b, W_policy, b_policy, W_value, b_value."""
    log2 = np.log(2)
    return np.array([-1.0, 2, 1, -2, 0, -1, log2, 0, 0, 0, 0, log2, 0, 0, 0, 0.5, 1, 0])


def network(params):
    """The forward pass of the example's network for its two rows: trunk with ReLU, 3 logits, 1 value."""
    names = {"obs": np.array([[1.0, 2.0], [2.0, 1.0]]), "params": params}
    names |= {"W": params[:4].reshape(2, 2), "b": params[4:6], "W_value": params[15:17].reshape(2, 1)}
    names |= {"W_policy": params[6:12].reshape(2, 3)}
    z, h, logits, values = zeros((2, 2), (2, 2), (2, 3), (2, 1))
    linear_forward(names["obs"], names["W"], names["b"], z)
    mlp_forward(names["obs"], (names["W"],), (names["b"],), RELU, True, (h,))
    mlp_forward(h, (names["W_policy"],), (params[12:15],), RELU, False, (logits,))
    mlp_forward(h, (names["W_value"],), (params[17:],), RELU, False, (values,))
    return names | {"z": z, "h": h, "logits": logits, "values": values[:, 0]}


def example_gae(gae_lambda):
    """Rewards, advantages and returns of the example's episode, (2,) each."""
    rewards, values = np.array([[3.3], [1.7]]), np.array([[0.9], [0.7], [0.0]])
    final_values, advantages, returns = zeros((2, 1), (2, 1), (2, 1))
    ends = np.array([NO, YES]), np.array([NO, NO])
    gae(rewards, values, final_values, *ends, 0.5, gae_lambda, advantages, returns)
    return rewards[:, 0], advantages[:, 0], returns[:, 0]


def example():
    return rows(example_params())


def rows(params):
    """The example's minibatch: forward to the loss, and back to the gradients of the logits and values."""
    names, actions = network(params), np.array([0, 1])
    rewards, raw_advantages, returns = example_gae(0.5)
    (normalized,) = zeros(2)
    normalize(raw_advantages, normalized)

    logits, values = names["logits"], names["values"]
    log_probs, logprobs, entropies = zeros((2, 3), 2, 2)
    categorical_forward(logits, actions, log_probs, logprobs, entropies)
    old_logprobs, old_values, advantages = np.log([0.4, 0.2]), np.array([0.9, 0.7]), np.array([1.0, -1.0])
    constants = old_logprobs, old_values, advantages, returns, CLIP_COEF, ENT_COEF, VF_COEF, True, CLIP_COEF
    terms, dlogprobs, dentropies, dvalues, dlogits = zeros(6, 2, 2, 2, (2, 3))
    ppo_loss_forward(logprobs, entropies, values, *constants, terms)
    ppo_loss_backward(1.0, logprobs, values, *constants, dlogprobs, dentropies, dvalues)
    categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits)
    names |= dict(zip(LOSS_TERMS, terms, strict=True)) | terms_of_each_row(logprobs, entropies, values, *constants)
    return names | {
        "p": np.exp(log_probs), "log_probs": log_probs, "logprobs": logprobs, "entropies": entropies,
        "ratio": np.exp(logprobs - old_logprobs), "rewards": rewards, "A": raw_advantages, "normalized": normalized,
        "returns": returns, "dlogprobs": dlogprobs, "dentropies": dentropies, "dvalues": dvalues, "dlogits": dlogits,
    }  # fmt: skip


def example_loss(params):
    return rows(params)["loss"]


def terms_of_each_row(logprobs, entropies, values, *constants):
    """What the forward pass gives for minibatches of one row: the terms of which it takes the mean."""
    found = []
    for b in (slice(0, 1), slice(1, 2)):
        (terms,) = zeros(6)
        arrays = [array[b] for array in (logprobs, entropies, values, *constants[:4])]
        ppo_loss_forward(*arrays, *constants[4:], terms)
        found.append(terms)
    _, policy, value_, _, kl, _ = np.transpose(found)
    return {"policy_term": policy, "value_term": 2 * value_, "kl_term": kl}


def backward():
    """From the gradients of the logits and values to those of all parameters, and their clipping."""
    names = example()
    h, dlogits, dvalues = names["h"], names["dlogits"], names["dvalues"][:, np.newaxis]
    dh_policy, dh_value, dw, db = zeros((2, 2), (2, 2), (2, 2), 2)
    dw_policy, db_policy, dw_value, db_value = zeros((2, 3), 3, (2, 1), 1)
    linear_backward_parameters(dlogits, h, dw_policy, db_policy)
    linear_backward_parameters(dvalues, h, dw_value, db_value)
    linear_backward_input(dlogits, names["W_policy"], dh_policy)
    linear_backward_input(dvalues, names["W_value"], dh_value)
    dh = dh_policy + dh_value
    dz = dh.copy()
    activation_backward(dz, h, RELU)
    linear_backward_parameters(dz, names["obs"], dw, db)
    grads = np.concatenate([x.reshape(-1) for x in (dw, db, dw_policy, db_policy, dw_value, db_value)])
    norm, clipped = global_norm(grads), grads.copy()
    clip_by_global_norm(clipped, norm, 0.5)
    return names | {
        "dh_policy": dh_policy, "dh_value": dh_value, "dh": dh, "dz": dz, "dW": dw, "db": db,
        "dW_policy": dw_policy, "db_policy": db_policy, "dW_value": dw_value[:, 0], "db_value": db_value,
        "g": grads, "norm": norm, "clipped": clipped,
    }  # fmt: skip


def scores(probs, actions):
    """d log p(a) / d logits for each row, (B, K): the upstream gradient of the log-probability is 1."""
    (score,) = zeros(probs.shape)
    categorical_backward(np.ones(len(actions)), np.zeros(len(actions)), actions, np.log(probs), probs[:, 0], score)
    return score


def policy_gradient():
    names = example()
    p = names["p"]
    _, advantages, _ = example_gae(1.0)  # the return minus the value
    expected_score = p[0] @ scores(np.array([p[0]] * 3), np.arange(3))
    score = scores(p, np.array([0, 1]))
    return names | {"score": score, "G": advantages + np.array([0.9, 0.7]), "expected_score": expected_score}


def baseline():
    p, q = np.array([0.5, 0.25, 0.25]), np.array([4.0, 2.0, 0.0])
    return {"p": p, "Q": q, "V": p @ q, "A": q - p @ q, "score": scores(np.array([p] * 3), np.arange(3))[:, 0]}


def estimates():
    _, delta, _ = example_gae(0.0)
    _, longest, _ = example_gae(1.0)
    return example() | {"delta": delta, "n_step": np.array([delta[0], longest[0]])}


def many_choices():
    """Section 9, second half: two choices, among 2 and among 3, for two rows."""
    logits, actions = np.log([[3.0, 1, 2, 1, 1], [1.0, 1, 1, 1, 2]]), np.array([[0, 1], [1, 2]])
    names = {"multi_logprobs": np.zeros(2), "multi_entropies": np.zeros(2), "multi_dlogits": np.zeros((2, 5))}
    for s, columns in enumerate((slice(0, 2), slice(2, 5))):
        part, chosen = logits[:, columns].copy(), actions[:, s].copy()
        log_probs, dlogits, logprobs, entropies = zeros(part.shape, part.shape, 2, 2)
        categorical_forward(part, chosen, log_probs, logprobs, entropies)
        categorical_backward(np.array([1.0, 0.5]), np.zeros(2), chosen, log_probs, entropies, dlogits)
        names["multi_logprobs"] += logprobs
        names["multi_entropies"] += entropies
        names["multi_dlogits"][:, columns] = dlogits
    return names


def masked_choices():
    """Section 9, last part: the first row of the example with its second action invalid, and with its first one."""
    logits, mask, actions = (
        np.log([[2.0, 1, 1], [2.0, 1, 1]]),
        np.array([[1, 0, 1], [0, 1, 1]], np.int8),
        np.array([0, 2]),
    )
    log_probs, dlogits, logprobs, entropies = zeros((2, 3), (2, 3), 2, 2)
    masked_categorical_forward(logits, mask, actions, log_probs, logprobs, entropies)
    masked_categorical_backward(np.ones(2), np.ones(2), mask, actions, log_probs, entropies, dlogits)
    return {
        "masked_p": np.exp(log_probs), "masked_logprobs": logprobs, "masked_entropies": entropies,
        "masked_dlogits": dlogits,
    }  # fmt: skip


def gaussian():
    means, log_std, x = np.array([[1.0], [1.0]]), np.log([2.0]), np.array([[3.0], [-3.0]])
    logprobs, entropies, dmeans, dlog_std = zeros(2, 2, (2, 1), 1)
    dlogprobs, dentropies = np.array([1.0, 0.5]), np.array([-0.005, -0.005])
    gaussian_forward(means, log_std, x, logprobs, entropies)
    gaussian_backward(dlogprobs, dentropies, means, log_std, x, dmeans, dlog_std)
    zeta = ((x - means) / 2)[:, 0]
    state_dmeans, state_dlog_std = zeros((2, 1), (2, 1))
    state_log_std = np.full((2, 1), np.log(2))
    state_gaussian_backward(dlogprobs, dentropies, means, state_log_std, x, state_dmeans, state_dlog_std)
    return squashed(dlogprobs, dentropies) | {
        "zeta": zeta, "logprobs": logprobs, "entropies": entropies, "dmeans": dmeans[:, 0], "dlog_std": dlog_std[0],
        "state_dlog_std": state_dlog_std[:, 0],
    }  # fmt: skip


def squashed(*upstream):
    means, log_std = np.array([[0.0], [np.log(2)]]), np.array([[np.log(2)], [0.0]])
    actions = np.array([[np.log(2), np.log(3) / 2], [-np.log(2), 0.0]])
    logprobs, entropies, dmeans, dlog_std = zeros(2, 2, (2, 1), (2, 1))
    squashed_forward(means, log_std, actions, np.log([4.0]), logprobs, entropies)
    squashed_backward(*upstream, means, log_std, actions, dmeans, dlog_std)
    return {
        "squashed_actions": 2 * np.tanh(actions[:, 0]), "squashed_logprobs": logprobs, "squashed_entropies": entropies,
        "squashed_dmeans": dmeans[:, 0], "squashed_dlog_std": dlog_std[:, 0],
    }  # fmt: skip


def beta():
    outputs, x = np.log(np.exp([[1.0, 1.0], [2.0, 1.0]]) - 1), np.array([[0.25], [0.5]])
    logprobs, entropies, doutputs, mode = zeros(2, 2, (2, 2), (2, 1))
    dentropies, (gradients, only_entropy) = np.array([-0.005, -0.005]), zeros((2, 2), (2, 2))
    beta_forward(outputs, x, np.log([4.0]), logprobs, entropies)
    beta_backward(np.array([1.0, 0.5]), dentropies, outputs, x, doutputs)
    beta_backward(np.zeros(2), np.ones(2), outputs, x, only_entropy)
    beta_mode(outputs, mode)
    gradients[:] = only_entropy * (1 + np.exp(-outputs))  # with respect to alpha and beta
    return {
        "logprobs": logprobs, "entropies": entropies, "doutputs": doutputs, "mode": mode[:, 0], "e": np.e,
        "trigammas": np.array([trigamma(2.0), trigamma(3.0), trigamma(4.0)]),
        "dH0": gradients[0, 0], "dH1": gradients[1],
    }  # fmt: skip


def bernoulli():
    logits, x = np.array([[np.log(3), 0], [0, -np.log(3)]]), np.array([[1, 0], [0, 1]], np.int8)
    logprobs, entropies, dlogits = zeros(2, 2, (2, 2))
    bernoulli_forward(logits, x, logprobs, entropies)
    bernoulli_backward(np.array([1.0, 0.5]), np.array([-0.005, -0.005]), logits, x, dlogits)
    return {"q": 1 / (1 + np.exp(-logits)), "logprobs": logprobs, "entropies": entropies, "dlogits": dlogits}


def linear():
    names, dy = network(example_params()), np.array([[3.0, 0.0], [1.0, -2.0]])
    dw, db, dx = zeros((2, 2), 2, (2, 2))
    linear_backward_parameters(dy, names["obs"], dw, db)
    linear_backward_input(dy, names["W"], dx)
    return names | {"y": names["z"], "x": names["obs"], "dy": dy, "dW": dw, "db": db, "dx": dx}


def activations():
    names = network(example_params())
    relu, drelu, dh = names["z"].copy(), np.array([[5.0, 5.0], [5.0, 5.0]]), np.array([[5.0], [5.0]])
    activation_forward(relu, RELU)
    activation_backward(drelu, relu, RELU)
    y = np.log([[2.0], [1 / 3]])
    tanh_forward(y)
    tanh_backward(dh, y)
    return names | {"relu_y": relu, "relu_dx": drelu, "tanh_y": y[:, 0], "tanh_dx": dh[:, 0]}


def adam_steps():
    """Section 16: two parameters, a large and a small gradient, two steps; the second gradient is 0."""
    params, m, v = zeros(2, 2, 2)
    names = {}
    for step, grads in enumerate(([-0.4, 0.004], [0.0, 0.0]), start=1):
        adam(params, np.array(grads), m, v, step, 0.001, 0.9, 0.999, 1e-5)
        names |= {f"m{step}": m.copy(), f"v{step}": v.copy(), f"params{step}": params.copy()}
    return names


def orthogonal_weight():
    (weight,) = zeros((2, 2))
    orthogonal(np.array([[3.0, 1.0], [4.0, 2.0]]), 1.0, weight)
    return {"W": weight, "x": np.array([1.0, 2.0])}


def moments():
    count, mean, variance = np.array([2.0]), np.array([1.0]), np.array([1.0])
    batch, standardized = np.array([[3.0], [7.0]]), np.zeros((2, 1))
    update_moments(batch, np.array([True, True]), count, mean, variance)
    standardize(batch, mean, variance, 10.0, standardized)
    return {"mean": mean[0], "variance": variance[0], "standardized": standardized[:, 0]}


def discounted():
    (sums,), running = zeros((3, 1)), np.zeros(1)
    rewards, dones = np.array([[3.3], [1.7], [1.0]]), np.array([NO, YES, NO])
    discounted_sums(rewards, np.array([YES, YES, YES]), dones, 0.5, running, sums)
    return {"S": sums[:, 0]}


def out_of_range():
    rows = [np.array([0.5, -3.0, np.nan]), np.array([0.5, -1.0, np.inf])]
    return {"first_outside": lambda b: first_outside(rows[b], 2.0), "all_finite": all_finite, "x": rows}


def one_call():
    names = network(example_params())
    layers = np.array([[0, 2, 2, -1, 0], [6, 2, 3, 0, -1], [15, 2, 1, 0, -2]])
    logits, values, scratch = zeros((2, 3), 2, 4)
    acting_forward(names["params"], layers, names["obs"], 100.0, RELU, scratch, logits, values)
    episode_returns, lengths, (dones,) = np.array([4.0, 2.5]), np.array([6, 2]), np.zeros((1, 2), bool)
    rewards, valid, ends = np.array([1.5, 0.0]), np.array([True, False]), np.zeros((2, 2), bool)
    count_step(rewards, valid, *ends, 100.0, episode_returns, lengths, dones)
    return names | {"logits": logits, "values": values, "returns": episode_returns, "lengths": lengths}


def cloning():
    """The logits are the logarithms of the example's probabilities: one row of weights for each observation."""
    config = PPOConfig(shared_sizes=())
    model = ActorCritic(2, discrete(3), config, None, np.float64)
    model.named(model.params)["policy/head/weight"][:] = np.log([[1 / 2, 1 / 4, 1 / 4], [1 / 4, 1 / 4, 1 / 2]])
    minibatch, activations = model.minibatch(2), model.activations(2)
    minibatch.obs[:], minibatch.actions[:] = np.eye(2), [0, 1]
    loss = cloning_loss_and_gradient(model, minibatch, activations)
    return {"cloning_loss": loss, "dlogprobs": activations.dlogprobs, "dlogits": activations.dpolicy_outputs}


NAMES = {
    "Finite differences and the chain rule": two_tools,
    "Policy gradient": policy_gradient,
    "Baseline and advantage": baseline,
    "Generalised advantage estimation": lambda: estimates() | ends_of_episodes(),
    "Importance sampling and the ratio": example,
    "Clipped surrogate": lambda: example() | surrogate_regions(),
    "Clipped value loss": lambda: example() | value_cases(),
    "The loss, and what stands at its bottom": example,
    "Advantage normalisation": example,
    "Categorical distribution": lambda: example() | many_choices() | masked_choices(),
    "Diagonal Gaussian": gaussian,
    "Bernoulli": bernoulli,
    "Linear layer": linear,
    "Activations": activations,
    "The stack of layers, and the fork": backward,
    "Clipping by global norm": backward,
    "Adam": adam_steps,
    "Orthogonal initialisation": orthogonal_weight,
    "Running moments": moments,
    "Discounted reward": discounted,
    "Numbers out of range": out_of_range,
    "One call a step": one_call,
    "Beta distribution": beta,
    "Behaviour cloning": cloning,
}
