"""The contract between a model and its user: the class table and the preprocessing spec, and their one JSON form.

Standard library only. The contract is written by training into the checkpoint, by export into the ONNX file's metadata
(key ``cookseg``), and read from there by the runtime: nothing else in the code knows how many classes there are, what
they are called, or what size the network sees. Unknown versions and fields are refused rather than ignored, because a
field that is ignored is a wrong answer that nobody notices.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from cookseg.runtime.errors import InputError, ModelError
from cookseg.runtime.keywords import checked_keywords

VERSION = 1
METADATA_KEY, GOLDEN_KEY = "cookseg", "cookseg.golden"
"""Entries of an ONNX file's metadata: the contract, and the golden vectors of `cookseg.runtime.model.selftest`."""
IGNORE = 255
"""Value of pixels without ground truth in every class map inside cookseg, whatever the dataset's own files use."""

Color = tuple[int, int, int]
ResizeRule = Literal["stretch", "letterbox"]


@checked_keywords
@dataclass(frozen=True)
class ClassTable:
    """Names and mask colours of the classes, in the order of the network's channels.

    Attributes:
        names: One name per class, each different; the first is the network's channel 0.
        colors: One RGB colour per class, each different, 0..255.
        ignore_index: Value of unlabelled pixels in index masks on disk. 255 is always ignored as well.
        ignore_color: RGB colour of unlabelled pixels in colour masks on disk, or None if there is none.
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    ignore_index: int = IGNORE
    ignore_color: Color | None = None

    def __post_init__(self) -> None:
        if not 2 <= len(self.names) <= 254:
            raise InputError(f"a class table needs 2 to 254 classes, this one has {len(self.names)}")
        if len(self.names) != len(self.colors):
            raise InputError(f"the class table has {len(self.names)} names but {len(self.colors)} colours")
        if not all(isinstance(name, str) and name for name in self.names):
            raise InputError(f"each class needs a name, a text that is not empty: {list(self.names)}")
        if len(set(self.names)) != len(self.names):
            raise InputError(f"two classes have the same name: {', '.join(self.names)}")
        used = [*self.colors, *([self.ignore_color] if self.ignore_color else [])]
        for color in used:
            if len(color) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in color):
                raise InputError(f"{list(color)} is not an RGB colour: three integers of 0 to 255 are needed")
        if len(set(used)) != len(used):
            raise InputError(f"two classes have the same colour: {used}")
        if not (isinstance(self.ignore_index, int) and len(self.names) <= self.ignore_index <= 255):
            raise InputError(
                f"ignore_index is {self.ignore_index}, but 0 to {len(self.names) - 1} are classes: use a larger one"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def tolerance(self) -> int:
        """Largest RGB distance at which an off colour still belongs to its nearest class.

        The smallest distance between two colours over the square root of 3. For colours that are equally far apart,
        as red, green and blue are, that is the circumradius of their triangle: what resizing mixes of two or three
        classes is never further from the nearest one. Black, white, middle grey and yellow lie beyond.

        >>> COOKING.tolerance
        209
        """
        smallest = min(math.dist(a, b) for i, a in enumerate(self.colors) for b in self.colors[:i])
        return math.ceil(smallest / math.sqrt(3))

    def to_dict(self) -> dict[str, Any]:
        """Return the form that ``classes.json`` has."""
        table: dict[str, Any] = {
            "classes": [
                {"name": name, "color": list(color)} for name, color in zip(self.names, self.colors, strict=True)
            ],
            "ignore_index": self.ignore_index,
        }
        if self.ignore_color:
            table["ignore_color"] = list(self.ignore_color)
        return table

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read the form that ``classes.json`` has.

        Raises:
            InputError: A field is missing, unknown or out of range.
        """
        try:
            _refuse_unknown(value, {"classes", "ignore_index", "ignore_color"}, "the class table")
            for entry in value["classes"]:
                _refuse_unknown(entry, {"name", "color"}, f"class {entry['name']!r}")
            ignore_color = value.get("ignore_color")
            return cls(
                names=tuple(entry["name"] for entry in value["classes"]),
                colors=tuple(_color(entry["color"]) for entry in value["classes"]),
                ignore_index=value.get("ignore_index", IGNORE),
                ignore_color=_color(ignore_color) if ignore_color is not None else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f'the class table is not understood ({error}): expected {{"classes": [{{"name": "food",'
                ' "color": [0, 0, 255]}, ...]}'
            ) from error


