"""The seal of a model file: a SHA-256 of all that stands before it, checked whenever the file is loaded.

A protobuf message may be followed by more of its fields, which a reader adds to those that it has. So the digest is the
last entry of the model's metadata, 84 bytes at the very end: any ONNX reader takes the file as it is, and no ONNX
library is needed to check it. It shows damage, not forgery.
"""

import hashlib

from cookseg.runtime.errors import ModelError

KEY = b"cookseg.sha256"

_ENTRY = b"\x0a" + bytes([len(KEY)]) + KEY + b"\x12\x40"  # StringStringEntryProto: key, then a value of 64 bytes
_HEAD = (
    b"\x72" + bytes([len(_ENTRY) + 64]) + _ENTRY
)  # ModelProto.metadata_props, https://onnx.ai/onnx/repo-docs/IR.html
_LENGTH = len(_HEAD) + 64


def seal(content: bytes) -> bytes:
    """Return the bytes of a model with their seal, which takes the place of an earlier one."""
    content = content[:-_LENGTH] if is_sealed(content) else content
    return content + _HEAD + hashlib.sha256(content).hexdigest().encode()


def is_sealed(content: bytes) -> bool:
    """Return whether a model has a seal, be it right or wrong."""
    return content[-_LENGTH:-64] == _HEAD


def require_unbroken(content: bytes, name: str) -> None:
    """Refuse a model that was changed after it was sealed.

    Raises:
        ModelError: The seal is missing, or of other content.
    """
    if not is_sealed(content):
        raise ModelError(
            f"{name} has no seal at its end: it was cut short or changed, or not made by cook-export; copy it again"
        )
    if content[-64:] != hashlib.sha256(memoryview(content)[:-_LENGTH]).hexdigest().encode():
        raise ModelError(f"{name} is damaged: its content is not what cook-export sealed; copy it again")
