"""Many minibatches in one kernel: forward, loss, backward, clip, Adam.

`PPO._update` does the same for one minibatch after the other, with the same kernels. So the results have the same bits.

Shapes: M minibatches of R rows in all, in Q blocks; at most L rows in a block, and N blocks in a minibatch; D numbers
in an observation; K outputs of the policy head; P parameters.
"""

import math
from functools import cache

from kernels._jit import called_kernel, users_kernel
from kernels.acting import FINE, FROM_OBS, TO_POLICY_OUTPUTS, TO_VALUES, acting_forward
from kernels.activation import activation_backward
from kernels.advantage import normalize
from kernels.categorical import categorical_backward, categorical_forward
from kernels.finite import all_finite
from kernels.gaussian import gaussian_backward, gaussian_forward
from kernels.linear import linear_backward_input, linear_backward_parameters
from kernels.loss import ppo_loss_backward, ppo_loss_forward
from kernels.optimizer import adam, clip_by_global_norm, global_norm
from kernels.views import matrix
from ppo_np.environments.fingerprint import fingerprint


def _categorical_forward(outputs, actions, params, at, log_probs, logprobs, entropies):
    """`Categorical.forward`."""
    categorical_forward(outputs, actions, log_probs, logprobs, entropies)


def _categorical_backward(
    dlogprobs, dentropies, outputs, actions, params, at, log_probs, entropies, doutputs, grads
):  # fmt: skip
    """`Categorical.backward`."""
    categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, doutputs)


def _gaussian_forward(outputs, actions, params, at, log_probs, logprobs, entropies):
    """`Gaussian.forward`; log_std stands in the parameters at index `at`."""
    gaussian_forward(outputs, params[at : at + outputs.shape[1]], actions, logprobs, entropies)


def _gaussian_backward(dlogprobs, dentropies, outputs, actions, params, at, log_probs, entropies, doutputs, grads):
    """`Gaussian.backward`."""
    end = at + outputs.shape[1]
    gaussian_backward(dlogprobs, dentropies, outputs, params[at:end], actions, doutputs, grads[at:end])


def _backward(params, grads, layers, obs, activation, scratch, dscratch, dpolicy_outputs, dvalues):
    """`ActorCritic.backward` of a network without shared layers, after `acting_forward` with the same scratch."""
    rows = len(obs)
    for l in range(len(layers) - 1, -1, -1):
        at, inputs, width, source, target = layers[l, 0], layers[l, 1], layers[l, 2], layers[l, 3], layers[l, 4]
        end = at + inputs * width
        if target == TO_POLICY_OUTPUTS:
            dz = dpolicy_outputs
        elif target == TO_VALUES:
            dz = matrix(dvalues, 0, rows, 1)
        else:
            dz = matrix(dscratch, rows * target, rows, width)
            activation_backward(dz, matrix(scratch, rows * target, rows, width), activation)
        x = obs if source == FROM_OBS else matrix(scratch, rows * source, rows, inputs)
        linear_backward_parameters(dz, x, matrix(grads, at, inputs, width), matrix(grads, end, 1, width)[0])
        if source != FROM_OBS:
            dx = matrix(dscratch, rows * source, rows, inputs)
            linear_backward_input(dz, matrix(params, at, inputs, width), dx)


KINDS = {
    "Categorical": (_categorical_forward, _categorical_backward),
    "Gaussian": (_gaussian_forward, _gaussian_backward),
}


def _sum_of_blocks(sums, blocks, low, high):
    """sums_p <- sum_q blocks_qp,   low <= p < high, in the order of q."""
    for q in range(len(blocks)):
        for p in range(low, high):
            sums[p] = blocks[q, p] if q == 0 else sums[p] + blocks[q, p]


def _step(first, end, number, rows, network, part, limits, optimizer, results):
    """Clip the gradient and step, as `PPO._update`; False if something is not finite: then nothing has changed.

    Args:
        first, end: where the rows of minibatch `number` begin and end; the others as for `minibatches`.
    """
    _, _, logprobs, values, advantages, returns, _ = rows
    (low, high, with_policy, with_value), (max_grad_norm, largest_norm) = part, limits
    params, grads = network[0][low:high], network[1][low:high]
    m, v, steps, learning_rate, beta1, beta2, eps = optimizer
    _, terms, norms = results
    norm = global_norm(grads)
    fine = all_finite(terms[number]) and math.isfinite(norm) and min(norm, max_grad_norm) <= largest_norm
    if with_policy:
        fine = fine and all_finite(logprobs[first:end]) and all_finite(advantages[first:end])
    if with_value:
        fine = fine and all_finite(values[first:end]) and all_finite(returns[first:end])
    if not (fine and all_finite(params)):
        return False
    clip_by_global_norm(grads, norm, max_grad_norm)
    adam(params, grads, m[low:high], v[low:high], steps + number + 1, learning_rate, beta1, beta2, eps)
    norms[number] = norm
    return True


