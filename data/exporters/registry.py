"""The formats that can be exported: a new one is a class in a module beside, and a line here."""

from cookseg.data.exporters.coco import Coco
from cookseg.data.exporters.cvat import Cvat
from cookseg.data.exporters.exporter import Exporter
from cookseg.data.exporters.labelme import LabelMe
from cookseg.data.exporters.labelstudio import LabelStudio
from cookseg.data.exporters.yolo import Yolo

_ALL: tuple[Exporter, ...] = (Coco(), Yolo(), LabelMe(), Cvat(), LabelStudio())

EXPORTERS = {exporter.name: exporter for exporter in _ALL}
"""All exporters by name."""
