// BullMQ's events of a queue: what a dashboard or a websocket gateway listens to.

import { Queue, QueueEvents, QueueEventsProducer } from "bullmq";

import { answer, until } from "./asked.mjs";

let events, producer, heard;

const connection = (url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) });

answer({
  async listen({ url, since }) {
    heard = [];
    events = new QueueEvents("mail", { connection: connection(url), lastEventId: since });
    events.on("error", () => {}); // it connects again by itself
    for (const name of ["waiting", "progress", "completed", "opened"]) {
      events.on(name, (event) => heard.push([name, event]));
    }
    events.on("drained", () => heard.push(["drained"]));
    events.on("completed:7", ({ returnvalue }) => heard.push(["completed:7", returnvalue]));
    await events.waitUntilReady();
    producer = new QueueEventsProducer("mail", { connection: connection(url) });
    await producer.waitUntilReady();
  },

  publish: (event) => producer.publishEvent(event.event),

  async heard({ count }) {
    await until(() => heard.length >= count, `${count} events, not ${JSON.stringify(heard)}`);
    return heard.splice(0);
  },

  /** What the server says to a job. */
  async addJob({ url }) {
    const queue = new Queue("mail", { connection: connection(url) });
    queue.on("error", () => {}); // it is in the answer as well
    try {
      return (await queue.add("send", { to: "anna" })).id;
    } catch (error) {
      return error.message;
    } finally {
      await queue.close();
    }
  },

  async leave() {
    await events.close();
    await producer.close();
  },
});
