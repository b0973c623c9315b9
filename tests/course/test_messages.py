"""What a learner is told about mistakes that are not in the catalogue: no sentence names another mistake."""

import math

import numpy as np
import pytest
from course.lesson_files import graded

from ppo_np.course.contract import exception_sentence, in_plain_words
from ppo_np.course.lesson import lesson_of

BACKWARD = "    return dweight, dbias, dx\n"


def of_function(lesson, old, new, function):
    """The outcome of a function of a worked file in which `old` is replaced."""
    source = lesson_of(lesson).source
    assert source.count(old) == 1
    return next(
        outcome for outcome in graded(lesson_of(lesson), source.replace(old, new)) if outcome.function == function
    )


def linear(old, new):
    return of_function("linear", old, new, "linear_backward")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    dbias = dy.sum(axis=0)\n",
            "    dbias = dy\n",
            "(2, 2), but it must be (2,). Is a sum over one axis missing?",
        ),
        ("    dbias = dy.sum(axis=0)\n", "    dbias = dy.sum()\n", "It is one number, but each entry needs its own."),
        (BACKWARD, "    return dx, dweight, dbias\n", "Is the order dweight, dbias, dx?"),
        (BACKWARD, "    return dweight, list(dbias), dx\n", "dbias must be an array, but yours is a list of 2."),
        (BACKWARD, "    return dweight, dbias\n", "Your function must return 3 values: dweight, dbias, dx."),
    ],
)
def test_a_result_of_the_wrong_form(old, new, message):
    outcome = linear(old, new)
    assert message in outcome.messages[0]
    assert outcome.diagnosis == []


def test_lists_of_layers_are_compared_from_the_outside():
    forward = of_function(
        "mlp",
        "        outputs.append(h)\n    return outputs\n",
        "        outputs.append(h)\n    return h\n",
        "mlp_forward",
    )
    assert "outputs must be a list of 3, but yours is an array. (at the" in forward.messages[0]
    backward = of_function("mlp", "    return dlayers, dh\n", "    return dlayers\n", "mlp_backward")
    assert "Your function must return dlayers, dx." in backward.messages[0]


def test_one_number_where_an_array_is_returned():
    outcome = of_function("ratio", "terms.mean()", "terms", "approx_kl")
    assert "approx_kl has the shape (2,), but it must be (). One number is asked for" in outcome.messages[0]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("np.ones((2, 3)) @ np.ones((4, 5))", "Columns of the first array: 3; rows of the second: 4."),
        ("np.ones((2, 3)) + np.ones(2)", "These shapes do not fit: (2,3) and (2,)."),
        ("max(np.ones(3), 0)", "np.where, np.maximum"),
        ("math.exp(np.ones(3))", "the functions of NumPy, such as np.exp"),
        ("np.ones(3) ^ 2", "a power is written **"),
        ("np.ones(3).clamp(min=0)", "NumPy's arrays have no clamp."),
        ("np.ones((2, 3)).max(dim=1)", "dim is PyTorch's name"),
        ("eval('np.pi', {})", "import numpy as np"),
        ("{}['a']", None),
    ],
)
def test_errors_of_numpy_in_plain_words(statement, words):
    with pytest.raises(Exception) as error:
        eval(statement, {"np": np, "math": math})
    said = in_plain_words(exception_sentence(error.value, "mine.py"))
    assert (words in said) if words else (said is None)


def test_an_exception_is_told_with_its_point():
    outcome = linear("dy @ weight.T", "dy @ weight")
    assert outcome.state == "error"
    assert outcome.messages[-1].startswith("It was raised at the point: B = ")
    forward = of_function("linear", "x @ weight + bias", "x @ weight + bias[:, None]", "linear_forward")
    assert forward.messages[-1].startswith("It was raised at the point: B = ")


