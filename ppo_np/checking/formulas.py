"""Formula, function and file of each quantity in a walk through a minibatch, as the file itself states them."""

from typing import NamedTuple

from ppo_np.network.action_head import ActionHead
from ppo_np.network.continuous import Beta, Squashed, StateGaussian, StateSquashed
from ppo_np.network.distributions import Bernoulli, Categorical, Distribution, Gaussian, MultiCategorical


class Source(NamedTuple):
    """Where a quantity comes from. `formula` stands in the file with these words, but perhaps over several lines."""

    formula: str
    function: str
    file: str


ACTIVATION, CATEGORICAL = "kernels/activation.py", "kernels/categorical.py"
MASKED = "kernels/masked_categorical.py"
BERNOULLI, GAUSSIAN = "kernels/bernoulli.py", "kernels/gaussian.py"
SQUASHED, BETA = "kernels/squashed.py", "kernels/beta.py"
LINEAR, LOSS, OPTIMIZER = "kernels/linear.py", "kernels/loss.py", "kernels/optimizer.py"
DISTRIBUTIONS, MODEL = "ppo_np/network/distributions.py", "ppo_np/network/model.py"
CONTINUOUS = "ppo_np/network/continuous.py"

SOURCES = {
    "linear": Source("y_bo = sum_i x_bi W_io + b_o", "linear_forward", LINEAR),
    "relu": Source("h_bo <- max(h_bo, 0)", "relu_forward", ACTIVATION),
    "tanh": Source("h_bo <- tanh(h_bo)", "tanh_forward", ACTIVATION),
    "ratio": Source("rho_b = exp(log pi_b - log pi_old_b)", "ppo_loss_forward", LOSS),
    "surrogate": Source(
        "L_pi = mean_b max(-A_b rho_b, -A_b clip(rho_b, 1-epsilon, 1+epsilon))", "ppo_loss_forward", LOSS
    ),
    "clipped_values": Source("Vc_b = V_old_b + clip(V_b - V_old_b, -epsilon_V, epsilon_V)", "ppo_loss_forward", LOSS),
    "value_loss": Source("L_V = 1/2 mean_b max((V_b - R_b)^2, (Vc_b - R_b)^2)", "ppo_loss_forward", LOSS),
    "value_loss_unclipped": Source("L_V = 1/2 mean_b (V_b - R_b)^2", "ppo_loss_forward", LOSS),
    "loss": Source("L = L_pi - c_H mean_b H_b + c_V L_V", "ppo_loss_forward", LOSS),
    "dlogprobs": Source(
        "dlogpi_b = dloss/B (-A_b rho_b), but 0 if rho_b > 1+epsilon and A_b > 0, or rho_b < 1-epsilon and A_b < 0",
        "ppo_loss_backward", LOSS,
    ),
    "dentropies": Source("dH_b = dloss/B (-c_H)", "ppo_loss_backward", LOSS),
    "dvalues": Source(
        "dV_b = dloss/B c_V (V_b - R_b), but 0 if |V_b - V_old_b| > epsilon_V and |Vc_b - R_b| > |V_b - R_b|",
        "ppo_loss_backward", LOSS,
    ),
    "dinput": Source("dx = dy W^T", "linear_backward_input", LINEAR),
    "fork": Source("dh = dh_policy + dh_value", "ActorCritic.backward", MODEL),
    "drelu": Source("dh_bo <- dh_bo if h_bo > 0, else 0", "relu_backward", ACTIVATION),
    "dtanh": Source("dh_bo <- dh_bo (1 - h_bo^2)", "tanh_backward", ACTIVATION),
    "dweight": Source("dW = x^T dy", "linear_backward_parameters", LINEAR),
    "dbias": Source("db_o = sum_b dy_bo", "linear_backward_parameters", LINEAR),
    "norm": Source("|g| = sqrt(sum_p g_p^2)", "global_norm", OPTIMIZER),
    "clip": Source("g <- g max_norm / |g| if |g| > max_norm", "clip_by_global_norm", OPTIMIZER),
    "m": Source("m <- beta1 m + (1 - beta1) g", "adam", OPTIMIZER),
    "v": Source("v <- beta2 v + (1 - beta2) g^2", "adam", OPTIMIZER),
    "step": Source(
        "theta <- theta - lr mhat / (sqrt(vhat) + eps), mhat = m / (1 - beta1^k), vhat = v / (1 - beta2^k)",
        "adam", OPTIMIZER,
    ),
}  # fmt: skip

