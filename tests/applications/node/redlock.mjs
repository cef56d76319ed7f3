// redlock as an application uses it: locks of one resource and of several, over ioredis.

import assert from "node:assert/strict";

import { Redis } from "ioredis";
import Redlock from "redlock";

import { answer } from "./asked.mjs";

/** Run `use` with a lock manager that tries once, and with its client, on an empty database. */
async function withLocks(given, use) {
  const client = new Redis(given.url);
  try {
    await client.flushdb();
    await use(new Redlock([client], { retryCount: 0 }), client);
  } finally {
    client.disconnect();
  }
}

answer({
  oneResource: (given) =>
    withLocks(given, async (redlock, client) => {
      const lock = await redlock.lock("orders", 60_000);
      assert.equal(await client.get("orders"), lock.value);
      await assert.rejects(redlock.lock("orders", 60_000), Redlock.LockError);
      const extended = await lock.extend(600_000);
      assert.ok((await client.pttl("orders")) > 60_000);
      await extended.unlock();
      assert.equal(await client.exists("orders"), 0);
    }),

  severalResources: (given) =>
    withLocks(given, async (redlock, client) => {
      const held = await redlock.lock("b", 60_000);
      await assert.rejects(redlock.lock(["a", "b", "c"], 60_000), Redlock.LockError);
      assert.equal(await client.exists("a", "c"), 0);
      await held.unlock();
      const all = await redlock.lock(["a", "b", "c"], 60_000);
      assert.deepEqual(await client.mget("a", "b", "c"), [all.value, all.value, all.value]);
      await all.unlock();
      assert.equal(await client.dbsize(), 0);
    }),

  anothersLock: (given) =>
    withLocks(given, async (redlock, client) => {
      const lock = await redlock.lock("orders", 60_000);
      await client.set("orders", "another's");
      await assert.rejects(lock.extend(60_000), Redlock.LockError);
      await assert.rejects(lock.unlock(), Redlock.LockError);
      assert.equal(await client.get("orders"), "another's");
    }),
});
