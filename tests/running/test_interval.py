"""How often: so many updates, or so many seconds."""

import pytest

from ppo_np.errors import UserError
from ppo_np.running.interval import Interval


@pytest.mark.parametrize(
    ("text", "interval"),
    [("1", Interval(1)), ("100", Interval(100)), ("30s", Interval(seconds=30)), ("0.5s", Interval(seconds=0.5))],
)  # fmt: skip
def test_numbers_and_seconds(text, interval):
    assert Interval.parse(text) == interval


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "0.0s", "-1", "1.5", "s", "30 s", "30m", "1e3s", "inf", "nan", "²", "٣"]
)
def test_anything_else_is_refused(text):
    message = rf"^checkpoint_every is {text!r}, but it must be a number of updates >= 1, like 100, or of seconds"
    with pytest.raises(UserError, match=message):
        Interval.parse(text)
