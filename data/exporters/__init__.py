"""From the standard layout to the files of labelling tools: the way back from `cookseg.data.importers`.

`coco`, `yolo`, `labelme`, `cvat` and `labelstudio` each hold an `exporter`, which the `registry` lists. `frames` reads
and copies what is exported, as `regions`: masks and their `outlines`.
"""
