"""The seal of a model file: a SHA-256 of all bytes before it, checked whenever the file is loaded.

A protobuf message may be followed by more of its fields, which a reader adds to those that it has. So the digest is the
last entry of the model's metadata, 84 bytes at the very end, and the signature, where there is one, the entry before:
any ONNX reader takes the file as it is, and no ONNX library is needed to check it. The digest shows damage; against
forgery there is the signature (Ed25519, RFC 8032, with the package ``cryptography``).

    content | cookseg.ed25519 over content, base64 | cookseg.sha256 over all before it, hexadecimal
"""

import base64
import binascii
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cookseg.runtime.errors import InputError, ModelError, require_extra


def _head(key: bytes, length: int) -> bytes:
    """Return the bytes before a value: https://onnx.ai/onnx/repo-docs/IR.html, ModelProto.metadata_props."""
    entry = b"\x0a" + bytes([len(key)]) + key + b"\x12" + bytes([length])  # StringStringEntryProto: key, then value
    return b"\x72" + bytes([len(entry) + length]) + entry


_DIGEST, _SIGNATURE = _head(b"cookseg.sha256", 64), _head(b"cookseg.ed25519", 88)
_SEAL, _SIGNED = len(_DIGEST) + 64, len(_SIGNATURE) + 88


def seal(content: bytes, sign: Callable[[bytes], bytes] | None = None) -> bytes:
    """Return the bytes of a model with their seal, which takes the place of an earlier one.

    Args:
        content: The bytes of a model.
        sign: Makes the 64 bytes of a signature of some bytes, as `signer` gives one.
    """
    content = _unsealed(content)[0]
    if sign:
        content += _SIGNATURE + base64.b64encode(sign(content))
    return content + _DIGEST + hashlib.sha256(content).hexdigest().encode()


def is_sealed(content: bytes) -> bool:
    """Return whether a model has a seal, be it right or wrong."""
    return content[-_SEAL:-64] == _DIGEST


def require_unbroken(content: bytes, name: str) -> None:
    """Refuse a model that was changed after it was sealed.

    Raises:
        ModelError: The seal is missing, or of other content.
    """
    if not is_sealed(content):
        raise ModelError(
            f"{name} has no seal at its end: it was cut short or changed, or not made by cook-export; copy it again"
        )
    if content[-64:] != hashlib.sha256(memoryview(content)[:-_SEAL]).hexdigest().encode():
        raise ModelError(f"{name} is damaged: its content is not what cook-export sealed; copy it again")


def require_signed(content: bytes, public_key: Path, name: str) -> None:
    """Refuse a model that the holder of a key did not sign.

    Args:
        content: The bytes of a sealed model.
        public_key: File of an Ed25519 public key (PEM).
        name: The model's name, for the error.

    Raises:
        ModelError: There is no signature, or it is not of this key and content.
        InputError: The file holds no such key.
        MissingExtraError: The package ``cryptography`` is not installed.
    """
    serialization, ed25519, invalid = _cryptography()
    key = _read_key(public_key, serialization.load_pem_public_key, ed25519.Ed25519PublicKey, "public")
    unsigned, signature = _unsealed(content)
    if not signature:
        raise ModelError(f"{name} is not signed: `cook-export --sign KEY` signs a model")
    try:
        key.verify(base64.b64decode(signature, validate=True), unsigned)
    except (invalid, binascii.Error) as error:
        raise ModelError(f"{name} was not signed with the key that belongs to {public_key}: do not use it") from error


def signer(private_key: Path) -> Callable[[bytes], bytes]:
    """Return the function that signs with an Ed25519 private key, a PEM file without a password.

    Raises:
        InputError: The file holds no such key.
        MissingExtraError: The package ``cryptography`` is not installed.
    """
    serialization, ed25519, _ = _cryptography()
    load = functools.partial(serialization.load_pem_private_key, password=None)
    sign: Callable[[bytes], bytes] = _read_key(private_key, load, ed25519.Ed25519PrivateKey, "private").sign
    return sign


def _unsealed(content: bytes) -> tuple[bytes, bytes]:
    """Return the content below seal and signature, and the signature in base64, empty where there is none."""
    content = content[:-_SEAL] if is_sealed(content) else content
    if content[-_SIGNED:-88] != _SIGNATURE:
        return content, b""
    return content[:-_SIGNED], content[-88:]


def _read_key(path: Path, load: Callable[[bytes], Any], kind: type, what: str) -> Any:
    try:
        key = load(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: name the file of an Ed25519 {what} key") from error
    except (ValueError, TypeError) as error:  # TypeError: it has a password
        raise InputError(f"{path}: not a {what} key in PEM form without a password ({error})") from error
    if not isinstance(key, kind):
        raise InputError(f"{path}: a {what} key, but not of Ed25519; `openssl genpkey -algorithm ed25519` makes one")
    return key


def _cryptography() -> tuple[Any, Any, type[Exception]]:
    """Import the parts of ``cryptography``, an extra for those who sign."""
    with require_extra("sign", "a signature"):
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    return serialization, ed25519, InvalidSignature
