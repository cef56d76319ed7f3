"""What of redis-py's test-suite is left out, each with its reason. Printed into docs/compatibility.md.

Two kinds. ``RULES`` name tests that cannot run anywhere but in the suite's own environment; they are not started.
``OUTSIDE`` names commands that respbroker does not have, because it is a stream server: a test that *fails* and sent
one of them is counted as left out, with the command as its reason. A failure of any other test is a failure.
"""

from __future__ import annotations

import re

FILES = [
    "test_client.py",
    "test_command_parser.py",
    "test_commands.py",
    "test_connect.py",
    "test_connection.py",
    "test_connection_pool.py",
    "test_data_structure.py",
    "test_driver_info.py",
    "test_encoding.py",
    "test_helpers.py",
    "test_keyspace_notifications.py",
    "test_lock.py",
    "test_max_connections_error.py",
    "test_monitor.py",
    "test_multiprocessing.py",
    "test_parsers",
    "test_pipeline.py",
    "test_pubsub.py",
    "test_retry.py",
    "test_utils.py",
]

FILES_LEFT_OUT = {
    "test_scripting.py, test_function.py": "scripts in Lua, but for those of locks",
    "test_hash.py, test_himport.py, test_vsets.py": "fields that expire, and vector sets",
    "test_bloom.py, test_json.py, test_search*.py, test_timeseries.py": "Redis modules",
    "test_cluster*.py, test_command_policies.py, test_multidb": "cluster clients",
    "test_sentinel*.py": "Sentinel",
    "test_ssl.py, test_credentials.py, test_auth": "TLS and token services; certificates are not in the sdist",
    "test_cache.py": "client-side caching (CLIENT TRACKING)",
    "test_observability, test_scenario, test_http, maint_notifications": "need services that are not in the sdist",
    "test_backoff.py, test_crc.py, test_event.py, test_exceptions.py and the like": "send nothing to a server",
}

RULES: list[tuple[str, str]] = [
    (r"_modules?($|_|\[)|config_set_for_search|test_module(_loadex)?$", "asks for a Redis module"),
    (r"Cluster|_cluster($|_|\[)|cluster_client|mset_on_cluster|eval_crossslot", "asks for a cluster client"),
    (r"test_pubsub_shardnumsub$|test_generator_handles_concurrent_mapping_changes", "asks for a cluster client"),
    (r"test_resubscribe_shard_channels_different_slots", "asks for a cluster client"),
    (r"test_get_command_policies", "asks for a cluster client and modules"),
    (r"test_tcp_ssl|TestSSL|_ssl_", "TLS; certificates are not in the sdist"),
    (r"test_client_setinfo($|\[)|test_client_setinfo_with_driver_info", "connects to localhost:6379, whatever the URL"),
    (r"test_retry_connect_on_timeout_error", "connects to localhost:6379, whatever the URL"),
    (r"test_create_single_connection_client_from_url", "connects to localhost:6379, whatever the URL"),
    (r"test_asyncio/test_connection_pool.py::TestConnectionPool::test_(multiple_connections|max_connections)$",
     "connects to localhost:6379, whatever the URL"),
    (r"test_asyncio/test_connection_pool.py::TestConnectionPool::test_reuse_previously_released",
     "connects to localhost:6379, whatever the URL"),
    (r"test_psync|test_replicaof|test_slaveof|test_failover", "wants a second server as replica"),
    (r"test_acl_cat_with_category|test_command(_count|_list|_getkeys|_getkeysandflags)?($|\[)",
     "expects commands outside streams in COMMAND or ACL CAT"),
    (r"test_command_parser.py.*test_(init_commands|get_keys_predetermined|get_moveable_keys|get_eval_keys)",
     "expects commands outside streams in COMMAND"),
    (r"test_set_if(eq|ne)_|test_set_with_get_returns_previous_value", "SET with conditions that Redis has since 8.4"),
    (r"test_monitor.py::.*test_lua_script", "a script in Lua"),
    (r"test_config_get_multi_params", "expects a setting of hashes"),
    (r"TestSubkeyNotifications|TestAsyncSubkeyNotifications", "notifications of hash fields"),
    (r"test_xgroup_setid_fixed_max_entries_read", "expects Redis' estimate of lag, which is 0 though an entry is left"),
    (r"tests/test_pubsub.py::TestPubSubAutoReconnect.*\[listen\]",
     "ends the whole run when another thread's pause of 10 ms is missed"),
    (r"test_asyncio/test_commands.py::TestRedisCommands::test_readonly\[",
     "awaits a mock; fails against Redis as well"),
    (r"test_connect_with_retries", "counts calls on a mock; fails against Redis as well"),
]  # fmt: skip

