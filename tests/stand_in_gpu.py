"""A GPU made of the processor: what runs on it computes as ever, under a GPU's rules.

Its tensors say that they are on `cuda:0`, and hold an ordinary tensor. What mixes them with the
processor's tensors fails as it does on a GPU; autocast rounds to bfloat16 as it does there; and a
CUDA graph is what it is there: launches at fixed addresses, played back without Python, and while
they are recorded nothing may be read back or sent over. What it cannot show is whether a kernel
exists, and how fast it is: the tests marked `gpu` do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

aten = torch.ops.aten
MATH = 0  # attention written out as products and a softmax
INDEXED = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}
BETWEEN = {
    aten.copy_.default,
    aten._to_copy.default,
    aten._pack_padded_sequence.default,  # its lengths are for the processor
    *INDEXED,
}  # may have tensors of both
WAITING = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.equal.default,
    aten.repeat_interleave.Tensor,
}  # make the processor wait for the GPU

recording: list[tuple[Any, Any, Any, Any]] | None = None


class Refused(RuntimeError):
    """What a GPU does not do either."""


class Held(Tensor):
    """A tensor on the stand-in. To PyTorch's core it has a shape and no data."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: torch.device("cuda:0"))
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)

    @staticmethod
    def __new__(cls, held: Tensor) -> Self:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device="meta",
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return launch(func, args, kwargs or {})


class Launches(TorchDispatchMode):
    """Sees what is made on the GPU and sent to it, too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return launch(func, args, kwargs or {})


def tensors_in(*nested: Any) -> list[Tensor]:
    tensors = []
    for x in nested:
        if isinstance(x, Tensor):
            tensors.append(x)
        elif isinstance(x, list | tuple):
            tensors += tensors_in(*x)
        elif isinstance(x, dict):
            tensors += tensors_in(*x.values())
    return tensors


def each(nested: Any, change: Callable[[Any], Any]) -> Any:
    """The same with every leaf changed. PyTorch's own way takes most of a test's time."""
    if type(nested) in (list, tuple):
        return type(nested)([each(x, change) for x in nested])
    if isinstance(nested, dict):
        return {name: each(x, change) for name, x in nested.items()}
    return change(nested)


def launch(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute with the tensors held, and hold what comes out."""
    tensors = tensors_in(args, kwargs)
    inputs_on_gpu = any(isinstance(x, Held) for x in tensors)
    target = kwargs.get("device")
    result_on_gpu = (
        inputs_on_gpu if target is None else torch.device(target).type in ("cuda", "meta")
    )
    if not (inputs_on_gpu or result_on_gpu):
        return func(*args, **kwargs)
    if func is aten._local_scalar_dense.default:
        result_on_gpu = False
    assert not any(x.is_meta for x in tensors), f"{func}: a tensor that was not seen being made"
    beside = [x for x in tensors if not isinstance(x, Held) and x.dim() > 0]
    if inputs_on_gpu and beside and func not in BETWEEN:
        raise Refused(f"{func}: expected all tensors to be on the same device")
    if recording is not None and (beside or not result_on_gpu or waits(func, args)):
        raise Refused(f"{func}: not permitted while a stream is captured")
    if func is aten._fused_sdp_choice.default:
        return MATH
    if target is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    own = each((args, kwargs), lambda x: x.held if isinstance(x, Held) else x)
    out = func(*own[0], **own[1])
    if recording is not None:
        recording.append((func, *own, out))
    if not result_on_gpu:
        return out
    if func is aten._pack_padded_sequence.default:
        return Held(out[0]), out[1]  # how many go on at each step is for the processor, too
    wrapped = each(out, lambda x: Held(x) if isinstance(x, Tensor) else x)
    return return_and_correct_aliasing(func, args, kwargs, wrapped)


def waits(func: Any, args: Any) -> bool:
    """Whether the processor must wait for a result, as for how many of a mask are true."""
    masked = func in INDEXED and any(x is not None and x.dtype == torch.bool for x in args[1])
    return func in WAITING or masked


# -- functions ------------------------------------------------------------------------------------

