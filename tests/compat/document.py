"""Prints docs/compatibility.md: what is compared, what may differ and why, what of redis-py's suite is left out.

python -m tests.compat.document > docs/compatibility.md
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.compat import conversations, same_reply, words
from tests.compat.redis_py import left_out

HEAD = """\
# Compatibility

respbroker is compared with programs that were not written for it: redis-server 8.2 byte for byte, redis-py's own
test-suite, redis-cli and redis-benchmark. Redis and Valkey come as wheels with the tests extra; redis-cli and
redis-benchmark are used where they are installed.

| what | command | in CI |
|---|---|---|
| random stream programs on both servers | `python -m tests.compat.differential --seeds 1000` | fixed seeds |
| the same with keys of all kinds | `python -m tests.compat.differential --seeds 1000 --mixed` | fixed seeds |
| written conversations on both servers | `pytest tests/compat/test_conversations.py` | all |
| redis-py's test-suite | `python -m tests.compat.redis_py` | a slice |
| redis-cli, redis-benchmark | `pytest tests/compat/test_redis_cli.py` | all |

Each harness is first turned on Redis itself: two redis-servers agree with one another, redis-py's suite passes on
redis-server 8.2 with what is left out below, and every redis-cli test also runs there. One altered byte in one reply
is found.
"""

RANDOM = """\
## Random programs

A seed gives a program: stream, key and transaction commands on two connections, over {keys} keys, {groups} groups and
{consumers} consumers, with IDs that mostly exist, options in any order and any case, wrong words now and then, and
DEBUG RELOAD (both servers forget their memory and read their disk). At the end everything observable about the keys is
asked. With `--mixed` there are strings, hashes, sorted sets and locks too, and a key is now of this kind, now of that:
SET over a stream, XADD on a string, RENAME and COPY of one kind onto another, WATCH. At a difference the program is
shrunk to the commands that show it, and the command that replays it is printed.

    python -m tests.compat.differential --seeds 500 --seed 7000 --commands 300
    python -m tests.compat.differential --seeds 1 --seed 7003 --protocol 3
    python -m tests.compat.differential --peer valkey            # without what only Redis has
    python -m tests.compat.differential --ours redis             # the harness itself: none may differ

Never drawn: XADD and XTRIM with `~` together with DELREF or ACKED, which Redis 8.2 gets wrong (redis#14623), and what
is newer than 8.2: XREADGROUP CLAIM, IDMP, XNACK, MAXCOUNT and MAXSIZE. redis-py's suite covers those. Nor is a score of
-0, which Redis keeps or not, depending on how it stores the set.

Known to differ, in about one of 300 programs: when every entry of the newest node is deleted one by one while older
nodes hold some, Redis begins a node with the next entry, and respbroker fills the node up. A later `~` then trims at
other entries.

Replies must be equal to the byte, with these exceptions:
"""

CONVERSATIONS = """\
## Conversations

{count} written conversations in `tests/compat/conversations/`, most of them in RESP2 and RESP3. The files hold no
replies; redis-server 8.2 says what is right. A conversation is a few lines:

    == a blocked XREAD is served by XADD
    A~ XREAD BLOCK 0 STREAMS s $
    B> XADD s 1-1 f v
    A<
"""

REDIS_PY = """\
## redis-py's test-suite

The sdist of the installed version is fetched once into a cache directory, with pytest-asyncio, and its tests run
unchanged against a server started for them:

    python -m tests.compat.redis_py                                  # all eight ways of using the library
    python -m tests.compat.redis_py --sync --protocol 3 --hiredis -k xadd
    python -m tests.compat.redis_py --server redis                   # on redis-server 8.2

These files of it, sync and asyncio: {files}.

Other files are left out:
"""

RULES = """\
Single tests that cannot run outside the suite's own environment are not started:

| tests whose name matches | reason |
|---|---|
"""

OUTSIDE = """\
respbroker is a stream server. A test that fails *and* sent one of these commands is counted as left out, with the kind
of command as its reason; every other failure is a failure. A test of ours checks that the server knows none of them.

| kind | commands |
|---|---|
"""


def document() -> str:
    return "\n".join(_parts())


def _parts() -> Iterator[str]:
    yield HEAD
    sizes = {"keys": len(words.KEYS), "groups": len(words.GROUPS), "consumers": len(words.CONSUMERS)}
    yield RANDOM.format(**sizes)
    yield from (f"* *{name}*: {reason}" for name, reason in same_reply.EXCEPTIONS.items())
    yield ""
    yield CONVERSATIONS.format(count=len(conversations.load()))
    yield REDIS_PY.format(files=", ".join(f"`{name}`" for name in left_out.FILES))
    yield from (f"* {names}: {reason}" for names, reason in left_out.FILES_LEFT_OUT.items())
    yield ""
    yield RULES + "\n".join(f"| `{_cell(pattern)}` | {reason} |" for pattern, reason in left_out.RULES)
    yield ""
    yield OUTSIDE + "\n".join(f"| {kind} | {_cell(names)} |" for kind, names in left_out.OUTSIDE.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(document())
