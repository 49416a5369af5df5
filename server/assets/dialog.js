// Modal questions, on the browser's own dialog: it traps the focus, closes on Escape, and gives the focus back.

import { freshId, h, text } from "./dom.js";

/**
 * Opens a dialog and resolves to what `submit` returned, or to null where it was dismissed.
 * An error that `submit` throws is shown and leaves the dialog open.
 */
export function openDialog({ title, body, action, danger = false, submit }) {
  return new Promise((resolve) => {
    const id = freshId("dialog");
    const error = h("p", { class: "error", role: "alert" });
    const confirm = h("button", { type: "submit", class: danger ? "danger" : "primary" }, action);
    let result = null;
    const form = h("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        confirm.disabled = true;
        text(error, "");
        try {
          result = await submit();
          dialog.close();
        } catch (failure) {
          text(error, failure.message);
        } finally {
          confirm.disabled = false;
        }
      },
    },
    h("h2", { id }, title), body, error,
    h("div", { class: "actions" },
      h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), confirm));
    const dialog = h("dialog", { "aria-labelledby": id, onclose: () => { dialog.remove(); resolve(result); } }, form);
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("input, textarea")?.focus();
  });
}
