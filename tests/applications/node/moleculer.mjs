// Services of Moleculer that exchange messages over @moleculer/channels; one process is one node.

import { Middleware } from "@moleculer/channels";
import { ServiceBroker } from "moleculer";

import { answer, until } from "./asked.mjs";

const handled = []; // [service, payload, headers]
let broker;

/** How a service takes its messages; the intervals are short, for a test waits for them. */
const channel = (service, handler) => ({
  group: service,
  maxRetries: 2,
  deadLettering: { enabled: true, queueName: "DEAD" },
  redis: { minIdleTime: 200, claimInterval: 50, processingAttemptsInterval: 50, readTimeoutInterval: 1000 },
  handler,
});

answer({
  async start({ url, node, services, stuck = false }) {
    const adapter = { type: "Redis", options: { redis: { host: "127.0.0.1", port: Number(new URL(url).port) } } };
    broker = new ServiceBroker({ nodeID: node, logger: false, middlewares: [Middleware({ adapter })] });
    for (const service of services) {
      broker.createService({
        name: service,
        channels: {
          orders: channel(service, async (payload, raw) => {
            handled.push([service, payload, raw.headers ?? null]);
            if (stuck) await new Promise(() => {}); // until it is killed
            if (payload.broken) throw new Error("cannot be handled");
          }),
        },
      });
    }
    await broker.start();
  },

  send: ({ payload, options }) => broker.sendToChannel("orders", payload, options),

  async handled({ count }) {
    await until(() => handled.length >= count, `${count} messages, not ${JSON.stringify(handled)}`);
    return handled.splice(0);
  },

  stop: () => broker.stop(),
});
