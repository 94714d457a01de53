"""On the path of a run, this gives its jobs a stand-in for a GPU (see `stand_in_gpu.py`)."""

import os
import sys
from pathlib import Path


def plug_in() -> None:
    if "torch" not in sys.modules:
        return  # no job's process
    sys.path.insert(0, str(Path(__file__).parent.parent))
    import stand_in_gpu

    plugged_in.append(stand_in_gpu.plugged_in())
    plugged_in[0].__enter__()


plugged_in: list = []  # for as long as the process lives
os.register_at_fork(after_in_child=plug_in)
