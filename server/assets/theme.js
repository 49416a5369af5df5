// Light, dark, or as the system has it. A classic script in the head: it runs before the first paint,
// so that a chosen theme never flashes the other one.
(() => {
  const CHOICES = ["auto", "light", "dark"];
  const stored = () => {
    try {
      const choice = localStorage.getItem("hedgehog-theme");
      return CHOICES.includes(choice) ? choice : "auto";
    } catch {
      return "auto"; // storage is forbidden: the choice lasts as long as the page
    }
  };
  let choice = stored();
  const apply = () => {
    document.documentElement.dataset.theme = choice;
    const button = document.getElementById("theme");
    if (button) button.textContent = `Theme: ${choice}`;
  };
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
      try {
        localStorage.setItem("hedgehog-theme", choice);
      } catch {
        // As above.
      }
      apply();
    });
  });
})();
