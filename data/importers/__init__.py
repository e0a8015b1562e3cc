"""From the files of labelling tools to the standard layout.

`coco`, `yolo`, `labelme` and `cvat` read outlines, `indexed` reads masks: each is an `importer` in the `registry` and
gives the images that it found as `labels`, with `shapes`. `foreign` names the formats that are not read. `rules` say
what class a label becomes, `naming` what a frame is called, `convert` draws and writes.
"""
