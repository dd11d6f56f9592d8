// Before anything is painted: the theme that the reader chose; without a choice the system's.
const chosen = localStorage.getItem("theme");
if (chosen) {
  document.documentElement.dataset.theme = chosen;
}
