// JSON as text. `JSON.parse` rounds numbers beyond 2^53 and drops repeated names, so an item that went
// through it would come back changed; what is edited here is the text that the server sent.

const SPACE = /[ \t\n\r]/;

function skipSpace(text, at) {
  while (at < text.length && SPACE.test(text[at])) at += 1;
  return at;
}

function endOfString(text, at) {
  for (at += 1; at < text.length && text[at] !== '"'; at += 1) if (text[at] === "\\") at += 1;
  return at + 1;
}

/** Where the value that begins at `at` ends. The text must be valid JSON. */
function endOfValue(text, at) {
  if (text[at] === '"') return endOfString(text, at);
  if (text[at] !== "{" && text[at] !== "[") {
    while (at < text.length && !/[,:\]}\s]/.test(text[at])) at += 1;
    return at;
  }
  let depth = 0;
  while (at < text.length) {
    if (text[at] === '"') {
      at = endOfString(text, at);
      continue;
    }
    if (text[at] === "{" || text[at] === "[") depth += 1;
    if (text[at] === "}" || text[at] === "]") depth -= 1;
    at += 1;
    if (depth === 0) break;
  }
  return at;
}

/** The elements of an array, or the members' values of an object, each as its text; throws on invalid JSON. */
function* parts(text) {
  JSON.parse(text);
  let at = skipSpace(text, 0);
  const object = text[at] === "{";
  at = skipSpace(text, at + 1);
  while (at < text.length && text[at] !== "}" && text[at] !== "]") {
    let name = null;
    if (object) {
      const end = endOfString(text, at);
      name = JSON.parse(text.slice(at, end));
      at = skipSpace(text, skipSpace(text, end) + 1);
    }
    const end = endOfValue(text, at);
    yield [name, text.slice(at, end)];
    at = skipSpace(text, end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
}

/** The members of an object as `{name: text}`; of a repeated name the last. */
export const members = (text) => Object.fromEntries(parts(text));

/** The elements of an array, each as its text. */
export const elements = (text) => Array.from(parts(text), ([, value]) => value);

/** The same JSON with line breaks and indents; every literal stays as it is. */
export function pretty(text) {
  JSON.parse(text);
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  for (let at = skipSpace(text, 0); at < text.length; at = skipSpace(text, at)) {
    const sign = text[at];
    if (sign === "{" || sign === "[") {
      const next = skipSpace(text, at + 1);
      if (text[next] === "}" || text[next] === "]") {
        out += sign + text[next];
        at = next + 1;
        continue;
      }
      depth += 1;
      out += sign + line();
    } else if (sign === "}" || sign === "]") {
      depth -= 1;
      out += line() + sign;
    } else if (sign === ",") out += sign + line();
    else if (sign === ":") out += ": ";
    else {
      const end = endOfValue(text, at);
      out += text.slice(at, end);
      at = end;
      continue;
    }
    at += 1;
  }
  return out;
}

/** Why the text is no item (a JSON object), or null where it is one. */
export function fault(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `Not JSON: ${error.message}`;
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    return "An item is a JSON object: it begins with { and ends with }.";
  }
  return null;
}
