#!/usr/bin/env bash
# label-studio-sdk 2.1.2: LabelInterface.validate_task, the check of a task before it is imported.
#
# Expected: True or False for a task with an annotation, as `validate_annotation` says for the annotation itself.
# Seen:     TypeError, since it calls `validate_annotation` without the annotation; without `annotations` it works. So
#           tasks with labels can be checked only part by part.
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet label-studio-sdk==2.1.2

cat >"$folder/validate.py" <<'PY'
from label_studio_sdk.label_interface import LabelInterface

config = """<View><Image name="image" value="$image"/>
<PolygonLabels name="label" toName="image"><Label value="egg"/></PolygonLabels></View>"""
region = {
    "id": "a", "type": "polygonlabels", "from_name": "label", "to_name": "image", "original_width": 64,
    "original_height": 48, "value": {"points": [[10, 10], [60, 10], [60, 70]], "polygonlabels": ["egg"]},
}
annotation = {"result": [region]}
interface = LabelInterface(config)
print("annotation", interface.validate_annotation(annotation))
print("task without annotations", interface.validate_task({"data": {"image": "a.jpg"}}))
try:
    print("task", interface.validate_task({"data": {"image": "a.jpg"}, "annotations": [annotation]}))
except TypeError as error:
    print("task", error)
PY
"$folder/venv/bin/python" "$folder/validate.py" 2>/dev/null | tee "$folder/said"
grep -qx "annotation True" "$folder/said"
grep -qx "task without annotations True" "$folder/said"
grep -q "^task .*missing 1 required positional argument: 'annotation'" "$folder/said"
