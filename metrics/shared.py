"""Computes once what several metrics need of the same pieces."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import wraps
from typing import Any, TypeVar

from bench.contract import Reference

KEPT = 12  # results: those of one reference and of its samples, and some to spare

R = TypeVar("R")


def shared(function: Callable[..., R]) -> Callable[..., R]:
    """Keep the function's last results, and return them for the same objects.

    Pieces and references are compared by identity, not by content: a `Score` never changes, and a
    list stands for the pieces it holds at the time of the call. Callers must not change the result.
    """
    # The arguments are kept with their result, so that no new object can get their identity.
    kept: OrderedDict[Hashable, tuple[tuple[Any, ...], R]] = OrderedDict()

    @wraps(function)
    def remembering(*arguments: Any) -> R:
        frozen = tuple(tuple(a) if isinstance(a, list) else a for a in arguments)
        key = tuple(identity(argument) for argument in frozen)
        if key in kept:
            kept.move_to_end(key)
            return kept[key][1]
        result = function(*arguments)
        kept[key] = (frozen, result)
        if len(kept) > KEPT:
            kept.popitem(last=False)
        return result

    return remembering


def identity(argument: Any) -> Hashable:
    """A key that no other argument alive at the same time has."""
    if isinstance(argument, Reference):
        return id(argument)
    if isinstance(argument, Sequence) and not isinstance(argument, str):
        return tuple(id(piece) for piece in argument)
    return hash(argument), type(argument)
