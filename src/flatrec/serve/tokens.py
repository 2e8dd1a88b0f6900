"""Bearer tokens, compared in a time that does not depend on them."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256


class Tokens:
    """The tokens of a service; without any, everybody may ask.

    Args:
        tokens: the tokens.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = [sha256(token.encode()).digest() for token in tokens]

    def admit(self, authorization: bytes) -> bool:
        """Return True if a header ``Authorization`` holds one of the tokens, or if there are none.

        All tokens are compared, whichever fits, and by their digests, which have one length.
        """
        if not self._digests:
            return True
        scheme, _, token = authorization.partition(b" ")
        given = sha256(token.strip()).digest()
        fits = [hmac.compare_digest(given, known) for known in self._digests]
        return scheme.lower() == b"bearer" and any(fits)
