"""gradcheck's diagnosis and explain with the other distributions of real numbers."""

import json

import numpy as np
import pytest
from explain_cases import small, trained

from ppo_np.checking.next_minibatch import next_subject
from ppo_np.checking.numerical_check import check_gradients
from ppo_np.checking.walkthrough import as_json, walk
from ppo_np.network import continuous
from ppo_np.saving.checkpoint import read_checkpoint

KINDS = {
    "state": ({"log_std": "state"}, ["log_std", "zeta"]),
    "squashed": ({"action_distribution": "squashed"}, ["log_std", "zeta"]),
    "squashed, state": ({"action_distribution": "squashed", "log_std": "state"}, ["log_std", "zeta"]),
    "beta": ({"action_distribution": "beta"}, ["alpha and beta"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_explain_shows_the_next_minibatch(tmp_path, kind):
    settings, names = KINDS[kind]
    path = tmp_path / "checkpoint.h5"
    trained(path, actions="Box", update_epochs=1, num_minibatches=1, ent_coef=0.1, **settings)
    walkthrough = walk(next_subject(read_checkpoint(path)))
    assert walkthrough.wrong == []
    assert set(names) <= {line.name for line in walkthrough.lines}
    json.dumps(as_json(walkthrough), allow_nan=False)


def without_sigma(a):
    a.dmeans *= np.exp(a.log_std)


def noise_of(a):
    u, xi = np.split(a.actions, 2, axis=1)
    return u, np.exp(a.log_std) * xi


def with_u(a):
    """The gradient with u in place of mu + sigma xi: the same as long as the policy is that of the rollout."""
    u, move = noise_of(a)
    change = 2 * a.dentropies[:, np.newaxis] * (np.tanh(a.means + move) - np.tanh(u))
    a.dmeans += change
    a.dlog_std += change * move


def without_1(a):
    a.dlog_std += a.dlogprobs[:, np.newaxis]


# Which kernel is wrong, how, and what the hint of the row of the outputs must say.
MISTAKES = [
    ("state", "state_gaussian_backward", without_sigma, "1/sigma is missing"),
    ("state", "state_gaussian_backward", without_1, "the term -1 is missing"),
    ("squashed, state", "squashed_backward", with_u, "u stands in the entropy's part instead of mu + sigma xi"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "kernel", "mistake", "says"), MISTAKES)
def test_a_mistake_is_named(monkeypatch, kind, kernel, mistake, says):
    right = getattr(continuous, kernel)

    class Arguments:
        def __init__(self, dlogprobs, dentropies, means, log_std, actions, dmeans, dlog_std):
            self.__dict__ |= {name: value for name, value in locals().items() if name != "self"}

    def wrong(*arguments):
        right(*arguments)
        mistake(Arguments(*arguments))

    monkeypatch.setattr(continuous, kernel, wrong)
    checks = check_gradients(small("Box", ent_coef=0.3, **KINDS[kind][0])).wrong
    (hint,) = [check.hint for check in checks if check.name == "loss/dpolicy_outputs"]
    assert says in hint


@pytest.mark.parametrize("kind", ["squashed", "beta"])
@pytest.mark.parametrize("exchange", [lambda g, h: (h, g), lambda g, h: (g, -h)], ids=["exchanged", "sign"])
def test_a_mistake_with_the_upstream_gradients_is_named(monkeypatch, kind, exchange):
    right = getattr(continuous, f"{kind}_backward")

    def wrong(dlogprobs, dentropies, *arguments):
        right(*exchange(dlogprobs, dentropies), *arguments)

    monkeypatch.setattr(continuous, f"{kind}_backward", wrong)
    hints = [check.hint for check in check_gradients(small("Box", ent_coef=0.3, **KINDS[kind][0])).wrong]
    assert hints[0].startswith(("dlogprobs and dentropies are exchanged", "the sign of the entropy's part is wrong"))
