"""What the servers that ask for a password are started with."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

PASSWORD: Final = "open sesame/ä"
IN_URL: Final = quote(PASSWORD, safe="")
