// A socket.io server that shares its events with others through @socket.io/redis-streams-adapter.
// The first argument is the client that the adapter is given: redis, redis5, ioredis or ioredis6.

import { createAdapter } from "@socket.io/redis-streams-adapter";
import { Server } from "socket.io";

import { answer, until } from "./asked.mjs";

const library = process.argv[2];
let io;

async function connected(url) {
  const { createClient, Redis } = await import(library);
  if (Redis) return new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  const client = createClient({ url });
  client.on("error", () => {}); // it reconnects by itself
  await client.connect();
  return client;
}

answer({
  /** Listen on a free port, and wait until so many servers listen on the channel. */
  async listen({ url, servers, options = {} }) {
    const client = await connected(url);
    const recovery = { maxDisconnectionDuration: 120_000, skipMiddlewares: true };
    io = new Server({
      adapter: createAdapter(client, options),
      connectionStateRecovery: recovery,
    });
    io.on("connection", (socket) => {
      socket.on("join", (room, done) => done(socket.join(room) ?? true));
      socket.on("shout", (room, word) => socket.to(room).emit("heard", word)); // to others, wherever they are
    });
    io.on("who", (asked, respond) => respond(`${asked} ${process.pid}`)); // of serverSideEmit
    io.listen(0);
    await until(async () => (await io.of("/").adapter.serverCount()) >= servers, "its channel and those of the others");
    return { port: io.httpServer.address().port, pid: process.pid };
  },

  emit: ({ room, words, binary }) => {
    const target = room ? io.to(room) : io;
    target.emit("told", ...words, ...(binary ? [Buffer.from(binary)] : []));
  },
  acknowledged: ({ room, word }) => io.timeout(10_000).to(room).emitWithAck("asked", word),
  fetchSockets: async ({ room }) => (await io.in(room).fetchSockets()).map(({ id, rooms }) => [id, [...rooms].sort()]),
  serverSideEmit: ({ word }) => io.serverSideEmitWithAck("who", word),
  serverCount: () => io.of("/").adapter.serverCount(),
  socketsJoin: ({ from, to }) => io.in(from).socketsJoin(to),
  socketsLeave: ({ room }) => io.in(room).socketsLeave(room),
  disconnectSockets: ({ room }) => io.in(room).disconnectSockets(true),
});
