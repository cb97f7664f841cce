/* Light or dark: what the reader chose, else what the system says. Runs before the first paint. */
(function () {
  "use strict";
  var found = document.cookie.match(/(?:^|; )bellwether_theme=(light|dark)/);
  if (found) { document.documentElement.dataset.theme = found[1]; }
})();
