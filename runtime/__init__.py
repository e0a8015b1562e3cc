"""The base layer, and all that an appliance needs: frames in, class maps out. numpy, OpenCV, click and onnxruntime.

from cookseg.runtime import Segmenter, read_image, write_png

segmenter = Segmenter.load("model.onnx", device="cpu")
segmentation = segmenter.predict(read_image("frame.jpg"))
write_png("mask.png", segmentation.color)

`STARTER` is the path of the model that comes with it, trained on synthetic scenes only.
"""

import logging

from cookseg.runtime.errors import CooksegError, DeviceError, ImageError, InputError, ModelError
from cookseg.runtime.imaging.images import read_image
from cookseg.runtime.imaging.png import write_png
from cookseg.runtime.imaging.preprocess import read_frame
from cookseg.runtime.model.contract import ClassTable, Contract, Preprocessing
from cookseg.runtime.model.engine import STARTER
from cookseg.runtime.model.segmenter import Segmentation, Segmenter

logging.getLogger("cookseg").addHandler(logging.NullHandler())  # silent unless the program that calls it wants more

__all__ = [
    "STARTER",
    "ClassTable",
    "Contract",
    "CooksegError",
    "DeviceError",
    "ImageError",
    "InputError",
    "ModelError",
    "Preprocessing",
    "Segmentation",
    "Segmenter",
    "read_frame",
    "read_image",
    "write_png",
]
