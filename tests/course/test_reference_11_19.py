"""The worked functions of lessons 11 to 18, 21 and 22 are the kernels in float64, at the points of their exercises."""

from functools import cache

import numpy as np

from kernels import advantage, bernoulli, gaussian, loss, masked_categorical, mlp, moments, optimizer, squashed
from kernels.activation import activation_number
from kernels.linear import linear_backward_input
from ppo_np.course.grading import points_rng
from ppo_np.course.lesson import WORKED, lesson_of, load
from ppo_np.network.distributions import MultiCategorical

SEEDS = range(5)


@cache
def worked(number):
    lesson = lesson_of(str(number))
    return load(lesson.source, WORKED / f"{lesson.name}.py", [WORKED])


def calls(number, function):
    """(point, what the worked function returns there) for every point of an exercise at all seeds."""
    lesson = lesson_of(str(number))
    (exercise,) = (one for one in lesson.exercises if one.function == function)
    points = [p for seed in SEEDS for p in exercise.points(points_rng(seed, lesson.name, function))]
    assert len(points) >= 2 * len(SEEDS)
    return [(point, exercise.result(getattr(worked(number), function), point)) for point in points]


def assert_close(actual, expected, atol=1e-12):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=atol)


def forward_terms(point, **given):
    """The numbers that `LOSS_TERMS` names; what the point does not have is 0."""
    zeros, terms = np.zeros(len(getattr(point, "logprobs", getattr(point, "values", None)))), np.empty(6)
    names = "logprobs", "entropies", "values", "old_logprobs", "old_values", "advantages", "returns"
    arrays = [vars(point).get(name, zeros) for name in names]
    settings = [vars(point).get(name, 0.0) for name in ("ent_coef", "vf_coef")]
    clip_vloss = vars(point).get("clip_vloss", False)
    loss.ppo_loss_forward(*arrays, point.clip_coef, *settings, clip_vloss, point.clip_coef, terms)
    return dict(zip(loss.LOSS_TERMS, terms, strict=True))


def gradients(point, vf_coef):
    """dlogprobs, dentropies, dvalues of the kernel; what the point does not have is 0."""
    rows = len(getattr(point, "logprobs", getattr(point, "values", None)))
    zeros, outputs = np.zeros(rows), np.empty((3, rows))
    names = "logprobs", "values", "old_logprobs", "old_values", "advantages", "returns"
    arrays = [vars(point).get(name, zeros) for name in names]
    settings = point.clip_coef, vars(point).get("ent_coef", 0.0), vf_coef, vars(point).get("clip_vloss", False)
    loss.ppo_loss_backward(point.dloss, *arrays, *settings, point.clip_coef, *outputs)
    return outputs


def test_policy_loss():
    for point, mine in calls(11, "policy_loss"):
        assert_close(mine, forward_terms(point)["policy_loss"])
    for point, mine in calls(11, "policy_loss_backward"):
        assert_close(mine, gradients(point, 0.0)[0])


def test_value_loss():
    for point, mine in calls(12, "value_loss"):
        assert_close(mine, forward_terms(point)["value_loss"])
    for point, mine in calls(12, "value_loss_backward"):
        assert_close(mine, gradients(point, 1.0)[2])


def test_ppo_loss():
    for point, mine in calls(13, "ppo_loss"):
        assert_close(mine, forward_terms(point)["loss"])
    for point, mine in calls(13, "ppo_loss_backward"):
        assert_close(np.array(mine), gradients(point, point.vf_coef))


def tower(x, layers, activation, activate_last):
    """The kernel's outputs of a tower, [x, h_1, ..., h_L]."""
    weights, biases = tuple(zip(*layers, strict=True)) if layers else ((), ())
    outputs = tuple(np.empty((len(x), len(bias))) for bias in biases)
    if layers:
        mlp.mlp_forward(x, weights, biases, activation, activate_last, outputs)
    return [x, *outputs]


