"""Signatures of result documents: Ed25519 over the stored bytes."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def signing_key(secret: str) -> Ed25519PrivateKey:
    """Answer the key that an installation's secret stands for, any text of enough entropy."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())


def sign_document(document: bytes, key: Ed25519PrivateKey) -> str:
    """Answer the signature of a document's canonical bytes, in hex."""
    return key.sign(document).hex()


def is_signed_by(document: bytes, signature: str, key: Ed25519PublicKey) -> bool:
    """Answer whether the signature is that key's over exactly these bytes."""
    try:
        key.verify(bytes.fromhex(signature), document)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key_hex(key: Ed25519PrivateKey) -> str:
    """Answer the raw public half of a key, in hex: what its signatures are checked with."""
    return key.public_key().public_bytes_raw().hex()


def read_public_key(text: str) -> Ed25519PublicKey:
    """Answer the key that `public_key_hex` wrote; ValueError for what is none."""
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
