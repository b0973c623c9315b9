"""Lesson 20: the same bits for right functions, and for wrong ones their names."""

import dataclasses
import io
import itertools

import numpy as np
import pytest
from course.lesson_files import REWRITTEN, VARIANTS, WORKED_FUNCTIONS
from rich.console import Console

from ppo_np import PPO
from ppo_np.course.lesson import WORKED, lesson_of, load
from ppo_np.course.training import train as train_module
from ppo_np.course.training.installed import installed
from ppo_np.course.training.kernel_functions import KERNEL_FUNCTIONS
from ppo_np.course.training.product_run import ProductRun, settings
from ppo_np.course.training.result import LOW, ROUNDED, SAME, WRONG, TrainingResult
from ppo_np.course.training.screen import curve_lines, verdict_lines
from ppo_np.course.training.train import train_with
from ppo_np.errors import RunError, UserError

UPDATES = 2
SETS = {"worked": WORKED_FUNCTIONS, "rewritten": REWRITTEN}


@pytest.fixture(scope="module")
def products():
    """The parameters after the first updates of the package's run under rounding."""
    history = []

    def note(ppo, _):
        history.append(ppo.policy.model.params.copy())
        if len(history) == UPDATES:
            ppo.stop()

    with installed(KERNEL_FUNCTIONS):
        PPO(settings("cartpole", None)).learn(note).close()
    return history


@pytest.fixture
def short_training(products):
    def short_training(functions, **more):
        return train_with(functions, updates=UPDATES, product=iter(products).__next__, **more)

    return short_training


@pytest.fixture
def no_gradient_check(monkeypatch):
    monkeypatch.setattr(train_module, "_check_gradients", lambda *_: None)


def slightly_wrong_mlp_backward():
    """The worked function, but the derivative of tanh is 1 - h^2 + 1e-7."""
    lesson = lesson_of("mlp")
    backward = load(lesson.source, f"{lesson.name}.py", [WORKED]).mlp_backward
    backward.__globals__["tanh_backward"] = lambda dh, h: dh * (1 - h * h + 1e-7)
    return backward


def scaled(name, factor):
    """A function whose first result is wrong by a factor."""

    def function(*arguments):
        result = WORKED_FUNCTIONS[name](*arguments)
        return (result[0] * factor, *result[1:]) if isinstance(result, tuple) else result * factor

    return function


@pytest.mark.parametrize("functions", SETS.values(), ids=SETS)
def test_right_functions_give_the_same_bits(short_training, no_gradient_check, functions):
    training = short_training(functions)
    assert (training.verdict, training.exit_code, training.mismatch, len(training.curve)) == (SAME, 0, None, UPDATES)
    assert "collect" in training.installed
    assert "gaussian_forward" not in training.installed


def test_no_functions_at_all_give_the_same_bits_and_right_gradients(short_training):
    training = short_training({"log_softmax": WORKED_FUNCTIONS["log_softmax"]})
    assert (training.verdict, training.installed) == (SAME, [])
    assert (training.gradients, training.wrong_gradients) == (44, [])
    assert "Gradient check: all 44 gradients are right." in verdict_lines(training)


def test_a_derivative_wrong_by_1e_7_shows_in_the_first_update(short_training, no_gradient_check):
    training = short_training(WORKED_FUNCTIONS | {"mlp_backward": slightly_wrong_mlp_backward()})
    assert (training.verdict, training.exit_code, training.mismatch.update) == (WRONG, 1, 1)
    assert training.mismatch.yours != training.mismatch.products
    assert training.mismatch.tensor.startswith("policy/0/")
    (difference,) = training.differences
    assert (difference.function, difference.update) == ("mlp_backward", 1)
    assert difference.result.startswith("dlayers[")


def no_fork(dlogits, dvalues, outputs, *layers_and_activation):
    dshared, _, _ = WORKED_FUNCTIONS["actor_critic_backward"](dlogits, 0 * dvalues, outputs, *layers_and_activation)
    return dshared, *WORKED_FUNCTIONS["actor_critic_backward"](dlogits, dvalues, outputs, *layers_and_activation)[1:]


