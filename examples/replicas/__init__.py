"""Three brokers; the leader killed, a follower promoted, the old leader back: nothing that was acknowledged is lost.

Run ``python -m examples.replicas``. It starts three servers that acknowledge a write when every in-sync replica has it
and two have it at least, and then as processes of their own:

* a producer (producer.py), which appends bookings and notes which were acknowledged, and when;
* two consumers (consumer.py) of one group. Both are plain redis-py; they find the leader by asking ROLE (leader.py).

In the middle the leader's followers are cut off, so that it holds entries that nobody else has, and it is killed with
SIGKILL. The example plays the operator, or redis-sentinel: it promotes a follower, and later starts the old leader
again. At the end it proves (proof.py), from the notes and from the files of all three, that nothing was lost.
"""
