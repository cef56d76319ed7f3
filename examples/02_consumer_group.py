"""Two consumers share the work of one group; what was read is pending until it is acknowledged."""

import sys

import redis


def main(url: str) -> None:
    client = redis.Redis.from_url(url, decode_responses=True)
    client.delete("orders")
    client.xgroup_create("orders", "billing", id="0", mkstream=True)
    for number in range(6):
        client.xadd("orders", {"number": number})

    # ">" asks for entries that no consumer of the group has been given yet.
    for consumer in ("anna", "bert"):
        [(_, entries)] = client.xreadgroup("billing", consumer, {"orders": ">"}, count=3)
        print(consumer, "was given", *(fields["number"] for _, fields in entries))
        for entry_id, _ in entries[:2]:
            client.xack("orders", "billing", entry_id)

    # Each has one left. A consumer that starts again reads its own pending entries first, from "0" on.
    [(_, entries)] = client.xreadgroup("billing", "anna", {"orders": "0"})
    print("anna still has", *(fields["number"] for _, fields in entries))

    summary = client.xpending("orders", "billing")
    print("pending in the group:", summary["pending"])
    [group] = client.xinfo_groups("orders")
    print("not yet given to anyone:", group["lag"])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6379")
