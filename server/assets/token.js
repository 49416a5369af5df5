// The prompt for an access token.

import { h } from "./dom.js";
import { openDialog } from "./dialog.js";

/** Resolves to what was entered, or to null where the prompt was dismissed. `refused`: one was tried before. */
export function askForToken(refused) {
  const field = h("input", {
    type: "password", id: "token", name: "token", autocomplete: "off", required: true, spellcheck: "false",
  });
  return openDialog({
    title: "This server asks for a token",
    body: [
      h("p", {}, refused
        ? "The token that this tab used was not accepted. Enter another one."
        : "Enter the token that you were given. It stays in this tab and is forgotten when the tab closes."),
      h("label", { for: "token" }, "Token"), field,
    ],
    action: "Use this token",
    submit: async () => field.value.trim(),
  });
}
