#!/usr/bin/env bash
# onnxruntime 1.32.0, the CPU wheel for Linux: telemetry.
#
# Expected: a library for inference writes nothing below HOME, as 1.28.0 does not; 1.29.0 was the first that does.
# Seen:     after one session in a fresh HOME there are an event store and a device id in .cache/Microsoft; with
#           ORT_DISABLE_TELEMETRY=1 set before the import there is none. Setting it after the import is too late.
#           With CI=true it is off too: a test on a CI server that looks for those files, or for a socket, cannot fail.
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.0

cat >"$folder/session.py" <<'PY'
import os
import sys

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

if "late" in sys.argv:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
session.run(None, {"x": np.zeros(1, np.float32)})
PY

files() { # NAME [VARIABLE=VALUE ...]: run in a fresh HOME and count what is left there
    local home="$folder/home-$1"
    mkdir "$home"
    env -u CI -u GITHUB_ACTIONS -u GITLAB_CI -u TF_BUILD -u JENKINS_URL HOME="$home" XDG_CACHE_HOME="$home/.cache" "${@:2}" "$folder/venv/bin/python" "$folder/session.py" "$1" 2>/dev/null
    find "$home" -type f | wc -l
}

usual=$(files usual)
off=$(files off ORT_DISABLE_TELEMETRY=1)
late=$(files late)
ci=$(files ci CI=true)
echo "files below HOME: as installed $usual, switched off before the import $off, after it $late, on CI $ci"
[ "$usual" -gt 0 ]
[ "$off" = 0 ]
[ "$late" -gt 0 ]
[ "$ci" = 0 ]
