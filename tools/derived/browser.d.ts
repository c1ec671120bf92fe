/**
 * Record an event. Never throws, and never makes a navigation wait.
 *
 * What is not declared is left out, as are texts of 255 characters and more where they are ids.
 */
export function trackEvent<Name extends keyof BrowserEvents>(name: Name, attributes?: BrowserEvents[Name]): void;

/**
 * Say whether the visitor agrees, where `<meta name="otel-revenue" data-consent="required">` asks for it.
 *
 * Until then nothing is sent and nothing is kept beyond the page; events of the page wait, and go when the answer is yes. A no
 * holds for this page, and empties what was kept. Under Global Privacy Control the answer is always no.
 */
export function consent(given: boolean): void;

/** The journey of this tab and the surface that began it, to be sent to the server with an order; undefined without consent. */
export function journey(): { journey_id: string; surface: string } | undefined;
