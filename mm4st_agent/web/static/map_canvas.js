// Draws a map's links and nodes on two canvases, and moves it: drag, wheel, pinch, keys, buttons, double click.
// Nodes are written pixel by pixel: without a GPU, 8,000 `drawImage` calls take 50 ms a frame, this takes 3 ms.

const MANY_LINKS = 5000;  // more of them take over 5 ms
const ROW_NAMES_PX = 56;  // left of the rows of a schematic
const LINKS_EVERY_MS = 120;  // while many links move, their last picture is shifted in between

class MapCanvas {
  /** `tell` has `point(node)` and `choose(node)`, -1 is no node, and `moved()`. */
  constructor(stage, tell) {
    this.stage = stage;
    this.tell = tell;
    this.links = stage.querySelector(".map-links");
    this.nodes = stage.querySelector(".map-nodes");
    this.scale = stage.querySelector(".map-scale");
    this.rings = ["chosen", "pointed"].map(name => [name, stage.querySelector(`.map-${name}`)]);
    this.view = {x: 0, y: 0, k: 1, fit: 1, moved: false};  // what lies in the middle; pixels a unit, and where all fits
    this.size = {width: 0, height: 0, ratio: 1};
    this.places = null;  // {x, y, links, rows, metres}; x and y have null where a node has no place
    this.marked = {chosen: -1, pointed: -1};
    this.frame = 0;
    this.listen();
  }

  /** Other places; the view stays where they are drawn alike. */
  place(places, refit) {
    this.places = {...places};
    this.drawn = null;
    if (refit || places.rows.length) this.fit();
  }

  /** `shade` is the colour of each node, the last of `colours` (null) that of a missing value; `order` is bottom first. */
  paint(shade, order, colours) {
    Object.assign(this, {shade, order, colours, sprites: null});
    this.draw();
  }

  mark(marked) {
    Object.assign(this.marked, marked);
    if (this.places) this.placeRings();
  }

  clear() {
    this.places = this.drawn = null;
    for (const layer of [this.links, this.nodes]) layer.getContext("2d").clearRect(0, 0, layer.width, layer.height);
    for (const [, ring] of this.rings) ring.hidden = true;
  }

  restyle() {
    this.drawn = null;
    this.sprites = null;
    this.draw();
  }

