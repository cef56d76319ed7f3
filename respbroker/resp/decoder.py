"""Requests from bytes: inline and multibulk, within limits.

Nearly all input is ordinary requests that arrive whole; these are read by a loop in C, `codec.read_requests` where it
is compiled, else hiredis under supervision (`proven.py`). Whatever stops that loop, and every incomplete request, is
decided by `stepwise.StepwiseDecoder`, byte by byte.
"""

from __future__ import annotations

from respbroker.errors import ProtocolError
from respbroker.resp import codec, proven
from respbroker.resp.limits import Limits
from respbroker.resp.stepwise import StepwiseDecoder

__all__ = ["Decoder", "Limits"]

read_requests = codec.read_requests if codec.COMPILED else proven.read_requests


class Decoder(StepwiseDecoder):
    """One connection's decoder; an idle one holds nothing but itself.

    After a violation ``error`` is set and every later `feed` gives nothing.
    """

    __slots__ = ("at_ease", "error")

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.error: ProtocolError | None = None
        #: Nothing is pending and nothing was violated: the next byte begins a request.
        self.at_ease = True

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The requests completed by ``data``, in order. How the input is cut into pieces makes no difference."""
        requests: list[list[bytes]] = []
        if self.at_ease and self.authenticated:
            read = read_requests(data, 0, self.limits.bulk_bytes_max, requests)
            if read == len(data):
                return requests
            data = data[read:]
        if self.error is None:
            try:
                self._read(data, requests)
            except ProtocolError as violation:
                self.error = violation
            self.at_ease = self.at_border and self.error is None
        return requests

    def _read(self, data: bytes, requests: list[list[bytes]]) -> None:
        """Read what is not ordinary, or was begun before.

        Raises:
            ProtocolError: the input cannot be read any further.
        """
        if not self.at_border:
            data = self.step(data, requests, to_border=True)
            if data and self.authenticated:
                data = data[read_requests(data, 0, self.limits.bulk_bytes_max, requests) :]
        self.step(data, requests, to_border=False)
