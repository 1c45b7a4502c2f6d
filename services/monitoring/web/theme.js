// Light or dark before the first paint: what was chosen here, else what the system says. A classic script, so that it runs
// before the page is drawn.
"use strict";
{
  const themes = ["system", "light", "dark"];
  const root = document.documentElement;
  const stored = () => {
    // Storage may be forbidden; then the choice lasts as long as the page.
    try { return localStorage.getItem("theme"); } catch { return null; }
  };
  const apply = (theme) => {
    if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
  };
  let theme = themes.includes(stored()) ? stored() : "system";
  apply(theme);
  const changed = () => window.dispatchEvent(new Event("themechange"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = `Theme: ${theme}`; };
    name();
    button.addEventListener("click", () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      try { localStorage.setItem("theme", theme); } catch { /* see above */ }
      apply(theme);
      name();
      changed();
    });
  });
}
