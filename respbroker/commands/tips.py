"""What COMMAND INFO tells proxies of a cluster: where to send a command, how to join the replies, what varies."""

from __future__ import annotations

from typing import Final

VARIES: Final = "nondeterministic_output"  #: the same request may be answered differently
UNORDERED: Final = "nondeterministic_output_order"  #: the same, but for the order

TO_ALL_NODES: Final = "request_policy:all_nodes"
TO_ALL_SHARDS: Final = "request_policy:all_shards"
TO_SHARDS_OF_KEYS: Final = "request_policy:multi_shard"
TO_SOME: Final = "request_policy:special"

ALL_SUCCEED: Final = "response_policy:all_succeeded"
ALL_TRUE: Final = "response_policy:agg_logical_and"
SUM: Final = "response_policy:agg_sum"
LEAST: Final = "response_policy:agg_min"
NOT_MERGED: Final = "response_policy:special"
