// A producer and a worker that find the leader through sentinels; the first argument is redis or ioredis.

import { answer, until } from "./asked.mjs";

const library = process.argv[2];
const acknowledged = [];
const handled = new Set();
let stopped = false;
let clients = [];
let loops = [];

const pause = () => new Promise((resolve) => setTimeout(resolve, 10)); // before it is tried again

/** What either library makes of the commands, and how it is told where to ask. */
const libraries = {
  async ioredis({ ports, name, stream }) {
    const { Redis } = await import("ioredis6");
    const options = {
      sentinels: ports.map((port) => ({ host: "127.0.0.1", port })),
      name,
      sentinelRetryStrategy: () => 20,
      retryStrategy: () => 20,
      maxRetriesPerRequest: null,
    };
    const [producer, worker] = [new Redis(options), new Redis(options)];
    for (const client of [producer, worker]) client.on("error", () => {});
    return {
      create: () => producer.xgroup("CREATE", stream, "g", "0", "MKSTREAM"),
      add: (n) => producer.xadd(stream, "*", "n", n),
      async take() {
        const taken = await worker.xreadgroup("GROUP", "g", "anna", "COUNT", 100, "BLOCK", 100, "STREAMS", stream, ">");
        return (taken?.[0][1] ?? []).map(([id, [, n]]) => [id, n]);
      },
      acknowledge: (ids) => worker.xack(stream, "g", ...ids),
      close: () => [producer, worker].forEach((client) => client.disconnect()),
    };
  },

  async redis({ ports, name, stream }) {
    const { createSentinel } = await import("redis");
    const client = createSentinel({
      name,
      sentinelRootNodes: ports.map((port) => ({ host: "127.0.0.1", port })),
      masterPoolSize: 2, // for the worker blocks
      scanInterval: 100,
    });
    client.on("error", () => {});
    await client.connect();
    return {
      create: () => client.xGroupCreate(stream, "g", "0", { MKSTREAM: true }),
      add: (n) => client.xAdd(stream, "*", { n }),
      async take() {
        const taken = await client.xReadGroup("g", "anna", { key: stream, id: ">" }, { COUNT: 100, BLOCK: 100 });
        return (taken?.[0].messages ?? []).map(({ id, message }) => [id, message.n]);
      },
      acknowledge: (ids) => client.xAck(stream, "g", ids),
      close: () => client.destroy(),
    };
  },
};

/** Do it again and again until it succeeds, or the test is over. */
async function insist(action) {
  while (!stopped) {
    try {
      return await action();
    } catch {
      await pause();
    }
  }
}

async function produce(client) {
  for (let n = 0; !stopped; n++) {
    const id = await insist(() => client.add(`${n}`));
    if (id) acknowledged.push(`${n}`);
  }
}

async function work(client) {
  while (!stopped) {
    const taken = (await insist(() => client.take())) ?? [];
    for (const [, n] of taken) handled.add(n);
    if (taken.length) await insist(() => client.acknowledge(taken.map(([id]) => id)));
  }
}

answer({
  async start(given) {
    const client = await libraries[library](given);
    await client.create();
    clients.push(client);
    loops = [produce(client), work(client)];
  },

  /** Until something that was added from now on has been acknowledged and handled. */
  async goOn() {
    const goal = acknowledged.length + 2;
    await until(() => acknowledged.length >= goal && handled.has(acknowledged[goal - 1]), "it goes on");
    return acknowledged.length;
  },

  async stop() {
    stopped = true;
    await Promise.all(loops);
    for (const client of clients) client.close();
    return acknowledged;
  },
});
