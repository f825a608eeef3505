"""Links that carry their own permission: those who are given one may open it, and nothing else by it.

TinEye's clients open image and overlay URLs without a key. So each is signed, with a secret of this run of
the server, for one picture; what it names is found through the same search that told of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets


class Signer:
    """Signs what a link names, and knows its own signatures again. Thread-safe."""

    def __init__(self, secret: bytes | None = None) -> None:
        """`secret` is drawn at random unless given."""
        self._secret = secret or secrets.token_bytes(32)

    def sign(self, *parts: str) -> str:
        """A signature of these parts in this order, 43 characters that URLs need not quote."""
        # Each part with its length, so that no two lists of parts make the same bytes.
        data = b"".join(len(raw).to_bytes(8) + raw for raw in (part.encode() for part in parts))
        return base64.urlsafe_b64encode(hmac.digest(self._secret, data, hashlib.sha256)).decode().rstrip("=")

    def signed(self, signature: str, *parts: str) -> bool:
        """Whether a signature is that of these parts; compared in constant time."""
        return hmac.compare_digest(signature.encode(), self.sign(*parts).encode())
