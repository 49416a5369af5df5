// Axes: where a value lies between 0 (bottom) and 1 (top), and which values deserve a line.

/** From zero to the first round number above `max`, in about four steps of 1, 2 or 5. */
export function linear(max) {
  const wanted = (max > 0 ? max : 1) / 4;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => size >= wanted * 0.999);
  const steps = Math.max(1, Math.ceil((max > 0 ? max : 1) / step - 1e-9));
  const top = step * steps;
  const ticks = Array.from({ length: steps + 1 }, (_, at) => at * step);
  return { ticks, at: (value) => Math.min(1, Math.max(0, value / top)) };
}

/** Whole decades around `min` and `max`; lines at 1, and at 2 and 5 where there are few decades. */
export function logarithmic(min, max) {
  const low = Math.floor(Math.log10(min > 0 ? min : 0.1));
  const high = Math.max(low + 1, Math.ceil(Math.log10(max > 0 ? max : 1) - 1e-9));
  const digits = high - low <= 2 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = low; power < high; power += 1) ticks.push(...digits.map((digit) => digit * 10 ** power));
  ticks.push(10 ** high);
  const at = (value) => (value > 0 ? Math.min(1, Math.max(0, (Math.log10(value) - low) / (high - low))) : 0);
  return { ticks, at };
}
