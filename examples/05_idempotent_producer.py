"""A producer that does not know whether its entry arrived sends it again, and it is appended once."""

import sys

import redis


def main(url: str) -> None:
    client = redis.Redis.from_url(url, decode_responses=True)
    client.delete("payments")

    # Producer and idempotent ID name the entry; the server remembers the latest of each producer.
    first = client.xadd("payments", {"amount": 25}, idmp=("till-7", b"receipt-1001"))
    again = client.xadd("payments", {"amount": 25}, idmp=("till-7", b"receipt-1001"))
    print("the same entry:", first == again)

    other = client.xadd("payments", {"amount": 25}, idmp=("till-8", b"receipt-1001"))
    print("another producer, another entry:", other != first)

    # IDMPAUTO makes the idempotent ID from the fields themselves.
    for _ in range(3):
        client.xadd("payments", {"amount": 30, "receipt": 1002}, idmpauto="till-7")
    print("entries:", client.xlen("payments"))

    # How much is remembered, and for how long, is set for each stream.
    client.xcfgset("payments", idmp_duration=300, idmp_maxsize=1000)
    information = client.xinfo_stream("payments")
    print("remembers", information["idmp-maxsize"], "for", information["idmp-duration"], "seconds")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6379")
