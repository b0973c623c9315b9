"""The commands: `python -m ppo_np` lists them, and `ppo-np train` is `python -m ppo_np.train`."""

import ast
import os
import runpy
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import tyro

from ppo_np.errors import UserError, short
from ppo_np.running import cli

PROGRAM = "ppo-np"
COMPLETION = "--tyro-print-completion", "--tyro-write-completion"
FOLDER = Path(__file__).parent


def commands() -> dict[str, str]:
    """The first sentence about each command, by name: of the modules here that call `cli.run`. None is imported."""
    found = {}
    for path in sorted([*FOLDER.glob("*.py"), *FOLDER.glob("*/__main__.py")]):
        name = path.parent.name if path.stem == "__main__" else path.stem
        source = path.read_text(encoding="utf-8")
        if path != Path(__file__) and "cli.run(main)" in source:
            found[name] = (ast.get_docstring(ast.parse(source)) or "").split(": `python")[0].split("\n")[0]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names, with the other arguments; without arguments, list the commands.

    Raises:
        UserError: There is no such command.
        SystemExit: The command has ended.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    known = commands()
    if name in COMPLETION:
        return _complete(list(known), [name, *rest])
    if name in ("-h", "--help"):
        print(f"usage: {PROGRAM} COMMAND ..., or python -m ppo_np.COMMAND ...\n\ncommands (each has a --help):")
        print("\n".join(f"  {one:<10} {about}" for one, about in known.items()))
        print(f"\ncompletion: {PROGRAM} {COMPLETION[0]} bash (or zsh, tcsh) prints a script for your shell")
        return cli.DONE
    if name not in known:
        raise UserError(f"command is {short(name)}, but it must be one of {', '.join(known)}.")
    sys.argv = [f"{PROGRAM} {name}", *rest]
    runpy.run_module(f"ppo_np.{name}", run_name="__main__")
    return cli.DONE


def _complete(names: Sequence[str], arguments: Sequence[str]) -> int:
    """Print or write tyro's script with the flags of all commands that have one class of options."""
    classes = {name: getattr(import_module(f"ppo_np.{name}"), f"{name.title()}Options", None) for name in names}
    with cli.NUMBERS:
        tyro.extras.subcommand_cli_from_dict(
            {name: options for name, options in classes.items() if options}, prog=PROGRAM, args=list(arguments)
        )
    return cli.DONE


def script() -> None:
    """Run as the program `ppo-np`: modules in the working folder can be imported, as after `python -m`."""
    import_module("kernels")  # ours: the working folder may have another one
    sys.path.insert(0, os.getcwd())
    cli.run(main)


if __name__ == "__main__":
    cli.run(main)
