// What a test asks of a program: one line of JSON in, one line of JSON out, until the input ends.

import { createInterface } from "node:readline";

/** Serve `checks`, functions by name that are given the arguments of the question and return what they found. */
export function answer(checks) {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { check, ...given } = JSON.parse(line);
    let reply;
    try {
      reply = { found: (await checks[check](given)) ?? null };
    } catch (error) {
      reply = { failed: error.stack ?? String(error) };
    }
    process.stdout.write(JSON.stringify(reply) + "\n");
  });
  lines.on("close", () => process.exit(0));
}

/** Look again until `isThere` is, for as long as the test has patience; it names what is waited for. */
export async function until(isThere, what) {
  const end = Date.now() + 20_000;
  while (!(await isThere())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5)); // between two looks
  }
}