COOKING = ClassTable(
    names=("stirrer", "pan+background", "food"),
    colors=((255, 0, 0), (0, 255, 0), (0, 0, 255)),
)
"""The default table: classes in frames of a camera above a pan."""


@checked_keywords
@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing from a frame to the network's input: a pure function of frame and spec, never of pixel statistics.

    The frame is resized outside the graph (`cookseg.runtime.imaging.preprocess.fit`); ``(x / 255 - mean) / std`` per
    RGB channel happens inside it.

    Attributes:
        height: Rows of the network's input.
        width: Columns of the network's input.
        resize: ``stretch`` fills the input, ``letterbox`` keeps the frame's shape and pads below and to the right.
        mean: Mean of each RGB channel on the scale 0..1. The default is ImageNet's, as in torchvision's models.
        std: Standard deviation of each RGB channel on the scale 0..1.
    """

    height: int = 256
    width: int = 256
    resize: ResizeRule = "stretch"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        for name, value in (("height", self.height), ("width", self.width)):
            if not (isinstance(value, int) and 16 <= value <= 8192):
                raise InputError(f"the network's {name} is {value!r}; it must be an integer of 16 to 8192")
        if self.resize not in get_args(ResizeRule):
            raise InputError(f"resize is {self.resize!r}; it must be one of {', '.join(get_args(ResizeRule))}")
        numbers = [*self.mean, *self.std]
        if len(self.mean) != 3 or len(self.std) != 3 or not all(isinstance(n, int | float) for n in numbers):
            raise InputError(f"mean {self.mean} and std {self.std} must be three numbers each")
        if not (all(0 <= n <= 1 for n in self.mean) and all(0 < n <= 1 for n in self.std)):
            raise InputError(f"mean {self.mean} and std {self.std} must lie on the scale 0..1, std above 0")


@checked_keywords
@dataclass(frozen=True)
class Contract:
    """Everything that a runtime must know about a model, and its origin.

    Attributes:
        classes: The class table.
        preprocessing: The preprocessing spec.
        provenance: Origin of the model: data hash, metrics, versions. For people; nothing depends on it.
    """

    classes: ClassTable = COOKING
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the versioned JSON form."""
        return {
            "version": VERSION,
            "classes": self.classes.to_dict(),
            "preprocessing": dataclasses.asdict(self.preprocessing),
            "provenance": dict(self.provenance),
        }

    def to_json(self) -> str:
        """Return the text that stands in the ONNX file's metadata."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read the versioned JSON form.

        Raises:
            ModelError: The version or a field is unknown, or a field is missing or out of range.
        """
        version = value.get("version")
        if version != VERSION:
            raise ModelError(
                f"its contract has version {version!r}, this cookseg reads version {VERSION}: update cookseg, or"
                " export the model again"
            )
        try:
            _refuse_unknown(value, {"version", "classes", "preprocessing", "provenance"}, "the contract")
            return cls(
                classes=ClassTable.from_dict(value["classes"]),
                preprocessing=_preprocessing(value["preprocessing"]),
                provenance=dict(value.get("provenance", {})),
            )
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"its contract is not understood: {error}") from error

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text that stands in the ONNX file's metadata.

        Raises:
            ModelError: As `from_dict`, or the text is not a JSON object.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"its contract is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise ModelError("its contract is not a JSON object")
        return cls.from_dict(value)


def _preprocessing(value: Any) -> Preprocessing:
    names = {field.name for field in dataclasses.fields(Preprocessing)}
    _refuse_unknown(value, names, "the preprocessing spec")
    if missing := sorted(names - set(value)):
        raise InputError(f"the preprocessing spec lacks {', '.join(missing)}")
    spec: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value.items()}
    return Preprocessing(**spec)


def _color(value: Any) -> Color:
    red, green, blue = value
    return (red, green, blue)


def _refuse_unknown(value: Any, known: set[str], what: str) -> None:
    if not isinstance(value, Mapping):
        raise InputError(f"{what} is not a JSON object")
    if unknown := sorted(set(value) - known):
        raise InputError(f"{what} has unknown fields: {', '.join(unknown)} (known: {', '.join(sorted(known))})")
