// ioredis as an application uses it; the package (ioredis, or ioredis6 for version 6) is the first argument.

import assert from "node:assert/strict";

import { answer, until } from "./asked.mjs";

const { Redis } = await import(process.argv[2]);

const open = new Map(); // clients that live from one question to a later one, by name

const connected = (given, options = {}) => {
  const client = new Redis(given.url, { protocol: given.protocol, ...options }); // version 5 knows no protocol
  client.on("error", () => {}); // it connects again by itself
  return client;
};

/** Run `use` with a client, and close it behind. */
async function withClient(given, use, options = {}) {
  const client = connected(given, options);
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

const blocked = (client) =>
  until(async () => !/blocked_clients:0\r/.test(await client.info("clients")), "a blocked client");

answer({
  handshake: (given) =>
    withClient(
      given,
      async (client) => {
        const info = await client.client("INFO");
        const word = (name) => new RegExp(`(?:^| )${name}=(\\S*)`).exec(info)[1];
        return { name: word("name"), database: word("db"), library: word("lib-name"), protocol: Number(word("resp")) };
      },
      { connectionName: "shop" },
    ),

  /** What a client is told whose password is wrong, or missing. */
  refusal: (given) =>
    withClient(given, (client) => client.xlen("s").then(() => null, (error) => error.message), { retryStrategy: null }),

  streams: (given) =>
    withClient(given, async (client) => {
      assert.equal(await client.xadd("s", "1-1", "a", "1", "b", "zwölf"), "1-1");
      assert.equal(await client.xadd("s", "MAXLEN", "~", 1000, "1-*", "c", ""), "1-2");
      assert.match(await client.xadd("s", "*", "d", Buffer.from([0, 255])), /^\d{13}-\d+$/);
      assert.equal(await client.xadd("none", "NOMKSTREAM", "*", "a", "1"), null);
      assert.equal(await client.xlen("s"), 3);
      assert.deepEqual(await client.xrange("s", "-", "+", "COUNT", 2), [
        ["1-1", ["a", "1", "b", "zwölf"]],
        ["1-2", ["c", ""]],
      ]);
      const [[, [, bytes]]] = await client.xrevrangeBuffer("s", "+", "-", "COUNT", 1);
      assert.deepEqual([...bytes], [0, 255]);
      assert.deepEqual(await client.xread("COUNT", 1, "STREAMS", "s", "none", "0", "0"), [
        ["s", [["1-1", ["a", "1", "b", "zwölf"]]]],
      ]);
      assert.equal(await client.xread("STREAMS", "s", "$"), null);
      assert.equal(await client.xdel("s", "1-1", "7-7"), 1);
      assert.equal(await client.xtrim("s", "MINID", "1-3"), 1);
      const info = await client.xinfo("STREAM", "s");
      assert.deepEqual(info.slice(0, 2), ["length", 1]);
      assert.equal(info[info.indexOf("max-deleted-entry-id") + 1], "1-1");
      const full = await client.xinfo("STREAM", "s", "FULL");
      assert.equal(full[full.indexOf("entries") + 1].length, 1);
      await assert.rejects(client.xadd("s", "1-1", "a", "1"), {
        name: "ReplyError",
        message: "ERR The ID specified in XADD is equal or smaller than the target stream top item",
      });
      assert.equal(await client.xsetid("s", "9999999999999-0"), "OK");
    }),

  groups: (given) =>
    withClient(given, async (client) => {
      assert.equal(await client.xgroup("CREATE", "s", "g", "$", "MKSTREAM"), "OK");
      await assert.rejects(client.xgroup("CREATE", "s", "g", "0"), {
        message: "BUSYGROUP Consumer Group name already exists",
      });
      for (let n = 1; n <= 4; n++) await client.xadd("s", `1-${n}`, "n", n);
      const [[, taken]] = await client.xreadgroup("GROUP", "g", "alice", "COUNT", 3, "STREAMS", "s", ">");
      assert.deepEqual(taken.map(([id]) => id), ["1-1", "1-2", "1-3"]);
      assert.equal(await client.xack("s", "g", "1-1"), 1);
      assert.deepEqual(await client.xpending("s", "g"), [2, "1-2", "1-3", [["alice", "2"]]]);
      const each = await client.xpending("s", "g", "IDLE", 0, "-", "+", 10, "alice");
      assert.deepEqual(each.map(([id, consumer, , deliveries]) => [id, consumer, deliveries]), [
        ["1-2", "alice", 1],
        ["1-3", "alice", 1],
      ]);
      assert.deepEqual(await client.xclaim("s", "g", "bob", 0, "1-2", "RETRYCOUNT", 7), [["1-2", ["n", "2"]]]);
      assert.deepEqual(await client.xclaim("s", "g", "bob", 0, "1-2", "JUSTID"), ["1-2"]);
      await client.xdel("s", "1-3");
      assert.deepEqual(await client.xautoclaim("s", "g", "carol", 0, "0", "COUNT", 10), [
        "0-0",
        [["1-2", ["n", "2"]]],
        ["1-3"],
      ]);
      const [group] = await client.xinfo("GROUPS", "s");
      assert.deepEqual(group.slice(0, 8), ["name", "g", "consumers", 3, "pending", 1, "last-delivered-id", "1-3"]);
      const consumers = await client.xinfo("CONSUMERS", "s", "g");
      assert.deepEqual(consumers.map((one) => one.slice(0, 4)).sort(), [
        ["name", "alice", "pending", 0],
        ["name", "bob", "pending", 0],
        ["name", "carol", "pending", 1],
      ]);
      assert.deepEqual(await client.xreadgroup("GROUP", "g", "alice", "STREAMS", "s", "0"), [["s", []]]);
      assert.equal(await client.xgroup("DELCONSUMER", "s", "g", "carol"), 1);
      assert.equal(await client.xgroup("DESTROY", "s", "g"), 1);
      await assert.rejects(client.xreadgroup("GROUP", "g", "alice", "STREAMS", "s", ">"), {
        message: "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option",
      });
    }),

  blocking: (given) =>
    withClient(given, async (client) => {
      const reader = client.duplicate();
      try {
        assert.equal(await reader.xread("BLOCK", 1, "STREAMS", "s", "$"), null);
        const coming = reader.xread("COUNT", 5, "BLOCK", 0, "STREAMS", "s", "t", "$", "$");
        await blocked(client);
        await client.xadd("t", "1-1", "a", "1");
        assert.deepEqual(await coming, [["t", [["1-1", ["a", "1"]]]]]);
        await client.xgroup("CREATE", "s", "g", "$", "MKSTREAM");
        const handed = reader.xreadgroup("GROUP", "g", "alice", "BLOCK", 0, "NOACK", "STREAMS", "s", ">");
        await blocked(client);
        await client.xadd("s", "2-1", "b", "2");
        assert.deepEqual(await handed, [["s", [["2-1", ["b", "2"]]]]]);
        const refusal = assert.rejects(reader.xreadgroup("GROUP", "g", "bob", "BLOCK", 0, "STREAMS", "s", ">"), /NOGROUP/);
        await blocked(client);
        await client.del("s");
        await refusal;
      } finally {
        reader.disconnect();
      }
    }),

  pipelines: (given) =>
    withClient(given, async (client) => {
      const pipeline = client.pipeline();
      for (let n = 1; n <= 1000; n++) pipeline.xadd("s", `1-${n}`, "n", n);
      const done = await pipeline.xadd("s", "0-0", "a", "1").xlen("s").exec();
      assert.equal(done.length, 1002);
      assert.deepEqual(done[999], [null, "1-1000"]);
      assert.match(done[1000][0].message, /^ERR The ID specified in XADD must be greater than 0-0$/);
      assert.deepEqual(done[1001], [null, 1000]);
    }),

  // Commands of one turn of the event loop are put into one pipeline.
  automaticPipelines: (given) =>
    withClient(
      given,
      async (client) => {
        const ids = await Promise.all([1, 2, 3].map((n) => client.xadd("s", `1-${n}`, "n", n)));
        assert.deepEqual([ids, await client.xlen("s")], [["1-1", "1-2", "1-3"], 3]);
      },
      { enableAutoPipelining: true },
    ),

  transactions: (given) =>
    withClient(given, async (client) => {
      const done = await client.multi().xadd("s", "1-1", "a", "1").xlen("s").xrange("s", "-", "+").exec();
      assert.deepEqual(done, [[null, "1-1"], [null, 1], [null, [["1-1", ["a", "1"]]]]]);
      const [[error], [, length]] = await client.multi().xadd("s", "1-1", "a", "1").xlen("s").exec();
      assert.match(error.message, /equal or smaller/);
      assert.equal(length, 1);
      await client.multi({ pipeline: false });
      await client.xadd("s", "1-2", "b", "2");
      assert.deepEqual(await client.exec(), [[null, "1-2"]]);
      await assert.rejects(client.multi().xadd("s").exec(), /^(ReplyError: )?EXECABORT|EXECABORT/);
      await client.watch("s");
      await withClient(given, (other) => other.xadd("s", "1-3", "c", "3"));
      assert.equal(await client.multi().xadd("s", "1-4", "d", "4").exec(), null);
    }),

  messages: (given) =>
    withClient(given, async (client) => {
      const listener = client.duplicate();
      try {
        const heard = [];
        listener.on("message", (channel, message) => heard.push([channel, message]));
        listener.on("pmessage", (pattern, channel, message) => heard.push([pattern, channel, message]));
        assert.equal(await listener.subscribe("news"), 1);
        assert.equal(await listener.psubscribe("n?ws"), 2);
        assert.equal(await client.publish("news", "one"), 2);
        await until(() => heard.length === 2, "two messages");
        assert.deepEqual(heard, [["news", "one"], ["n?ws", "news", "one"]]);
        assert.deepEqual(await client.pubsub("NUMSUB", "news"), ["news", 1]);
        await listener.unsubscribe("news");
        await listener.punsubscribe("n?ws");
        assert.equal(await listener.ping(), "PONG");
      } finally {
        listener.disconnect();
      }
    }),

  keys: (given) =>
    withClient(
      given,
      async (client) => {
        await Promise.all(["a", "b", "c"].map((key) => client.xadd(key, "1-1", "x", "y")));
        const found = [];
        for await (const keys of client.scanStream({ match: "shop:*", type: "stream" })) found.push(...keys);
        assert.deepEqual(found.sort(), ["shop:a", "shop:b", "shop:c"]);
        assert.equal(await client.pexpire("a", 100_000), 1);
        assert.ok((await client.pttl("a")) > 90_000);
        assert.equal(await client.renamenx("a", "b"), 0);
        assert.equal(await client.unlink("b", "c"), 2);
        assert.equal(await client.type("a"), "stream");
      },
      { keyPrefix: "shop:" },
    ),

  // What small applications keep beside their streams.
  values: (given) =>
    withClient(given, async (client) => {
      assert.equal(await client.set("lock", "anna", "PX", 60_000, "NX"), "OK");
      assert.equal(await client.set("lock", "ben", "NX"), null);
      assert.ok((await client.pttl("lock")) > 50_000);
      assert.deepEqual(await client.multi().get("lock").del("lock").exec(), [[null, "anna"], [null, 1]]);
      assert.equal(await client.incrby("count", 5), 5);
      assert.deepEqual(await client.mget("count", "lock"), ["5", null]);
      assert.equal(await client.hset("offsets", { orders: "1-1", bills: "2-2" }), 2);
      assert.deepEqual(await client.hgetall("offsets"), { orders: "1-1", bills: "2-2" });
      assert.equal(await client.hdel("offsets", "bills"), 1);
      assert.equal(await client.zadd("due", 2.5, "b", 1, "a"), 2);
      assert.equal(await client.zcount("due", "-inf", 2), 1);
      assert.deepEqual(await client.zpopmin("due"), ["a", "1"]);
      assert.deepEqual(await client.zrange("due", 0, -1, "WITHSCORES"), ["b", "2.5"]);
      await assert.rejects(client.xadd("due", "*", "a", "1"), /WRONGTYPE/);
      assert.deepEqual(await Promise.all(["count", "offsets", "due"].map((key) => client.type(key))), ["string", "hash", "zset"]);
    }),

  // A worker that waits in XREADGROUP while the server is killed and comes back: ioredis sends the command again.
  async beforeTheKill(given) {
    const options = { maxRetriesPerRequest: null, retryStrategy: () => 20 };
    const [producer, worker] = [connected(given, options), connected(given, options)];
    open.set("producer", producer).set("worker", worker);
    await producer.xgroup("CREATE", "s", "g", "0", "MKSTREAM");
    await producer.xadd("s", "1-1", "n", 1);
    await worker.xreadgroup("GROUP", "g", "alice", "STREAMS", "s", ">");
    const listener = connected(given, options);
    open.set("listener", listener).set("heard", []);
    listener.on("message", (_, message) => open.get("heard").push(message));
    await listener.subscribe("news");
    open.set("waiting", worker.xreadgroup("GROUP", "g", "alice", "BLOCK", 0, "STREAMS", "s", ">"));
    await blocked(producer);
  },

  async afterTheKill() {
    const [producer, worker, listener] = ["producer", "worker", "listener"].map((name) => open.get(name));
    await producer.xadd("s", "1-2", "n", 2); // kept by the client until it is connected again
    const handed = await open.get("waiting");
    const own = await worker.xreadgroup("GROUP", "g", "alice", "STREAMS", "s", "0");
    await until(async () => (await producer.publish("news", "back")) > 0, "the subscription that ioredis renews");
    await until(() => open.get("heard").length, "the message");
    for (const client of [producer, worker, listener]) client.disconnect();
    return { handed, own, heard: open.get("heard") };
  },
});