  resize() {
    const ratio = Math.min(3, window.devicePixelRatio || 1), {clientWidth: width, clientHeight: height} = this.stage;
    const {size} = this;
    if (!width || (width === size.width && height === size.height && ratio === size.ratio)) return;
    Object.assign(size, {width, height, ratio});
    for (const layer of [this.links, this.nodes]) {
      [layer.width, layer.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    this.pixels = new ImageData(this.nodes.width, this.nodes.height);
    this.restyle();
    if (this.places && !this.view.moved) this.fit();
  }

  // -- drawing ---------------------------------------------------------------------------------------------

  css(name) {
    return getComputedStyle(this.stage).getPropertyValue(name).trim();
  }

  at(node) {
    const {places, view, size} = this;
    return [(places.x[node] - view.x) * view.k + size.width / 2, (places.y[node] - view.y) * view.k + size.height / 2];
  }

  radius() {
    const {size, view} = this, base = 0.24 * Math.sqrt(size.width * size.height / this.places.x.length);
    const grown = Math.max(2, Math.min(7, base)) * Math.sqrt(Math.max(1, view.k / view.fit));
    return Math.round(2 * Math.min(9, grown)) / 2;
  }

  /** At most once a frame, and only what changed. */
  draw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.places || !this.shade || !this.size.width) return;
      this.drawLinks();
      this.drawNodes();
      this.placeRings();
    });
  }

  drawLinks() {
    const {view, places: {x, y, links, rows}, size: {ratio}, links: {width, height}} = this;
    const {drawn} = this;
    clearTimeout(this.later);
    if (drawn && drawn.x === view.x && drawn.y === view.y && drawn.k === view.k) {
      this.links.style.transform = "";
      return;
    }
    this.drawScale();
    const age = drawn ? performance.now() - drawn.when : Infinity;
    if (links.length > 2 * MANY_LINKS && age < LINKS_EVERY_MS) {
      const grown = view.k / drawn.k, dx = (drawn.x - view.x) * view.k, dy = (drawn.y - view.y) * view.k;
      this.links.style.transform = `translate(${dx}px, ${dy}px) scale(${grown})`;
      this.later = setTimeout(() => this.draw(), LINKS_EVERY_MS - age);
      return;
    }
    this.links.style.transform = "";
    this.drawn = {...view, when: performance.now()};
    const pen = this.links.getContext("2d");
    pen.clearRect(0, 0, width, height);
    const k = view.k * ratio, left = width / 2 - view.x * k, top = height / 2 - view.y * k;
    pen.beginPath();
    for (let link = 0; link < links.length; link += 2) {
      const one = links[link], other = links[link + 1];
      const ax = x[one] * k + left, ay = y[one] * k + top, bx = x[other] * k + left, by = y[other] * k + top;
      if ((ax < 0 && bx < 0) || (ay < 0 && by < 0) || (ax > width && bx > width) || (ay > height && by > height)) continue;
      pen.moveTo(ax, ay);
      pen.lineTo(bx, by);
    }
    pen.strokeStyle = this.css("--map-link");
    pen.lineWidth = ratio * (rows.length ? 2 : x.length < 1000 ? 1.25 : 0.75);
    pen.globalAlpha = Math.max(0.3, Math.min(1, 6 * x.length / Math.max(links.length, 1)));
    pen.stroke();
    pen.globalAlpha = 1;
    pen.fillStyle = this.css("--map-quiet");
    pen.font = `${12 * ratio}px system-ui, sans-serif`;
    pen.textBaseline = "middle";
    for (const [name, row] of rows) pen.fillText(name, 8 * ratio, row * k + top, ROW_NAMES_PX * ratio);
  }

  /** One picture of each colour, as pixels, side by side. */
  drawSprites(r) {
    const {ratio} = this.size, line = ratio * (r < 3 ? 0.5 : 1), side = Math.ceil(2 * (r + 1) * ratio) + 2;
    const sheet = Object.assign(document.createElement("canvas"), {width: side * this.colours.length, height: side});
    const pen = sheet.getContext("2d", {willReadFrequently: true});
    this.colours.forEach((colour, at) => {
      pen.beginPath();
      pen.arc(at * side + side / 2, side / 2, r * ratio - (colour ? 0 : line), 0, 2 * Math.PI);
      pen.fillStyle = colour || this.css("--map-ground");
      pen.fill();
      pen.lineWidth = colour ? line : 1.5 * line;
      pen.strokeStyle = this.css(colour ? "--map-outline" : "--map-none");
      pen.globalAlpha = colour && r < 3 ? 0.6 : 1;
      pen.stroke();
      pen.globalAlpha = 1;
    });
    this.sprites = {r, side, wide: sheet.width, pixels: new Uint32Array(pen.getImageData(0, 0, sheet.width, side).data.buffer)};
  }

  drawNodes() {
    const r = this.radius();
    if (this.sprites?.r !== r) this.drawSprites(r);
    const {side, wide, pixels: from} = this.sprites, {x, y} = this.places, {width, height} = this.pixels;
    const to = new Uint32Array(this.pixels.data.buffer).fill(0);
    const k = this.view.k * this.size.ratio;
    const left = width / 2 - this.view.x * k - side / 2, top = height / 2 - this.view.y * k - side / 2;
    for (const node of this.order) {
      if (x[node] === null) continue;
      const column = Math.round(x[node] * k + left), row = Math.round(y[node] * k + top);
      if (column <= -side || row <= -side || column >= width || row >= height) continue;
      const first = Math.max(0, -column), end = Math.min(side, width - column);
      for (let down = Math.max(0, -row), last = Math.min(side, height - row); down < last; down++) {
        let source = down * wide + this.shade[node] * side + first, target = (row + down) * width + column + first;
        for (let across = first; across < end; across++, source++, target++) {
          const pixel = from[source], opacity = pixel >>> 24;
          if (opacity === 255 || (opacity && !to[target])) to[target] = pixel;
          else if (opacity) to[target] = MapCanvas.over(pixel, to[target], opacity);
        }
      }
    }
    this.nodes.getContext("2d").putImageData(this.pixels, 0, 0);
  }

  /** One pixel upon another; bytes are red, green, blue, opacity from the lowest. */
  static over(pixel, below, opacity) {
    const rest = 255 - opacity, mixed = shift => (((pixel >>> shift & 255) * opacity + (below >>> shift & 255) * rest) / 255) << shift;
    const both = opacity + (below >>> 24) * rest / 255;
    return (both << 24 | mixed(16) & 0xff0000 | mixed(8) & 0xff00 | mixed(0) & 255) >>> 0;
  }

  placeRings() {
    for (const [name, ring] of this.rings) {
      const node = this.marked[name];
      ring.hidden = node < 0 || this.places.x[node] === null;
      if (ring.hidden) continue;
      const wide = 2 * this.radius() + 10, [x, y] = this.at(node);
      Object.assign(ring.style, {width: `${wide}px`, height: `${wide}px`, transform: `translate(${x - wide / 2}px, ${y - wide / 2}px)`});
    }
  }

  drawScale() {
    this.scale.hidden = !this.places.metres;
    if (this.scale.hidden) return;
    const most = 90 / this.view.k, power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map(times => times * power).find(metres => metres <= most);
    this.scale.firstElementChild.textContent = `${length >= 1000 ? `${length / 1000} km` : `${length} m`} · north is up`;
    this.scale.lastElementChild.style.width = `${length * this.view.k}px`;
  }

  // -- moving ----------------------------------------------------------------------------------------------

  fit() {
    const {view, size, places: {x, y, metres, rows}} = this;
    let left = Infinity, right = -Infinity, top = Infinity, bottom = -Infinity;
    for (let node = 0; node < x.length; node++) {
      if (x[node] === null) continue;
      left = Math.min(left, x[node]);
      right = Math.max(right, x[node]);
      top = Math.min(top, y[node]);
      bottom = Math.max(bottom, y[node]);
    }
    const margin = 24, below = metres ? 24 : 0, before = rows.length ? ROW_NAMES_PX : 0;  // for the scale bar, for names
    const high = size.height - 2 * margin - below, wide = size.width - 2 * margin - before;
    if (rows.length > 1) {  // a schematic of roads may be stretched: it fills the stage
      const taller = high / (bottom - top) * (right - left) / wide;
      Object.assign(this.places, {y: y.map(at => at === null ? null : at * taller), rows: rows.map(([name, at]) => [name, at * taller])});
      [top, bottom, this.drawn] = [top * taller, bottom * taller, null];
    }
    const k = Math.min(wide / (right - left), high / (bottom - top));
    view.fit = view.k = Number.isFinite(k) && k > 0 ? k : metres ? size.width / 2000 : 1;
    view.x = (left + right) / 2 - before / 2 / view.k;
    view.y = (top + bottom) / 2 + below / 2 / view.k;
    view.moved = false;
    this.stage.classList.remove("map-moved");
    this.draw();
  }

  pan(dx, dy) {
    this.view.x -= dx / this.view.k;
    this.view.y -= dy / this.view.k;
    this.moved();
  }

  /** The point `(x, y)` of the stage stays where it is. */
  zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
    const {view, size} = this, k = Math.max(view.fit / 2, Math.min(view.fit * 200, view.k * factor));
    view.x += (x - size.width / 2) * (1 / view.k - 1 / k);
    view.y += (y - size.height / 2) * (1 / view.k - 1 / k);
    view.k = k;
    this.moved();
  }

  /** Bring a node into sight. */
  seek(node) {
    const [x, y] = this.at(node), edge = 12;
    if (this.places.x[node] === null || (x > edge && y > edge && x < this.size.width - edge && y < this.size.height - edge)) return;
    Object.assign(this.view, {x: this.places.x[node], y: this.places.y[node]});
    this.moved();
  }

  moved() {
    this.view.moved = true;
    this.stage.classList.add("map-moved");  // from now on a finger moves the map, not the page
    this.draw();
    this.tell.moved();
  }

  nearest(x, y, reach) {
    let best = -1, least = reach * reach;
    const {places, view, size} = this, left = size.width / 2 - view.x * view.k - x, top = size.height / 2 - view.y * view.k - y;
    for (let node = 0; node < places.x.length; node++) {
      if (places.x[node] === null) continue;
      const far = (places.x[node] * view.k + left) ** 2 + (places.y[node] * view.k + top) ** 2;
      if (far < least) [best, least] = [node, far];
    }
    return best;
  }

  listen() {
    const fingers = new Map(), spot = event => [event.offsetX, event.offsetY];
    let travelled = 0;
    const on = (name, act, options) => this.nodes.addEventListener(name, event => { if (this.places) act(event); }, options);
    on("pointerdown", event => {
      if (!fingers.size) travelled = 0;
      fingers.set(event.pointerId, spot(event));
      this.nodes.setPointerCapture(event.pointerId);
    });
    on("pointermove", event => {
      const before = fingers.get(event.pointerId), now = spot(event);
      if (!before) return this.tell.point(this.nearest(...now, this.radius() + 8));
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
      fingers.set(event.pointerId, now);
      travelled += Math.hypot(dx, dy);
      if (other) {
        const apart = at => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
        this.zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
        this.pan(dx / 2, dy / 2);
      } else if (travelled > 4) {
        this.pan(dx, dy);
      }
    });
    for (const name of ["pointerup", "pointercancel"]) on(name, event => fingers.delete(event.pointerId));
    on("pointerleave", () => this.tell.point(-1));
    on("click", event => {
      const node = travelled > 4 || event.detail > 1 ? -1 : this.nearest(...spot(event), this.radius() + 12);
      if (node >= 0) this.tell.choose(node);
    });
    on("dblclick", () => this.fit());
    on("wheel", event => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...spot(event));
    }, {passive: false});
    on("keydown", event => {
      const act = {
        ArrowLeft: () => this.pan(60, 0), ArrowRight: () => this.pan(-60, 0), ArrowUp: () => this.pan(0, 60),
        ArrowDown: () => this.pan(0, -60), "+": () => this.zoom(1.4), "=": () => this.zoom(1.4),
        "-": () => this.zoom(1 / 1.4), "0": () => this.fit(),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
    const acts = [() => this.zoom(1.5), () => this.zoom(1 / 1.5), () => this.fit()];
    this.stage.querySelectorAll(".map-zoom button").forEach((button, at) => { button.onclick = () => this.places && acts[at](); });
    new ResizeObserver(() => this.resize()).observe(this.stage);
  }
}
