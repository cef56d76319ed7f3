"""The least that a Django service with Open edX' event bus on Redis has in its settings."""

from __future__ import annotations

import os

SECRET_KEY = "of no use here"
USE_TZ = True
INSTALLED_APPS = ["openedx_events", "edx_event_bus_redis", "edx_receivers.Receivers"]
LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO", "handlers": []}}

EVENT_BUS_PRODUCER = "edx_event_bus_redis.create_producer"
EVENT_BUS_CONSUMER = "edx_event_bus_redis.RedisEventConsumer"
EVENT_BUS_REDIS_CONNECTION_URL = os.environ["REDIS_URL"]
EVENT_BUS_TOPIC_PREFIX = "test"
EVENT_BUS_REDIS_STREAM_MAX_LEN = 10_000
EVENT_BUS_PRODUCER_CONFIG = {
    "org.openedx.learning.auth.session.login.completed.v1": {
        "logins": {"event_key_field": "user.pii.username", "enabled": os.environ.get("PRODUCES") == "1"}
    }
}
