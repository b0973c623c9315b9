"""Run the code blocks of the docs: `python -m docs.book.blocks [PAGE ...]`. The exit code is 1 if one does not work.

The rule. Each page gets an empty folder of its own, in which `runs/RUN` is a short run. Its blocks are done in order:

* A `python` block is run, in a process of its own. One that begins with a comment like `# mymodule.py` is saved under
  that name as well, so that later blocks of the page can import it.
* Of an `sh` block, each command `python -m ppo_np.X` is run, unless it needs MPI, a file that the folder does not
  have, or, as those of the course after `start` do, a learner's files. Each other command is checked only: its module
  or file exists, and its options are in its `--help`. These are installations, the tests and benchmarks themselves
  (other steps of CI), and commands for clusters.
* What is run must end with exit code 0; `replay`, `gradcheck --inject` and `--hunt` with 1, since it must find the
  mistake.
* If all pages are done, each command that `python -m ppo_np` lists must have been run.
* What is run is shortened: at most 512 steps of training, 2 episodes, 2 trials, 16 units where gradients are checked.
* A block below a comment `<!-- not run: REASON -->` is left alone. A block in another language holds no commands.

The same command is run once, even if several pages have it.
"""

import argparse
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

from ppo_np.__main__ import commands as commands_of_ppo_np

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^(?:<!-- not run: (?P<reason>.+?) -->\n+)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)
STEPS, EPISODES, SECONDS = 512, 2, 300
SHORTER = {"--total-timesteps": STEPS, "--timesteps": STEPS, "--episodes": EPISODES, "--trials": 2}
MAKE_RUN = f"python -m ppo_np.train --env-id CartPole-v1 --total-timesteps {STEPS} --run-dir runs/RUN"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: the line of its fence, its language, its text, and why it is not run if it says so."""

    line: int
    language: str
    code: str
    reason: str = ""


@dataclass
class Tally:
    """What was done with the commands and blocks of a page, and what was wrong; `seen` is one set for all pages."""

    run: int = 0
    checked: int = 0
    left: int = 0
    problems: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page that have a language."""
    for match in BLOCK.finditer(text):
        if match["language"]:
            line = text.count("\n", 0, match.start("language")) + 1
            yield Block(line, match["language"], match["code"], match["reason"] or "")


def commands(code: str) -> list[list[str]]:
    """The commands of an `sh` block as lists of words, without comments, and without variables that are set first."""
    found = []
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command = words[:end]
            while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
                command = command[1:]
            found.append(command)
            words = words[end + 1 :]
    return found


def shortened(words: list[str]) -> list[str]:
    """A command of ppo_np with few steps or episodes, or a small network."""
    words = list(words)
    for option, most in SHORTER.items():
        if option in words:
            place = words.index(option) + 1
            words[place] = str(min(int(words[place]), most))
    if words[2:3] == ["ppo_np.gradcheck"]:
        return [*words, "--shared-sizes", "16"]
    if words[2:3] == ["ppo_np.tune"] and not {"--timesteps", "--resume"} & set(words):
        return [*words, "--timesteps", str(STEPS)]
    trains = words[2:3] in (["ppo_np.train"], ["ppo_np.sweep"])
    asks = {"--total-timesteps", "--resume", "--list-presets", "--help"} & set(words)
    return [*words, "--total-timesteps", str(STEPS)] if trains and not asks else words


def short_code(code: str) -> str:
    """A `python` block with few steps of training."""
    steps = re.compile(r"(total_timesteps=)([\d_]+)")
    return steps.sub(lambda match: match[1] + str(min(int(match[2]), STEPS)), code)


def missing_file(words: list[str], folder: Path) -> str:
    """The first path that a command reads and the page's folder does not have; empty if there is none."""
    reads = [word for before, word in pairwise(words) if before not in ("--out", "--run-dir", "--video")]
    for word in reads:
        if re.match(r"\[?runs?/|run$", word) and not (folder / word).exists():
            return word
    return ""


