// The map of a data set's nodes: what it shows, in colours and in words. `MapCanvas` draws it.
// `networkMap(element, props, trigger, watch)` is called by the widget; its value is {dataset, as_of}.

const MAP_SKELETON = `
<div class="map-bar">
  <label class="map-channel"><span>Quantity</span><select></select></label>
  <div class="map-mode" role="radiogroup" aria-label="Colours show">
    <label><input type="radio" value="level" checked><span>Readings</span></label><label><input type="radio"
      value="change"><span>Forecast change</span></label>
  </div>
  <div class="map-find"><label>Find a place</label>
    <input type="text" role="combobox" aria-autocomplete="list" aria-expanded="false" autocomplete="off"
      spellcheck="false" placeholder="Name or id"><ul role="listbox" aria-label="Places" hidden></ul></div>
</div>
<div class="map-stage">
  <canvas class="map-links" aria-hidden="true"></canvas>
  <canvas class="map-nodes" role="application" tabindex="0" aria-label="Map"></canvas>
  <div class="map-ring map-chosen" hidden></div><div class="map-ring map-pointed" hidden></div>
  <div class="map-scale" aria-hidden="true" hidden><span></span><i></i></div>
  <div class="map-zoom"><button type="button" aria-label="Zoom in" title="Zoom in">+</button><button type="button"
    aria-label="Zoom out" title="Zoom out">−</button><button type="button" aria-label="Show everything"
    title="Show everything">⤢</button></div>
  <div class="map-tip" aria-hidden="true" hidden></div>
  <div class="map-message" role="status"></div>
</div>
<div class="map-legend"></div>
<div class="map-time"><button type="button" aria-label="Play"></button><input type="range" min="0" step="1"
  aria-label="Time of the readings"><output></output></div>
<p class="map-said" aria-live="polite"></p>
<ul class="map-notes"></ul>
<section class="map-place" aria-label="The chosen place" hidden></section>`;

const MAP_OPTIONS = 50;  // places that the list offers at once
const MAP_STEP_MS = 120;  // of the player

