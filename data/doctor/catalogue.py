"""The catalogue: everything that the doctor can find, how bad it is, and what to do about it.

Errors spoil a training run or make its outcome worthless. Warnings make it worse, or its score less than it seems.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Kind:
    """What can be wrong: ``title`` and ``remedy`` in words, ``columns`` the headings of the table that shows where."""

    severity: Severity
    title: str
    remedy: str
    columns: tuple[str, ...]


_USELESS = "remove the frame and its mask, unless the appliance will see such frames too"
_LOOK = "look at them: "

KINDS = {
    "image-without-mask": Kind(
        "error",
        "images without a mask",
        "label them, or move them to the test split; --masks and --mask-suffix say where masks lie",
        ("file",),
    ),
    "mask-without-image": Kind(
        "error", "masks without an image", "add the image of the same name, or remove the mask", ("file",)
    ),
    "same-name": Kind(
        "error", "files of the same name", "nobody can tell which belongs to the pair: remove one", ("file", "and")
    ),
    "empty-split": Kind(
        "error",
        "splits without a labelled frame",
        "add images and masks; `cook-data split` divides a set by session",
        ("folder", "images", "masks"),
    ),
    "unreadable": Kind(
        "error",
        "files that cannot be read",
        "copy or export them again, or remove the pair; --fix leaves them out",
        ("file", "why"),
    ),
    "size-differs": Kind(
        "error",
        "masks of another size than their image",
        "export them again at the image's size; --fix turns and scales those of the same shape",
        ("file", "mask", "image", "looks like"),
    ),
    "wrong-colors": Kind(
        "error",
        "masks with colours of no class",
        "mend the mask, or name the colour in classes.json; --fix takes the nearest class",
        ("file", "colour", "pixels", "nearest", "distance", "looks like"),
    ),
    "wrong-values": Kind(
        "error",
        "masks that do not hold what --mask-format says",
        "masks of class indices need --mask-format index; --fix writes grey masks of class indices in colours",
        ("file", "why"),
    ),
    "unlabelled": Kind("error", "masks without a labelled pixel", "label them, or remove the pair", ("file",)),
    "class-not-in-train": Kind(
        "error",
        "classes of which train has no pixel",
        "the model will never find them: label frames that show them, or take them out of classes.json",
        ("class",),
    ),
    "class-not-in-val": Kind(
        "warning",
        "classes of which val has no pixel",
        "their scores will be undefined: `cook-data split` gives each split its share of all classes",
        ("class",),
    ),
    "session-in-splits": Kind(
        "warning",
        "cooking sessions in more than one split",
        "frames of a session look alike, so the score will be better than the model: `cook-data split` never cuts"
        " sessions; --session-pattern tells how names give them",
        ("session", "train", "val", "test"),
    ),
    "near-duplicate": Kind(
        "warning",
        "frames that are nearly the same as one in another split",
        "the score on them is memory, not skill: keep both in one split",
        ("file", "like", "bits apart"),
    ),
    "frozen": Kind(
        "warning",
        "frames that repeat the one before",
        "remove them, and look after the camera",
        ("file", "like", "grey levels apart"),
    ),
    "black": Kind("warning", "frames that are black", _USELESS, ("file", "brightest")),
    "blown-out": Kind("warning", "frames that are mostly white", _USELESS, ("file", "white")),
    "blurred": Kind(
        "warning",
        "frames that are blurred",
        "edges cannot be labelled or learnt from them: remove them, or clean the lens",
        ("file", "blur effect", "session's"),
    ),
    "size-in-session": Kind(
        "warning",
        "frames of another size than the rest of their session",
        "one camera gives one size: was the frame cropped, turned or scaled?",
        ("file", "size", "session's"),
    ),
    "image-storage": Kind(
        "warning",
        "images with samples that training does not see as they are",
        "save them as 8-bit RGB; --fix does",
        ("file", "stored as", "what happens"),
    ),
    "mask-storage": Kind(
        "warning",
        "masks that are not plain 8-bit PNGs",
        "other tools may read something else: save them as such; --fix does",
        ("file", "stored as"),
    ),
    "off-colors": Kind(
        "warning",
        "masks with colours that are not exactly a class's",
        "training takes the nearest class, a guess along edges: export as PNG without anti-aliasing and resize with"
        " nearest neighbour; --fix writes exact colours",
        ("file", "pixels", "looks like", "commonest", "of it", "nearest"),
    ),
    "scaled-up": Kind(
        "warning",
        "masks scaled up from smaller ones",
        "their edges are steps: export at the image's size if the tool still has the outlines",
        ("file", "steps"),
    ),
    "one-class": Kind(
        "warning",
        "masks of a single class",
        _LOOK + "right for a frame that shows nothing else, wrong for one that was never labelled",
        ("file", "class"),
    ),
    "turned": Kind(
        "warning",
        "masks that seem to be drawn before EXIF turned the image",
        _LOOK + "turned as the image is, the outlines lie on edges that are so many times stronger; --fix turns them",
        ("file", "orientation", "times"),
    ),
    "shifted": Kind(
        "warning",
        "masks that seem to lie beside what they cover",
        _LOOK + "moved by x,y pixels the outlines lie on edges that are so many times stronger",
        ("file", "better at x,y", "times"),
    ),
    "ragged": Kind(
        "warning",
        "masks with ragged outlines",
        _LOOK + "smoothed, the outlines lie on edges that are so many times stronger",
        ("file", "of the outline", "times"),
    ),
    "specks": Kind(
        "warning",
        "masks with specks where the frame shows nothing",
        _LOOK + "a stray click in the labelling tool?",
        ("file", "specks", "first at x,y"),
    ),
    "disagrees": Kind(
        "warning",
        "masks with which the model disagrees most",
        _LOOK + "on this share of the pixels the model is sure of another class",
        ("file", "of the pixels", "median"),
    ),
    "unread-files": Kind(
        "warning",
        "files in image and mask folders that no command reads",
        "convert pictures among them (HEIC, GIF, RAW) to PNG or JPEG",
        ("file",),
    ),
}
"""By the name that ``--json`` gives, errors first, in the order of the report."""
