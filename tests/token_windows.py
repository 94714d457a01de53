"""Windows of any tokens, for tests of networks."""

import numpy as np
import torch

from bench.training.text import Examples, Text


def examples(windows: torch.Tensor, last: int = 0) -> Examples:
    """What windows (windows, time + 1) of tokens teach, where any token may follow; -1: padding."""
    tokens = windows.numpy()
    places = np.arange(tokens.size).reshape(tokens.shape)
    text = Text(tokens.ravel(), [], None)
    return text.examples(np.where(tokens >= 0, places, -1), last=last)
