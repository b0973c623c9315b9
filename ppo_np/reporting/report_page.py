"""A report about runs as one HTML file that loads nothing from anywhere."""

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from ppo_np.reporting import report_parts as parts
from ppo_np.reporting.chart import Chart
from ppo_np.reporting.groups import Group
from ppo_np.reporting.report_charts import evaluation_charts, other_charts, return_charts

TEMPLATE = "report.html"


def page(groups: Sequence[Group], window: int, film: parts.Film | None) -> str:
    """The page about groups of runs. Each point of a curve is a mean over the last `window` episodes or updates."""
    charts = {
        "learning": return_charts(groups, window),
        "evaluation": evaluation_charts(groups),
        "others": other_charts(groups, window),
    }
    environments = dict.fromkeys(str(run.config["env_id"]) for group in groups for run in group.runs)
    count = sum(len(group.runs) for group in groups)
    texts = {
        "title": escape(f"{', '.join(environments)}: {count} run{'s' * (count > 1)}"),
        "window": f"{window:,}",
        "legend": "".join(map(parts.legend, groups)),
        "runs": parts.runs_table(groups, window),
        "settings": parts.settings(groups),
        "evaluations": parts.evaluations_table(groups),
        "times": parts.times(groups),
        "film": parts.film(film) if film else "",
        "commands": "".join(parts.commands(group, run) for group in groups for run in group.runs),
        "data": _json([chart for section in charts.values() for chart in section]),
    }
    texts |= {name: "".join(chart.html() for chart in section) for name, section in charts.items()}
    template = files("ppo_np.reporting").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda match: texts[match[1]], template)


def _json(charts: Sequence[Chart]) -> str:
    """The numbers of the charts by name, as JSON that can stand in a script element."""
    data = {chart.name: chart.data() for chart in charts}
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
