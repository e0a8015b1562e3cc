"""From the files of labelling tools to the standard layout.

`coco`, `yolo`, `labelme` and `cvat` read outlines, `indexed` reads masks: each gives the frames that it found as a
`frames.Source`. `convert` draws and writes them.
"""
