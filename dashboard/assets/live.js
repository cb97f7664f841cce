/* The part of the page that has to run in the browser: addresses, the clock of the status line, switches. */
(function () {
  "use strict";
  var heard = Date.now();        // when the server last answered
  var healthy = Date.now();      // when it last answered that the database is well
  var lastCount = null;
  var own = null;                // the address our own filters wrote
  var keep = function () { return window.dash_clientside.no_update; };
  var year = "; path=/; max-age=31536000; SameSite=Lax";

  // A session that ended shows itself as a refused request: go and log in, then come back here.
  var plainFetch = window.fetch.bind(window);
  window.fetch = function () {
    return plainFetch.apply(null, arguments).then(function (answer) {
      if (answer.status === 401) {
        window.location.assign("/login?next=" + encodeURIComponent(window.location.pathname + window.location.search));
        return new Promise(function () {});  // the page is about to go; nobody needs an answer
      }
      return answer;
    });
  };

  function go(address) {
    window.history.pushState({}, "", address);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  }

  function fill(words, values) {
    return words.replace(/\{(\w+)\}/g, function (_, name) { return String(values[name]); });
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    bellwether: {
      // The address → which page to show; an address our own filters wrote changes nothing.
      route: function (href) {
        if (!href || href === own) { return keep(); }
        own = null;
        return { path: window.location.pathname, search: window.location.search, at: Date.now() };
      },

      // The filters' values → the address, so that a view can be shared. Ids read "page-name".
      share: function () {
        var query = new URLSearchParams();
        window.dash_clientside.callback_context.inputs_list.forEach(function (input) {
          var name = input.id.split("-").slice(1).join("-");
          if (input.value !== undefined && input.value !== null && input.value !== "") { query.set(name, input.value); }
        });
        var text = query.toString();
        var address = window.location.pathname + (text ? "?" + text : "");
        if (address !== window.location.pathname + window.location.search) {
          window.history.replaceState({}, "", address);
          own = window.location.href;
          window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
        }
        return keep();
      },

      // A click on a cell of a heat map; each cell's customdata begins with an address. (Dash itself hands on
      // customdata of points in a row only, so the cell is looked up by its place.)
      follow: function (click, figure) {
        var point = click && click.points && click.points[0];
        var cells = figure && figure.data && figure.data[0];
        if (!point || !cells || !cells.customdata) { return keep(); }
        var at = Date.parse(String(point.x).replace(" ", "T") + "Z");
        var column = cells.x.findIndex(function (time) { return Math.abs(Date.parse(time) - at) < 1000; });
        var row = cells.customdata[cells.y.indexOf(point.y)];
        var address = row && row[column] && row[column][0];
        if (typeof address === "string" && address.charAt(0) === "/") { go(address); }
        return keep();
      },

      // The stretch of time the reader zoomed to; another time range ends the zoom. (plotly.js 4.1 forgets a zoom
      // at the next figure, whatever uirevision says.)
      zoom: function (layout) {
        if (window.dash_clientside.callback_context.triggered_id === "overview-range") { return null; }
        if (layout && layout["xaxis.range[0]"] !== undefined) {
          return [layout["xaxis.range[0]"], layout["xaxis.range[1]"]];
        }
        return layout && layout["xaxis.autorange"] ? null : keep();
      },

      clock: function (_, pulse, labels) {
        var now = Date.now();
        if (pulse && pulse.count !== lastCount) {
          lastCount = pulse.count;
          heard = now;
          if (pulse.well) { healthy = now; }
        }
        if (!labels) { return [keep(), keep(), keep(), keep()]; }
        if (!pulse) { return [labels.connecting, "status", "", true]; }
        var gone = (now - heard) / 1000 > labels.patience;
        if (gone || !pulse.well) {
          var since = Math.round((now - (gone ? heard : healthy)) / 1000);
          return [labels.stale, "status lost", fill(gone ? labels.gone : labels.lost, { n: since }), false];
        }
        return [fill(labels.updated, { n: Math.round((now - healthy) / 1000) }), "status well", "", true];
      },

      language: function (clicks) {
        if (!clicks) { return keep(); }
        document.cookie = "bellwether_lang=" + (document.querySelector(".frame").lang === "en" ? "zh" : "en") + year;
        window.location.reload();
        return keep();
      },

      theme: function (clicks) {
        if (!clicks) { return keep(); }
        var root = document.documentElement;
        var dark = root.dataset.theme ? root.dataset.theme === "dark"
          : window.matchMedia("(prefers-color-scheme: dark)").matches;
        root.dataset.theme = dark ? "light" : "dark";
        document.cookie = "bellwether_theme=" + root.dataset.theme + year;
        return keep();
      },

      // Something new was stored: take it in at once at the top of an unpaged list, else say that it is there.
      fresh: function (revision, clicks, shown, paged) {
        if (!revision || revision === shown) { return [keep(), true]; }
        var asked = window.dash_clientside.callback_context.triggered_id === "explore-newer";
        if (asked) { window.scrollTo({ top: 0 }); }
        return asked || (!paged && window.scrollY < 240) ? [revision, true] : [keep(), false];
      }
    }
  });
})();