function networkMap(element, props, trigger, watch) {
  const root = element.querySelector(".mm4st-map"), uid = `map-${Math.random().toString(36).slice(2, 8)}`;
  root.innerHTML = MAP_SKELETON;
  const $ = selector => root.querySelector(selector);
  const [slider, player, select] = [$("[type=range]"), $(".map-time button"), $("select")];
  const radios = [...root.querySelectorAll("[type=radio]")];
  radios.forEach(radio => { radio.name = uid; });

  let data = null, values = null, change = null;  // the reply, its readings (steps x nodes), the forecast change
  let mode = "level", step = 0, chosen = -1, pointed = -1, playing = 0, waiting = 0;
  let wanted = "", shown = "", request = new AbortController(), visible = false;
  const canvas = new MapCanvas($(".map-stage"), {point, choose, moved: () => point(-1)});
  const find = mapFinder($(".map-find"), uid, {point, choose, search});

  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const changing = () => mode === "change" && change !== null;
  const current = () => changing() ? change.values : values.subarray(step * data.ids.length, (step + 1) * data.ids.length);

  // -- data ------------------------------------------------------------------------------------------------

  async function ask(tail, channel) {
    const query = new URLSearchParams({as_of: props.value.as_of || "", channel});
    let reply;
    try {
      reply = await fetch(`mm4st/map/${encodeURIComponent(props.value.dataset)}${tail}?${query}`, {signal: request.signal});
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw Error("The server does not answer. Check that it runs, then try again.");
    }
    const body = await reply.json().catch(() => ({}));
    if (!reply.ok) throw Error(body.error || "The map's data did not arrive. Try again in a moment.");
    return body;
  }

  const floats = text => new Float32Array(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
  const key = channel => JSON.stringify([props.value?.dataset, props.value?.as_of, channel]);

  /** Show what the value names, as soon as the map can be seen. */
  async function load(channel = "") {
    wanted = key(channel);
    if (!visible || wanted === shown) return;
    request.abort();
    request = new AbortController();
    const before = data;
    if (!props.value?.dataset) {
      shown = wanted;
      return showEmpty("Choose a data set to see where its places are.");
    }
    say("Loading the map…", {busy: true});
    try {
      const reply = await ask("", channel);
      wanted = shown = key(reply.channel);
      show(reply, before);
    } catch (error) {
      if (error.name === "AbortError") return;
      shown = "";
      showEmpty(error.message, "Try again", () => load(channel));
    }
  }

  function show(reply, before) {
    const same = before?.dataset === reply.dataset, id = same && chosen >= 0 ? before.ids[chosen] : null;
    stop();
    [data, values, change] = [reply, floats(reply.values), null];
    [step, chosen, pointed] = [reply.times.length - 1, reply.ids.indexOf(id), -1];
    select.replaceChildren(...reply.channels.map(each => new Option(each.label, each.name, false, each.name === reply.channel)));
    $(".map-channel").hidden = reply.channels.length < 2;
    slider.max = step;
    $(".map-time output").title = `Local time (${reply.zone})`;
    root.classList.remove("map-empty");
    root.dataset.shown = reply.dataset;
    radios[1].disabled = Boolean(reply.no_change);
    if (reply.no_change) setMode("level");
    say("");
    canvas.resize();
    canvas.place(reply, !same || before.channel !== reply.channel);
    canvas.mark({chosen, pointed});
    tip();
    refresh();
    showPlace();
    find.again();
    if (mode === "change") loadChange();
  }

  async function loadChange() {
    const mine = request, count = data.ids.length;
    say(`Forecasting ${count.toLocaleString("en")} place${count === 1 ? "" : "s"}…`, {busy: true});
    try {
      const reply = await ask("/change", data.channel);
      if (mine !== request) return;
      change = {...reply, values: floats(reply.values), latest: floats(reply.latest)};
      if (mode === "change") say("");
      refresh();
    } catch (error) {
      if (mine === request && mode === "change") say(error.message, {action: "Back to the readings", act: () => setMode("level")});
    }
  }

  function say(text, {busy = false, action = "", act = null} = {}) {
    const box = $(".map-message");
    box.replaceChildren(...text ? [make("p", {textContent: text})] : []);
    if (action) box.append(make("button", {type: "button", textContent: action, onclick: act}));
    box.classList.toggle("map-busy", busy);
    $(".map-stage").setAttribute("aria-busy", busy);
  }

  function showEmpty(text, action, act) {
    stop();
    data = null;
    chosen = pointed = -1;
    root.classList.add("map-empty");
    delete root.dataset.shown;
    $(".map-place").hidden = $(".map-tip").hidden = true;
    canvas.clear();
    say(text, {action, act});
  }

  // -- words -----------------------------------------------------------------------------------------------

  const number = (value, {digits = 4, sign = false} = {}) => new Intl.NumberFormat("en", {
    maximumSignificantDigits: digits, signDisplay: sign ? "exceptZero" : "negative",
  }).format(value).replace("-", "−");
  const absent = () => changing() ? "no recent reading" : "no measured reading";
  const figure = value => changing() ? number(value, {digits: 3, sign: true}) : number(value);
  const amount = value => Number.isNaN(value) ? absent() : `${figure(value)} ${data.unit}`.trim();
  const said = node => changing() && !Number.isNaN(change.values[node])
    ? `${figure(change.values[node])} expected, from ${number(change.latest[node])} ${data.unit}`.trim() : amount(current()[node]);
  const place = node => `${data.words[node]} ${data.ids[node]}`;
  const named = node => data.names[node] ? `${place(node)} (${data.names[node]})` : place(node);
  const when = () => changing() ? change.label : data.labels[step];

  function summary() {
    const now = current();
    let low = -1, high = -1, missing = 0;
    for (let node = 0; node < now.length; node++) {
      if (Number.isNaN(now[node])) missing++;
      else if (low < 0) low = high = node;
      else if (now[node] < now[low]) low = node;
      else if (now[node] > now[high]) high = node;
    }
    const link = (text, node) => make("button", {
      type: "button", textContent: `${text} ${amount(now[node])} at ${data.ids[node]}`, title: named(node), onclick: () => choose(node),
    });
    const count = (now.length - missing).toLocaleString("en"), all = now.length.toLocaleString("en");
    const told = missing ? `${count} of ${all} ${data.places} have a value` : `${all} ${all === "1" ? data.words[0] : data.places}`;
    const ends = high < 0 ? [] : now[low] === now[high] ? [`, ${count === "1" ? "" : "all "}${amount(now[low])}`]
      : [". ", link("Highest", high), ", ", link("lowest", low)];
    $(".map-said").replaceChildren(`${when()}: ${told}`, ...ends, ".");
    canvas.nodes.setAttribute("aria-label", `Map of ${data.label}, ${data.title}. ${$(".map-said").textContent} Arrow keys ` +
      "move it, plus and minus zoom, 0 shows everything. The box Find a place has every place.");
  }

  function legend() {
    const scale = changing() ? change.scale : data.scale, what = changing() ? `Change of ${data.label}` : data.label;
    const parts = [make("div", {className: "map-what", textContent: data.unit ? `${what}, ${data.unit}` : what})];
    if (scale.low !== null) {
      const ramp = make("span", {className: "map-ramp"});
      ramp.style.background = `linear-gradient(90deg, ${colours().join(",")})`;
      parts.push(make("span", {textContent: `${scale.words[0]} ${scale.below ? "≤ " : ""}${figure(scale.low)}`}), ramp);
      parts.push(make("span", {textContent: `${scale.above ? "≥ " : ""}${figure(scale.high)} ${scale.words[1]}`}));
    }
    if (current().some(Number.isNaN)) parts.push(make("span", {className: "map-none", textContent: absent()}));
    $(".map-legend").replaceChildren(...parts);
    const lines = [data.note, ...changing() ? change.notes : [], data.no_change];
    if (data.scale.low === null) lines.push("There is no measured reading in this time.");
    $(".map-notes").replaceChildren(...lines.filter(Boolean).map(text => make("li", {textContent: text})));
  }

  function tip() {
    const box = $(".map-tip");
    box.hidden = pointed < 0 || data.x[pointed] === null;
    if (box.hidden) return;
    const lines = [data.names[pointed] || place(pointed), said(pointed), data.names[pointed] ? `${place(pointed)}, ${when()}` : when()];
    box.replaceChildren(...lines.map(text => make("div", {textContent: text})));
    const [x, y] = canvas.at(pointed), away = canvas.radius() + 9, {width} = canvas.size;
    const left = Math.max(4, Math.min(width - box.offsetWidth - 4, x - box.offsetWidth / 2)), above = y - box.offsetHeight - away;
    box.style.transform = `translate(${left}px, ${above > 2 ? above : y + away}px)`;
  }

  function showPlace() {
    const box = $(".map-place");
    box.hidden = chosen < 0;
    if (box.hidden) return;
    const count = data.ids.length, series = data.times.map((_, at) => values[at * count + chosen]);
    const missing = series.filter(Number.isNaN).length, gaps = missing ? `; ${missing} of ${series.length} have no measured reading` : "";
    box.replaceChildren(
      make("h4", {textContent: named(chosen).replace(/^./u, letter => letter.toUpperCase())}),
      make("p", {textContent: `${said(chosen)}, ${when()}`}),
      make("div", {innerHTML: mapSparkline(series, data, changing() ? -1 : step, Math.max(240, box.clientWidth))}),
      make("p", {className: "map-small", textContent: `${data.label}, ${data.labels[0]} to ${data.labels[series.length - 1]}, every ${data.every}${gaps}`}),
    );
  }

  // -- colours ---------------------------------------------------------------------------------------------

  const colours = () => data.colours[!changing() ? "level" : document.body.classList.contains("dark") ? "change_dark" : "change"];

  /** Everything that depends on the values; words wait until the slider rests, as nobody reads them while it moves. */
  function refresh() {
    if (!data) return;
    const now = current(), {low, high} = changing() ? change.scale : data.scale, shades = colours().length, none = shades;
    const shade = new Uint8Array(now.length), order = new Uint32Array(now.length), begin = new Uint32Array(shades + 2);
    // Nodes without a value lie lowest, those at the ends of the scale highest: they must not hide below others.
    const rank = at => at === none ? 0 : 1 + Math.abs(2 * at - shades + 1);
    for (let node = 0; node < now.length; node++) {
      const at = Math.floor((now[node] - low) / (high - low) * shades);
      shade[node] = Number.isNaN(now[node]) ? none : Math.max(0, Math.min(shades - 1, at));
      begin[rank(shade[node]) + 1]++;
    }
    for (let at = 1; at < begin.length; at++) begin[at] += begin[at - 1];
    for (let node = 0; node < now.length; node++) order[begin[rank(shade[node])]++] = node;
    canvas.paint(shade, order, [...colours(), null]);
    const latest = step === data.times.length - 1;
    slider.value = step;
    slider.setAttribute("aria-valuetext", data.labels[step]);
    $(".map-time").hidden = changing() || data.times.length < 2;
    $(".map-time output").textContent = data.labels[step] + (latest ? " (latest)" : "");
    tip();
    clearTimeout(waiting);
    waiting = setTimeout(() => data && [summary, legend, showPlace].forEach(act => act()), playing ? 400 : 60);
  }

  // -- pointing and choosing -------------------------------------------------------------------------------

  function point(node) {
    if (pointed === node || !data) return;
    pointed = node;
    canvas.nodes.style.cursor = node < 0 ? "" : "pointer";
    canvas.mark({pointed});
    tip();
  }

  /** Show a node's day, and tell the page. */
  function choose(node) {
    chosen = node;
    canvas.mark({chosen});
    canvas.seek(node);
    showPlace();
    const {dataset, channel, ids, names} = data;
    trigger("select", {dataset, channel, node: ids[node], name: names[node] || ids[node], text: place(node)});
  }

  /** Places whose id or name holds the text, those that begin with it first. */
  function search(text) {
    if (!data) return {found: [], rest: 0};
    const sought = text.trim().toLowerCase(), first = [], others = [];
    for (let node = 0; node < data.ids.length; node++) {
      const words = [data.ids[node], data.names[node] || ""].map(word => word.toLowerCase());
      if (words.some(word => word.startsWith(sought))) first.push(node);
      else if (words.some(word => word.includes(sought))) others.push(node);
    }
    const all = [...first, ...others], label = node => `${data.ids[node]} ${data.names[node] || ""}`.trim();
    const found = all.slice(0, MAP_OPTIONS).map(node => ({node, label: label(node), value: said(node)}));
    return {found, rest: all.length - found.length};
  }

  // -- time and mode ---------------------------------------------------------------------------------------

  function stop() {
    playing = 0;
    player.classList.remove("map-playing");
    player.setAttribute("aria-label", "Play");
  }

  function play(now) {
    if (!playing || !data) return;
    if (now - playing >= MAP_STEP_MS) {
      playing = now;
      step++;
      refresh();
      if (step >= data.times.length - 1) return stop();
    }
    requestAnimationFrame(play);
  }

  player.onclick = () => {
    if (playing) return stop();
    if (step >= data.times.length - 1) step = 0;
    playing = performance.now();
    player.classList.add("map-playing");
    player.setAttribute("aria-label", "Pause");
    requestAnimationFrame(play);
  };
  slider.oninput = () => {
    stop();
    step = Number(slider.value);
    refresh();
  };

  function setMode(next) {
    mode = next;
    radios.forEach(radio => { radio.checked = radio.value === next; });
    stop();
    if (!data) return;
    say("");
    if (mode === "change" && !change) loadChange();
    refresh();
  }
  radios.forEach(radio => { radio.onchange = () => setMode(radio.value); });
  select.onchange = () => load(select.value);

  // -- the page around it ----------------------------------------------------------------------------------

  new IntersectionObserver(entries => {
    visible = entries[entries.length - 1].isIntersecting;
    if (!visible) stop();
    else if (wanted !== shown) load(JSON.parse(wanted)[2]);
  }).observe(root);
  new ResizeObserver(() => data && showPlace()).observe(root);
  new MutationObserver(() => {
    canvas.restyle();
    refresh();
  }).observe(document.body, {attributeFilter: ["class"]});
  watch("value", () => load(data && data.dataset === props.value?.dataset ? data.channel : ""));
  load();
}

/** A box that finds places: type, go through the list with the arrow keys, choose with Enter. */
function mapFinder(box, uid, {point, choose, search}) {
  const [label, input, list] = [box.querySelector("label"), box.querySelector("input"), box.querySelector("ul")];
  let found = [], active = -1;
  label.htmlFor = input.id = `${uid}-find`;
  list.id = `${uid}-list`;
  input.setAttribute("aria-controls", list.id);

  function open(yes) {
    list.hidden = !yes;
    input.setAttribute("aria-expanded", yes);
    if (!yes) activate(-1);
  }

  function activate(at) {
    active = at;
    list.querySelectorAll("[role=option]").forEach((option, index) => option.setAttribute("aria-selected", index === at));
    point(at < 0 ? -1 : found[at].node);
    if (at < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", list.children[at].id);
    list.children[at].scrollIntoView({block: "nearest"});
  }

  function offer() {
    const reply = search(input.value), make = (tag, properties) => Object.assign(document.createElement(tag), properties);
    found = reply.found;
    list.replaceChildren(...found.map(({label: text, value}, at) => {
      const option = make("li", {id: `${uid}-${at}`, role: "option"});
      option.append(make("span", {textContent: text}), make("small", {textContent: value}));
      option.onpointerdown = event => event.preventDefault();  // the box keeps the focus
      option.onclick = () => pick(at);
      return option;
    }));
    const more = reply.rest ? `and ${reply.rest.toLocaleString("en")} more: type to narrow` : found.length ? "" : "No place is called that.";
    if (more) list.append(make("li", {className: "map-rest", role: "presentation", textContent: more}));
    open(true);
    activate(input.value.trim() && found.length ? 0 : -1);
  }

  function pick(at) {
    const {node} = found[at];
    input.value = "";
    open(false);
    choose(node);
  }

  input.onfocus = input.oninput = offer;
  input.onclick = () => list.hidden && offer();
  input.onblur = () => open(false);
  input.onkeydown = event => {
    const last = found.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) offer();
      else if (last >= 0) activate(event.key === "ArrowDown" ? (active === last ? 0 : active + 1) : active <= 0 ? last : active - 1);
    } else if (event.key === "Enter" && !list.hidden && active >= 0) {
      event.preventDefault();
      pick(active);
    } else if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      open(false);
    }
  };
  return {again: () => list.hidden || offer()};  // the places may come after the words
}

