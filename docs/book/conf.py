"""Settings of Sphinx for the book. `python -m docs.book.build` builds it; nothing is loaded from the network."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

project = "ppo_np"
html_title = "ppo_np: PPO with every gradient by hand"
author = ""
copyright = ""
html_show_copyright = False

extensions = ["myst_parser", "docs.book.formulas", "docs.book.pages", "docs.book.sources"]
exclude_patterns = ["book", "figures", "interactive"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 4
# Files of the repository that are no pages; docs/book/sources.py gives them pages.
myst_url_schemes = {"http": None, "https": None, "mailto": None, "repo": None}

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "default"
