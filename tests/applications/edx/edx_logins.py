"""The users named on the command line log in: each is an event that the service sends, and the bus carries on."""

from __future__ import annotations

import sys

import django

django.setup()

from openedx_events.learning.data import UserData, UserPersonalData  # noqa: E402 - Django wants to be set up first
from openedx_events.learning.signals import SESSION_LOGIN_COMPLETED  # noqa: E402

for number, name in enumerate(sys.argv[1:]):
    person = UserPersonalData(username=name, email=f"{name}@example.org")
    SESSION_LOGIN_COMPLETED.send_event(user=UserData(id=number, is_active=True, pii=person))
