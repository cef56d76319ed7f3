"""Who listens to which channels and patterns, and what a published message makes of that.

Three namespaces which never meet: channels, patterns over channels, and shard channels. Both directions are kept,
client to names (on the client, in the order of subscription) and name to clients (here), and change together in
`subscribe` and `unsubscribe` alone. Names nobody listens to are not kept.

A message is delivered to the listeners of its channel first, then to the patterns that match it, each in the order
in which they came.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs

from respbroker.model.glob import Matcher, compile_glob
from respbroker.resp import replies
from respbroker.sessions.client import Client


class Kind(enum.Enum):
    """A namespace of subscriptions; its value is the letter before ``subscribe`` and ``message``."""

    CHANNEL = b""
    PATTERN = b"p"
    SHARD = b"s"


Listeners = dict[bytes, dict[int, Client]]
Push = Callable[[Client, bytes], None]  #: sends bytes unasked; must not close clients on the spot


@attrs.define(eq=False)
class Channels:
    """All subscriptions of a node."""

    channels: Listeners = attrs.Factory(dict)
    patterns: Listeners = attrs.Factory(dict)
    shard_channels: Listeners = attrs.Factory(dict)
    _matchers: dict[bytes, Matcher] = attrs.Factory(dict)

    def subscribe(self, kind: Kind, client: Client, name: bytes) -> bool:
        """Let ``client`` listen; whether that is new. The caller settles the client."""
        names = subscriptions(kind, client)
        if name in names:
            return False
        names[name] = None
        if kind is Kind.PATTERN and name not in self.patterns:
            self._matchers[name] = compile_glob(name)
        self.listeners(kind).setdefault(name, {})[client.id] = client
        return True

    def unsubscribe(self, kind: Kind, client: Client, name: bytes) -> bool:
        """Undo `subscribe`; whether there was anything to undo. The caller settles the client."""
        names = subscriptions(kind, client)
        if name not in names:
            return False
        del names[name]
        listeners = self.listeners(kind)
        del listeners[name][client.id]
        if not listeners[name]:
            del listeners[name]
            if kind is Kind.PATTERN:
                del self._matchers[name]
        return True

    def remove_client(self, client: Client) -> None:
        """Forget a client that has gone, or has said RESET."""
        for kind in Kind:
            for name in list(subscriptions(kind, client)):
                self.unsubscribe(kind, client, name)

    def listeners(self, kind: Kind) -> Listeners:
        """Name to listeners, of one namespace. Not to be changed."""
        return self.channels if kind is Kind.CHANNEL else self.patterns if kind is Kind.PATTERN else self.shard_channels

    @property
    def deaf(self) -> bool:
        """Whether nobody would hear what is published on any channel."""
        return not (self.channels or self.patterns)

    def publish(self, channel: bytes, message: bytes, push: Push) -> int:
        """Hand the message's frames to ``push``; how many that were. A client may be given several."""
        told = 0
        listening = self.channels.get(channel)
        if listening is not None:
            told += _tell(listening, replies.bulk_array((b"message", channel, message)), push)
        for pattern, matcher in self._matchers.items():
            if matcher(channel):
                frame = replies.bulk_array((b"pmessage", pattern, channel, message))
                told += _tell(self.patterns[pattern], frame, push)
        return told

    def publish_to_shard(self, channel: bytes, message: bytes, push: Push) -> int:
        """The same for SPUBLISH: no patterns there."""
        listening = self.shard_channels.get(channel)
        if listening is None:
            return 0
        return _tell(listening, replies.bulk_array((b"smessage", channel, message)), push)


def _tell(listening: dict[int, Client], frame: bytes, push: Push) -> int:
    """``frame`` in RESP2; RESP3 has another first byte, and is made once."""
    frame_3 = b""
    for client in listening.values():
        if client.protocol == 3:
            frame_3 = frame_3 or b">" + frame[1:]
            push(client, frame_3)
        else:
            push(client, frame)
    return len(listening)


def subscriptions(kind: Kind, client: Client) -> dict[bytes, None]:
    """What ``client`` listens to in one namespace."""
    if kind is Kind.CHANNEL:
        return client.channels
    return client.patterns if kind is Kind.PATTERN else client.shard_channels
