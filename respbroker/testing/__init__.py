"""For a team's own tests: a pytest plugin that runs a test against a Redis and against a respbroker.

The fixtures are in :mod:`respbroker.testing.plugin`, which pytest finds by itself where respbroker is installed:
``respbroker_server``, ``redis_server``, and ``both_servers``, which runs a test once with each. ``on_both`` is the same
as a decorator, for tests that get their connection elsewhere. To start a server outside of pytest:
:func:`respbroker.testing.servers.running`.
"""

from __future__ import annotations

from typing import Final

import pytest

#: The test, class or module runs once against a redis-server and once against a respbroker.
on_both: Final = pytest.mark.usefixtures("both_servers")
