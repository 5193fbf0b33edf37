"""Which half precisions a device computes in hardware."""

from __future__ import annotations

import torch


def has_bf16(device: str) -> bool:
    """Return whether the device multiplies bfloat16 in hardware.

    On a CPU that is AMX, AVX512-BF16 or Arm's instructions for bfloat16, on a GPU Ampere and later. Without them, torch
    computes in bfloat16 as well, but a convolution may take ten times as long as in float32.
    """
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # older torch lacks it
    if capabilities is None:
        return "AVX512" in torch.backends.cpu.get_cpu_capability()
    known = capabilities()
    return any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
