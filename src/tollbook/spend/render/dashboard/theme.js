// Light or dark: as the reader chose here, else as the host is, else as the system is.

const theme = { chosen: null, host: null };
const system = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  return (theme.chosen ?? theme.host ?? (system.matches ? "dark" : "light")) === "dark";
}

function paintTheme() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
}

function switchTheme() {
  theme.chosen = isDark() ? "light" : "dark";
  paintTheme();
}

system.addEventListener("change", paintTheme);
paintTheme();