def test_an_exception_of_the_same_type_is_no_reason_to_name_a_mistake():
    outcome = of_function(
        "sampling", "    log_probs = log_softmax(logits)\n", "    raise IndexError('mine')\n", "categorical_sample"
    )
    assert (outcome.mistake, outcome.diagnosis) == ("", [])
    planted = "    log_probs = log_softmax(logits)\n    if logits.shape[1] == 60:\n        raise IndexError('mine')\n"
    outcome = of_function("sampling", "    log_probs = log_softmax(logits)\n", planted, "categorical_sample")
    assert outcome.messages[0].startswith("IndexError: mine")
    assert outcome.points == 7
    assert (outcome.mistake, outcome.diagnosis) == ("", [])


def test_an_output_of_few_numbers_that_is_the_same_by_chance_is_no_reason_to_name_a_mistake():
    clip_values = "    return [np.clip(grad, -max_norm, max_norm) for grad in grads]\n    norm ="
    outcome = of_function("adam", "    norm =", clip_values, "clip_by_global_norm")
    assert (outcome.mistake, outcome.diagnosis) == ("", [])


def test_a_mistake_that_changes_outputs_that_are_right_is_not_named():
    old, new = "return actions, logprobs\n", "return actions, log_probs.max(axis=1)\n"
    outcome = of_function("sampling", old, new, "categorical_sample")
    assert outcome.mistake == ""
    assert outcome.diagnosis == ["Your logprobs does not depend on uniforms, but it must."]


def test_two_mistakes_in_two_outputs_are_both_named():
    source = (
        lesson_of("linear").source.replace("x.T @ dy", "x.T @ dy / len(x)").replace("dy.sum(axis=0)", "dy.mean(axis=0)")
    )
    (_, outcome) = graded(lesson_of("linear"), source)
    assert [sentence[:12] for sentence in outcome.diagnosis] == ["dW is x^T dy", "db is the me"]


def test_booleans_that_are_wrong_are_told_without_arithmetic():
    old, new = '["terminations"][t] = terminations\n', '["terminations"][t] = ~terminations\n'
    outcome = of_function("loop", old, new, "collect")
    assert outcome.state == "WRONG"
    assert "rollout['terminations']" in [row.output for row in outcome.rows if row.verdict == "WRONG"]
    assert not any("terminations" in sentence for sentence in outcome.diagnosis)


def test_a_result_of_zeros_is_called_that():
    lesson = lesson_of("differences")
    body = "    return 0 * x\n"
    head, _, tail = lesson.source.rpartition('    """\n')
    (outcome,) = graded(lesson, head + '    """\n' + body + tail)
    assert outcome.diagnosis == ["gradient: it is 0 everywhere: nothing was computed, or everything was cut off."]


def test_what_one_point_does_not_depend_on_is_not_called_forbidden():
    outcome = of_function("value_loss", "    if clip_vloss:\n", "    if True:\n", "value_loss")
    assert (outcome.mistake, outcome.diagnosis) == ("", [])
    outcome = of_function("value_loss", "    if clip_vloss:\n", "    if False:\n", "value_loss")
    assert outcome.diagnosis == ["Your result does not depend on old_values, but it must."]


def test_a_sum_that_is_nearly_1_is_told_with_its_digits():
    outcome = of_function("log_softmax", "np.log(total)", "np.log(total + 1e-8)", "log_softmax")
    assert outcome.messages[0].startswith("The probabilities of a row must sum to 1, but yours sum to 0.99999999")


def test_the_right_rows_of_each_kind_are_counted():
    lesson = lesson_of("surrogate")
    mistake = next(mistake for mistake in lesson.mistakes if mistake.name == "no-clip")
    loss, outcome = graded(lesson, lesson.with_mistake(mistake))
    assert all(count.isdigit() for count in loss.kinds.values())  # a loss is one number for all rows
    counts = {name: tuple(map(int, count.split(" of "))) for name, count in outcome.kinds.items()}
    assert {name for name, (right, of) in counts.items() if right < of} == {"A>0, r>1+e", "A<0, r<1-e"}
    assert all(of > 0 for _, of in counts.values())
    assert len(counts) == 6
