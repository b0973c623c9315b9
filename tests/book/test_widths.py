"""What does not fit a narrow screen is found; what scrolls by itself is not."""

import pytest
from browser import need_chromium

from docs.book.widths import too_wide


@pytest.mark.browser
def test_too_wide(tmp_path):
    need_chromium()
    wide = '<p style="width: 900px">wide</p>'
    (tmp_path / "bad.html").write_text(f"<!doctype html><main>{wide}</main>")
    (tmp_path / "good.html").write_text(f'<!doctype html><main><div style="overflow-x: auto">{wide}</div></main>')
    (tmp_path / "hidden.html").write_text(f'<!doctype html><main style="overflow: hidden">{wide}</main>')
    bad, hidden = too_wide(tmp_path)
    assert bad.startswith("bad.html at 400 pixels is 9") and bad.endswith("; too wide is 'wide'")
    assert hidden == "hidden.html at 400 pixels is 400 wide; too wide is 'wide'"
    assert not (tmp_path / "_widths.html").exists()
