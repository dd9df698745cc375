from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.trading.backtest.signing import is_signed_by, sign_document


def test_a_signature_holds_for_these_bytes_and_this_key_only() -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signature = sign_document(b"{}", key)
    assert is_signed_by(b"{}", signature, key.public_key())
    assert not is_signed_by(b"{ }", signature, key.public_key())
    assert not is_signed_by(b"{}", signature, other.public_key())
    assert not is_signed_by(b"{}", "no signature", key.public_key())
