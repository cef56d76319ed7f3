"""Readers wait for entries instead of asking again and again; each entry of a group wakes one of them."""

import sys
import threading

import redis


def main(url: str) -> None:
    client = redis.Redis.from_url(url, decode_responses=True)
    client.delete("bells")
    client.xgroup_create("bells", "porters", id="$", mkstream=True)

    def wait(name: str) -> None:
        [(_, [(_, fields)])] = client.xreadgroup("porters", name, {"bells": ">"}, count=1, block=10_000)
        heard.append(fields["floor"])

    heard: list[str] = []
    porters = [threading.Thread(target=wait, args=(f"porter-{number}",)) for number in range(3)]
    for porter in porters:
        porter.start()

    # Who has waited longest is served first.
    for floor in ("ground", "first", "second"):
        client.xadd("bells", {"floor": floor})
    for porter in porters:
        porter.join()
    print("three porters heard", *sorted(heard))

    # Without an entry the wait ends with nothing.
    print("nobody rang:", client.xreadgroup("porters", "porter-0", {"bells": ">"}, block=20))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6379")