F = nn.functional
# What CUDA's autocast does to the functions that are used here.
LOWER = {
    *(F.linear, F.scaled_dot_product_attention, torch._VF.lstm, torch._VF.gru, torch._VF.rnn_tanh),
    *(torch.matmul, torch.mm, torch.bmm, torch.addmm, torch.einsum),
    *(Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__, Tensor.mm, Tensor.addmm),
}
SINGLE = {
    *(F.layer_norm, F.softmax, F.log_softmax, F.cross_entropy, F.binary_cross_entropy_with_logits),
    *(F.softplus, torch.exp, torch.log, torch.sum, torch.cumsum, torch.logsumexp),
    *(Tensor.exp, Tensor.log, Tensor.sum, Tensor.cumsum, Tensor.softmax, Tensor.logsumexp),
    *(Tensor.log_softmax, Tensor.pow, Tensor.__pow__, Tensor.prod),
}


class Functions(TorchFunctionMode):
    """Autocast, and what PyTorch's core would do to a Held that it thinks has no data."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.to or "device" in kwargs:
            args, kwargs = each((args, kwargs), numbered)
        if func is Tensor.tolist and isinstance(args[0], Held):
            return args[0].cpu().tolist()
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], Held):
            args = (args[0], on_the_processor(args[1]), *args[2:])
        if torch.is_autocast_enabled("cuda") and func in LOWER | SINGLE:
            kind = torch.get_autocast_dtype("cuda") if func in LOWER else torch.float32
            args, kwargs = each((args, kwargs), lambda x: cast(x, kind))
            with torch.autocast("cuda", enabled=False):
                return func(*args, **kwargs)
        return func(*args, **kwargs)


def numbered(x: Any) -> Any:
    any_gpu = isinstance(x, torch.device) and x == torch.device("cuda")
    return torch.device("cuda:0") if any_gpu else x


def cast(x: Any, kind: torch.dtype) -> Any:
    return x.to(kind) if isinstance(x, Held) and x.dtype in (torch.float, torch.bfloat16) else x


def on_the_processor(index: Any) -> Any:
    """The index, its lists and arrays as tensors there, from where they are sent over."""
    if isinstance(index, tuple):
        return tuple(on_the_processor(part) for part in index)
    return torch.as_tensor(index) if isinstance(index, list | np.ndarray) else index


# -- graphs ---------------------------------------------------------------------------------------


class Graph:
    """Launches, to be played back at the addresses where they were recorded."""

    def __init__(self) -> None:
        self.launches: list[tuple[Any, Any, Any, Any]] = []

    def replay(self) -> None:
        for func, args, kwargs, out in self.launches:
            known = {address(x) for x in tensors_in(args, kwargs)}
            fresh = func(*args, **kwargs)
            for old, new in zip(tensors_in(out), tensors_in(fresh), strict=True):
                if address(old) not in known:  # no view, not in place
                    old.copy_(new)


def address(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


@contextmanager
def captured(graph: Graph) -> Iterator[None]:
    global recording
    recording = graph.launches
    try:
        yield
    finally:
        recording = None


class Stream:
    def wait_stream(self, other: Stream) -> None: ...


class Generator(torch.Generator):
    def __new__(cls, device: Any = "cpu") -> Self:
        return super().__new__(cls)


# -- the machine ----------------------------------------------------------------------------------


@contextmanager
def plugged_in() -> Iterator[None]:
    """Inside, PyTorch believes in the GPU, and systems live there."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as modes:
        for name, stand_in in {
            # Modules take new parameters when they move: a Held is no other tensor's data.
            "torch.__future__.get_overwrite_module_params_on_conversion": lambda: True,
            "torch.cuda._lazy_init": lambda: None,
            "torch.cuda.is_available": lambda: True,
            "torch.cuda.is_bf16_supported": lambda *_: True,
            "torch.cuda.get_device_name": lambda *_: "stand-in",
            "torch.cuda.max_memory_allocated": lambda *_: 0,
            "torch.cuda.set_per_process_memory_fraction": lambda share: None,
            "torch.cuda.manual_seed_all": lambda seed: None,
            "torch.cuda.get_rng_state": lambda device=None: None,
            "torch.cuda.set_rng_state": lambda state, device=None: None,
            "torch.cuda.Stream": Stream,
            "torch.cuda.current_stream": Stream,
            "torch.cuda.stream": lambda stream: nullcontext(),
            "torch.cuda.CUDAGraph": Graph,
            "torch.cuda.graph": captured,
            "torch.Generator": Generator,
        }.items():
            patch.setattr(name, stand_in)
        patch.setenv("BENCH_DEVICE", "cuda")
        # Numbers out of Python become a tensor of the processor, which is then sent over.
        modes.callback(torch._C._set_only_lift_cpu_tensors, torch._C._only_lift_cpu_tensors())
        torch._C._set_only_lift_cpu_tensors(True)
        modes.enter_context(Launches())
        modes.enter_context(Functions())
        yield
