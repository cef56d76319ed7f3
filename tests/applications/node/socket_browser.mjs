// What runs in the browsers of a socket.io application: clients by name, and what each of them was told.

import { io } from "socket.io-client";

import { answer, until } from "./asked.mjs";

const browsers = new Map();

// The position in the stream comes last with each event that may be recovered.
const isNoPosition = (word) => !/^\d{13}-\d+$/.test(word);
const written = (word) => (Buffer.isBuffer(word) ? [...word] : word);

function browser(name) {
  return browsers.get(name);
}

answer({
  async connect({ name, port }) {
    const socket = io(`http://127.0.0.1:${port}`, { transports: ["websocket"], forceNew: true, reconnectionDelay: 20 });
    const heard = [];
    browsers.set(name, { socket, heard });
    for (const event of ["told", "heard"]) {
      socket.on(event, (...words) => heard.push([event, ...words.filter(isNoPosition).map(written)]));
    }
    socket.on("asked", (word, done) => done(`${name} ${word}`));
    await until(() => socket.connected, `${name} to be connected`);
    return socket.id;
  },

  join: ({ name, room }) => browser(name).socket.emitWithAck("join", room),
  shout: ({ name, room, word }) => browser(name).socket.emit("shout", room, word) && null,

  async heard({ name, count }) {
    const { heard } = browser(name);
    await until(() => heard.length >= count, `${name} to hear ${count} events, not ${JSON.stringify(heard)}`);
    return heard.splice(0);
  },

  /** Lose the connection as a train in a tunnel does, without a word. */
  async lose({ name }) {
    const { socket } = browser(name);
    socket.io.reconnection(false);
    socket.io.engine.transport.ws.terminate?.() ?? socket.io.engine.close();
    await until(() => !socket.connected, `${name} to notice`);
  },

  /** Come back, to any of the servers; whether it was recognised. */
  async comeBack({ name, port }) {
    const { socket } = browser(name);
    socket.io.uri = `http://127.0.0.1:${port}`;
    socket.connect();
    await until(() => socket.connected, `${name} to be connected again`);
    return { recovered: socket.recovered, id: socket.id };
  },

  async gone({ name }) {
    await until(() => !browser(name).socket.connected, `${name} to be disconnected`);
  },

  leave() {
    for (const { socket } of browsers.values()) socket.disconnect();
    browsers.clear();
  },
});
