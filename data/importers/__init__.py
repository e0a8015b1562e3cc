"""From the files of labelling tools to the standard layout.

`coco`, `yolo`, `labelme`, `cvat`, `labelstudio` (`labelstudio_regions`, `brush`) and `datumaro` read outlines and run
lengths; `cvat_masks`, `roboflow` and `indexed` read masks, with `tables` of what is in them. Each is an `importer` in
the `registry` and gives the images that it found as `labels`, with `shapes`. `archive` unpacks what was downloaded,
`foreign` names the formats that are not read. `mapping` is what the user says of labels, `rules` what class each
becomes, `naming` what a frame is called; `convert` draws and writes.
"""
