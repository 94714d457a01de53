"""How soon the command line answers."""

import subprocess
import sys


def test_help_against_importing_torch(seconds, measured):
    def run(*arguments):
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    ours, torch, nothing = seconds(
        lambda: run("-m", "bench.cli", "--help"),
        lambda: run("-c", "import torch"),
        lambda: run("-c", ""),
        repeats=5,
    )
    for against, theirs in (("`import torch`", torch), ("Python doing nothing", nothing)):
        measured(
            "start-up",
            "`bench --help`",
            size="a process, begun and ended",
            against=against,
            ours=ours,
            theirs=theirs,
        )
