// The browser's module, as it is written. What is shipped is src/otel_revenue/browser/otel-revenue.js: the constants of the schema
// (EVENTS, KINDS, MAX_TEXT, MAX_EVENTS, MAX_BODY) in front of this, without the lines that are comments. See docs/browser.md.
//
// No cookies; nothing is kept beyond the tab; nothing here throws into the page or makes a navigation wait.

const STORE = "otel-revenue"; // the one key in session storage: {journey, surface, waiting}
const MAX_WAITING = 50;
const CONTROLS = "a,button,input,form";

const page = globalThis.document; // none where a bundle is rendered on a server
const options = { ...page?.querySelector('meta[name="otel-revenue"]')?.dataset };
const refused = !page || navigator.globalPrivacyControl;
const flying = new Set(); // ids of what is on its way
let agreed = refused ? false : options.consent === "required" ? undefined : true; // undefined: not asked yet
let held = []; // events of this moment, or until the visitor is asked
let memory; // stands in for session storage while that takes nothing

const quietly = (action) => (...given) => {
  try {
    return action(...given);
  } catch {
    return undefined;
  }
};

/** Record an event of the schema; what a browser may not say is left out. */
export const trackEvent = quietly((name, attributes) => {
  if (agreed === false || !Object.hasOwn(EVENTS, name)) return;
  held.push({ name, attributes: { ...attributes }, at: Date.now(), trace: traceparent() });
  held = held.slice(-MAX_EVENTS);
  if (agreed && held.length === 1) queueMicrotask(release); // before a click leaves the page, once for many
});

/** Say whether the visitor agrees. A no holds for this page, and empties the session storage. */
export const consent = quietly((given) => {
  agreed = given === true && !refused;
  if (agreed) return release();
  held = [];
  memory = undefined;
  sessionStorage.removeItem(STORE);
});

/** The journey and its surface, for code that sends them to the server; undefined without consent. */
export const journey = quietly(() => {
  const kept = agreed && update(() => {});
  return kept ? { journey_id: kept.journey, surface: kept.surface } : undefined;
});

const release = quietly(() => {
  if (!agreed) return;
  const fresh = held;
  held = [];
  update((kept) => {
    for (const event of fresh) kept.waiting[random()] = record(event, kept);
    for (const id of Object.keys(kept.waiting).slice(0, -MAX_WAITING)) delete kept.waiting[id];
  });
  send();
});

// -- what is kept ------------------------------------------------------------------------------------------------------

/** Read what is kept, change it, write it back: another page of this tab may have written in between. */
function update(change) {
  let kept = memory;
  try {
    kept ??= JSON.parse(sessionStorage.getItem(STORE));
  } catch {} // the browser gives us no storage
  kept = { journey: `j-${random()}`, surface: firstTouch(), waiting: {}, ...kept };
  change(kept);
  memory = kept;
  quietly(() => {
    sessionStorage.setItem(STORE, JSON.stringify(kept));
    memory = undefined;
  })();
  return kept;
}

function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A word of a campaign or of a path, "" for what may be the id of a person or of a click; as the server has it for its own surfaces. */
function word(text) {
  const found = (text || "").trim().toLowerCase();
  return found.length <= 40 && /^[a-z0-9][a-z0-9 ._/-]*$/.test(found) && !/[0-9]{6}|(?=[a-z]*[0-9])[0-9a-z]{16}/.test(found) ? found : "";
}

/** Where the visitor came from when this tab first saw us: what the page says, a campaign, another site, a section of ours; never an address. */
function firstTouch() {
  if (options.surface) return options.surface;
  const query = new URLSearchParams(location.search);
  const [source, medium] = ["utm_source", "utm_medium"].map((key) => word(query.get(key)));
  if (source) return medium ? `${source}/${medium}` : source;
  const [from, own] = [page.referrer || location, location].map((url) => new URL(url).hostname.replace(/^www\./, ""));
  if (from !== own && /^([a-z0-9-]+\.)+[a-z]+$/.test(from) && !/(^|\.)stripe\.com$/.test(from)) return from;
  return `/${word(location.pathname.split("/")[1])}`;
}

// -- one event as an OTLP log record -------------------------------------------------------------------------------------

function record({ name, attributes, at, trace }, kept) {
  const values = { journey_id: kept.journey, surface: options.surface || kept.surface, ...attributes };
  if (navigator.webdriver) values.synthetic = true;
  const found = [];
  for (const key of EVENTS[name].split(" ")) {
    const value = Object.hasOwn(values, key) && encoded(KINDS[key] || "id", values[key]);
    if (value) found.push({ key, value });
  }
  return { timeUnixNano: `${at}000000`, severityNumber: 9, eventName: name, attributes: found, ...trace };
}