def tower_backward(dy, outputs, layers, activation, activate_last):
    """The kernel's [(dweight, dbias), ...] of a tower, and its dx."""
    weights, biases = tuple(zip(*layers, strict=True))
    dweights, dbiases = (tuple(np.empty_like(array) for array in arrays) for arrays in (weights, biases))
    doutputs = (*(np.empty_like(h) for h in outputs[1:-1]), dy.copy())
    mlp.mlp_backward(doutputs, outputs[0], tuple(outputs[1:]), weights, activation, activate_last, dweights, dbiases)
    dx = np.empty_like(outputs[0])
    linear_backward_input(doutputs[0], weights[0], dx)
    return list(zip(dweights, dbiases, strict=True)), dx


def test_actor_critic_forward():
    for point, (logits, values, outputs) in calls(13, "actor_critic_forward"):
        activation = activation_number(point.activation)
        shared = tower(point.obs, point.shared, activation, True)
        heads = [tower(shared[-1], layers, activation, False) for layers in (point.policy, point.value)]
        assert_close(logits, heads[0][-1])
        assert_close(values, heads[1][-1][:, 0])
        for mine, kernels in zip(outputs, (shared, *heads), strict=True):
            for one, other in zip(mine, kernels, strict=True):
                assert_close(one, other)


def test_actor_critic_backward():
    for point, mine in calls(13, "actor_critic_backward"):
        activation = activation_number(point.activation)
        shared, policy, value = point.outputs
        dpolicy, dh = tower_backward(point.dlogits, policy, point.policy, activation, False)
        dvalue, dh_value = tower_backward(point.dvalues[:, np.newaxis], value, point.value, activation, False)
        dshared = tower_backward(dh + dh_value, shared, point.shared, activation, True)[0] if point.shared else []
        for one, other in zip(mine, (dshared, dpolicy, dvalue), strict=True):
            assert len(one) == len(other)
            for (dweight, dbias), (kernels_dweight, kernels_dbias) in zip(one, other, strict=True):
                assert_close(dweight, kernels_dweight)
                assert_close(dbias, kernels_dbias)


def test_gaussian():
    for point, mine in calls(14, "gaussian_forward"):
        outputs = np.empty((2, len(point.actions)))
        gaussian.gaussian_forward(point.means, point.log_std, point.actions, *outputs)
        assert_close(np.array(mine), outputs)
    for point, (dmeans, dlog_std) in calls(14, "gaussian_backward"):
        kernels = np.empty_like(dmeans), np.empty_like(dlog_std)
        upstream = point.dlogprobs, point.dentropies
        gaussian.gaussian_backward(*upstream, point.means, point.log_std, point.actions, *kernels)
        assert_close(dmeans, kernels[0])
        assert_close(dlog_std, kernels[1])


def test_bernoulli():
    for point, mine in calls(15, "bernoulli_forward"):
        outputs = np.empty((2, len(point.actions)))
        bernoulli.bernoulli_forward(point.logits, point.actions, *outputs)
        assert_close(np.array(mine), outputs)
    for point, mine in calls(15, "bernoulli_backward"):
        dlogits = np.empty_like(point.logits)
        bernoulli.bernoulli_backward(point.dlogprobs, point.dentropies, point.logits, point.actions, dlogits)
        assert_close(mine, dlogits)


def test_multi_categorical():
    """The product calls the kernels of a single choice once for each choice."""
    for point, mine in calls(15, "multi_categorical_forward"):
        product = MultiCategorical(point.sizes, len(point.actions), np.float64)
        product.forward(point.logits, point.actions)
        assert_close(np.array(mine), np.array([product.logprobs, product.entropies]))
    for point, mine in calls(15, "multi_categorical_backward"):
        product, dlogits = MultiCategorical(point.sizes, len(point.actions), np.float64), np.empty_like(point.logits)
        product.forward(point.logits, point.actions)
        product.backward(point.dlogprobs, point.dentropies, point.logits, point.actions, dlogits)
        assert_close(mine, dlogits)


def test_normalize():
    for point, mine in calls(16, "normalize"):
        normalized = np.empty_like(point.advantages)
        advantage.normalize(point.advantages, normalized)
        assert_close(mine, normalized)


