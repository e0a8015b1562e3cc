"""Label Studio JSON, https://labelstud.io/guide/task_format: a list of tasks, each an image with annotations of people.

Of several annotations of a task the one that is marked as ground truth counts, else the newest, as Label Studio's
converter sorts them (SDK 2.1.2). Those that were cancelled (skipped), predictions and drafts are not annotations; one
that was submitted without a region says that there is nothing. What comes later in a result lies on top. Of several
labels of a region the first counts, as for the converter.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from cookseg.data.importers.importer import DAMAGE, Request
from cookseg.data.importers.json_files import SUFFIXES, is_json_of, json_files
from cookseg.data.importers.labels import Images, LabelledImage, Labels
from cookseg.data.importers.labelstudio_regions import regions_of, shape_of
from cookseg.data.standard import Split
from cookseg.runtime.errors import InputError
from cookseg.runtime.imaging.frame import Size
from cookseg.runtime.imaging.images import IMAGE_SUFFIXES, read_image

_UPLOADED = re.compile(r"[0-9a-f]{2,8}-(?=.)")  # what Label Studio puts in front of the names of uploaded files
_USUAL_KEYS = ("image", "img", "image_url", "url")


class LabelStudio:
    """Label Studio files: one, or all below a folder; names of files and folders tell the splits."""

    name: ClassVar[str] = "labelstudio"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    def claims(self, path: Path) -> bool:
        """Return whether a file is of this format."""
        return is_json_of(path, _is_label_studio)

    def read(self, request: Request) -> Labels:
        """Read all tasks of all files."""
        found, several = Labels(), _Counts()
        lacks = "tasks with data and annotations"
        for path, value, told in json_files(request, _is_label_studio, "Label Studio", lacks, found):
            images = Images([request.images] if request.images else [path.parent / "images", path.parent])
            for number, task in enumerate(_tasks(value), 1):
                where = f"{path}: task {task.get('id', number) if isinstance(task, dict) else number}"
                try:
                    found.images.append(_labelled_image(task, images, told or request.split, where, several))
                except (InputError, *DAMAGE) as error:
                    found.failures.append(f"{where}: {error if isinstance(error, InputError) else repr(error)}")
        found.notes += several.notes()
        return found


@dataclass
class _Counts:
    """Counts of what had to be chosen between."""

    tasks: int = 0
    regions: int = 0

    def notes(self) -> Iterator[str]:
        if self.tasks:
            yield f"{self.tasks} tasks have several annotations: of each the ground truth, else the newest was taken"
        if self.regions:
            yield f"{self.regions} regions have several labels: the first of each was taken"


def _is_label_studio(value: Any) -> bool:
    return bool(_tasks(value))


def _tasks(value: Any) -> list[Any]:
    """Return the tasks of a file, or nothing if it is of another format."""
    tasks = value if isinstance(value, list) else [value]
    held = [task for task in tasks if isinstance(task, dict) and isinstance(task.get("data"), dict)]
    return tasks if any(isinstance(task.get(key), list) for task in held for key in _LISTS) else []


_LISTS = ("annotations", "completions", "predictions")  # completions: until version 1.0


def _labelled_image(task: dict[str, Any], images: Images, split: Split, where: str, several: _Counts) -> LabelledImage:
    done = [a for a in task.get("annotations", task.get("completions")) or [] if not _is_cancelled(a)]
    several.tasks += len(done) > 1
    chosen: dict[str, Any] = max(reversed(done), key=_weight, default={})
    result = chosen.get("result", [] if not done else None)
    if not isinstance(result, list):
        raise InputError("the annotation has no result: export it again")
    regions = regions_of(result)
    name = _image_name(task["data"], {str(entry.get("to_name")) for region in regions for entry in region.entries})
    file, stem = _find(images, name)
    stem = stem.removeprefix("images/").removeprefix(f"{split}/")
    if not done:
        return LabelledImage(split, stem, file, annotated=False)
    where = f"{where}: {PurePosixPath(name).name}"
    several.regions += sum(len(region.labels) > 1 for region in regions)
    sizes = [_size(entry) for region in regions for entry in region.entries if "original_height" in entry]
    size = next(iter(sizes), None)
    if size is None and regions:
        height, width = read_image(file).shape[:2]
        size = height, width
    shapes = tuple(shape_of(region, size, f"{where}: region {n}") for n, region in enumerate(regions, 1) if size)
    return LabelledImage(split, stem, file, shapes, size)


def _is_cancelled(annotation: dict[str, Any]) -> bool:
    return bool(annotation.get("was_cancelled") or annotation.get("skipped"))


def _weight(annotation: dict[str, Any]) -> tuple[bool, str]:
    """Return what the annotation to take has most of."""
    return bool(annotation.get("ground_truth")), str(annotation.get("created_at") or "")


def _size(entry: dict[str, Any]) -> Size:
    return int(entry["original_height"]), int(entry["original_width"])


def _image_name(data: dict[str, Any], drawn_on: set[str]) -> str:
    """Return the path of a task's image, from what may be a URL, a path of an upload or of a local file.

    Args:
        data: The task's data.
        drawn_on: Names of the tags that show what was drawn on, often those of the data.
    """
    if len(drawn_on) > 1:
        raise InputError(f"has regions on several images: {', '.join(sorted(drawn_on))}")
    named = {key: path for key, value in data.items() if isinstance(value, str) and (path := _path_of(value))}
    usual = [key for key in (*drawn_on, *_USUAL_KEYS) if key in named]
    if len(named) == 1 or usual:
        return named[usual[0] if usual else next(iter(named))]
    if named:
        raise InputError(f"holds {len(named)} images: {', '.join(named)}")
    held = ", ".join(f"{key}: {str(value)[:80]}" for key, value in data.items()) or "nothing"
    raise InputError(f"holds no reference to an image that has a file name: {held}")


def _path_of(value: str) -> str:
    """Return the path in a reference to an image, or nothing if it is none."""
    value = value.replace("\\", "/")
    try:
        url = urlsplit(value)
    except ValueError:  # a text that looks like an address
        return ""
    is_url = url.scheme or url.query or value.startswith("/data/")
    asked = parse_qs(url.query)
    paths = [held for key in _PATH_KEYS for held in asked.get(key, [])]
    paths += [_path_of(_decoded(held)) for held in asked.get("fileuri", [])]  # /tasks/7/resolve/?fileuri=czM6Ly9i...
    paths.append(unquote(url.path) if is_url else value)
    return next((path for path in paths if PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES), "")


_PATH_KEYS = ("d", "filepath")  # /data/local-files/?d=pan_1.jpg, /storage-data/uploaded/?filepath=upload/1/pan_1.jpg


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text).decode()
    except ValueError:
        return ""


def _find(images: Images, path: str) -> tuple[Path, str]:
    """Return an image's file and name: of an upload too if it has its own name again."""
    if "/upload/" not in f"/{path}":
        return images.find(path)
    name = PurePosixPath(path).name  # the folder is a project's number
    try:
        return images.find(name)
    except InputError:
        own = _UPLOADED.sub("", name, count=1)
        if own == name:
            raise
        return images.find(own)
