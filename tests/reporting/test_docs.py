"""docs/reports.md has every column, and its example works."""

import re
from pathlib import Path

import pytest
from report_runs import make_run

from ppo_np.evaluation.periodic import COLUMNS
from ppo_np.learning.metrics import METRICS_COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "reports.md").read_text()


def test_the_page_describes_every_column():
    section = PAGE.split("## metrics.csv in pandas")[1]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == METRICS_COLUMNS
    assert set(COLUMNS) <= set(re.findall(r"`(\w+)`", section.split("`evaluations.csv`")[1]))


def test_the_pandas_example_works(tmp_path, monkeypatch, capsys):
    pandas = pytest.importorskip("pandas")
    make_run(tmp_path / "runs" / "RUN")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(example)
    printed = capsys.readouterr().out
    assert re.search(r"^10240 +41\.5$", printed, re.MULTILINE)
    assert re.search(r"^time_update +20\.0$", printed, re.MULTILINE)
    metrics = pandas.read_csv("runs/RUN/metrics.csv")
    assert all(kind.kind in "if" for kind in metrics.dtypes)
