"""Prints docs/tour.md: the source in reading order, each module with the first line of its docstring.

    python -m tests.tidy.tour > docs/tour.md

Order and prose stand here, captions in the modules. A module that no chapter names comes last in the chapter of its
directory, so the page is whole whenever it is printed.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

ROOT: Final = Path(__file__).resolve().parents[2]
TOPS: Final = ("respbroker", "storage")
WIDTH: Final = 118  # of prose; a module's line is as long as its caption

HEAD: Final = """\
# A tour of the source

In reading order: along the way of a request from the socket to the disk and back. Each line is a module and the first
sentence of its docstring, so what is said here is said there. An hour is enough for the files in **bold**; the
[design](design.md) gives the reasons, the [vocabulary](vocabulary.md) the words.
"""

TAIL: Final = """\
## Beside the source

`examples/` are programs to start from: six numbered ones, and three of several processes each, `examples/flights`,
`examples/aircraft` and `examples/replicas`; `examples/kit` is a team's code with its tests. `tests/` follows the
packages; [testing](testing.md) says what is where and how to run it. Who may import whom is a table in
`tests/tidy/test_layers.py`: `storage` and `model` import nothing of ours, `server` is imported by nobody.
"""


@attrs.frozen
class Chapter:
    """Modules of one directory in reading order; ``names`` with a ``*`` behind them are printed bold."""

    heading: str
    directory: str
    prose: str
    names: str

    @property
    def modules(self) -> list[tuple[str, bool]]:
        """Path and whether it is to be read first."""
        return [
            (f"{self.directory}/{name.rstrip('*')}.py".removeprefix("./"), name.endswith("*"))
            for name in self.names.split()
        ]


CHAPTERS: Final = (
    Chapter(
        "The command",
        "respbroker",
        "`respbroker serve` reads settings and hands them to the edge.",
        "__init__ __main__ cli",
    ),
    Chapter(
        "The operator's tools",
        "respbroker/tools",
        "`respbroker topics`, `groups` and `dlq` are clients of a running server and know nothing of its inside.",
        "__init__ connection* options output topics groups group_facts resets dlq",
    ),
    Chapter(
        "Moving from one server to another",
        "respbroker/migration",
        "`respbroker migrate`. What is asked of both servers for one stream is a generator of turns; `driver` runs many"
        " of them over two connections. See [decision 20](decisions/0020-a-migration-is-turns.md).",
        "__init__ command turns* moving* copying* settling comparing facts pages pending rounds driver* link memo"
        " progress",
    ),
    Chapter(
        "For others' tests",
        "respbroker/testing",
        "A pytest plugin; [migrating](migrating.md#your-own-tests-on-both) shows its use. It starts servers as"
        " processes and knows nothing of their inside.",
        "__init__ plugin* servers attendant finding",
    ),
    Chapter(
        "The edge",
        "respbroker/server",
        "One loop takes all connections that are readable, runs one tick of the node over what they sent, and sends"
        " what the node answers. Everything that touches a socket, a clock or a thread is in this package. Begin with"
        " `Loop.turn`.",
        "__init__ main* loop* poller connection listener peers outputs commit* worker apart process logs",
    ),
    Chapter(
        "The protocol",
        "respbroker/resp",
        "Bytes in, lists of words out; a reply is its bytes from the start, so nothing is encoded behind a handler."
        " hiredis does the work where its answer can be proven, `stepwise` does all the rest.",
        "__init__ decoder* limits inline stepwise reply_decoder requests replies entry* entry_keys ids",
    ),
    Chapter(
        "The node",
        "respbroker/broker",
        "A server without sockets. `Node.tick` is the heart: requests and the time in, replies and writes out. It owns"
        " all state; its parts own a share of it each.",
        "__init__ node* node_keys node_values node_nested clock dispatch* durability* outputs blocking lingering"
        " housekeeping retention compactor job notices timing facts",
    ),
    Chapter(
        "Commands: how they are found and what they may touch",
        "respbroker/commands",
        "A command is a row of the table and a function `(context, words) -> reply`. It parses everything first, so a"
        " refusal leaves nothing half done.",
        "__init__ table* context* catalogue arguments help delays",
    ),
    Chapter(
        "Commands: streams",
        "respbroker/commands",
        "`append.xadd` is the shortest way through the whole server; read it first.",
        "append* lingering trim_options idempotency reads* entries framing read_limits groups delivery* group_serving"
        " history acknowledge claims dead_letters pendings deletes inspection stream_settings",
    ),
    Chapter(
        "Commands: strings, hashes, sorted sets, locks",
        "respbroker/commands",
        "What applications keep beside their streams. The values are in memory, see"
        " [their chapter](#values-beside-streams); the scripts of locks are known by their text.",
        "values strings* set_options hashes sorted_sets member_ranges scripts lock_scripts",
    ),
    Chapter(
        "Commands: topics of several partitions",
        "respbroker/commands",
        "A look-up that finds such a topic raises `SeveralPartitions`, and the dispatcher calls the row's `on_topic`."
        " These are the rows' other halves, and XTOPIC.",
        "topics* topic_positions topic_append topic_reads topic_trim topic_info topic_groups topic_delivery*"
        " topic_pending topic_history topic_acknowledge topic_acks topic_claims topic_members",
    ),
    Chapter(
        "Commands: keys, transactions, connections, channels",
        "respbroker/commands",
        "Most of these never open a stream: what they ask stands in the catalog or in the sessions.",
        "keys expiry scanning databases objects transactions connection client pubsub monitor",
    ),
    Chapter(
        "Commands: the server itself",
        "respbroker/commands",
        "What operators and tools ask. INFO is a table of fields; COMMAND and docs/commands.md are read off the"
        " command table.",
        "info info_fields info_replication config server replicas replicate persistence slowlog latency"
        " latency_report memory debug acl lolwut"
        " introspection command_info syntax reference",
    ),
    Chapter(
        "State around requests",
        "respbroker/sessions",
        "Who is connected, what they listen to, watch and have queued, and what is counted. No I/O.",
        "__init__ client* peer transaction watches channels notifications listing secrets statistics histogram slowlog"
        " latency",
    ),
    Chapter(
        "Values beside streams",
        "respbroker/values",
        "What strings, hashes and sorted sets are in memory, and what is written of them. They are an index over a log"
        " of records; `respbroker/streams/keyspace_values.py` is where the two meet.",
        "__init__ kinds* records* database* expiries places",
    ),
    Chapter(
        "Streams over logs",
        "respbroker/streams",
        "What Redis says about streams, said about a log. A change is an *effect*: applied to the state in memory and"
        " staged for the log by the same call. `stream` and `effects` together are the idea; `keyspace` is where"
        " streams come from.",
        "__init__ stream* effects* trimming topic_trimming retention deletions compacted cleaning merged group"
        " consumer references pending* pending_runs runs ages assignments recent_ids idmp waiters keyspace*"
        " keyspace_values topic topic_group* ownership membership group_sessions schemas schema_keywords catalog"
        " catalog_changes places flushing roles replica whole_logs opening directories journal copying key_order",
    ),
    Chapter(
        "The node: replication",
        "respbroker/broker",
        "What a node does as a leader or a follower. `replication` owns the role; `leading` and `following` are the two"
        " sides of a session, `gate` holds replies back.",
        "replication* beginning members member_changes* member_facts forgetting positions leading* follower_session"
        " following* frames log_copies gate* replica_waits"
        " canvass handover replica_desk replication_store peer_owners node_replicas",
    ),
    Chapter(
        "Replicas",
        "respbroker/replication",
        "What a leader and its followers know of one another, as values and machines that the node drives. See"
        " [decision 17](decisions/0017-a-node-replicates-as-a-whole.md).",
        "__init__ messages* words history membership* in_sync* election campaign state",
    ),
    Chapter(
        "Values",
        "respbroker/model",
        "Frozen, and known to everyone.",
        "__init__ stream_id settings setting_rows setting_kinds topic_settings config_file settings_page letters glob"
        " version",
    ),
    Chapter("Refusals", "respbroker", "Printed with advice in [errors](errors.md).", "errors"),
    Chapter(
        "The log",
        "storage",
        "A library of its own: it knows records (an ID of two numbers, and bytes), no protocol and no streams. Top down"
        " from `Log`; what is on disk is in [log format](log-format.md).",
        "__init__ log* reads appends upkeep raw raw_reader epochs durability batch* segment segments index block"
        " caches scan recovery* torn lost_checkpoint checkpoint snapshot swapping merge rewrite compaction survey"
        " retention sync filesystem files names config errors inspect",
    ),
)


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_body(), TAIL])


def sources() -> list[str]:
    """Every module, as a path from the root."""
    return sorted(path.relative_to(ROOT).as_posix() for top in TOPS for path in (ROOT / top).rglob("*.py"))


def caption(path: str) -> str:
    """The first line of the module's docstring."""
    return (ast.get_docstring(ast.parse((ROOT / path).read_text())) or "").partition("\n")[0]


def _body() -> Iterator[str]:
    left = set(sources())
    named = {path for chapter in CHAPTERS for path, _ in chapter.modules}
    last = {chapter.directory: chapter for chapter in CHAPTERS}
    for chapter in CHAPTERS:
        modules = [(path, bold) for path, bold in chapter.modules if path in left]
        if last[chapter.directory] is chapter:
            modules += [(path, False) for path in sorted(left - named) if path.rpartition("/")[0] == chapter.directory]
        yield f"## {chapter.heading}\n\n{textwrap.fill(chapter.prose, WIDTH)}\n"
        for path, bold in modules:
            left.discard(path)
            yield f"* **`{path}`** — {caption(path)}" if bold else f"* `{path}` — {caption(path)}"
        yield ""


if __name__ == "__main__":
    print(render(), end="")
