// Numbers for people. A figure that is read once a second needs three digits, not nine.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const STEPS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** A count in full: `1,234,567`. */
export const count = (value) => WHOLE.format(value);

/** About three digits: `0`, `0.015`, `1.25`, `123`, `1.2k`, `34M`. */
export function compact(value) {
  const size = Math.abs(value);
  if (size < 0.0005) return "0";
  if (size < 0.1) return trim(value.toFixed(3));
  if (size < 10) return trim(value.toFixed(2));
  if (size < 99.95) return trim(value.toFixed(1));
  if (size < 999.5) return value.toFixed(0);
  for (const [step, letter] of STEPS) {
    if (size >= step * 0.9995) {
      const scaled = value / step;
      return `${Math.abs(scaled) < 99.95 ? trim(scaled.toFixed(1)) : scaled.toFixed(0)}${letter}`;
    }
  }
  return value.toFixed(0);
}

const trim = (digits) => (digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits);

/** At most three characters or so, for a narrow cell: `·` for nothing, `<1`, `12`, `1.2k`. */
export function cell(value) {
  if (value < 0.05) return "·";
  if (value < 9.95) return trim(value.toFixed(1));
  if (value < 999.5) return value.toFixed(0);
  const scaled = value / 1000;
  return scaled < 9.95 ? `${trim(scaled.toFixed(1))}k` : `${compact(Math.round(scaled) * 1000)}`;
}

/** Milliseconds with the unit that suits: `850 µs`, `1.2 ms`, `3.4 s`. */
export function milliseconds(value) {
  if (value < 0.0005) return "0 ms";
  if (value < 1) return `${compact(value * 1000)} µs`;
  if (value < 1000) return `${compact(value)} ms`;
  return `${compact(value / 1000)} s`;
}

/** Bytes in decimal units: `1.2 MB`. */
export function bytes(value) {
  const [number, letter] = /^([-\d.]+)(\D?)$/.exec(compact(value)).slice(1);
  return `${number} ${letter}B`;
}

/** A share: `99.98 %`. */
export const percent = (share) => `${trim((share * 100).toFixed(share > 0.99 && share < 1 ? 2 : 1))} %`;

/** A span of time in its two largest units: `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([size]) => size > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).filter(([size], at) => at === 0 || size > 0)
    .map(([size, unit]) => `${size} ${unit}`).join(" ");
}

/** `1 item`, `2 items`. */
export const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
