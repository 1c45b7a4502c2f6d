// Where the page's data comes from, and whether it still comes. Three ways: the pipeline is pushed once a second and is the
// heartbeat; a market is pushed while it is looked at; everything else is asked for while its section is in view. A page that
// nobody sees (a background tab) holds no connection: a browser has only six for all its tabs.

import { $, setState, setText } from "./dom.js";
import { clock, duration } from "./format.js";

/** Without an event for so long the page says that it is old. Five beats: one may be late. */
const STALE_AFTER_MS = 5000;
/** How long an answer may take; the service gives up on its own sources before. */
const ANSWER_MS = 20000;

let lastBeat = 0;
let lastTime;
let isConnected = false;

/** Called with each event of the heartbeat. */
export function beat(timeMicros) {
  lastBeat = performance.now();
  lastTime = timeMicros;
  isConnected = true;
  setText($("clock"), clock(timeMicros));
  showAge();
}

function showAge() {
  const silence = performance.now() - lastBeat;
  const isStale = silence > STALE_AFTER_MS;
  document.body.classList.toggle("stale", isStale);
  $("stale").hidden = !isStale;
  if (!isStale) return setState($("heartbeat"), isConnected ? "healthy" : "waiting", isConnected ? "live" : "connecting");
  setState($("heartbeat"), "unreachable", "no answer");
  const since = lastTime ? `What you see is as of ${clock(lastTime)} UTC.` : "Nothing has arrived yet.";
  setText($("stale-since"), `It has not answered for ${duration(Math.round(silence / 1000))}. ${since}`);
}

/**
 * Events of `url` while the page is visible: `on` maps names to what is done with their data. The browser connects again by
 * itself; where the service answered with an error, this does, every few seconds. Returns what closes it.
 */
export function events(url, on, onError = () => {}) {
  let source, timer;
  const close = () => { source?.close(); source = undefined; clearTimeout(timer); };
  const open = () => {
    close();
    if (document.hidden) return;
    source = new EventSource(url);
    for (const [name, act] of Object.entries(on)) {
      source.addEventListener(name, (event) => act(JSON.parse(event.data)));
    }
    source.addEventListener("error", () => {
      onError();
      if (source?.readyState === EventSource.CLOSED) timer = setTimeout(open, 3000);
    });
  };
  document.addEventListener("visibilitychange", open);
  open();
  return () => { document.removeEventListener("visibilitychange", open); close(); };
}

/** One answer as JSON; throws an error whose message and details are the service's own. */
export async function ask(url) {
  const unanswered = (error) => { throw new Error(error.name === "TimeoutError" ? "no answer in time" : "no answer"); };
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) }).catch(unanswered);
  const body = await response.json().catch(unanswered);
  if (response.ok) return body;
  throw Object.assign(new Error(body.message), { details: body.details });
}

/**
 * Asks for `url()` every so often while `section` is in view, one question at a time. Returns what asks at once, for when the
 * choice in the section changed.
 */
export function poll(section, everyMs, url, onAnswer, onError) {
  let isInView = false, isAsking = false, isLate = false, timer;
  const run = async () => {
    clearTimeout(timer);
    if (isAsking) { isLate = true; return; }
    if (!isInView || document.hidden) return;
    const asked = url();
    if (asked) {
      isAsking = true;
      try {
        const answer = await ask(asked);
        if (asked === url()) onAnswer(answer);
      } catch (error) { onError(error.message); }
      isAsking = false;
    }
    timer = setTimeout(run, isLate ? 0 : everyMs);
    isLate = false;
  };
  new IntersectionObserver(([entry]) => { isInView = entry.isIntersecting; run(); }, { rootMargin: "200px" }).observe(section);
  document.addEventListener("visibilitychange", run);
  return run;
}

/** Begins the heartbeat. */
export function start(onPipeline) {
  lastBeat = performance.now();
  events("api/v1/live/events", { pipeline: (data) => { beat(data.time_us); onPipeline(data); } });
  // A tab that comes back was not listening: its silence begins now.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) lastBeat = performance.now(); });
  setInterval(showAge, 1000);
}
