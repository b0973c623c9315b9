"""A page in headless Chromium: what it looks like after its scripts have run.

Tests skip where no Chromium is found, unless PPO_NP_REQUIRE_CHROMIUM=1 is set.
"""

import json
import os
import re
import subprocess
import tempfile
from html import escape, unescape
from html.parser import HTMLParser

import pytest

from docs.book.browser import CHROMIUM, FLAGS, dump


def need_chromium():
    """Skip the test if there is no Chromium, or fail with PPO_NP_REQUIRE_CHROMIUM=1."""
    if CHROMIUM is None:
        if os.environ.get("PPO_NP_REQUIRE_CHROMIUM") == "1":
            pytest.fail("PPO_NP_REQUIRE_CHROMIUM is 1, but no Chromium is installed")
        pytest.skip("no Chromium is installed")


def dumped(page, values=""):
    """The document of a file after its scripts have run, as text; `values` follow the # in the address."""
    need_chromium()
    return dump(page, values)


class Data(HTMLParser):
    """Collects the attributes data-name and data-value of a document."""

    def __init__(self, document):
        super().__init__()
        self.values = {}
        self.feed(document)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "data-name" in attributes:
            assert attributes["data-name"] not in self.values
            self.values[attributes["data-name"]] = attributes["data-value"]


def overflow(page, widths, tmp_path):
    """For each width of a window: by how many pixels a page is wider."""
    probe, text = tmp_path / "probe.html", escape(page.read_text())
    frames = [f'<iframe style="border:0;width:{width}px;height:900px" srcdoc="{text}"></iframe>' for width in widths]
    script = """<script>addEventListener("load", () => {
        for (const frame of document.querySelectorAll("iframe")) {
            const root = frame.contentDocument.documentElement;
            const sizes = `${root.scrollWidth} ${root.clientWidth}`;
            frame.outerHTML = `<b data-name="${frame.style.width}" data-value="${sizes}">`;
        }
    });</script>"""
    probe.write_text(f"<!DOCTYPE html><body>{''.join(frames)}{script}")
    found = {}
    for width, sizes in Data(dumped(probe)).values.items():
        window, (wanted, inner) = int(width.removesuffix("px")), map(int, sizes.split())
        assert window - 20 <= inner <= window  # a scroll bar may take some
        found[window] = wanted - inner
    return found


def probed(page, script, tmp_path, width, *flags):
    """What a script finds in a page that is shown in a frame of this width.

    The script has the document `page`, its window `view`, and fills the object `found`. `flags` are Chromium's.
    """
    need_chromium()
    probe = tmp_path / "probe.html"
    probe.write_text(f"""<!DOCTYPE html><body>
        <iframe style="border:0;width:{width}px;height:900px" srcdoc="{escape(page.read_text())}"></iframe>
        <script>addEventListener("load", () => {{
            const view = document.querySelector("iframe").contentWindow, page = view.document, found = {{}};
            {script}
            document.body.textContent = "found" + JSON.stringify(found) + "end";
        }});</script>""")
    return json.loads(re.search(r"found(\{.*\})end", unescape(dump(probe, "", *flags)), re.DOTALL)[1])


def console(page):
    """The lines that a page writes to the browser's console, errors included."""
    need_chromium()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
            "--dump-dom",
            page.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
