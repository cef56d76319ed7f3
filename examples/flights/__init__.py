"""The flights of 2013 through a stream, with a consumer and the server killed on the way.

Run ``python -m examples.flights``. It starts a server, and then as processes of their own:

* producers (producer.py), which append all flights that left New York in 2013, in pipelines;
* three consumers of one group (consumer.py), which read, handle and acknowledge them.

In the middle it kills a consumer with SIGKILL, whose entries another one takes over, and the server, which it starts
again on the same directory. Producers and consumers are plain redis-py programs. At the end it proves, flight by
flight, that each was handled and none is missing.
"""
