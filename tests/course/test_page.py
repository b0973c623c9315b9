"""Formulas of the pages in a terminal: nothing of LaTeX is left, and nothing is lost."""

import re

import pytest
from course.lesson_files import ALL

from ppo_np.course.__main__ import main
from ppo_np.course.page import ACCENTS, FONTS, LARGE, NOTHING, SPACES, SYMBOLS, page_of, plain_formula, plain_page

HANDLED = {*SYMBOLS, *SPACES, *NOTHING, *LARGE, *ACCENTS, *FONTS} | {
    "frac", "tfrac", "sqrt", "underbrace", "begin", "end", "cr",
}  # fmt: skip


@pytest.mark.parametrize(
    ("latex", "plain"),
    [
        (r"y_{bo} = \sum_i x_{bi} W_{io} + b_o", "y_bo = Σ_i x_bi W_io + b_o"),
        (r"(PQ)_{mn} = \sum_k P_{mk} Q_{kn}", "(PQ)_mn = Σ_k P_mk Q_kn"),
        (r"\frac{f(x + h) - f(x - h)}{2h}", "(f(x + h) - f(x - h))/(2h)"),
        (r"\tfrac12 h^2 f''(x) + \frac1B\sum_b(x_b)", "½ h² f''(x) + 1/B Σ_b(x_b)"),
        (r"\frac{\partial \log\pi_b}{\partial \ell_{bk}}", "∂log π_b/∂ℓ_bk"),
        (r"\mathrm{d}\log\pi_b\,(\mathbb{1}[k = a_b] - p_{bk})", "dlog π_b (1[k = a_b] - p_bk)"),
        (r"10^{-5},\ e^{-\zeta^2/2},\; W^\top, x_0^3, A^{(n)}_t, \pi^{\text{old}}(a)",
         "10⁻⁵, e^(-ζ²/2), Wᵀ, x_0³, A^(n)_t, π^old(a)"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & -1 \end{pmatrix}", "(1, 2; 3, -1)"),
        (r"\begin{pmatrix}\frac12\cr -1\end{pmatrix}", "(½; -1)"),
        (r"\lvert a - b \rvert \le 10^{-7}\Big(\lvert a \rvert\Big)", "|a - b| ≤ 10⁻⁷(|a|)"),
        (r"\underbrace{h^2}_{\text{smaller } h} + \sqrt{1 - \beta_2} + \hat m", "h² [smaller h] + √(1 - β_2) + m̂"),
        (r"\text{approx\_kl} = \frac{\omega}{B}(a \mid s)", "approx_kl = ω/B (a | s)"),
        (r"\unknown x", "unknown x"),
    ],
)  # fmt: skip
def test_formulas(latex, plain):
    assert plain_formula(latex) == plain


def test_a_page_keeps_its_code_and_each_sign_of_a_formula():
    page = "A `$x_1$` and $h_1 * (PQ)_{mn}$, [here](../x.md), [there](https://a.b).\n\n$$a_1 = b\n\\qquad c = 2$$\n"
    assert plain_page(page) == (
        "A `$x_1$` and h\\_1 \\* \\(PQ\\)\\_mn, here, [there](https://a.b).\n\n```text\n    a_1 = b\n    c = 2\n```\n"
    )


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.name)
def test_no_latex_is_left_on_any_page(lesson):
    page = page_of(lesson).read_text(encoding="utf-8")
    commands = set(re.findall(r"\\([a-zA-Z]+)", page))
    assert commands - HANDLED <= {"log", "exp", "max", "tanh", "sinh", "cosh"}
    plain = plain_page(page)
    assert "$" not in re.sub(r"```.*?```|`[^`]*`", "", plain, flags=re.DOTALL)
    assert [name for name in commands if f"\\{name}" in plain] == []


def test_show_prints_formulas_with_their_indices(tmp_path, capsys, monkeypatch):
    assert main(["start", str(tmp_path / "mine")]) == 0
    monkeypatch.chdir(tmp_path / "mine")
    capsys.readouterr()
    assert main(["show", "3"]) == 0
    printed = capsys.readouterr().out
    assert "y_bo = Σ_i x_bi W_io + b_o ." in printed
    assert "(PQ)_mn = Σ_k P_mk Q_kn" in " ".join(printed.split())
    assert "$" not in printed
