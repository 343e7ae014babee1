"""A LoRA layer that keeps its input once and adds its gradients in place.

PEFT widens a layer's input to float32, which autocast narrows again, and autograd keeps both.
Here the input is kept once, whatever the number of layers that share it, and the adapter's part
of each gradient is added in place. `trainer bench` measures what that saves.

Imports torch and PEFT at the top, because its class extends torch's: import this module inside
the function that needs it (4 s).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch.nn.functional import linear


def fuse(model: Any) -> int:
    """Gives every plain LoRA layer of `model` the fused forward pass; returns their number.

    Layers with dropout or a variant (DoRA) keep PEFT's.
    """
    layers: list[Any] = [
        module
        for module in model.modules()
        if type(module) is Linear and not module.lora_variant and not _dropout(module)
    ]
    for layer in layers:
        layer.forward = _fused_forward(layer, layer.forward)
    return len(layers)


def _dropout(layer: Any) -> float:
    return max(getattr(drop, "p", 0.0) for drop in layer.lora_dropout.values())


def _fused_forward(layer: Any, plain: Callable) -> Callable:
    def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if layer.disable_adapters or layer.merged or len(layer.active_adapters) != 1 or kwargs:
            return plain(x, *args, **kwargs)
        name = layer.active_adapters[0]
        base = layer.get_base_layer()
        return _LoraLinear.apply(
            x,
            base.weight,
            base.bias,
            layer.lora_A[name].weight,
            layer.lora_B[name].weight,
            layer.scaling[name],
        )

    return forward


class _LoraLinear(torch.autograd.Function):
    """y = x W' + b + scale (x A') B' with W and b frozen.

    Computed in the type of W: A and B are narrowed to it, their gradients widened back.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        kind = weight.dtype
        flat = x.reshape(-1, x.shape[-1]).to(kind)
        low = linear(flat, a.to(kind))
        out = linear(flat, weight, bias)
        out.addmm_(low, b.to(kind).t(), alpha=scale)
        ctx.save_for_backward(flat, weight, a, b)
        ctx.scale, ctx.shape = scale, x.shape
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        flat, weight, a, b = ctx.saved_tensors
        kind = weight.dtype
        grad = grad.reshape(-1, grad.shape[-1]).to(kind)
        small = (grad @ b.to(kind)).mul_(ctx.scale)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ weight).addmm_(small, a.to(kind)).view(ctx.shape)
        grad_a = (small.t() @ flat).to(a.dtype)
        # x A' is computed again: 2 % of the work, and nothing more to keep in memory
        grad_b = (grad.t() @ linear(flat, a.to(kind))).mul_(ctx.scale).to(b.dtype)
        return grad_x, None, None, grad_a, grad_b, None
