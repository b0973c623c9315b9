"""The diagnosis of wrong gradients: mistakes that are not in the list of planted bugs, and what must not be named."""

import numpy as np
import pytest
from gradcheck_cases import BOX, MULTI_BINARY, TERMS, of_spaces, small
from gymnasium import spaces

from ppo_np.checking.gradient_diagnosis import OTHER_FORWARD, before
from ppo_np.checking.numerical_check import check_gradients
from ppo_np.checking.planted_bugs import (
    BERNOULLI,
    BUGS,
    CATEGORICAL,
    GAUSSIAN,
    LAYERS,
    LOSS,
    NETWORK,
    PlantedBug,
    planted,
)
from ppo_np.network.action_head import ActionHead, discrete
from ppo_np.network.distributions import Gaussian
from ppo_np.network.model import LOG_STD, ActorCritic

MULTI_DISCRETE = of_spaces("TwoChoices", spaces.MultiDiscrete([3, 2]))
ONE_CHOICE = of_spaces("OneChoice", spaces.Discrete(1))
ONE_NUMBER = of_spaces("OneNumber", spaces.Box(-1, 1, (1,)))
B = 36


@pytest.fixture
def report_with(monkeypatch):
    """The report with a mistake: a function of the arguments by name, called after the right one."""

    def report_with(place, mistake, **settings):
        def wrong(right, a):
            right()
            mistake(a)

        monkeypatch.setitem(BUGS, "homemade", PlantedBug("Homemade.", wrong, place, None))
        config = small(**settings)
        with planted("homemade", config):
            return check_gradients(config)

    return report_with


@pytest.fixture
def hints_with(report_with):
    """The hints of the wrong gradients with a mistake."""
    return lambda *mistake, **settings: {check.name: check.hint for check in report_with(*mistake, **settings).wrong}


def ratio(a):
    return np.exp(a.logprobs - a.old_logprobs)


def set_to(array, values):
    array[:] = values


def outside(a):
    return np.abs(a.values - a.old_values) > a.clip_coef


def only_region(a):
    a.dlogprobs[(a.advantages < 0) & (ratio(a) > 1 + a.clip_coef)] *= 1.3


def clipped_error(a):
    change = np.clip(a.values - a.old_values, -a.clip_coef, a.clip_coef)
    set_to(a.dvalues, a.vf_coef / B * np.where(outside(a), a.old_values + change - a.returns, a.values - a.returns))


LOSS_MISTAKES = {
    "the ratio and the clip are missing": (0, lambda a: set_to(a.dlogprobs, -a.advantages / B)),
    "the clipped ratio stands in it": (
        0, lambda a: set_to(a.dlogprobs, -a.advantages / B * np.clip(ratio(a), 1 - a.clip_coef, 1 + a.clip_coef)),
    ),
    "only rows of these kinds are wrong: A<0, r>1+e": (0, only_region),
    "ent_coef is missing": (1, lambda a: set_to(a.dentropies, -1 / B)),
    "it is 1/2 times the right one": (1, lambda a: set_to(a.dentropies, a.dentropies / 2)),
    "it is 0 wherever the value is outside": (2, lambda a: set_to(a.dvalues, np.where(outside(a), 0, a.dvalues))),
    "the clipped error stands in it wherever the value is outside": (2, clipped_error),
    "vf_coef is missing": (2, lambda a: set_to(a.dvalues, a.dvalues / a.vf_coef)),
}  # fmt: skip


@pytest.mark.parametrize("says", LOSS_MISTAKES)
def test_a_mistake_in_the_loss_is_named(hints_with, says):
    row, mistake = LOSS_MISTAKES[says]
    assert hints_with(LOSS, mistake, vf_coef=0.7)[TERMS[row]].startswith(says)


def test_mistakes_that_give_the_same_numbers_are_all_named(hints_with):
    hints = hints_with(LOSS, lambda a: set_to(a.dvalues, 2 * a.dvalues), vf_coef=0.5)
    assert hints[TERMS[2]] == "the square's derivative lacks its factor 1/2 or vf_coef is missing"


def column(array):
    return array[:, np.newaxis]


def p_of(a):
    return np.exp(a.log_probs)


