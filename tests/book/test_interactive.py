"""The figures that can be moved compute what the kernels compute, need no mouse, and load nothing."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from browser import dumped

from docs.figures.kernel_calls import policy_loss
from kernels.advantage import gae
from kernels.optimizer import adam

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parents[2] / "docs" / "interactive"
FIGURES = sorted(FOLDER.glob("*.html"))


def numbers(name, **values):
    """What a figure computes for these values of its controls."""
    dom = dumped(FOLDER / name, urlencode(values))
    return json.loads(re.search(r'<script type="application/json" id="numbers">(.+?)</script>', dom)[1])


@pytest.mark.parametrize(
    ("ratio", "advantage", "flat"), [(1.5, 1.5, True), (0.5, 1.5, False), (0.5, -2, True), (1.1, -0.5, False)]
)
def test_the_surrogate_is_the_kernels(ratio, advantage, flat):
    found = numbers("surrogate.html", ratio=ratio, advantage=advantage, clip=0.3)
    loss, slope = policy_loss(ratio, advantage, 0.3)
    assert found["loss"] == pytest.approx(loss, abs=1e-12)
    assert found["by_logprob"] == pytest.approx(slope, abs=1e-12)
    assert found["by_ratio"] == pytest.approx(slope / ratio, abs=1e-12)
    assert found["flat"] is flat


def constant(name, key):
    """A constant of a figure's script."""
    return json.loads(re.search(rf"const {key} = ([^;]+);", (FOLDER / name).read_text())[1])


@pytest.mark.parametrize(("end", "kind"), [(12, "terminated"), (4, "terminated"), (7, "truncated")])
def test_gae_is_the_kernels(end, kind):
    found = numbers("gae.html", gamma=0.9, end=end, kind=kind, **{"lambda": 0.8})
    rewards = np.array(constant("gae.html", "REWARDS"), float)[:, np.newaxis]
    values = np.array(constant("gae.html", "VALUES"), float)[:, np.newaxis]
    final_values = np.full_like(rewards, constant("gae.html", "FINAL_VALUE"))
    ends = {name: np.zeros(rewards.shape, bool) for name in ("terminated", "truncated")}
    ends[kind][end:][:1] = True
    advantages, returns = np.empty((2, *rewards.shape))
    gae(rewards, values, final_values, ends["terminated"], ends["truncated"], 0.9, 0.8, advantages, returns)
    np.testing.assert_allclose(found["advantages"], advantages[:, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["returns"], returns[:, 0], rtol=0, atol=1e-12)
    first = np.dot(found["weights"], found["deltas"])
    assert first == pytest.approx(advantages[0, 0], abs=1e-12)


def test_adam_is_the_kernels():
    found = numbers("adam.html", rate=0.2, beta1=0.8, beta2=0.95, plain=0.03, steps=40)
    curvature = np.array([1.0, 50.0])
    params, m, v = np.array([-2.0, 0.8]), np.zeros(2), np.zeros(2)
    path = [params.copy()]
    for step in range(1, 41):
        adam(params, curvature * params, m, v, step, 0.2, 0.8, 0.95, 1e-8)
        path.append(params.copy())
    np.testing.assert_allclose(found["adam"], path, rtol=0, atol=1e-10)
    plain = np.array([-2.0, 0.8]) * (1 - 0.03 * curvature) ** np.arange(41)[:, np.newaxis]
    np.testing.assert_allclose(found["gradient"], plain, rtol=0, atol=1e-12)


class Elements(HTMLParser):
    """The controls of a page, what its labels are for, and all other elements by name."""

    def __init__(self, text):
        super().__init__()
        self.controls, self.labels, self.names, self.loaded = {}, set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.names.append(tag)
        self.loaded += [attributes[key] for key in ("src", "href") if key in attributes]
        if tag in ("input", "select"):
            self.controls[attributes["id"]] = attributes.get("type", tag)
        if tag == "label":
            self.labels.add(attributes["for"])


@pytest.mark.parametrize("figure", FIGURES, ids=lambda path: path.stem)
def test_a_figure_needs_no_mouse_no_picture_and_no_network(figure):
    text = figure.read_text()
    elements = Elements(text)
    assert set(elements.controls.values()) <= {"range", "select"}, "controls that the keyboard moves"
    assert elements.labels == set(elements.controls)
    assert len(elements.controls) >= 3
    assert "noscript" in elements.names
    assert 'aria-live="polite"' in text
    assert elements.loaded == []
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}, "the name of SVG, not loaded"


def test_what_the_figures_share_is_the_same_in_each():
    shared = {re.search(r"// Shared by .+?// End of what", path.read_text(), re.DOTALL)[0] for path in FIGURES}
    assert len(FIGURES) == 3
    assert len(shared) == 1
