#!/usr/bin/env bash
# torch 2.13.0, CPU, a processor with bfloat16 instructions (AVX512-BF16 or AMX): gradients of depthwise convolutions.
#
# Expected: what autocast to bfloat16 makes faster forwards, it does not make slower backwards.
# Seen:     depthwise convolutions of stride 2, and of 5x5, take 2 to 7 times as long backwards as in float32, while
#           dense ones of the same size take half. A MobileNet or EfficientNet trains faster with them in float32.
# Exit 0: still so. Exit 1: it has changed. Exit 2: this processor has no bfloat16 instructions.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.0

cat >"$folder/backward.py" <<'PY'
import sys
import time

import torch

if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
    sys.exit(2)
torch.set_num_threads(1)


def milliseconds(dtype, channels, size, kernel, stride, groups):
    x = torch.randn(8, channels, size, size, dtype=dtype).to(memory_format=torch.channels_last).requires_grad_()
    w = torch.randn(channels, channels // groups, kernel, kernel, dtype=dtype)
    w = w.to(memory_format=torch.channels_last).requires_grad_()
    times = []
    for _ in range(7):
        y = torch.nn.functional.conv2d(x, w, None, stride, kernel // 2, 1, groups)
        begin = time.perf_counter()
        torch.autograd.grad(y, [x, w], torch.ones_like(y))
        times.append(time.perf_counter() - begin)
    return min(times) * 1e3


ratios = {}
for name, shape in {
    "depthwise 3x3, stride 2": (96, 128, 3, 2, 96),
    "depthwise 5x5, stride 2": (144, 64, 5, 2, 144),
    "depthwise 5x5": (480, 16, 5, 1, 480),
    "dense 3x3": (64, 64, 3, 1, 1),
}.items():
    half, single = (milliseconds(dtype, *shape) for dtype in (torch.bfloat16, torch.float32))
    ratios[name] = half / single
    print(f"{name:24s} backwards: bfloat16 {half:6.1f} ms, float32 {single:6.1f} ms: {ratios[name]:.2f}")
dense = ratios.pop("dense 3x3")
sys.exit(not (min(ratios.values()) > 1.5 and dense < 1))
PY
"$folder/venv/bin/python" "$folder/backward.py"
