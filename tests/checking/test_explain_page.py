"""The page of `explain`: it computes what the kernels compute, loads nothing, and fits small windows."""

import json
import re
from html import unescape

import numpy as np
import pytest
from browser import Data, dumped, overflow
from explain_cases import small

from kernels.loss import LOSS_TERMS
from ppo_np.checking.branches import SURROGATE_REGIONS
from ppo_np.checking.explain_page import page
from ppo_np.checking.next_minibatch import off_policy_subject
from ppo_np.checking.regions import clipped, regions_of, value_branches_of
from ppo_np.checking.walkthrough import walk
from ppo_np.explain import SECTIONS

# Settings, and what a reader changes: shown row, name, unit or None, new value.
CASES = {
    "Discrete": ({}, [(0, "logits", 2, 3.25), (0, "old_logprob", None, -3.0), (1, "advantage", None, -2.5)]),
    "MultiDiscrete": ({"clip_coef": 0.1}, [(1, "logits", 7, -800.0), (5, "logits", 0, 1.5), (2, "value", None, 4.0)]),
    "MultiBinary": ({"clip_vloss": False}, [(3, "logits", 1, -2.0), (3, "value", None, -1), (0, "advantage", None, 0)]),
    "Box": (
        {"norm_adv": False, "value_clip_coef": 0.35},
        [(4, "means", 0, 0.125), (4, "means", 1, -1.0), (2, "old_logprob", None, 2.0)],
    ),
}  # fmt: skip
OTHER = {  # of a Box, by the settings that choose them
    "state": ({"log_std": "state"}, [(4, "policy_outputs", 1, 0.5), (0, "policy_outputs", 2, -1.0)]),
    "squashed": ({"action_distribution": "squashed"}, [(4, "means", 0, 2.125), (1, "means", 1, -11.0)]),
    "beta": ({"action_distribution": "beta"}, [(4, "policy_outputs", 0, 3.0), (0, "policy_outputs", 3, -2.0)]),
}  # fmt: skip
ROWS = 6


def explained(actions, **settings):
    return walk(off_policy_subject(small(actions, ent_coef=0.3, **settings)), ROWS)


def written(walkthrough, tmp_path):
    path = tmp_path / "explain.html"
    path.write_text(page(walkthrough, SECTIONS), encoding="utf-8")
    return path


def by_the_kernels(walkthrough, changes):
    """What the page must say, from the kernels in float64, after the changes."""
    config, model = walkthrough.subject.config, walkthrough.nudged.model
    minibatch, a = walkthrough.nudged.minibatch, walkthrough.nudged.activations
    outputs, values, rows = a.policy_outputs, a.values, walkthrough.rows
    places = {"advantage": minibatch.advantages, "old_logprob": minibatch.old_logprobs, "value": values}
    for shown, name, unit, value in changes:
        place = places.get(name, outputs)
        place[rows[shown] if unit is None else (rows[shown], unit)] = value
    model.forward = lambda *_: None  # the outputs stay as they are
    terms = model.loss_and_gradient(minibatch, a, config)
    d, name = a.distribution, a.distribution.output_name
    expected = dict(zip(LOSS_TERMS, terms, strict=True))
    expected |= {f"before.{term}": x for term, x in zip(LOSS_TERMS, walkthrough.subject.loss_terms, strict=True)}
    regions, branches = regions_of(d.logprobs, minibatch, config), value_branches_of(values, minibatch, config)
    probability = "probability" if name == "logits" else "density"
    for i, b in enumerate(rows):
        ratio = np.exp(d.logprobs[b] - minibatch.old_logprobs[b])
        advantage, e = minibatch.advantages[b], config.clip_coef
        expected |= {
            f"{i}.logprobs": d.logprobs[b], f"{i}.{probability}": np.exp(d.logprobs[b]), f"{i}.ratio": ratio,
            f"{i}.region": regions[b], f"{i}.value branch": branches[b], f"{i}.entropies": d.entropies[b],
            f"{i}.surrogate": max(-advantage * ratio, -advantage * np.clip(ratio, 1 - e, 1 + e)),
            f"{i}.dlogprobs": a.dlogprobs[b], f"{i}.dentropies": a.dentropies[b], f"{i}.dvalues": a.dvalues[b],
        }  # fmt: skip
        for k, gradient in enumerate(a.dpolicy_outputs[b]):
            expected |= {f"{i}.d{name}.{k}": gradient, f"{i}.difference.{k}": gradient}
    return expected


