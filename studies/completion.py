"""Completion of the ``nsa`` command in a shell: ``nsa completion bash``."""

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence

from studies.plan.options import parser as study_parser

SHELLS = ("bash", "zsh")
_INSTALLED = """\
bash: nsa completion bash > ~/.local/share/bash-completion/completions/nsa
zsh:  nsa completion zsh > FOLDER/_nsa, with FOLDER in $fpath, before compinit
"""


def main(
    arguments: Sequence[str], commands: Mapping[str, tuple[str, str]], studies: Sequence[str]
) -> int:
    """Print the script that a shell reads; returns the exit status.

    Args:
        arguments: the shell's name.
        commands: module and description of each command, by its name.
        studies: names of those that ``nsa study`` runs.
    """
    made = argparse.ArgumentParser(
        prog="nsa completion", description=__doc__, epilog=_INSTALLED,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    made.add_argument("shell", choices=SHELLS)
    shell = made.parse_args(arguments).shell
    if importlib.util.find_spec("shtab") is None:
        print("error: completion needs shtab: pip install 'nsa-studies[studies]'", file=sys.stderr)
        return 2
    import shtab

    print(shtab.complete(whole_parser(commands, studies), shell))
    return 0


def whole_parser(
    commands: Mapping[str, tuple[str, str]], studies: Sequence[str]
) -> argparse.ArgumentParser:
    """One parser of all commands, for completion alone: each parses by itself."""
    import shtab

    whole = argparse.ArgumentParser(prog="nsa")
    whole.add_argument("--version", action="store_true")
    children = whole.add_subparsers()
    for name, (module, what) in commands.items():
        own = importlib.import_module(module).parser()
        for action in own._actions:  # of what takes a text: most are paths
            if not action.choices and action.nargs != 0 and action.type is None:
                action.complete = shtab.FILE
        children.add_parser(name, parents=[own], add_help=False, help=what)
    study = children.add_parser("study", help="run a study")
    names = study.add_subparsers()
    for name in studies:
        page = importlib.import_module(f"studies.{name}").STUDY
        names.add_parser(name, parents=[study_parser(page)], add_help=False, help=page.title)
    children.add_parser("list", help="the studies")
    children.add_parser("completion", help="of a shell").add_argument("shell", choices=SHELLS)
    return whole
