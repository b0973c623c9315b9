"""A page of results with rows of an earlier one: presets are trained anew one by one, not always all of them."""

import re
from collections.abc import Iterator
from itertools import groupby

from ppo_np.errors import UserError

HEAD = "| preset |"
LISTING = re.compile(r"(?<=```sh\n).*?(?=\n```)", re.DOTALL)
ORIGIN = re.compile(r"^(?:(?P<presets>[^\n]*): )?(?P<text>Trained [^\n]*)$", re.MULTILINE)


def merged(page: str, earlier: str) -> str:
    """The page, and what the earlier one has of other presets: rows, commands, and when they were trained.

    Raises:
        UserError: The earlier page has other tables.
    """
    if _heads(page) != _heads(earlier) or not LISTING.search(earlier):
        raise UserError("keep is a page whose tables have other columns, but it must be one that this command wrote.")
    own = {_preset(line) for line in next(_bodies(page))}
    kept = {_preset(line) for line in next(_bodies(earlier))} - own
    for new, old in zip(list(_bodies(page)), _bodies(earlier), strict=True):
        lines = sorted([*new, *(line for line in old if _preset(line) in kept)], key=_preset)
        page = page.replace("\n".join(new), "\n".join(lines), 1)
    trained = [line for line in LISTING.search(earlier)[0].splitlines() if set(line.split()) & kept]
    page = LISTING.sub(lambda found: "\n".join([*trained, found[0]]), page, count=1)
    origins = [f"{', '.join(sorted(own))}: {ORIGIN.search(page)['text']}"]
    for found in ORIGIN.finditer(earlier):
        names = kept & set(found["presets"].split(", ")) if found["presets"] else kept
        origins += [f"{', '.join(sorted(names))}: {found['text']}"] if names else []
    return ORIGIN.sub(lambda _: "\n\n".join(origins), page, count=1)


def _heads(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith(HEAD)]


def _bodies(page: str) -> Iterator[list[str]]:
    """The rows of each table about presets."""
    for is_row, lines in groupby(page.splitlines(), lambda line: line.startswith("| ") and not line.startswith(HEAD)):
        if is_row:
            yield list(lines)


def _preset(line: str) -> str:
    return line.split("|")[1].strip()