def test_update_moments():
    for point, mine in calls(16, "update_moments"):
        count, mean, variance = np.array([float(point.count)]), point.mean.copy(), point.variance.copy()
        moments.update_moments(point.x, np.ones(len(point.x), bool), count, mean, variance)
        assert mine[0] == count[0]
        assert_close(mine[1], mean)
        # The kernel uses mean' - mean before it rounds mean', which matters near 1e8.
        assert_close(mine[2], variance, atol=1e-12 + np.spacing(abs(mean).max()))


def test_clip_by_global_norm():
    for point, mine in calls(18, "clip_by_global_norm"):
        grads = np.concatenate([np.ravel(grad) for grad in point.grads])
        optimizer.clip_by_global_norm(grads, optimizer.global_norm(grads), point.max_norm)
        assert_close(np.concatenate([np.ravel(grad) for grad in mine]), grads)


def test_adam():
    for point, mine in calls(18, "adam"):
        state = [array.copy() for array in (point.params, point.grads, point.m, point.v)]
        optimizer.adam(*state, point.step, point.learning_rate, point.beta1, point.beta2, point.eps)
        for one, other in zip(mine, (state[0], *state[2:]), strict=True):
            assert_close(one, other)


def test_masked_categorical():
    for point, (p, logprobs, entropies) in calls(21, "masked_categorical_forward"):
        log_probs, outputs = np.empty_like(point.logits), np.empty((2, len(point.logits)))
        masked_categorical.masked_categorical_forward(
            point.logits, point.mask.astype(np.int8), point.actions, log_probs, *outputs
        )
        assert_close(p, np.exp(log_probs))
        assert_close(np.array([logprobs, entropies]), outputs)
    for point, mine in calls(21, "masked_categorical_backward"):
        dlogits, mask = np.empty_like(point.logits), point.mask.astype(np.int8)
        upstream = point.dlogprobs, point.dentropies
        masked_categorical.masked_categorical_backward(
            *upstream, mask, point.actions, point.log_probs, point.entropies, dlogits
        )
        assert_close(mine, dlogits)


def test_masked_categorical_sample():
    for point, mine in calls(21, "masked_categorical_sample"):
        actions, logprobs = np.empty(len(point.logits), np.int64), np.empty(len(point.logits))
        log_probs = np.empty_like(point.logits)
        masked_categorical.masked_categorical_sample(
            point.logits, point.mask.astype(np.int8), point.uniforms, log_probs, actions, logprobs
        )
        if point.label == "u is the largest number below 1":  # then rounding leaves the sums below 1
            assert (np.exp(log_probs).cumsum(axis=1)[:, -1] <= point.uniforms).all()
        np.testing.assert_array_equal(mine[0], actions)
        assert_close(mine[1], logprobs)


def test_log_slope():
    for point, mine in calls(22, "log_slope"):
        kernels = [squashed._log_slope(u, np.log(2.0)) for u in point.u.reshape(-1)]
        assert_close(mine, np.reshape(kernels, point.u.shape))


def squashed_arrays(point):
    """The kernel's means, log_std and actions: log sigma in each row, u and xi side by side; what is not given is 0."""
    zeros = np.zeros_like(point.means)
    actions = [vars(point).get(name, zeros) for name in ("u", "xi")]
    return point.means, point.log_std + zeros, np.concatenate(actions, axis=1)


def test_squashed():
    for function, output in (("squashed_forward", 0), ("squashed_entropy", 1)):
        for point, mine in calls(22, function):
            outputs = np.empty((2, len(point.means)))
            squashed.squashed_forward(*squashed_arrays(point), np.log(point.high - point.low), *outputs)
            assert_close(mine, outputs[output])
    for point, (dmeans, dlog_std) in calls(22, "squashed_backward"):
        kernels = np.empty((2, *point.means.shape))
        squashed.squashed_backward(point.dlogprobs, point.dentropies, *squashed_arrays(point), *kernels)
        assert_close(dmeans, kernels[0])
        assert_close(dlog_std, kernels[1].sum(axis=0))
