// Numbers, times and lags for people. What is not known is a dash, never a 0.

const UNKNOWN = "–";
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const known = (value) => typeof value === "number" && Number.isFinite(value);

export const count = (value) => (known(value) ? whole.format(value) : UNKNOWN);
export const short = (value) => (known(value) ? compact.format(value) : UNKNOWN);

/** A rate: one digit below 10, none above. */
export const rate = (value) => {
  if (!known(value)) return UNKNOWN;
  if (value > 0 && value < 0.05) return "<0.1";
  return value < 10 ? oneDigit.format(value) : whole.format(value);
};

/** Seconds as one number with its unit: `3 ms`, `4.2 s`, `12 min`, `3 h`, `5 d`. */
export function duration(seconds) {
  if (seconds === Infinity) return "never";
  if (!known(seconds)) return UNKNOWN;
  const size = Math.abs(seconds);
  if (size < 0.001) return size === 0 ? "0 s" : "<1 ms";
  if (size < 1) return `${Math.round(seconds * 1000)} ms`;
  if (size < 10) return `${oneDigit.format(seconds)} s`;
  if (size < 120) return `${Math.round(seconds)} s`;
  if (size < 7200) return `${Math.round(seconds / 60)} min`;
  if (size < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export const bytes = (value) => {
  if (!known(value)) return UNKNOWN;
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (value >= 1000 && at < units.length - 1) { value /= 1000; at += 1; }
  return `${value < 10 && at > 0 ? oneDigit.format(value) : whole.format(value)} ${units[at]}`;
};

/** `14:03:22` of microseconds since 1970. */
export const clock = (micros) => (known(micros) ? new Date(micros / 1000).toISOString().slice(11, 19) : UNKNOWN);
/** `14:03:22.123` */
export const clockMillis = (micros) => (known(micros) ? new Date(micros / 1000).toISOString().slice(11, 23) : UNKNOWN);
/** `2026-11-21 14:03:22` */
export const stamp = (micros) => (known(micros) ? new Date(micros / 1000).toISOString().slice(0, 19).replace("T", " ") : UNKNOWN);

// Prices are texts with the exchange's digits. Differences are taken exactly, on integers.
const SCALE = 18;
const fixed = (text) => {
  const [integer, fraction = ""] = text.split(".");
  return BigInt(integer + fraction.padEnd(SCALE, "0"));
};

/** `a - b`, exact. */
export function difference(a, b) {
  const value = fixed(a) - fixed(b);
  const digits = (value < 0n ? -value : value).toString().padStart(SCALE + 1, "0");
  const fraction = digits.slice(-SCALE).replace(/0+$/, "");
  return `${value < 0n ? "-" : ""}${digits.slice(0, -SCALE)}${fraction && "."}${fraction}`;
}
