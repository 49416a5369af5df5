// The address after the `#` says what is shown: every table and item can be linked to.

const part = encodeURIComponent;

/** The address of a table. */
export const toTable = (table) => `#/data/${part(table)}`;

/** The address of an item. */
export const toItem = (table, key) => `#/data/${part(table)}/${part(key)}`;

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // typed by hand, with a stray %
  }
}

/** Where we are: `{view: "live" | "data", table, key}`. */
export function where() {
  const [view, table, key] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  return view === "data" ? { view: "data", table: table || null, key: key || null } : { view: "live" };
}

/** Goes to an address, as a link would. */
export function go(address) {
  location.hash = address;
}