@pytest.mark.browser
@pytest.mark.parametrize("case", CASES | OTHER)
def test_the_page_computes_what_the_kernels_compute(tmp_path, case):
    settings, changes = (CASES | OTHER)[case]
    walkthrough = explained(case if case in CASES else "Box", **settings)
    link = "&".join(f"{i}.{name}{'' if k is None else f'.{k}'}={value}" for i, name, k, value in changes)
    found = Data(dumped(written(walkthrough, tmp_path), link)).values
    value_errors = [found.pop(f"{i}.value error") for i in range(ROWS)]
    expected = by_the_kernels(walkthrough, changes)
    assert found.keys() == expected.keys()
    words = {name for name in expected if isinstance(expected[name], str)}
    assert {name: found[name] for name in words} == {name: expected[name] for name in words}
    for name in expected.keys() - words:
        assert float(found[name]) == pytest.approx(expected[name], rel=1e-6, abs=1e-9), name
    assert expected["loss"] != expected["before.loss"]
    rows, minibatch, config = walkthrough.rows, walkthrough.nudged.minibatch, walkthrough.subject.config
    values = walkthrough.nudged.activations.values
    errors = [np.abs(values - minibatch.returns)]
    if config.clip_vloss:
        errors.append(np.abs(clipped(values, minibatch.old_values, config.value_clip) - minibatch.returns))
    np.testing.assert_allclose(np.array(value_errors, float), 0.5 * np.max(errors, axis=0)[rows] ** 2, rtol=1e-6)


@pytest.mark.browser
def test_a_link_that_means_nothing_changes_nothing(tmp_path):
    walkthrough = explained("Discrete")
    link = "9.advantage=1&0.nothing=1&0.logits.9=1&0.advantage=&0.advantage=much&0.advantage=Infinity"
    found = Data(dumped(written(walkthrough, tmp_path), link)).values
    assert found["loss"] == found["before.loss"]
    for i, b in enumerate(walkthrough.rows):
        expected = walkthrough.activations.dpolicy_outputs[b]
        np.testing.assert_allclose([float(found[f"{i}.dlogits.{k}"]) for k in range(4)], expected, rtol=1e-9)


@pytest.mark.browser
def test_no_window_scrolls_sideways(tmp_path):
    widths = 320, 400, 1400
    assert overflow(written(explained("MultiDiscrete"), tmp_path), widths, tmp_path) == dict.fromkeys(widths, 0)


def test_the_page_has_every_line_and_loads_nothing(tmp_path):
    walkthrough = explained("Discrete")
    text = page(walkthrough, SECTIONS)
    tables = unescape(re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    for line in walkthrough.lines:
        assert line.formula in tables
        assert f"<h3>{line.name}" in tables
        for cell in sum((*line.numbers, *line.differences), ()):
            assert (f"{cell + 0.0:.6g}" if isinstance(cell, float) else f"{cell}") in tables
    assert all(f"<h2>{title}</h2>" in tables for title in SECTIONS.values())
    assert walkthrough.verdict in tables
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]  # a name, not an address
    assert not re.search(r"\b(src|href)=|url\(|@import|fetch\(|import\(", text)
    assert "default-src 'none'" in text


def test_names_cannot_become_markup():
    walkthrough = explained("Discrete")
    evil = "</script><script>alert(1)</script>@data@"
    object.__setattr__(walkthrough.subject, "title", evil)
    text = page(walkthrough, SECTIONS)
    assert text.count("<script") == 2
    assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;@data@" in text
    (data,) = re.findall(r'id="data">(.*?)</script>', text)
    assert "<" not in data
    assert json.loads(data)["region_names"] == list(SURROGATE_REGIONS)
