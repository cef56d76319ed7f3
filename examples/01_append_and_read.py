"""Append entries to a stream and read them back: by range, from an ID on, backwards."""

import sys

import redis


def main(url: str) -> None:
    client = redis.Redis.from_url(url, decode_responses=True)
    client.delete("readings")

    # The server gives each entry an ID, <milliseconds>-<sequence>; IDs only ever rise.
    ids = [client.xadd("readings", {"sensor": "roof", "celsius": celsius}) for celsius in (17.5, 18.0, 18.5)]
    print("appended", *ids)

    for entry_id, fields in client.xrange("readings"):
        print(entry_id, fields)

    print("behind the first:", len(client.xrange("readings", min=f"({ids[0]}")))
    print("the newest:", client.xrevrange("readings", count=1)[0][1]["celsius"])

    # The oldest may go; what is left keeps its IDs.
    client.xtrim("readings", maxlen=2, approximate=False)
    print("left after trimming:", client.xlen("readings"))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6379")
