"""What one client may make the decoder hold."""

from __future__ import annotations

from typing import Final

import attrs

LINE_BYTES_MAX: Final = 64 * 1024  # an inline request or a header line, without its end
WORDS_MAX: Final = 2**31 - 1  # Redis' INT_MAX; what has not arrived costs nothing
WORDS_MAX_UNAUTHENTICATED: Final = 10
BULK_BYTES_MAX_UNAUTHENTICATED: Final = 16 * 1024
PENDING_BYTES_MAX_UNAUTHENTICATED: Final = 1024 * 1024


@attrs.define
class Limits:
    """Shared by all decoders of a server, so that CONFIG SET reaches every connection at once."""

    bulk_bytes_max: int = 512 * 1024 * 1024  # proto-max-bulk-len
