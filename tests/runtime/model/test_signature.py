"""Signatures: a model is taken only from the holder of the key, whatever else is right about it."""

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cookseg.runtime.errors import InputError, ModelError
from cookseg.runtime.model.engine import OnnxEngine
from cookseg.runtime.model.seal import require_signed, require_unbroken, seal, signer
from cookseg.runtime.terminal.cli import main

pytest.importorskip("cryptography")
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

CONTENT = (Path(__file__).parents[2] / "appliance/golden/model.onnx").read_bytes()
PEM = serialization.Encoding.PEM
PLAIN = serialization.NoEncryption()


def write_pair(folder, name, private, encryption=PLAIN):
    """Write a key pair as PEM files; return both paths."""
    paths = folder / f"{name}.key", folder / f"{name}.pub"
    paths[0].write_bytes(private.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption))
    public = private.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    paths[1].write_bytes(public)
    return paths


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return write_pair(tmp_path_factory.mktemp("keys"), "maker", ed25519.Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def signed(keys):
    return seal(CONTENT, signer(keys[0]))


class TestSignature:
    def test_the_holder_of_the_key_is_recognised(self, signed, keys):
        require_unbroken(signed, "model")
        require_signed(signed, keys[1], "model")
        assert OnnxEngine(signed, "cpu", public_key=keys[1]).contract == OnnxEngine(CONTENT, "cpu").contract

    def test_its_place_and_form_are_as_told(self, signed, keys):
        """Anybody can check it: 64 bytes over all that stands before the entry of 109 bytes and the seal of 84."""
        public = serialization.load_pem_public_key(keys[1].read_bytes())
        public.verify(base64.b64decode(signed[-84 - 88 : -84]), signed[: -84 - 109])

    @pytest.mark.parametrize("at", [0, 5000, -60_000, -84 - 109 - 1])
    def test_a_changed_model_is_refused_though_its_seal_fits(self, signed, keys, at):
        changed = bytearray(signed)
        changed[at] ^= 1
        changed = bytes(changed[:-84])
        forged = changed + signed[-84:-64] + hashlib.sha256(changed).hexdigest().encode()
        require_unbroken(forged, "model")
        with pytest.raises(ModelError, match="was not signed with the key"):
            OnnxEngine(forged, "cpu", public_key=keys[1])

    def test_another_key_is_refused(self, signed, tmp_path):
        other = write_pair(tmp_path, "other", ed25519.Ed25519PrivateKey.generate())
        with pytest.raises(ModelError, match="was not signed with the key"):
            require_signed(signed, other[1], "model")
        with pytest.raises(ModelError, match="was not signed with the key"):
            require_signed(
                seal(signed, signer(other[0])), write_pair(tmp_path, "a", ed25519.Ed25519PrivateKey.generate())[1], "m"
            )

    def test_sealing_again_removes_a_signature(self, signed, keys):
        assert seal(signed) == seal(CONTENT)
        with pytest.raises(ModelError, match="is not signed: `cook-export --sign KEY`"):
            require_signed(seal(signed), keys[1], "model")

    def test_what_is_no_key_of_the_kind_is_named(self, keys, tmp_path):
        elliptic = write_pair(tmp_path, "ec", ec.generate_private_key(ec.SECP256R1()))
        locked = write_pair(
            tmp_path, "locked", ed25519.Ed25519PrivateKey.generate(), serialization.BestAvailableEncryption(b"secret")
        )
        with pytest.raises(InputError, match="but not of Ed25519"):
            signer(elliptic[0])
        with pytest.raises(InputError, match="without a password"):
            signer(locked[0])
        with pytest.raises(InputError, match=r"maker\.pub: not a private key"):
            signer(keys[1])
        with pytest.raises(InputError, match=r"none\.pem: No such file"):
            require_signed(CONTENT, tmp_path / "none.pem", "model")


class TestCommands:
    @pytest.fixture
    def models(self, signed, tmp_path):
        paths = tmp_path / "signed.onnx", tmp_path / "unsigned.onnx"
        paths[0].write_bytes(signed)
        paths[1].write_bytes(CONTENT)
        return paths

    def invoke(self, *arguments):
        return CliRunner().invoke(main, [*map(str, arguments)])

    def test_selftest_and_install_ask_for_it(self, models, keys, tmp_path):
        option = ("--require-signature", keys[1])
        for command, more in (("selftest", ()), ("install", ("--into", tmp_path / "into"))):
            assert self.invoke(command, models[0], *more, *option).exit_code == 0
            result = self.invoke(command, models[1], *more, *option)
            assert result.exit_code == 1
            assert "unsigned.onnx is not signed" in result.stderr
        assert (tmp_path / "into/model.onnx").read_bytes() == models[0].read_bytes()

    def test_without_cryptography_the_extra_is_named(self, models, keys):
        code = (
            "import sys; sys.modules['cryptography'] = None; from cookseg.runtime.terminal.cli import main;"
            f"main(['selftest', {str(models[0])!r}, '--require-signature', {str(keys[1])!r}])"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert "pip install 'cookseg[sign]'" in result.stderr


@pytest.mark.integration
def test_an_export_is_signed(trained, keys, tmp_path):
    from cookseg.export.cli import main as export

    path = tmp_path / "model.onnx"
    result = CliRunner().invoke(export, [str(trained.run), "-o", str(path), "--sign", str(keys[0])])
    assert result.exit_code == 0, result.stderr
    require_signed(path.read_bytes(), keys[1], "model")
    result = CliRunner().invoke(export, [str(trained.run), "-o", str(path), "--sign", str(keys[1])])
    assert result.exit_code == 1
    assert "not a private key" in result.stderr
