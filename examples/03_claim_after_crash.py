"""A consumer dies with entries in its hands; another takes them over."""

import sys
import time

import redis

IDLE_MS = 50  # in earnest: longer than the slowest handling of an entry


def main(url: str) -> None:
    client = redis.Redis.from_url(url, decode_responses=True)
    client.delete("mails")
    client.xgroup_create("mails", "senders", id="0", mkstream=True)
    for number in range(5):
        client.xadd("mails", {"to": f"reader-{number}@example.org"})

    client.xreadgroup("senders", "unlucky", {"mails": ">"}, count=3)
    print("unlucky has been given 3 mails, and dies")
    time.sleep(2 * IDLE_MS / 1000)

    # What has been pending for long belongs to whoever asks for it.
    _, entries, _ = client.xautoclaim("mails", "senders", "heir", min_idle_time=IDLE_MS)
    for entry_id, fields in entries:
        print("heir takes over", fields["to"])
        client.xack("mails", "senders", entry_id)

    # How often an entry was given out tells a poisonous one from an unlucky one.
    client.xreadgroup("senders", "heir", {"mails": ">"}, count=1)
    [pending] = client.xpending_range("mails", "senders", min="-", max="+", count=10)
    print("the next one was delivered", pending["times_delivered"], "time, to", pending["consumer"])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6379")
