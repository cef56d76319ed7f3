// node-redis as an application uses it; the package (redis, or redis5 for version 5) is the first argument.

import assert from "node:assert/strict";

import { answer, until } from "./asked.mjs";

const { createClient, WatchError } = await import(process.argv[2]);

const open = new Map(); // clients that live from one question to a later one, by name

async function connected(given) {
  const client = createClient({ url: given.url, RESP: given.protocol, unstableResp3: true });
  client.on("error", () => {}); // it reconnects by itself; without a listener the process would end
  await client.connect();
  return client;
}

/** Run `use` with a client, and close it behind. */
async function withClient(given, use) {
  const client = await connected(given);
  try {
    return await use(client);
  } finally {
    client.destroy();
  }
}

const blocked = (client) =>
  until(async () => !/blocked_clients:0\r/.test(await client.info("clients")), "a blocked client");

/** A reply to xRead or xReadGroup in one shape: version 5 leaves the map of RESP3 as it came. */
function delivered(reply) {
  if (Array.isArray(reply)) return plain(reply);
  const paired = (words) => Object.fromEntries(words.flatMap((word, n) => (n % 2 ? [] : [[word, words[n + 1]]])));
  return Object.entries(reply).map(([name, entries]) => ({
    name,
    messages: entries.map(([id, words]) => ({ id, message: paired(words) })),
  }));
}

const plain = (value) => JSON.parse(JSON.stringify(value)); // without the null prototypes of its objects