OUTSIDE: dict[str, str] = {
    "strings": "BITCOUNT BITFIELD BITFIELD_RO BITOP BITPOS DELEX DIGEST GETBIT GETRANGE INCRBYFLOAT INCREX LCS MSETEX "
    "PFADD PFCOUNT PFMERGE PFSELFTEST SETBIT SETRANGE STRALGO SUBSTR",
    "lists": "BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH LINDEX LINSERT LLEN LMOVE LMPOP LPOP LPOS LPUSH LPUSHX LRANGE LREM "
    "LSET LTRIM RPOP RPOPLPUSH RPUSH RPUSHX",
    "hashes": "HEXPIRE HGETDEL HGETEX HINCRBYFLOAT HRANDFIELD HSCAN HSETEX HSTRLEN HTTL",
    "sets": "SADD SCARD SDIFF SDIFFSTORE SINTER SINTERCARD SINTERSTORE SISMEMBER SMEMBERS SMISMEMBER SMOVE SPOP "
    "SRANDMEMBER SREM SSCAN SUNION SUNIONSTORE",
    "sorted sets and places": "BZMPOP BZPOPMAX BZPOPMIN GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUSBYMEMBER "
    "GEOSEARCH GEOSEARCHSTORE ZDIFF ZDIFFSTORE ZINCRBY ZINTER ZINTERCARD ZINTERSTORE ZLEXCOUNT ZMPOP ZMSCORE ZPOPMAX "
    "ZRANDMEMBER ZRANGEBYLEX ZRANGESTORE ZRANK ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE "
    "ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZUNION ZUNIONSTORE",
    "arrays": "ARCOUNT ARDEL ARDELRANGE ARGET ARGETRANGE ARGREP ARINFO ARINSERT ARLASTITEMS ARLEN ARMGET ARMSET "
    "ARNEXT AROP ARRING ARSCAN ARSEEK ARSET",
    "scripts": "EVAL_RO EVALSHA_RO FCALL FCALL_RO FUNCTION SCRIPT|DEBUG SCRIPT|KILL",
    "sorting, and values as blobs": "DUMP MIGRATE RESTORE SORT SORT_RO",
    "client-side caching": "CLIENT|TRACKING CLIENT|CACHING CLIENT|GETREDIR CLIENT|TRACKINGINFO",
    "users beyond the default one": "ACL|SETUSER ACL|DELUSER ACL|LOAD ACL|SAVE ACL|LOG ACL|GENPASS",
    "cluster, and Redis' way of replication": "ASKING CLUSTER PSYNC SYNC",
    "modules and hot keys": "MODULE HOTKEYS COMMANDLOG",
}

_GROUP_OF = {name: group for group, names in OUTSIDE.items() for name in names.split()}


def rule_for(node_id: str) -> str | None:
    """The reason why a test is not started, if there is one."""
    return next((reason for pattern, reason in RULES if re.search(pattern, node_id)), None)


def outside(commands: set[str]) -> str | None:
    """The kinds of commands outside streams among ``commands`` (upper case, subcommands as ``ACL|LOG``)."""
    groups = sorted({_GROUP_OF[name] for name in commands if name in _GROUP_OF})
    return "sends commands that are not there: " + ", ".join(groups) if groups else None