@pytest.mark.parametrize(
    ("name", "function", "first"),
    [
        ("categorical_backward", scaled("categorical_backward", -1), "loss/dlogits"),
        ("actor_critic_backward", no_fork, "shared/0/bias"),
    ],
)
def test_the_gradient_check_names_the_stage(short_training, name, function, first):
    training = short_training(WORKED_FUNCTIONS | {name: function})
    assert (training.verdict, training.exit_code, training.curve) == (WRONG, 1, [])
    assert training.wrong_gradients[0].check.name == first
    if name == "actor_critic_backward":  # the run itself has no shared layers
        assert training.wrong_gradients[0].network == "a network with shared layers"
        assert verdict_lines(training)[0] == "Wrong: 4 gradients differ from differences of the loss."
    else:
        assert [difference.function for difference in training.differences] == [name]


def clip_each(grads, max_norm):
    return [WORKED_FUNCTIONS["clip_by_global_norm"]([grad], max_norm)[0] for grad in grads]


def eps_under_the_root(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    _, m, v = WORKED_FUNCTIONS["adam"](params, grads, m, v, step, learning_rate, beta1, beta2, eps)
    mhat, vhat = m / (1 - beta1**step), v / (1 - beta2**step)
    return params - learning_rate * mhat / np.sqrt(vhat + eps), m, v


def late_values(envs, act, obs, num_steps):
    rollout, obs = WORKED_FUNCTIONS["collect"](envs, act, obs, num_steps)
    rollout["values"][:-1] = rollout["values"][1:]
    return rollout, obs


@pytest.mark.parametrize(
    ("name", "function", "result"),
    [
        (
            "gae",
            lambda r, v, final, term, trunc, *c: WORKED_FUNCTIONS["gae"](r, v, final, term & False, trunc, *c),
            "advantages",
        ),
        ("normalize", lambda a: (a - a.mean()) / a.std(ddof=1), "normalized"),
        ("orthogonal", lambda normals, gain, shape: -WORKED_FUNCTIONS["orthogonal"](normals, gain, shape), "weight"),
        ("categorical_sample", lambda l, u: WORKED_FUNCTIONS["categorical_sample"](l, 1 - u), "actions"),
        ("clip_by_global_norm", clip_each, "policy/0/weight"),
        ("adam", eps_under_the_root, "params"),
        ("collect", late_values, "values"),
    ],
)
def test_a_wrong_function_beside_the_gradients_is_named(short_training, no_gradient_check, name, function, result):
    training = short_training(WORKED_FUNCTIONS | {name: function})
    assert (training.verdict, training.mismatch.update) == (WRONG, 1)
    (difference,) = training.differences
    assert (difference.function, difference.result) == (name, result)
    assert difference.update == (0 if name == "orthogonal" else 1)
    assert difference.yours != difference.products
    first, second, *_ = verdict_lines(training)
    assert first == f"Wrong: {name}."
    assert f"your {result}[" in second


def test_right_functions_that_round_differently_go_on_to_the_end(short_training, no_gradient_check):
    training = short_training(WORKED_FUNCTIONS | {"adam": scaled("adam", 1 + 2e-10)})
    assert (training.verdict, training.exit_code, training.differences) == (ROUNDED, 0, [])
    assert (training.mismatch.update, len(training.curve)) == (1, UPDATES)
    mismatch, first = training.mismatch, verdict_lines(training)[0]
    where = f"update 1, {mismatch.tensor}{list(mismatch.place)}"
    assert first == f"Right, but your functions round differently, first at {where}."
    assert mismatch.yours == pytest.approx(mismatch.products, abs=1e-5)


def test_then_the_return_of_a_whole_run_counts(no_gradient_check, monkeypatch):
    short = dataclasses.replace(settings("cartpole", None), total_timesteps=2 * 256)
    monkeypatch.setattr(train_module, "settings", lambda *_: short)
    other = itertools.repeat(np.zeros(9155, np.float32)).__next__
    training = train_with(WORKED_FUNCTIONS, product=other)
    assert (training.verdict, training.exit_code, training.threshold, len(training.curve)) == (LOW, 1, 475, 2)
    assert verdict_lines(training)[0].startswith("The gradients are right, but the return is too low; other bits first")


def test_a_backward_pass_that_uses_an_identity_that_rounding_breaks_is_right(monkeypatch):
    """The probabilities of a row sum to 1, but rounded ones do not."""
    lesson, config = lesson_of("categorical"), dataclasses.replace(settings("cartpole", None), ent_coef=0.1)
    monkeypatch.setattr(train_module, "settings", lambda *_: config)
    backward = load((VARIANTS / lesson.name / "einsum.py").read_text(), "einsum.py", [WORKED]).categorical_backward
    other = itertools.repeat(np.zeros(9155, np.float32)).__next__
    training = train_with({"categorical_backward": backward}, updates=1, product=other)
    assert (training.verdict, training.traced, training.differences) == (ROUNDED, True, [])
    wrong = {"categorical_backward": lambda *arguments: backward(*arguments) * (1 + 1e-3)}
    assert train_with(wrong, updates=1, product=other).verdict == WRONG


def test_another_order_of_minibatches_is_allowed(short_training, no_gradient_check):
    def by_sorting(num_rows, num_minibatches, rng):
        return np.array_split(np.argsort(rng.random(num_rows)), num_minibatches)

    training = short_training(WORKED_FUNCTIONS | {"minibatches": by_sorting})
    assert (training.verdict, training.same_order) == (SAME, False)
    assert any(line.startswith("minibatches draws another order") for line in verdict_lines(training))


def test_a_fault_ends_the_run_with_its_sentence(short_training, no_gradient_check):
    training = short_training(WORKED_FUNCTIONS | {"gae": lambda *_: 1})
    assert (training.verdict, training.exit_code) == (WRONG, 1)
    assert verdict_lines(training)[0] == "Wrong: gae returned 1 arrays, but it must return 2: advantages, returns."


def test_numbers_that_are_not_finite_end_the_run(short_training, no_gradient_check):
    training = short_training(WORKED_FUNCTIONS | {"normalize": lambda a: a * np.nan})
    assert training.verdict == WRONG
    assert "where everything before it was finite" in training.mismatch.diverged
    assert [difference.function for difference in training.differences] == ["normalize"]


def test_a_row_drawn_twice_is_a_fault(short_training):
    training = short_training(
        WORKED_FUNCTIONS | {"minibatches": lambda *a: [0 * part for part in WORKED_FUNCTIONS["minibatches"](*a)]}
    )
    assert training.fault == "minibatches returned row 0 14 times in an epoch, but each of the 14 rows must occur once."


def test_env_must_be_one_of_two():
    with pytest.raises(UserError, match="env is 'pong', but it must be cartpole or lunarlander"):
        train_with(WORKED_FUNCTIONS, env="pong")


def test_the_packages_run_in_a_process_of_its_own(products):
    with ProductRun("cartpole", 1, products[0].size) as run:
        np.testing.assert_array_equal([run.parameters() for _ in range(UPDATES)], products)
        run._process.kill()
        with pytest.raises(RunError, match="has ended with exit code -9"):
            while True:
                run.parameters()


def test_what_is_printed(short_training, no_gradient_check):
    output = io.StringIO()
    short_training(WORKED_FUNCTIONS, console=Console(file=output, width=80))
    lines = output.getvalue().splitlines()
    assert lines[0].startswith("16 of your functions are installed: orthogonal, mlp_forward,")
    assert lines[2:4] == [f"update {u} of 2: mean return {r}, the same bits so far" for u, r in enumerate(RETURNS, 1)]
    assert lines[-2] == "The same bits: after each of 2 updates, your parameters are those of the package."


RETURNS = ("13.6", "16.6")


def test_the_example_of_the_page():
    h = 0.1
    assert f"{1 - h * h} {(1 - h) * (1 + h)}" == "0.99 0.9900000000000001"


def test_the_learning_curve_as_text():
    nan = float("nan")
    assert curve_lines([(256, nan), (512, 10.0), (768, 20.0), (1024, 30.0)], rows=3) == [
        "     step   return (mean of the last 100 episodes)",
        "      256      nan",
        "      768     20.0",
        "    1,024     30.0 ########################################",
    ]


def test_the_verdict_tells_the_return_of_a_whole_run():
    training = TrainingResult("cartpole", 1, [], 1, True, curve=[(256, 480.0)], threshold=475.0, verdict=SAME)
    assert "Mean return of the last 100 episodes: 480.0; 475 counts as solved." in verdict_lines(training)


@pytest.mark.slow
@pytest.mark.parametrize("functions", SETS.values(), ids=SETS)
@pytest.mark.parametrize(("env", "threshold"), [("cartpole", 475), ("lunarlander", 200)])
def test_a_whole_run_has_the_same_bits(env, threshold, functions):
    training = train_with(functions, env)
    assert (training.verdict, training.complete) == (SAME, True)
    assert training.last_return >= threshold