answer({
  handshake: (given) =>
    withClient(given, async (client) => {
      const info = await client.clientInfo();
      return { library: info.libName, version: info.libVer, protocol: info.resp, database: info.db };
    }),

  /** What a client is told whose password is wrong, or missing. */
  async refusal(given) {
    const client = createClient({ url: given.url, RESP: given.protocol, socket: { reconnectStrategy: false } });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.xLen("s");
      return null;
    } catch (error) {
      return error.message;
    } finally {
      if (client.isOpen) client.destroy();
    }
  },

  streams: (given) =>
    withClient(given, async (client) => {
      assert.equal(await client.xAdd("s", "1-1", { a: "1", b: "zwölf" }), "1-1");
      assert.equal(await client.xAdd("s", "1-*", { c: "" }), "1-2");
      assert.match(await client.xAdd("s", "*", { d: "4" }), /^\d{13}-\d+$/);
      assert.equal(await client.xAddNoMkStream("none", "*", { a: "1" }), null);
      assert.equal(await client.xLen("s"), 3);
      assert.deepEqual(plain(await client.xRange("s", "-", "+", { COUNT: 2 })), [
        { id: "1-1", message: { a: "1", b: "zwölf" } },
        { id: "1-2", message: { c: "" } },
      ]);
      assert.deepEqual(plain(await client.xRevRange("s", "(1-2", "-")), [
        { id: "1-1", message: { a: "1", b: "zwölf" } },
      ]);
      assert.equal(await client.xDel("s", ["1-1", "7-7"]), 1);
      assert.equal(await client.xTrim("s", "MAXLEN", 1), 1);
      const bounded = { TRIM: { strategy: "MAXLEN", strategyModifier: "=", threshold: 2 } };
      for (const n of ["1", "2", "3"]) await client.xAdd("s", "*", { n }, bounded);
      assert.equal(await client.xLen("s"), 2);
      const info = await client.xInfoStream("s");
      assert.deepEqual(
        [info.length, info["entries-added"], info["max-deleted-entry-id"], info.groups],
        [2, 6, "1-1", 0],
      );
      assert.deepEqual(plain(info["last-entry"]).message, { n: "3" });
      await assert.rejects(client.xAdd("s", "1-1", { a: "1" }), {
        message: "ERR The ID specified in XADD is equal or smaller than the target stream top item",
      });
      assert.equal(await client.type("s"), "stream");
    }),

  groups: (given) =>
    withClient(given, async (client) => {
      assert.equal(await client.xGroupCreate("s", "g", "$", { MKSTREAM: true }), "OK");
      await assert.rejects(client.xGroupCreate("s", "g", "0"), {
        message: "BUSYGROUP Consumer Group name already exists",
      });
      for (let n = 1; n <= 4; n++) await client.xAdd("s", `1-${n}`, { n: `${n}` });
      const taken = await client.xReadGroup("g", "alice", { key: "s", id: ">" }, { COUNT: 3 });
      assert.deepEqual(delivered(taken)[0].messages.map((entry) => entry.id), ["1-1", "1-2", "1-3"]);
      assert.equal(await client.xAck("s", "g", "1-1"), 1);
      const pending = plain(await client.xPending("s", "g"));
      assert.deepEqual(pending, {
        pending: 2,
        firstId: "1-2",
        lastId: "1-3",
        consumers: [{ name: "alice", deliveriesCounter: 2 }],
      });
      const each = plain(await client.xPendingRange("s", "g", "-", "+", 10, { consumer: "alice" }));
      assert.deepEqual(each.map((one) => [one.id, one.consumer, one.deliveriesCounter]), [
        ["1-2", "alice", 1],
        ["1-3", "alice", 1],
      ]);
      const claimed = plain(await client.xClaim("s", "g", "bob", 0, "1-2"));
      assert.deepEqual(claimed, [{ id: "1-2", message: { n: "2" } }]);
      assert.deepEqual(plain(await client.xClaimJustId("s", "g", "bob", 0, ["1-2"])), ["1-2"]);
      await client.xDel("s", "1-3");
      assert.deepEqual(plain(await client.xAutoClaim("s", "g", "carol", 0, "-")), {
        nextId: "0-0",
        messages: [{ id: "1-2", message: { n: "2" } }],
        deletedMessages: ["1-3"],
      });
      const [group] = plain(await client.xInfoGroups("s"));
      assert.deepEqual(
        [group.name, group.consumers, group.pending, group["last-delivered-id"], group["entries-read"]],
        ["g", 3, 1, "1-3", 3],
      );
      const consumers = plain(await client.xInfoConsumers("s", "g"));
      assert.deepEqual(consumers.map((one) => [one.name, one.pending]).sort(), [["alice", 0], ["bob", 0], ["carol", 1]]);
      const again = delivered(await client.xReadGroup("g", "carol", { key: "s", id: "0" }));
      assert.deepEqual(again[0].messages, [{ id: "1-2", message: { n: "2" } }]);
      assert.equal(await client.xGroupDelConsumer("s", "g", "carol"), 1);
      assert.equal(await client.xGroupDestroy("s", "g"), 1);
      await assert.rejects(client.xReadGroup("g", "alice", { key: "s", id: ">" }), {
        message: "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option",
      });
    }),

  blocking: (given) =>
    withClient(given, async (client) => {
      const reader = client.duplicate();
      await reader.connect();
      try {
        assert.equal(await reader.xRead({ key: "s", id: "$" }, { BLOCK: 1 }), null);
        const coming = reader.xRead([{ key: "s", id: "$" }, { key: "t", id: "$" }], { BLOCK: 0, COUNT: 5 });
        await blocked(client);
        await client.xAdd("t", "1-1", { a: "1" });
        assert.deepEqual(delivered(await coming), [{ name: "t", messages: [{ id: "1-1", message: { a: "1" } }] }]);
        await client.xGroupCreate("s", "g", "$", { MKSTREAM: true });
        const handed = reader.xReadGroup("g", "alice", { key: "s", id: ">" }, { BLOCK: 0, NOACK: true });
        await blocked(client);
        await client.xAdd("s", "2-1", { b: "2" });
        assert.deepEqual(delivered(await handed), [{ name: "s", messages: [{ id: "2-1", message: { b: "2" } }] }]);
        const refused = reader.xReadGroup("g", "alice", { key: "s", id: ">" }, { BLOCK: 0 });
        const refusal = assert.rejects(refused, /^(Error|SimpleError|ErrorReply): NOGROUP/);
        await blocked(client);
        await client.del("s");
        await refusal;
      } finally {
        reader.destroy();
      }
    }),

  // Everything that is asked in one turn of the event loop goes out in one write.
  pipelines: (given) =>
    withClient(given, async (client) => {
      const numbers = Array.from({ length: 1000 }, (_, n) => n + 1);
      const ids = await Promise.all(numbers.map((n) => client.xAdd("s", `1-${n}`, { n: `${n}` })));
      assert.deepEqual(ids, numbers.map((n) => `1-${n}`));
      const settled = await Promise.allSettled([client.xLen("s"), client.xAdd("s", "0-0", { a: "1" }), client.ping()]);
      assert.deepEqual(settled.map((one) => one.status), ["fulfilled", "rejected", "fulfilled"]);
      assert.deepEqual([settled[0].value, settled[2].value], [1000, "PONG"]);
    }),

  transactions: (given) =>
    withClient(given, async (client) => {
      const done = await client.multi().xAdd("s", "1-1", { a: "1" }).xLen("s").xRange("s", "-", "+").exec();
      assert.deepEqual(plain(done), ["1-1", 1, [{ id: "1-1", message: { a: "1" } }]]);
      const error = await client.multi().xAdd("s", "1-1", { a: "1" }).xLen("s").exec().catch((refusal) => refusal);
      assert.deepEqual([error.errorIndexes, error.replies[1]], [[0], 1]);
      await client.watch("s");
      await withClient(given, (other) => other.xAdd("s", "1-2", { b: "2" }));
      await assert.rejects(client.multi().xAdd("s", "1-3", { c: "3" }).exec(), WatchError);
      assert.equal(await client.xLen("s"), 2);
    }),

  messages: (given) =>
    withClient(given, async (client) => {
      const listener = client.duplicate();
      await listener.connect();
      try {
        const heard = [];
        await listener.subscribe("news", (message, channel) => heard.push([channel, message]));
        await listener.pSubscribe("n?ws", (message, channel) => heard.push([channel, message]));
        assert.equal(await client.publish("news", "one"), 2);
        await until(() => heard.length === 2, "two messages");
        assert.deepEqual(heard, [["news", "one"], ["news", "one"]]);
        assert.deepEqual(plain(await client.pubSubNumSub(["news"])), { news: 1 });
        await listener.unsubscribe("news");
        await listener.pUnsubscribe("n?ws");
        assert.equal(String(await listener.ping()), "PONG");
      } finally {
        listener.destroy();
      }
    }),

  keys: (given) =>
    withClient(given, async (client) => {
      await Promise.all(["a", "b", "c"].map((key) => client.xAdd(key, "1-1", { x: "y" })));
      const found = [];
      for await (const keys of client.scanIterator({ TYPE: "stream", COUNT: 1 })) found.push(...keys);
      assert.deepEqual(found.sort(), ["a", "b", "c"]);
      assert.equal(await client.expire("a", 100), 1);
      assert.ok((await client.ttl("a")) > 90);
      assert.equal(await client.persist("a"), 1);
      assert.equal(await client.rename("a", "d"), "OK");
      assert.equal(await client.del(["b", "c", "none"]), 2);
      assert.equal(await client.exists(["d", "a"]), 1);
    }),

  // What small applications keep beside their streams.
  values: (given) =>
    withClient(given, async (client) => {
      assert.equal(await client.set("lock", "anna", { condition: "NX", expiration: { type: "PX", value: 60_000 } }), "OK");
      assert.equal(await client.set("lock", "ben", { condition: "NX" }), null);
      assert.ok((await client.pTTL("lock")) > 50_000);
      assert.deepEqual(await client.multi().get("lock").del("lock").exec(), ["anna", 1]);
      assert.equal(await client.incrBy("count", 5), 5);
      assert.deepEqual(await client.mGet(["count", "lock"]), ["5", null]);
      assert.equal(await client.hSet("offsets", { orders: "1-1", bills: "2-2" }), 2);
      assert.deepEqual(plain(await client.hGetAll("offsets")), { orders: "1-1", bills: "2-2" });
      assert.equal(await client.hDel("offsets", "bills"), 1);
      assert.equal(await client.zAdd("due", [{ score: 2.5, value: "b" }, { score: 1, value: "a" }]), 2);
      assert.equal(await client.zCount("due", "-inf", 2), 1);
      assert.deepEqual(plain(await client.zPopMin("due")), { score: 1, value: "a" });
      assert.deepEqual(plain(await client.zRangeWithScores("due", 0, -1)), [{ score: 2.5, value: "b" }]);
      await assert.rejects(client.xAdd("due", "*", { a: "1" }), /^(Error|SimpleError|ErrorReply): WRONGTYPE/);
      assert.deepEqual(await Promise.all(["count", "offsets", "due"].map((key) => client.type(key))), ["string", "hash", "zset"]);
    }),

  // A consumer that waits in a read, and a producer, while the server is killed and comes back.
  async beforeTheKill(given) {
    const [producer, consumer] = [await connected(given), await connected(given)];
    open.set("producer", producer).set("consumer", consumer);
    await producer.xGroupCreate("s", "g", "0", { MKSTREAM: true });
    await producer.xAdd("s", "1-1", { n: "1" });
    await producer.xAdd("s", "1-2", { n: "2" });
    await consumer.xReadGroup("g", "alice", { key: "s", id: ">" }, { COUNT: 1 });
    open.set("waiting", consumer.xRead({ key: "s", id: "$" }, { BLOCK: 0 }).catch((error) => error.message));
    await blocked(producer);
  },

  async afterTheKill() {
    const [producer, consumer] = [open.get("producer"), open.get("consumer")];
    const broken = await open.get("waiting"); // not sent again: the application decides where to read on
    assert.equal(await producer.xAdd("s", "1-3", { n: "3" }), "1-3"); // kept by the client until it is connected again
    const own = delivered(await consumer.xReadGroup("g", "alice", { key: "s", id: "0" }));
    const rest = delivered(await consumer.xReadGroup("g", "alice", { key: "s", id: ">" }));
    producer.destroy();
    consumer.destroy();
    return { broken, own: own[0].messages.map((one) => one.id), rest: rest[0].messages.map((one) => one.id) };
  },
});
