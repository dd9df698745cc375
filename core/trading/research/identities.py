"""The result ids of many cells: what single runs would have, without writing each document."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import rfc8785

from core.trading.backtest.result import Identity

_NO_PARAMS = b'"params":{}'


class CellIdentities:
    """Ids of runs that differ by their parameters alone: only those are written anew.

    `identity`: that of any of the cells. Names are ASCII, so their order is that of RFC 8785.
    """

    def __init__(self, identity: Identity) -> None:
        self._names = sorted(identity.params)
        document = rfc8785.dumps(replace(identity, params={}).as_document())
        before, _, self._after = document.partition(_NO_PARAMS)
        self._before = hashlib.sha256(before)
        self._texts: dict[tuple[str, float], bytes] = {}

    def result_id(self, params: Mapping[str, float]) -> str:
        """Answer `Identity.result_id` of the cell with these values of all parameters."""
        members = b",".join([self._text(name, params[name]) for name in self._names])
        digest = self._before.copy()
        digest.update(b'"params":{' + members + b"}" + self._after)
        return digest.hexdigest()

    def _text(self, name: str, value: float) -> bytes:
        known = self._texts.get((name, value))
        if known is None:
            known = self._texts[name, value] = rfc8785.dumps({name: value})[1:-1]
        return known
