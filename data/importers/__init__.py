"""From the files of labelling tools to the standard layout.

`coco`, `yolo`, `labelme` and `cvat` read outlines, `indexed` reads masks: each is an `importer` in the `registry` and
gives the images that it found as `labels`. `rules` say what class a label becomes, `convert` draws and writes.
"""
