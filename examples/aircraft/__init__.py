"""Each aircraft's flights handled in their order by four consumers at once, and a table of the last flight of each.

Run ``python -m examples.aircraft``. It starts a server, makes two topics, and then as processes of their own:

* a producer (producer.py), which appends the flights of 2013 in the order of the year to the topic ``flights``, eight
  partitions keyed by the aircraft's tail number, and to the compacted topic ``latest``;
* four consumers (consumer.py) of one group, plain redis-py programs that know nothing of partitions.

In the middle it kills a consumer with SIGKILL. At the end it proves (proof.py), aircraft by aircraft, from what the
consumers noted, that flights were handled in order, and reads the compacted topic back as a table.
"""