/** One node's readings as a small line chart: the present step is marked, gaps stay open. */
function mapSparkline(series, data, mark, width) {
  const known = series.filter(value => !Number.isNaN(value));
  if (!known.length) return '<p class="map-small">There is no measured reading in this time.</p>';
  const text = value => String(value).replace(/[&<>"']/g, letter => `&#${letter.charCodeAt(0)};`);
  const number = value => text(new Intl.NumberFormat("en", {maximumSignificantDigits: 4}).format(value).replace("-", "−"));
  const height = 128, left = 48, right = 10, top = 22, bottom = 22, least = Math.min(...known), most = Math.max(...known);
  let [low, high] = [least >= 0 && least <= 0.5 * most ? 0 : least, most];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const rough = (high - low) / 3, power = 10 ** Math.floor(Math.log10(rough));
  const tick = [1, 2, 2.5, 5, 10].map(times => times * power).find(size => size >= rough * 0.999);
  const ticks = [];
  for (let at = Math.ceil(low / tick); at * tick <= high; at++) ticks.push(at * tick);
  const round = value => Math.round(value * 10) / 10;
  const x = at => round(left + (width - left - right) * (series.length < 2 ? 0.5 : at / (series.length - 1)));
  const y = value => round(height - bottom - (height - top - bottom) * (value - low) / (high - low));
  const there = at => at >= 0 && at < series.length && !Number.isNaN(series[at]);
  let path = "", parts = "";
  series.forEach((value, at) => {
    if (!there(at)) return;
    path += `${there(at - 1) ? "L" : "M"}${x(at)} ${y(value)}`;
    if (!there(at - 1) && !there(at + 1)) parts += `<circle cx="${x(at)}" cy="${y(value)}" r="1.5"/>`;
  });
  for (const value of ticks) {
    parts += `<line x1="${left}" x2="${width - right}" y1="${y(value)}" y2="${y(value)}"/>` +
      `<text x="${left - 6}" y="${y(value) + 4}" text-anchor="end">${number(value)}</text>`;
  }
  const daily = Date.parse(data.times[1]) - Date.parse(data.times[0]) >= 86400000;
  const end = series.length - 1, labelled = [...new Set([0, end / 3, 2 * end / 3, end].map(Math.round))];
  for (const at of labelled) {
    const time = daily ? data.labels[at].split(" ").slice(0, 2).join(" ") : data.times[at].slice(11, 16);
    parts += `<text x="${x(at)}" y="${height - 5}" text-anchor="${at === 0 ? "start" : at === end ? "end" : "middle"}">${text(time)}</text>`;
  }
  if (mark >= 0) parts += `<line class="map-mark" x1="${x(mark)}" x2="${x(mark)}" y1="${top}" y2="${height - bottom}"/>`;
  if (there(mark)) parts += `<circle class="map-mark" cx="${x(mark)}" cy="${y(series[mark])}" r="4"/>`;
  const last = series.findLastIndex(value => !Number.isNaN(value));
  const alt = `${data.label}${data.unit ? `, ${data.unit}` : ""}: lowest ${number(least)}, highest ${number(most)}, ` +
    `last ${number(series[last])} at ${data.labels[last]}.`;
  return `<svg role="img" aria-label="${text(alt)}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">` +
    `<text x="0" y="12">${text(data.unit || data.label)}</text>${parts}<path d="${path}"/></svg>`;
}