/** One value as OTLP's JSON has it; undefined for what cannot be one. Attributes of elements are text, whatever they mean. */
function encoded(kind, value) {
  if (kind === "flag") return [true, "true"].includes(value) ? { boolValue: true } : undefined;
  if (kind === "count") return value !== "" && Number.isSafeInteger(+value) && +value >= 0 ? { intValue: `${+value}` } : undefined;
  if (kind === "ids") {
    const listed = Array.isArray(value) ? value : `${value}`.split(",");
    const values = listed.slice(0, MAX_TEXT).map((item) => encoded("id", item)).filter(Boolean);
    return values.length ? { arrayValue: { values } } : undefined;
  }
  const text = ["string", "number"].includes(typeof value) ? `${value}`.trim() : "";
  if (!text || (kind === "id" && text.length > MAX_TEXT)) return undefined; // half of an id joins nothing
  return { stringValue: text.slice(0, MAX_TEXT) };
}

/** The span that is active in the OpenTelemetry SDK of the page, else the one that rendered it: <meta name="traceparent">. */
const traceparent = quietly(() => {
  const context = globalThis[Symbol.for("opentelemetry.js.api.1")]?.context?.active();
  const span = context?.getValue(Symbol.for("OpenTelemetry Context Key SPAN"))?.spanContext();
  if (span) return { traceId: span.traceId, spanId: span.spanId, flags: span.traceFlags };
  const meta = page.querySelector('meta[name="traceparent"]')?.content;
  const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(meta) || [];
  return traceId && { traceId, spanId, flags: parseInt(flags, 16) };
});

// -- sending -------------------------------------------------------------------------------------------------------------

const send = quietly(() => {
  if (!agreed) return;
  const { waiting } = update(() => {});
  const ids = Object.keys(waiting).filter((id) => !flying.has(id)).slice(0, MAX_EVENTS);
  if (!ids.length) return;
  let body;
  while ((body = asRequest(ids, waiting)).size > MAX_BODY && ids.length > 1) ids.pop();
  ids.forEach((id) => flying.add(id));
  post(body).then(
    quietly((settled) => {
      ids.forEach((id) => flying.delete(id));
      if (!settled || !agreed) return; // it waits for the next event, the next page, or the network
      update((kept) => ids.forEach((id) => delete kept.waiting[id]));
      send();
    }),
  );
});

function asRequest(ids, waiting) {
  const observedTimeUnixNano = `${Date.now()}000000`; // tells how old an event is, whatever the visitor's clock shows
  const logRecords = ids.map((id) => {
    const uid = { key: "log.record.uid", value: { stringValue: id } }; // the same each time that it is sent
    return { ...waiting[id], observedTimeUnixNano, attributes: [uid, ...waiting[id].attributes] };
  });
  const resource = { attributes: [{ key: "service.name", value: { stringValue: options.service || location.hostname } }] };
  const request = { resourceLogs: [{ resource, scopeLogs: [{ scope: { name: STORE }, logRecords }] }] };
  return new Blob([JSON.stringify(request)], { type: "application/json" });
}

/** Resolves to whether the far end has said yes, or no for good. A page that is left takes neither with it: the request outlives it. */
async function post(body) {
  try {
    const url = options.endpoint ? `${options.endpoint.replace(/\/$/, "")}/v1/logs` : new URL("v1/logs", import.meta.url);
    if (!("keepalive" in Request.prototype)) return navigator.sendBeacon(url, body);
    const answer = await fetch(url, { method: "POST", body, keepalive: true, credentials: "omit" });
    await answer.text(); // one that is not read counts among the few requests that may outlive the page
    return answer.status < 500 && answer.status !== 408 && answer.status !== 429;
  } catch {
    return false;
  }
}

// -- elements ------------------------------------------------------------------------------------------------------------

/** Record what an element says: data-otel-revenue="checkout.start", data-otel-revenue-tier="pro". */
const told = quietly((element) => {
  const attributes = {};
  for (const [key, value] of Object.entries(element.dataset)) {
    const name = key.slice("otelRevenue".length).replace(/[A-Z]/g, (letter, at) => (at ? "_" : "") + letter.toLowerCase());
    if (key.startsWith("otelRevenue") && name) attributes[name] = value;
  }
  trackEvent(element.dataset.otelRevenue, attributes);
});

function watch(kind) {
  const listen = quietly(({ target }) => {
    const element = target.closest("[data-otel-revenue]");
    if (element?.matches(CONTROLS) && element.matches("form") === (kind === "submit")) told(element);
  });
  page.addEventListener(kind, listen, { capture: true, passive: true }); // also where the page stops the event
}

const open = quietly(() => {
  send();
  page.querySelectorAll("[data-otel-revenue]").forEach((element) => element.matches(CONTROLS) || told(element));
});

quietly(() => {
  if (!page) return;
  watch("click");
  watch("submit");
  addEventListener("online", send);
  addEventListener("pageshow", (event) => event.persisted && send());
  if (page.prerendering) page.addEventListener("prerenderingchange", open, { once: true }); // nobody has seen it yet
  else if (page.readyState === "loading") page.addEventListener("DOMContentLoaded", open, { once: true });
  else open();
})();
