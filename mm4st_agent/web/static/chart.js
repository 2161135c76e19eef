// Charts of forecasts. Each `figure.chart` with the id `chart-<thread>-<turn>-<k>` holds a picture; when it comes near
// the viewport, the chart takes the picture's place. Where that fails, the picture stays. Nothing here is animated.
(() => {
  "use strict";
  if (window.mm4stCharts) return;
  window.mm4stCharts = true;

  const ID = /^chart-([\w-]+)-(\d+)-(\d+)$/;
  const NEAR = "600px";
  const COARSE = matchMedia("(pointer: coarse)");
  const CONFIG = {
    displaylogo: false,
    displayModeBar: COARSE.matches ? false : "hover",
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
    doubleClick: "reset",
    showTips: false,
  };

  const charts = new Map(); // id -> promise of what the server says
  const drawn = new Map(); // figure -> what is drawn in it
  const seen = new WeakSet();
  let library;

  // -- what is needed --------------------------------------------------------------------------

  const kept = (promise, forget) => {
    promise.catch(forget); // so that the figure's next appearance tries again
    return promise;
  };

  const plotly = () =>
    (library ??= kept(
      new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = "mm4st/static/plotly.min.js";
        script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject(new Error("plotly is not usable")));
        script.onerror = () => reject(new Error("plotly cannot be loaded"));
        document.head.append(script);
      }),
      () => (library = undefined),
    ));

  const fetched = async (thread, turn, k) => {
    const reply = await fetch(`mm4st/charts/${thread}/${turn}/${k}`);
    if (!reply.ok) throw new Error(await reply.text());
    return reply.json();
  };

  const chartOf = (id) => {
    if (!charts.has(id)) charts.set(id, kept(fetched(...ID.exec(id).slice(1)), () => charts.delete(id)));
    return charts.get(id);
  };

  // -- what is shown ---------------------------------------------------------------------------

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  const swatch = (shows) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("aria-hidden", "true");
    svg.setAttribute("viewBox", "0 0 28 12");
    const add = (name, attributes) => {
      const shape = document.createElementNS(svg.namespaceURI, name);
      for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
      svg.append(shape);
    };
    if (shows === "half" || shows === "most") {
      add("rect", { class: shows, x: 1, y: 1, width: 26, height: 10 });
      return svg;
    }
    add("line", { class: shows, x1: 0, y1: 6, x2: 28, y2: 6 });
    if (shows === "later") add("path", { class: `dot ${shows}`, d: "M14 1.5 18.5 6 14 10.5 9.5 6Z" });
    else if (shows === "baseline") add("rect", { class: `dot ${shows}`, x: 11, y: 3, width: 6, height: 6 });
    else if (shows === "filled") add("circle", { class: `dot ${shows}`, cx: 14, cy: 6, r: 3 });
    return svg;
  };

  const legend = (chart, toggle) =>
    element(
      "div",
      { class: "chart-legend", role: "group", "aria-label": "What the chart shows" },
      ...chart.legend.map(({ shows, label }) => {
        const key = element("button", { type: "button", class: "chart-key", "aria-pressed": "true" });
        key.append(swatch(shows), label);
        key.addEventListener("click", () => {
          const hide = key.getAttribute("aria-pressed") === "true";
          key.setAttribute("aria-pressed", String(!hide));
          toggle(shows, hide);
        });
        return key;
      }),
    );

  const numbers = ({ caption, columns, rows }) => {
    const row = (cells, first, others) =>
      element("tr", {}, ...cells.map((cell, n) => element(...(n ? others : first), cell)));
    const column = ["th", { scope: "col" }];
    const table = element(
      "table",
      { "aria-label": caption },
      element("thead", {}, row(columns, column, column)),
      element("tbody", {}, ...rows.map((cells) => row(cells, ["th", { scope: "row" }], ["td", {}]))),
    );
    const scroll = element("div", { class: "chart-scroll", role: "region", tabindex: "0", "aria-label": "The numbers" });
    scroll.append(table);
    const about = element("p", { class: "chart-notes" }, caption); // outside of what scrolls sideways
    return element("details", { class: "chart-numbers" }, element("summary", {}, "Show the numbers"), about, scroll);
  };

  // -- how it looks ----------------------------------------------------------------------------

  const dressed = (figure, chart, hidden) => {
    const style = getComputedStyle(figure);
    const colour = (name) => style.getPropertyValue(`--chart-${name}`).trim();
    const font = { family: style.fontFamily, size: 12, color: colour("ink") };
    const axis = { gridcolor: colour("grid"), linecolor: colour("quiet"), zeroline: false, fixedrange: COARSE.matches };
    const data = chart.data.map((trace) => ({
      ...trace,
      visible: !hidden.has(trace.meta),
      fillcolor: trace.fill && colour(trace.meta),
      line: { ...trace.line, color: colour(trace.fill ? "edge" : trace.meta) },
      marker: { ...trace.marker, color: colour(trace.meta) },
    }));
    const { xaxis, yaxis, shapes, annotations } = chart.layout;
    const narrow = figure.clientWidth < 480;
    const layout = {
      ...chart.layout,
      font,
      paper_bgcolor: colour("paper"), // not transparent: plotly takes that for white where it contrasts
      plot_bgcolor: colour("paper"),
      dragmode: COARSE.matches ? false : "zoom",
      uirevision: "kept",
      hoverlabel: { bgcolor: colour("paper"), bordercolor: colour("quiet"), font, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("quiet"), activecolor: colour("ink") },
      xaxis: {
        ...axis,
        ...xaxis,
        ...(narrow && { range: chart.narrow }),
        nticks: narrow ? 5 : 9,
        showline: true,
        spikecolor: colour("quiet"),
        spikethickness: 1,
      },
      yaxis: { ...axis, ...yaxis },
      shapes: shapes.map((shape) => ({ ...shape, line: { ...shape.line, color: colour("ink") } })),
      annotations: annotations.map((words) => ({ ...words, font })),
    };
    return { data, layout };
  };

  const show = ({ Plotly, figure, chart, plot, hidden }) => {
    const { clientWidth: width, clientHeight: height } = plot.parentElement;
    if (width < 50 || height < 50) return undefined; // not laid out, such as in a closed tab
    const { data, layout } = dressed(figure, chart, hidden);
    return Plotly.react(plot, data, { ...layout, width, height }, CONFIG);
  };

  const place = (drawing, figure) => {
    const { body, details } = drawing;
    const picture = figure.querySelector("a:has(img), img");
    figure.prepend(body, details);
    if (picture) picture.hidden = true;
    figure.classList.add("chart-drawn");
    Object.assign(drawing, { figure, picture });
    drawn.set(figure, drawing);
    seen.add(figure);
  };

  const remove = (drawing) => {
    const { Plotly, figure, picture, plot, body, details, sizes } = drawing;
    sizes.disconnect();
    Plotly.purge(plot);
    body.remove();
    details.remove();
    if (picture) picture.hidden = false;
    figure.classList.remove("chart-drawn");
    drawn.delete(figure);
    seen.delete(figure);
  };

  const drawingOf = (Plotly, chart) => {
    const plot = element("div");
    const drawing = { Plotly, chart, plot, hidden: new Set() };
    const keys = legend(chart, (shows, hide) => {
      drawing.hidden[hide ? "add" : "delete"](shows);
      show(drawing);
    });
    const outer = element("div", { class: "chart-plot", role: "group", "aria-label": chart.alt }, plot);
    const notes = element("p", { class: "chart-notes" }, chart.notes.join(" "));
    drawing.body = element("div", { class: "chart-body" }, outer, keys, notes);
    drawing.details = numbers(chart.table);
    drawing.sizes = new ResizeObserver(() => requestAnimationFrame(() => drawn.has(drawing.figure) && show(drawing)));
    return drawing;
  };

  const draw = async (figure) => {
    let drawing;
    try {
      const [Plotly, chart] = await Promise.all([plotly(), chartOf(figure.id)]);
      if (!figure.isConnected || drawn.has(figure)) return;
      const before = figure.offsetHeight;
      drawing = drawingOf(Plotly, chart);
      place(drawing, figure);
      const { body, plot, sizes } = drawing;
      figure.style.minHeight = 0;
      const others = figure.offsetHeight - body.offsetHeight;
      figure.style.minHeight = "";
      body.style.minHeight = `${Math.max(0, before - others)}px`; // the figure stays as high as it was
      await show(drawing);
      sizes.observe(plot.parentElement);
    } catch (error) {
      if (drawing) remove(drawing);
      seen.add(figure); // this very figure keeps its picture
      figure.classList.add("chart-failed");
      console.info(`The picture of ${figure.id} stays: ${error.message}`);
    }
  };

  // -- what comes and goes ---------------------------------------------------------------------

  const near = new IntersectionObserver(
    (entries) =>
      entries.forEach(({ isIntersecting, target }) => {
        if (!isIntersecting) return;
        near.unobserve(target);
        draw(target);
      }),
    { rootMargin: NEAR, scrollMargin: NEAR }, // the second: where the chat itself scrolls
  );

  // A message that is rendered again has a new figure of the same id: the chart moves there before anyone sees.
  const adopt = () => {
    for (const drawing of [...drawn.values()]) {
      const heir = drawing.figure.isConnected ? null : document.getElementById(drawing.figure.id);
      if (!heir?.matches("figure.chart")) continue;
      drawn.delete(drawing.figure);
      place(drawing, heir);
    }
  };

  const scan = () => {
    for (const drawing of [...drawn.values()]) if (!drawing.figure.isConnected) remove(drawing);
    for (const figure of document.querySelectorAll("figure.chart[id]")) {
      if (seen.has(figure) || !ID.test(figure.id)) continue;
      seen.add(figure);
      near.observe(figure);
    }
  };

  let planned = false;
  const changed = () => {
    adopt();
    if (planned) return;
    planned = true; // an answer that streams in changes the page many times a frame
    requestAnimationFrame(() => {
      planned = false;
      scan();
    });
  };

  const start = () => {
    new MutationObserver(changed).observe(document.body, { childList: true, subtree: true });
    const theme = new MutationObserver(() => drawn.forEach(show));
    for (const root of [document.documentElement, document.body]) {
      theme.observe(root, { attributes: true, attributeFilter: ["class"] });
    }
    scan();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
