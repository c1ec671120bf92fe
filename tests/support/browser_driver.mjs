// Runs code in a real browser for tests in Python: one JSON object a line in, {visitor, code, args}; one out, {value} or {error}.
import { createRequire } from "node:module";
import readline from "node:readline";

const [folder, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${folder}/package.json`)("playwright-core");
const args = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--host-resolver-rules=MAP *.example 127.0.0.1", "--no-pings", "--disable-domain-reliability", "--disable-blink-features=AutomationControlled",
]; // the last one: navigator.webdriver says what it says to people
const browser = await chromium.launch({ executablePath, args });
const AsyncFunction = (async () => {}).constructor;
const visitors = new Map();
const BOUND_MS = 60_000;

async function visitor(id, options) {
  if (!visitors.has(id)) {
    const context = await browser.newContext(options);
    const errors = [];
    context.on("weberror", (error) => errors.push(`${error.error()}`));
    context.on("console", (line) => line.type() === "error" && errors.push(line.text()));
    visitors.set(id, { context, errors, page: await context.newPage() });
  }
  return visitors.get(id);
}

const answer = (content) => process.stdout.write(`${JSON.stringify(content)}\n`);
answer({ value: browser.version() });
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, options, code, args: given } = JSON.parse(line);
  try {
    const { context, errors, page } = await visitor(id, options);
    const done = new AsyncFunction("context", "errors", "page", "args", code)(context, errors, page, given);
    const late = new Promise((_, fail) => setTimeout(fail, BOUND_MS, new Error(`not done in time: ${code}`)).unref());
    answer({ value: await Promise.race([done, late]) });
  } catch (error) {
    answer({ error: `${error.stack}` });
  }
}
await browser.close();