HEAD_MISTAKES = [
    (CATEGORICAL, {}, "the entropy's part is missing",
     lambda a: set_to(a.dlogits, a.dlogits + column(a.dentropies) * p_of(a) * (a.log_probs + column(a.entropies)))),
    (CATEGORICAL, {}, "the term dlogpi 1[k = a] has the factor 2 instead of 1",
     lambda a: np.add.at(a.dlogits, (np.arange(B), a.actions), a.dlogprobs)),
    (CATEGORICAL, {}, "the sign is wrong", lambda a: set_to(a.dlogits, -a.dlogits)),
    (CATEGORICAL, {"env_id": MULTI_DISCRETE}, "the term -dlogpi p is missing",
     lambda a: set_to(a.dlogits, a.dlogits + column(a.dlogprobs) * p_of(a))),
    (CATEGORICAL, {"env_id": MULTI_DISCRETE}, "in part 1 of 2: the term -dH p H is missing",
     lambda a: set_to(a.dlogits, a.dlogits + (a.dlogits.shape[1] == 3) * column(a.dentropies * a.entropies) * p_of(a))),
    (CATEGORICAL, {"env_id": MULTI_DISCRETE},
     "in part 2 of 2: the entropy's part keeps the + 1 of the derivative of p log p",
     lambda a: set_to(a.dlogits, a.dlogits - (a.dlogits.shape[1] == 2) * column(a.dentropies) * p_of(a))),
    (BERNOULLI, {"env_id": MULTI_BINARY}, "the term dlogpi x has the factor 3 instead of 1",
     lambda a: set_to(a.dlogits, a.dlogits + 2 * column(a.dlogprobs) * a.actions)),
    (GAUSSIAN, {"env_id": BOX}, "x - mu stands in it instead of zeta / sigma",
     lambda a: set_to(a.dmeans, column(a.dlogprobs) * (a.actions - a.means))),
]  # fmt: skip


@pytest.mark.parametrize(("place", "settings", "says", "mistake"), HEAD_MISTAKES)
def test_a_mistake_in_a_distribution_is_named(hints_with, place, settings, says, mistake):
    hints = hints_with(place, mistake, ent_coef=0.3, **settings)
    row = "loss/dmeans" if place == GAUSSIAN else TERMS[3]
    assert hints[row] == says


@pytest.mark.parametrize("env_id", [BOX, ONE_NUMBER])
@pytest.mark.parametrize(
    ("says", "mistake"),
    [
        ("the entropy's part is missing", lambda a: set_to(a.dlog_std, a.dlog_std - a.dentropies.sum())),
        ("it is the mean over the rows instead of their sum", lambda a: set_to(a.dlog_std, a.dlog_std / B)),
    ],
)
def test_a_mistake_in_log_std_is_named_even_of_a_single_number(hints_with, env_id, says, mistake):
    assert hints_with(GAUSSIAN, mistake, env_id=env_id, ent_coef=0.3) == {LOG_STD: says}


@pytest.mark.parametrize(
    ("says", "change"),
    [("the sign is wrong", np.negative), ("it is 3 times the right one", lambda w: 3 * w)],
)
def test_a_mistake_in_one_layer_is_named_there_alone(hints_with, says, change):
    def mistake(a):
        if len(a.dweights) == 2:
            set_to(a.dweights[0], change(a.dweights[0]))

    assert hints_with(LAYERS, mistake) == {"shared/0/weight": says}


def test_two_mistakes_on_the_way_to_a_tensor_are_both_named(hints_with):
    def mistake(a):
        if len(a.dweights) == 2:
            set_to(a.doutputs[0], -a.doutputs[0])
            set_to(a.dbiases[0], a.doutputs[0].sum(axis=0))
            set_to(a.dweights[0], B * a.x.T @ a.doutputs[0])

    hints = hints_with(LAYERS, mistake)
    assert hints.pop("shared/0/bias") == "the sign is wrong"
    assert hints == {
        "shared/0/weight": "it is B times too large, B the number of rows: a sum instead of a mean; the sign is wrong"
    }


