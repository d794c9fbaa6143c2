"""The script of ``nsa completion``, run by bash."""

import shutil
import subprocess

import pytest

from studies.__main__ import main


def completed(script: str, *words: str) -> list[str]:
    """What bash offers for the last word."""
    line = f"COMP_WORDS=(nsa {' '.join(map(repr, words))}); COMP_CWORD={len(words)}"
    ask = f"{line}; _shtab_nsa nsa {words[-1]!r} x; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_options_and_studies(capsys):
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert completed(script, "sc") == ["score"]
    assert completed(script, "fit", "--sus") == ["--suspects"]
    assert completed(script, "study", "batch") == ["batchsize_ablation"]
    assert "--max-hours" in completed(script, "study", "early_stopping", "--")


def test_zsh_has_one_too(capsys):
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef nsa")
