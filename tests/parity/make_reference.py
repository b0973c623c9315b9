"""Write reference.json: one PPO update of a small problem by torch's autograd, by CleanRL's formulas and by SB3 itself.

Run by hand, in a virtual environment of its own; nothing else in the project needs torch:

    python3 -m venv .venv-parity
    .venv-parity/bin/pip install "torch==2.13.*" "stable-baselines3==2.9.*"
    .venv-parity/bin/python tests/parity/make_reference.py

`tests/parity/test_parity.py` compares our update with the file; README.md beside this script lists the conventions.

Four updates start from the problem of problem.py, in float64:
    ours            our conventions, the gradient by autograd
    cleanrl         the formulas of CleanRL's ppo.py in our own words (that file is a script: it cannot be imported)
    sb3             sb3_update.py without clipping of the value, SB3's default
    sb3_clip_vloss  the same with clip_range_vf
"""

import json
import platform
from datetime import date
from pathlib import Path

import gymnasium
import numpy as np
import stable_baselines3
import torch
from problem import MINIBATCH, SETTINGS, N, T, forward, make_problem
from sb3_update import sb3_update

FILE = Path(__file__).with_name("reference.json")


def advantages_and_returns(rollout, bootstrap_truncations):
    """GAE by its recursion: a truncated episode goes on with V(final observation), or else with 0."""
    done = rollout["terminations"] | rollout["truncations"]
    final_values = np.where(rollout["terminations"], 0, rollout["final_values"]) if bootstrap_truncations else 0
    next_values = np.where(done, final_values, rollout["values"][1:])
    deltas = rollout["rewards"] + SETTINGS["gamma"] * next_values - rollout["values"][:-1]
    advantages = np.zeros((T + 1, N))
    for t in reversed(range(T)):
        advantages[t] = deltas[t] + SETTINGS["gamma"] * SETTINGS["gae_lambda"] * ~done[t] * advantages[t + 1]
    return advantages[:T], advantages[:T] + rollout["values"][:-1]


def loss_terms(theta, batch, ddof):
    """The loss of a minibatch and what is logged beside it: CleanRL's with ddof 1, ours with ddof 0."""
    clip = SETTINGS["clip_coef"]
    logits, values = forward(theta, batch["obs"], torch.tanh)
    pi = torch.distributions.Categorical(logits=logits)
    log_ratio = pi.log_prob(batch["actions"]) - batch["logprobs"]
    ratio = log_ratio.exp()
    spread = batch["advantages"].std(correction=ddof) + 1e-8
    weights = (batch["advantages"] - batch["advantages"].mean()) / spread
    policy_loss = -torch.minimum(weights * ratio, weights * ratio.clamp(1 - clip, 1 + clip)).mean()
    near = batch["values"] + (values - batch["values"]).clamp(-clip, clip)
    errors = torch.maximum((values - batch["returns"]) ** 2, (near - batch["returns"]) ** 2)
    value_loss, entropy = errors.mean() / 2, pi.entropy().mean()
    return {
        "loss": policy_loss - SETTINGS["ent_coef"] * entropy + SETTINGS["vf_coef"] * value_loss,
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "approx_kl": (ratio - 1 - log_ratio).mean(),
        "clipfrac": ((ratio - 1).abs() > clip).double().mean(),
    }


def clip_exactly(tensors, max_norm):
    """Our convention: g max_norm / |g| if |g| > max_norm. Torch's function divides by |g| + 1e-6."""
    norm = torch.sqrt(sum((tensor.grad**2).sum() for tensor in tensors))
    if norm > max_norm:
        for tensor in tensors:
            tensor.grad *= max_norm / norm
    return norm


def autograd_update(problem, *, ddof, bootstrap_truncations, clip):
    """One update with torch's autograd and Adam; the keyword arguments are what CleanRL and we do differently."""
    theta = {name: torch.tensor(tensor, requires_grad=True) for name, tensor in problem["parameters"].items()}
    adam = torch.optim.Adam(theta.values(), lr=SETTINGS["learning_rate"], eps=SETTINGS["adam_eps"])
    rollout = problem["rollout"]
    advantages, returns = advantages_and_returns(rollout, bootstrap_truncations)
    columns = {name: rollout[name] for name in ("obs", "actions", "logprobs")}
    columns |= {"values": rollout["values"][:-1], "advantages": advantages, "returns": returns}
    flat = {name: torch.tensor(column.reshape(T * N, *column.shape[2:])) for name, column in columns.items()}
    logged = []
    for rows in problem["permutations"].reshape(-1, MINIBATCH):
        terms = loss_terms(theta, {name: column[rows] for name, column in flat.items()}, ddof)
        adam.zero_grad()
        terms["loss"].backward()
        terms["grad_norm"] = clip(list(theta.values()), SETTINGS["max_grad_norm"])
        adam.step()
        logged.append({name: term.item() for name, term in terms.items()})
    terms = {name: [row[name] for row in logged] for name in logged[0]}
    grad_norm = terms.pop("grad_norm")
    return {"advantages": advantages, "returns": returns, "terms": terms, "grad_norm": grad_norm}, theta, adam


def with_tensors(results, theta, optimizer, transpose=False):
    """The results, and by name the parameters and Adam's moments after the update. torch.nn's weights are (O, I)."""
    states = {name: optimizer.state[tensor] for name, tensor in theta.items()}
    tensors = {
        "params": {name: tensor.data for name, tensor in theta.items()},
        "m": {name: state["exp_avg"] for name, state in states.items()},
        "v": {name: state["exp_avg_sq"] for name, state in states.items()},
    }
    for key, named in tensors.items():
        results[key] = {name: tensor.numpy().T if transpose else tensor.numpy() for name, tensor in named.items()}
    return results


def to_text(value, depth=0):
    """JSON with one line an array; Python writes a float64 so that it reads back to the same bits."""
    if not isinstance(value, dict):
        return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, allow_nan=False)
    lines = [f"{' ' * (depth + 1)}{json.dumps(key)}: {to_text(item, depth + 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    problem = make_problem()
    ours = autograd_update(problem, ddof=0, bootstrap_truncations=True, clip=clip_exactly)
    cleanrl = autograd_update(problem, ddof=1, bootstrap_truncations=False, clip=torch.nn.utils.clip_grad_norm_)
    modules = {"numpy": np, "torch": torch, "gymnasium": gymnasium, "stable_baselines3": stable_baselines3}
    content = {
        "date": date.today().isoformat(),
        "versions": {"python": platform.python_version()} | {k: str(m.__version__) for k, m in modules.items()},
        "settings": SETTINGS,
        **problem,
        "results": {
            "ours": with_tensors(*ours),
            "cleanrl": with_tensors(*cleanrl),
            "sb3": with_tensors(*sb3_update(problem, None), transpose=True),
            "sb3_clip_vloss": with_tensors(*sb3_update(problem, SETTINGS["clip_coef"]), transpose=True),
        },
    }
    FILE.write_text(to_text(content) + "\n", encoding="utf-8")
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
