"""Kafka's log behind Redis Streams' protocol."""

__version__ = "0.1.0"
