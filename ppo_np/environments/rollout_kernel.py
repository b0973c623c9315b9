"""Compiled environments under a policy, many steps in one kernel: observe, act, sample, step, count.

`_one_step` in ppo_np/learning/rollout.py does the same for one step, with the same kernels for the network, the
distribution and the environments. Random numbers come in arrays. So the results have the same bits.

Shapes: T steps of N environments; D numbers in a flat observation; A components of an action, none for Categorical;
K steps whose random numbers are drawn ahead.
"""

from functools import cache

from kernels._jit import called_kernel, users_kernel
from kernels.acting import FINE, acting_forward, count_step
from kernels.beta import beta_sample
from kernels.categorical import categorical_sample
from kernels.finite import all_finite, first_outside
from kernels.gaussian import gaussian_sample, state_gaussian_sample
from kernels.moments import standardize
from ppo_np.environments.fingerprint import fingerprint

# What the kernel returns: all steps are done; the last step ended episodes; what was wrong in the last step.
DONE, ENDED, BAD_NETWORK, BAD_LOGPROBS, BAD_REWARD = range(5)


def _categorical(outputs, draws, k, given, actions, logprobs, env_actions):
    """`Categorical.sample`, then `ActionAdapter.to_env`."""
    log_probs, start = given
    categorical_sample(outputs, draws[0][k], log_probs, actions, logprobs)
    for n in range(len(actions)):
        env_actions[n] = actions[n] + start


def _gaussian(outputs, draws, k, given, actions, logprobs, env_actions):
    """The same for `Gaussian`."""
    log_std, low, high = given
    gaussian_sample(outputs, log_std, draws[0][k], actions, logprobs)
    for n in range(actions.shape[0]):
        for a in range(actions.shape[1]):
            x = actions[n, a] if actions[n, a] > low[a] else low[a]
            env_actions[n, a] = x if x < high[a] else high[a]


def _state_gaussian(outputs, draws, k, given, actions, logprobs, env_actions):
    """The same for `StateGaussian`."""
    means, log_std, low, high = given
    for n in range(actions.shape[0]):
        for a in range(actions.shape[1]):
            means[n, a], log_std[n, a] = outputs[n, 2 * a], outputs[n, 2 * a + 1]
    state_gaussian_sample(means, log_std, draws[0][k], actions, logprobs)
    for n in range(actions.shape[0]):
        for a in range(actions.shape[1]):
            x = actions[n, a] if actions[n, a] > low[a] else low[a]
            env_actions[n, a] = x if x < high[a] else high[a]


def _beta(outputs, draws, k, given, actions, logprobs, env_actions):
    """The same for `Beta`."""
    log_width, from_0, to_1, low, high = given
    beta_sample(outputs, log_width, draws[0][k], draws[1][k], actions, logprobs)
    for n in range(actions.shape[0]):
        for a in range(actions.shape[1]):
            scaled = from_0[a] + (to_1[a] - from_0[a]) * actions[n, a]
            x = scaled if scaled > low[a] else low[a]
            env_actions[n, a] = x if x < high[a] else high[a]


SAMPLERS = {"Categorical": _categorical, "Gaussian": _gaussian, "StateGaussian": _state_gaussian, "Beta": _beta}


@cache
def rollout_kernel(step_envs, kind, key):
    """The kernel `many_steps` for environments and a distribution.

    Args:
        step_envs: of `stepping_kernels`.
        kind: of the distribution, a key of SAMPLERS.
        key: of the cache of `step_envs`.
    """
    sample = SAMPLERS[kind]
    if hasattr(step_envs, "py_func"):
        sample = called_kernel(sample)

    def many_steps(t, end, drawn, limit, network, moments, sampling, workspace, buffer, spaces, envs, episodes):
        """Do the steps t to end - 1 of a rollout, or fewer if an episode ends or a number is not finite.

        Args:
            t, end: indices in the buffer. drawn: the index of the first random numbers.
            limit: largest magnitude of observations and rewards.
            network: params, layers, activation and scratch of `acting_forward`. Without the value's layers, no values
                are computed.
            moments: whether observations are normalised; mean and variance, (D,); limit of normalised ones.
            sampling: tuple of random numbers, (K, N, ...); what the distribution needs beside them.
            workspace: inputs, policy_outputs, values, actions, and these as one axis, logprobs; overwritten by each
                step.
            buffer: obs, (T, N, D), and the same memory, (T, N D); actions, (T, N A); logprobs, values, rewards,
                terminations, truncations, valid, (T, N) or more each. Rows of steps that are done are overwritten.
            spaces: present observations, (N D,); actions for the environments, (N, A) and (N, ...), the same memory.
            envs: arguments of `step_envs` after the actions.
            episodes: returns, lengths, valid and dones of `count_step`; the number of steps that have begun, (1,), to
                which the steps are added.

        Returns DONE, ENDED or what was wrong. What was wrong is in the workspace, or in the environments' rewards.
        """
        params, layers, activation, scratch = network
        normalized, mean, variance, clip = moments
        draws, given = sampling
        inputs, policy_outputs, values, actions, flat_actions, logprobs = workspace
        all_obs, flat_obs, all_actions, all_logprobs, all_values = buffer[:5]
        all_rewards, all_terminations, all_truncations, valid = buffer[5:]
        obs, action_rows, env_actions = spaces
        rewards, terminations, truncations = envs[7], envs[8], envs[9]
        returns, lengths, counted, dones, begun = episodes
        ended = 0
        while t < end and ended == 0:
            for i in range(len(obs)):
                flat_obs[t, i] = obs[i]
            x = all_obs[t]
            if normalized:
                if first_outside(flat_obs[t], limit) >= 0:
                    return BAD_NETWORK
                standardize(x, mean, variance, clip, inputs)
                x = inputs
            if acting_forward(params, layers, x, limit, activation, scratch, policy_outputs, values) != FINE:
                return BAD_NETWORK
            sample(policy_outputs, draws, t - drawn, given, actions, logprobs, action_rows)
            if not all_finite(logprobs):
                return BAD_LOGPROBS
            begun[0] += 1
            step_envs(env_actions, *envs)
            ended = count_step(rewards, counted, terminations, truncations, limit, returns, lengths, dones)
            if ended < 0:
                return BAD_REWARD
            # Loops, because Numba takes seconds to compile the assignment of one array to a part of another.
            for i in range(len(flat_actions)):
                all_actions[t, i] = flat_actions[i]
            for n in range(len(rewards)):
                all_logprobs[t, n], all_values[t, n], all_rewards[t, n] = logprobs[n], values[n], rewards[n]
                all_terminations[t, n], all_truncations[t, n] = terminations[n], truncations[n]
                valid[t, n] = True
            t += 1
        return ENDED if ended else DONE

    if not hasattr(step_envs, "py_func"):  # it is not compiled
        return many_steps
    return users_kernel(many_steps, key and fingerprint(key, many_steps.__code__, SAMPLERS[kind].__code__))