@cache
def help_of(*start: str) -> str:
    """What a command prints for `--help`."""
    done = subprocess.run([sys.executable, *start, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    return done.stdout


def check(words: list[str]) -> str:
    """A sentence if a command's module, a file of it or one of its options does not exist; empty otherwise."""
    if words[:2] == ["python", "-m"]:
        # A word without dashes after the module is a command of it, such as `train`.
        start = words[1:4] if re.fullmatch(r"[a-z]+", words[3] if len(words) > 3 else "") else words[1:3]
        if importlib.util.find_spec(words[2]) is None:
            return f"there is no module {words[2]}"
    elif words[0] == "python":
        start = words[1:2]
    elif "python" in words[1:]:
        return check(words[words.index("python") :])
    else:
        start = []
    files = [name for word in words for name in expanded(word) if re.match(r"(tests|bench|docs|\.ci)/", name)]
    lost = [name for name in files if not (ROOT / name).exists()]
    if lost:
        return f"there is no {lost[0]}"
    if start and "venv" not in start:
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        # Sweeps and searches take the flags of train as well.
        text = help_of(*start) + (help_of("-m", "ppo_np.train") if start[-1] in ("ppo_np.sweep", "ppo_np.tune") else "")
        unknown = [option for option in options if not re.search(rf"{option}\b", text)]
        if unknown:
            return f"{' '.join(start)} has no option {unknown[0]}"
    return ""


def expanded(word: str) -> list[str]:
    """The names that a shell makes of a word with one pair of braces."""
    match = re.fullmatch(r"(.*)\{(.+)\}(.*)", word)
    return [match[1] + part + match[3] for part in match[2].split(",")] if match else [word]


def execute(words: list[str], folder: Path) -> str:
    """Run a command in a folder. Returns the end of its output if it failed, and an empty text otherwise."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SDL_VIDEODRIVER": "dummy", "MPLBACKEND": "Agg"}
    program = [sys.executable, *words[1:]]
    expected = int(bool({"--inject", "--hunt", "ppo_np.replay"} & set(words)))
    try:
        done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"not done after {SECONDS} s"
    return "" if done.returncode == expected else f"exit code {done.returncode}\n{(done.stdout + done.stderr)[-1500:]}"


def do_python(block: Block, folder: Path) -> str:
    """Run a `python` block. Returns what was wrong."""
    name = re.match(r"# (\w+\.py)\n", block.code)
    script = folder / (name[1] if name else f"block_{block.line}.py")
    script.write_text(short_code(block.code), encoding="utf-8")
    return execute(["python", script.name], folder)


def do_command(words: list[str], folder: Path, tally: Tally) -> str:
    """Run or check one command. Returns what was wrong."""
    runs = words[:2] == ["python", "-m"] and words[2].startswith("ppo_np.") and "--ranks" not in words
    runs = runs and (words[2] != "ppo_np.course" or words[3] == "start")
    if not runs or missing_file(words, folder):
        tally.checked += 1
        return check(words)
    command = shlex.join(shortened(words))
    # A command with a file of the page's folder means something else on each page.
    if command in tally.seen and "run" not in command.replace("ppo_np", ""):
        return ""
    tally.seen.add(command)
    tally.run += 1
    return execute(shlex.split(command), folder)


def do_page(page: Path, tally: Tally) -> None:
    """Run and check the blocks of one page in a folder that is made for it."""
    found = [block for block in blocks(page.read_text(encoding="utf-8")) if block.language in ("python", "sh")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if any("runs/RUN" in block.code for block in found):
            execute(shlex.split(MAKE_RUN), folder)
        for block in found:
            where = f"{page.relative_to(ROOT)}:{block.line}"
            if block.reason:
                tally.left += 1
            elif block.language == "python":
                tally.run += 1
                problem = do_python(block, folder)
                tally.problems += [f"{where}: {problem}"] if problem else []
            else:
                for words in commands(block.code):
                    problem = do_command(words, folder, tally)
                    tally.problems += [f"{where}: {shlex.join(words)}: {problem}"] if problem else []


def pages() -> list[Path]:
    """README.md and all pages of docs and docs/course."""
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/course/*.md"))]


def without_example(seen: set[str]) -> list[str]:
    """A sentence for each command of ppo_np that is in none of the command lines which were run."""
    run = {line.split()[2].removeprefix("ppo_np.") for line in seen}
    return [
        f"no page has an example of python -m ppo_np.{name} that is run"
        for name in commands_of_ppo_np()
        if name not in run
    ]


def main(chosen: list[Path]) -> int:
    """Do these pages, or all, as many at a time as there are cores; returns the exit code."""
    seen: set[str] = set()
    tallies = [Tally(seen=seen) for _ in chosen or pages()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(do_page, [page.resolve() for page in chosen or pages()], tallies))
    problems = [problem for tally in tallies for problem in tally.problems]
    problems += [] if chosen else without_example(seen)
    print(*problems, sep="\n", end="\n" if problems else "")
    run, checked, left = (sum(getattr(tally, name) for tally in tallies) for name in ("run", "checked", "left"))
    print(f"{run} run, {checked} checked, {left} marked as not run, {len(problems)} do not work")
    return int(bool(problems))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="Markdown files; without any, all")
    given = parser.parse_args().pages
    lost = [str(page) for page in given if not page.is_file()]
    if lost:
        parser.error(f"PAGE: there is no {lost[0]}")
    sys.exit(main(given))
