// What a shop's own page does: it calls the shop's routes, and says to our module which order the buyer leaves with.
import { journey, trackEvent } from "/otel-revenue/otel-revenue.js";

const at = (id) => document.getElementById(id);

async function post(path, body) {
  const headers = { "content-type": "application/json", "x-journey": journey()?.journey_id ?? "" };
  return (await fetch(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

at("start")?.addEventListener("click", async () => {
  const { design_id } = await post("/designs", { motif: at("motif").value });
  sessionStorage.setItem("design", design_id);
  at("design").textContent = `Design ${design_id}`;
  at("approve").disabled = false;
});

at("approve")?.addEventListener("click", async () => {
  const { status } = await post(`/designs/${sessionStorage.getItem("design")}/approve`, {});
  at("design").textContent += `, ${status}`;
});

at("pay")?.addEventListener("click", async () => {
  const lines = [{ sku: "poster-a3", quantity: 2 }];
  const order = await post("/checkout", { tier: "pro", lines, design_id: sessionStorage.getItem("design") });
  trackEvent("checkout.start", { order_id: order.order_id, tier: "pro", item_count: 2 });
  location.href = order.checkout_url;
});