@cache
def update_kernel(kind):
    """The kernel `minibatches` for a distribution; `kind` is a key of KINDS."""
    forward, backward = (called_kernel(one) for one in KINDS[kind])
    network_backward, sum_of_blocks, step = map(called_kernel, (_backward, _sum_of_blocks, _step))

    def block_gradient(first, end, share, dparams, terms, rows, network, part, work, loss):
        """Forward, loss and backward of a block.

        Args:
            first, end: where its rows begin and end.
            share: of the rows of the minibatch; the results are multiplied by it.
            dparams: its gradient, (P,), overwritten by that of the layers. terms: its loss terms, (6,), overwritten.
            The others as for `minibatches`.

        Returns whether the outputs of the network are finite.
        """
        own, n = slice(first, end), end - first
        all_obs, all_actions, all_logprobs, all_values, all_advantages, all_returns, _ = rows
        obs, actions, old_logprobs, old_values = all_obs[own], all_actions[own], all_logprobs[own], all_values[own]
        advantages, returns = all_advantages[own], all_returns[own]
        params, _, _, layers, activation, at = network
        _, _, with_policy, with_value = part
        scratch, dscratch = work[:2]
        outputs, doutputs, log_probs = work[2][:n], work[3][:n], work[4][:n]
        values, dvalues, logprobs, dlogprobs = work[5][:n], work[6][:n], work[7][:n], work[8][:n]
        entropies, dentropies, zeros = work[9][:n], work[10][:n], work[11][:n]
        clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef = loss

        if acting_forward(params, layers, obs, math.inf, activation, scratch, outputs, values) != FINE:
            return False
        if with_policy:
            forward(outputs, actions, params, at, log_probs, logprobs, entropies)
        else:
            old_logprobs, advantages = zeros, zeros
        if not with_value:
            old_values, returns = zeros, zeros
        ppo_loss_forward(
            logprobs, entropies, values, old_logprobs, old_values, advantages, returns,
            clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef, terms,
        )  # fmt: skip
        for i in range(len(terms)):
            terms[i] *= share

        ppo_loss_backward(
            share, logprobs, values, old_logprobs, old_values, advantages, returns,
            clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef, dlogprobs, dentropies, dvalues,
        )  # fmt: skip
        if with_policy:
            backward(
                dlogprobs, dentropies, outputs, actions, params, at, log_probs, entropies, doutputs, dparams
            )  # fmt: skip
        network_backward(params, dparams, layers, obs, activation, scratch, dscratch, doutputs, dvalues)
        return True

    gradient = called_kernel(block_gradient)

    def minibatches(
        todo, ends, block_ends, blocks, shares, rows, network, part, work, loss, limits, optimizer, results
    ):
        """Do minibatches until one needs a closer look; returns its number, otherwise the number after the last one.

        Args:
            todo: number of the first minibatch, and the one after the last; of the first block, and the one after the
                last: others are left out; whether to normalise advantages; whether to step, after the last block of a
                minibatch. So threads can compute some blocks each, before one call does the steps.
            ends: where the rows of minibatches begin and end, (M + 1,). block_ends: the same of their blocks, (M + 1,).
            blocks: (Q, 2), the first row, counted in the minibatch, and the one after the last.
            shares: of the rows of the minibatch, (Q,).
            rows: obs, (R, D); actions, (R, ...); old_logprobs, old_values, advantages, returns, (R,) each; whether the
                advantages of each minibatch are normalised, which is done in place, with the policy.
            network: params, grads, (P,); gradients of blocks, (N, P); layers and activation of `acting_forward`; index
                of log_std in params. The layers may be those of the policy or of the value alone.
            part: the first parameter of these layers, and the one after the last; whether the policy is among them, and
                whether the value is.
            work: for a block: scratch and dscratch of the layers; policy_outputs, dpolicy_outputs, log_probs, (L, K);
                values, dvalues, logprobs, dlogprobs, entropies, dentropies, zeros, (L,). Without the policy, or the
                value, what belongs to it must be 0, and so are its terms of the loss.
            loss: clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef.
            limits: max_grad_norm, and the largest norm before which the gradient is clipped without overflow.
            optimizer: m, v, (P,); steps before; learning_rate, beta1, beta2, eps.
            results: loss terms of blocks, (Q, 6), and of minibatches, (M, 6); norms of the gradients before clipping,
                (M,); overwritten.
        """
        start, stop, first_block, end_block, begins, steps_too = todo
        advantages, norm_adv = rows[4], rows[6]
        _, grads, block_grads, _, _, _ = network
        low, high, with_policy, _ = part
        block_terms, terms, _ = results
        for number in range(start, stop):
            first, end = ends[number], ends[number + 1]
            if begins and norm_adv and with_policy:
                normalize(advantages[first:end], advantages[first:end])

            q0, q1 = block_ends[number], block_ends[number + 1]
            for q in range(max(q0, first_block), min(q1, end_block)):
                dparams = grads if q1 == q0 + 1 else block_grads[q - q0]
                own = first + blocks[q, 0], first + blocks[q, 1]
                if not gradient(*own, shares[q], dparams, block_terms[q], rows, network, part, work, loss):
                    return number
            if not steps_too:
                continue

            sum_of_blocks(terms[number], block_terms[q0:q1], 0, terms.shape[1])
            if q1 > q0 + 1:
                sum_of_blocks(grads, block_grads[: q1 - q0], low, high)
            if not step(first, end, number, rows, network, part, limits, optimizer, results):
                return number
        return stop

    functions = minibatches, block_gradient, *KINDS[kind], _backward, _sum_of_blocks, _step
    return users_kernel(minibatches, fingerprint(kind, *(one.__code__ for one in functions)))
