"""What INFO and MEMORY tell of the node: counted here, or asked of the process through a function handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from respbroker.broker.node import Node


def facts(node: Node) -> dict[str, Any]:
    """Numbers by the names INFO gives them; what the process knows (memory, CPU, files) comes from the edge."""
    durability = node.durability
    streams = list(node.keyspace.opened())
    known = {
        "uptime_in_seconds": int(node.now - node.started_at.seconds),
        "run_id": node.run_id,
        "loading": int(node.replication.is_loading),
        "rdb_changes_since_last_save": node.dirty - durability.dirty_at_save,
        "rdb_last_save_time": durability.last_save_ms // 1000,
        "rdb_last_bgsave_status": "err" if durability.save_failed else "ok",
        "rdb_saves": durability.saves_count,
        "aof_rewrites": durability.saves_count,
        "aof_last_write_status": "err" if durability.refusal else "ok",
        "aof_last_bgrewrite_status": "err" if durability.save_failed else "ok",
        "aof_pending_bio_fsync": durability.syncs_outstanding,
        "aof_current_size": sum(stream.log.size for stream in streams),
        "log_bytes": sum(stream.log.size for stream in streams),
        "segments_count": sum(len(stream.log.segments.all) for stream in streams),
        "open_streams": len(streams),
        "syncs_count": durability.syncs_count,
        "lazyfree_pending_objects": len(node.keyspace.trash),
        "eventloop_cycles": node.ticks_count,
    }
    return known | node.process_facts()
