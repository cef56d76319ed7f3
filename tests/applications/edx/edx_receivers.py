"""What a service does when somebody has logged in: it says so. ``hang`` never gets done, ``fail`` fails."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.apps import AppConfig


class Receivers(AppConfig):
    name = "edx_receivers"

    def ready(self) -> None:
        from openedx_events.learning.signals import SESSION_LOGIN_COMPLETED

        SESSION_LOGIN_COMPLETED.connect(welcome, dispatch_uid="welcome")


def welcome(user: Any, **facts: Any) -> None:
    if os.environ.get("PRODUCES"):
        return  # the sender has its receivers too
    print(f"began {user.pii.username}")
    if user.pii.username == "hang" and os.environ.get("HANGS"):
        signal.pause()
    if user.pii.username == "fail":
        raise ValueError("a receiver that fails")
    print(f"welcomed {user.pii.username} {facts['metadata'].event_type}")
