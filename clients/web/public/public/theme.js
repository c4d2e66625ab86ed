// Before the first paint, so that no page flashes in the other theme.
document.documentElement.dataset.theme =
  localStorage.getItem("scatterlens.theme") ??
  (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
