// Runs between require.js and embed-amd.js (see _ext/own_assets.py).
(function () {
  if (!window.require || !window.require.config) return;
  const here = new URL((document.documentElement.dataset.content_root || "./") + "_static/", document.baseURI).href;
  // the widget manager looks for its fonts and its other half beside the page: tell it where they are
  window.__jupyter_widgets_assets_path__ = here + "html-manager/";
  const parts = ["base", "base7", "controls", "controls7", "html-manager", "html-manager/dist/libembed-amd"];
  const paths = parts.map((name) => [`@jupyter-widgets/${name}`, `${here}html-manager/${name.split("/").pop()}`]);
  window.require.config({ paths: Object.fromEntries(paths) });
  // widgets still call MathJax 2: hand their calls to MathJax 3
  const hub = {
    Queue(...calls) {
      for (const call of calls) {
        const mathjax = window.MathJax;
        if (Array.isArray(call) && call[0] === "Typeset" && call[2] && mathjax && mathjax.typesetPromise)
          mathjax.startup.promise.then(() => mathjax.typesetPromise([call[2]]));
      }
    },
  };
  const mathjax = (window.MathJax = window.MathJax || {});
  mathjax.Hub = hub;
  mathjax.startup = Object.assign({}, mathjax.startup, {
    ready() {
      window.MathJax.Hub = hub;
      window.MathJax.startup.defaultReady();
    },
  });
})();
