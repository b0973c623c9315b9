"""CSV files whose fields are empty, missing or foreign: what is left of them is read, and nothing raises."""

import math
from contextlib import nullcontext

import pytest

from ppo_np.evaluation.periodic import COLUMNS
from ppo_np.learning.metrics import METRICS_COLUMNS
from ppo_np.logs.csv_file import CSVLogger, number, read_rows
from ppo_np.plot import read_curve

ODD = [b"", b"x", b"nan", b"inf", b"\xff\xfe", b'"', b"1e999", "\u00b2".encode(), b"9" * 5000, b"\0", b"-1", b"\r"]
ODD += ["\u2028".encode(), b"x" * 200_000, b" 3", b"1_0"]
FILES = {"metrics.csv": METRICS_COLUMNS, "evaluations.csv": COLUMNS}


def harmed(fields):
    """A row with each of its fields in turn replaced by something odd, or left out, or one more at its end."""
    for i in range(len(fields)):
        yield from (b",".join([*fields[:i], odd, *fields[i + 1 :]]) for odd in ODD)
        yield b",".join([*fields[:i], *fields[i + 1 :]])
    yield b",".join([*fields, b"1"])
    yield b""


@pytest.mark.parametrize("name", FILES)
def test_rows_whose_fields_are_damaged_cost_no_other_row(tmp_path, name):
    path, columns = tmp_path / name, FILES[name]
    header, *whole = (",".join(columns).encode(), *(b",".join([b"%d" % u] * len(columns)) for u in (1, 2, 9)))
    fields = [b"3"] * len(columns)
    for line in [*harmed(fields), b"\n".join(harmed(fields))]:
        path.write_bytes(b"\n".join([header, whole[0], line, *whole[1:], b"cut off"]))
        kept = CSVLogger(path, columns, last_update=5).rows
        again = CSVLogger(path, columns, last_update=5).rows
        assert kept == again == [row for row in read_rows(path) if row["update"] in "123"]
        assert [row["update"] for row in kept if row["update"] != "3"] == ["1", "2"]
        assert all(isinstance(number(row, column), float) for row in kept for column in (*columns, "no such column"))
        if name == "metrics.csv":
            x, y = read_curve(tmp_path, "step", "episodic_return", 100)
            assert 1 in x
            assert math.isfinite(sum(x) + sum(y))


HEADERS = ["", "update", "value,update", "a,b,c", "\xff,\xfe", "update,update,value", "x" * 1000]


@pytest.mark.parametrize("header", HEADERS)
def test_a_file_with_another_header_keeps_the_columns_that_it_has(tmp_path, header):
    path = tmp_path / "x.csv"
    columns = header.split(",")
    path.write_bytes("\n".join([header, ",".join("4" for _ in columns), ""]).encode("latin-1"))
    content = path.read_bytes()
    known = "update" in columns
    with nullcontext() if known else pytest.warns(RuntimeWarning, match=r"kept as x\.csv\.damaged\.$"):
        log = CSVLogger(path, ("update", "value"), last_update=5)
    assert log.rows == ([{"update": "4", "value": "4" if "value" in columns else ""}] if known else [])
    assert known or (tmp_path / "x.csv.damaged").read_bytes() == content
    log.log((5, 0.5))
    assert path.read_text().splitlines()[0] == "update,value"
    assert path.read_text().splitlines()[-1] == "5,0.5"


def test_rows_without_a_number_have_no_curve(tmp_path):
    for content in (b"", b"step,episodes,episodic_return\n", b"step,episodes,episodic_return\nx,1,1\n1,0,1\n1,1,\n"):
        (tmp_path / "metrics.csv").write_bytes(content)
        steps, returns = read_curve(tmp_path, "step", "episodic_return", 100)
        assert steps.shape == returns.shape == (0,)