def unknown_mistakes():
    def noisy(array):
        array *= 1 + 0.1 * np.random.default_rng(0).standard_normal(array.shape)

    yield LOSS, lambda a: noisy(a.dlogprobs), {}
    yield LOSS, lambda a: set_to(a.dlogprobs, a.dlogprobs * ratio(a)), {}
    yield LOSS, lambda a: noisy(a.dvalues), {}
    yield CATEGORICAL, lambda a: noisy(a.dlogits), {}
    yield CATEGORICAL, lambda a: set_to(a.dlogits, a.dlogits + 0.1 * a.dlogits**2), {"env_id": MULTI_DISCRETE}
    yield BERNOULLI, lambda a: noisy(a.dlogits), {"env_id": MULTI_BINARY}
    yield GAUSSIAN, lambda a: noisy(a.dmeans), {"env_id": BOX}
    yield GAUSSIAN, lambda a: noisy(a.dlog_std), {"env_id": BOX}
    yield LAYERS, lambda a: [noisy(array) for array in (*a.dweights, *a.dbiases)], {}
    yield NETWORK, lambda a: noisy(a.self.grads), {"env_id": BOX}


@pytest.mark.parametrize(("place", "mistake", "settings"), list(unknown_mistakes()))
def test_an_unknown_mistake_is_not_called_a_known_one(report_with, place, mistake, settings):
    report = report_with(place, mistake, ent_coef=0.3, **settings)
    places = {turn.wrong for turn in report.turns}
    firsts = [check for check in report.wrong if check.name in places or check.name.rpartition("/")[0] in places]
    assert firsts
    neutral = ("no common factor", "only 1 of", "only rows of these kinds")
    for check in firsts:
        assert check.hint.startswith(neutral) or (np.prod(check.shape) == 1 and " instead of " in check.hint), check


def test_a_single_wrong_number_is_given_with_the_right_one(report_with):
    def mistake(a):
        set_to(a.dbiases[-1], 2 * a.dbiases[-1])

    checks = {check.name: check for check in report_with(LAYERS, mistake).wrong}
    assert checks["policy/head/bias"].hint == "it is 2 times the right one"
    one = checks["value/head/bias"]
    assert one.hint == f"{one.analytic:.5g} instead of {one.numeric:.5g}"


def test_another_forward_pass_is_not_taken_for_a_mistake_of_the_backward_pass(monkeypatch):
    from ppo_np.network import distributions

    right = distributions.categorical_forward

    def in_bits(logits, actions, log_probs, logprobs, entropies):
        right(logits, actions, log_probs, logprobs, entropies)
        entropies /= np.log(2)

    monkeypatch.setattr(distributions, "categorical_forward", in_bits)
    wrong = {check.name: check.hint for check in check_gradients(small(ent_coef=0.3)).wrong}
    assert wrong
    assert all(hint.endswith(OTHER_FORWARD) for hint in wrong.values())


def test_one_choice_only_has_no_gradient_to_be_wrong(report_with):
    report = report_with(CATEGORICAL, lambda a: set_to(a.dlogits, a.dlogits + column(a.dlogprobs)), env_id=ONE_CHOICE)
    hint = {check.name: check.hint for check in report.wrong}[TERMS[3]]
    assert "the term -dlogpi p is missing" in hint
    assert " or " in hint  # p = 1 = 1[k = a]: the mistakes cannot be told apart


def test_the_graph_of_the_backward_pass():
    rng = np.random.default_rng(0)
    config = small(shared_sizes=(4, 3), policy_sizes=(2,), value_sizes=())
    first = {TERMS[0]: [], TERMS[1]: [], TERMS[2]: []}
    assert before(ActorCritic(4, discrete(2), config, rng), TERMS[3]) == first | {
        TERMS[3]: TERMS[:2],
        "policy/head": [TERMS[3]],
        "policy/0": ["policy/head"],
        "value/head": [TERMS[2]],
        "shared/1": ["policy/0", "value/head"],
        "shared/0": ["shared/1"],
    }
    apart = small(shared_sizes=(), policy_sizes=(), value_sizes=(3,))
    assert before(ActorCritic(4, ActionHead(Gaussian, (1,)), apart, rng), "loss/dmeans") == first | {
        "loss/dmeans": TERMS[:2],
        LOG_STD: TERMS[:2],
        "policy/head": ["loss/dmeans"],
        "value/head": [TERMS[2]],
        "value/0": ["value/head"],
    }