_LOG_SOFTMAX = Source(
    "log p_bk = (l_bk - lmax_b) - log sum_j exp(l_bj - lmax_b), lmax_b = max_j l_bj", "log_softmax", CATEGORICAL
)
_P = Source("p = math.exp(log_probs[b, k])", "categorical_backward", CATEGORICAL)
_DLOGITS = Source(
    "dl_bk = dlogpi_b (1[k = a_b] - p_bk) - dH_b p_bk (log p_bk + H_b)", "categorical_backward", CATEGORICAL
)
_SQUASHED = {
    "zeta": Source("zeta_ba = (u_ba - mu_ba) / sigma_ba", "squashed_forward", SQUASHED),
    "logprobs": Source(
        "log pi_b = - sum_a (zeta_ba^2 / 2 + log sigma_ba + log(2 pi) / 2 + log |da/du|(u_ba))",
        "squashed_forward", SQUASHED,
    ),
    "entropies": Source(
        "H_b = sum_a (log sigma_ba + log(2 pi e) / 2 + log |da/du|(mu_ba + sigma_ba xi_ba))",
        "squashed_forward", SQUASHED,
    ),
    "doutputs": Source(
        "dmu_ba = dlogpi_b zeta_ba / sigma_ba - 2 dH_b t_ba, t_ba = tanh(mu_ba + sigma_ba xi_ba)",
        "squashed_backward", SQUASHED,
    ),
}  # fmt: skip
OF_DISTRIBUTION: dict[type[Distribution], dict[str, Source]] = {
    Categorical: {
        "log_probs": _LOG_SOFTMAX,
        "probabilities": _P,
        "logprobs": Source("log pi_b = log p_b(a_b)", "categorical_forward", CATEGORICAL),
        "entropies": Source("H_b = - sum_k p_bk log p_bk", "categorical_forward", CATEGORICAL),
        "doutputs": _DLOGITS,
    },
    MultiCategorical: {
        "log_probs": _LOG_SOFTMAX,
        "probabilities": _P,
        "logprobs": Source("log pi(a) = sum_s log pi_s(a_s)", "MultiCategorical.forward", DISTRIBUTIONS),
        "entropies": Source("H = sum_s H_s", "MultiCategorical.forward", DISTRIBUTIONS),
        "doutputs": _DLOGITS,
    },
    Bernoulli: {
        "probabilities": Source("q = 1 / (1 + e^-l)", "bernoulli_sample", BERNOULLI),
        "logprobs": Source("log pi_b = sum_a (x_ba l_ba - softplus(l_ba))", "bernoulli_forward", BERNOULLI),
        "entropies": Source("H_b = sum_a (softplus(l_ba) - q_ba l_ba)", "bernoulli_forward", BERNOULLI),
        "doutputs": Source(
            "dl_ba = dlogpi_b (x_ba - q_ba) - dH_b l_ba q_ba (1 - q_ba)", "bernoulli_backward", BERNOULLI
        ),
    },
    Gaussian: {
        "zeta": Source("zeta_ba = (x_ba - mu_ba) / sigma_a", "gaussian_forward", GAUSSIAN),
        "logprobs": Source(
            "log pi_b = - sum_a (zeta_ba^2 / 2 + log sigma_a + log(2 pi) / 2)", "gaussian_forward", GAUSSIAN
        ),
        "entropies": Source("H_b = sum_a (log sigma_a + log(2 pi e) / 2)", "gaussian_forward", GAUSSIAN),
        "doutputs": Source("dmu_ba = dlogpi_b zeta_ba / sigma_a", "gaussian_backward", GAUSSIAN),
        "dlog_std": Source(
            "dlog_sigma_a = sum_b (dlogpi_b (zeta_ba^2 - 1) + dH_b)", "gaussian_backward", GAUSSIAN
        ),
    },
    StateGaussian: {
        "zeta": Source("zeta_ba = (x_ba - mu_ba) / sigma_ba", "state_gaussian_forward", GAUSSIAN),
        "logprobs": Source(
            "log pi_b = - sum_a (zeta_ba^2 / 2 + log sigma_ba + log(2 pi) / 2)", "state_gaussian_forward", GAUSSIAN
        ),
        "entropies": Source("H_b = sum_a (log sigma_ba + log(2 pi e) / 2)", "state_gaussian_forward", GAUSSIAN),
        "doutputs": Source(
            "dmu_ba = dlogpi_b zeta_ba / sigma_ba dlog_sigma_ba = dlogpi_b (zeta_ba^2 - 1) + dH_b",
            "state_gaussian_backward", GAUSSIAN,
        ),
    },
    StateSquashed: _SQUASHED,
    Squashed: _SQUASHED | {
        "dlog_std": Source("dlog_sigma_a = sum_b dlog_sigma_ba", "Squashed._join", CONTINUOUS),
    },
    Beta: {
        "parameters": Source("alpha = 1 + softplus(o), beta = 1 + softplus(o')", "beta_forward", BETA),
        "logprobs": Source(
            "log pi_b = sum_a ((alpha_ba - 1) log x_ba + (beta_ba - 1) log(1 - x_ba) - log B_ba - log(high_a - low_a))",
            "beta_forward", BETA,
        ),
        "entropies": Source(
            "H_b = sum_a (log B_ba - (alpha_ba - 1) psi(alpha_ba) - (beta_ba - 1) psi(beta_ba) "
            "+ (alpha_ba + beta_ba - 2) psi(alpha_ba + beta_ba) + log(high_a - low_a))", "beta_forward", BETA,
        ),
        "doutputs": Source("do_ba = dalpha_ba / (1 + e^-o_ba)", "beta_backward", BETA),
    },
}  # fmt: skip


def sources_of(head: ActionHead) -> dict[str, Source]:
    """The formulas of a distribution; with masks, where the kernels for valid actions compute them."""
    sources = OF_DISTRIBUTION[head.kind]
    if not head.masked:
        return sources
    masked = {name: one._replace(function=f"masked_{one.function}", file=MASKED) for name, one in sources.items()}
    return {name: masked[name] if one.file == CATEGORICAL else one for name, one in sources.items()}
