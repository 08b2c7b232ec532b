/* What happens when: selection, steps, folds, search and keys. */

const byId = (id) => document.getElementById(id);
const state = { selected: null, step: 0, found: [], timer: null };

/** Show the state, in a picture that is already there. */
function update() {
  const found = new Set(state.found.map((item) => drawn.boxOf[item]));
  markStep(state.step);
  markSelected(state.selected, found);
  showPanel(state.selected, state.step);
  showStep();
}

/** Draw the picture anew, with a box where it was on the screen. */
function redraw(anchor = null) {
  const before = anchor && drawn.boxes.has(anchor) ? placeOnStage(anchor) : null;
  drawPicture();
  update();
  return before;
}

function showStep() {
  const text = describeStep(state.step);
  byId("steps").value = state.step;
  byId("steps").dataset.pass = steps[state.step].kind;
  byId("steps").setAttribute("aria-valuetext", text);
  byId("step").textContent = text;
  byId("previous").disabled = state.step === 0;
  byId("next").disabled = state.step === steps.length - 1;
}

function goToStep(number) {
  state.step = Math.min(Math.max(number, 0), steps.length - 1);
  const { item } = steps[state.step];
  state.selected = item === undefined ? null : drawn.boxOf[item];
  update();
  if (state.selected) bringIntoView(state.selected);
}

function select(name, { focus = true } = {}) {
  state.selected = name;
  update();
  if (!name) return;
  bringIntoView(name);
  if (focus) drawn.boxes.get(name)?.element.focus({ preventScroll: true });
}

function goToItem(item) {
  if (drawn.boxOf[item] !== `i${item}`) {
    reveal(item);
    redraw();
  }
  select(`i${item}`);
}

function unfold(group) {
  const place = redrawAfter(() => openGroup(group), `g${group}`);
  const inside = [...drawn.boxes.values()].filter(({ content }) => isInside(content, group));
  const first = inside.length ? inside[0].element.dataset.box : null;
  if (first && place) moveBox(first, place.x, place.y);
  select(first);
}

function isInside({ item, group }, outer) {
  return ancestors(item === undefined ? group : items[item].group).includes(outer);
}

function fold(group) {
  if (!group) return;
  const inside = [...drawn.boxes.values()].find(({ content }) => isInside(content, group));
  const place = redrawAfter(() => foldGroup(group), inside?.element.dataset.box);
  if (place) moveBox(`g${group}`, place.x, place.y);
  select(`g${group}`);
}

function redrawAfter(change, anchor) {
  change();
  state.selected = null;
  return redraw(anchor);
}

function foldAround(name) {
  const { content } = drawn.boxes.get(name);
  fold(content.item === undefined ? groups[content.group].parent : items[content.item].group);
}

function foldAll() {
  redrawAfter(() => groups[0].groups.forEach(foldGroup));
  fit();
}

/** Unfold every box that is folded now, as far as they can be laid out quickly. */
function unfoldLevel() {
  const folded = [...drawn.boxes.values()].map(({ content }) => content.group);
  for (const group of folded.filter((one) => one !== undefined)) {
    const more = visible().boxes.length + contentCount(group) - 1;
    if (more <= MOST_BOXES) open.add(group);
  }
  redrawAfter(() => {});
  fit();
}

/* Search. */

function showFound() {
  state.found = search(byId("search").value);
  const shown = state.found.slice(0, 30).map((item) => {
    const path = (items[item].scope ?? []).join(" / ");
    const button = nodeButton(item);
    button.append(make("span", { class: "quiet", text: ` ${callOf(items[item])} ${path}` }));
    return make("li", {}, button);
  });
  const count = make("li", { class: "quiet", text: `${state.found.length.toLocaleString("en")} found` });
  byId("found").replaceChildren(count, ...shown);
  byId("found").hidden = !byId("search").value;
  markSelected(state.selected, new Set(state.found.map((item) => drawn.boxOf[item])));
}

function closeFound() {
  byId("found").hidden = true;
}

function searchKey(event) {
  if (event.key === "Enter" && state.found.length) {
    const after = state.found.findIndex((item) => `i${item}` === state.selected) + 1;
    goToItem(state.found[after % state.found.length]);
    byId("search").focus();
  } else if (event.key === "ArrowDown") {
    byId("found").querySelector("button")?.focus();
    event.preventDefault();
  } else if (event.key === "Escape") {
    byId("search").value = "";
    showFound();
    firstBox()?.element.focus({ preventScroll: true });
  }
}

/* Play. */

function play() {
  if (state.timer) return stop();
  if (state.step === steps.length - 1) goToStep(0);
  state.timer = setInterval(advance, 1200);
  byId("play").textContent = "❚❚ Stop";
  return advance();
}

function advance() {
  goToStep(state.step + 1);
  if (state.step === steps.length - 1) stop();
}

function stop() {
  clearInterval(state.timer);
  state.timer = null;
  byId("play").textContent = "▶ Play";
}

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  update();
}

/* Keys: those of the graph where a box has the focus, the others everywhere but in a field. */

const KEYS = {
  n: () => goToStep(state.step + 1),
  p: () => goToStep(state.step - 1),
  " ": play,
  "/": () => byId("search").focus(),
  "?": () => byId("keys").showModal(),
  0: fit,
  "+": () => zoomAtCentre(1.25),
  "=": () => zoomAtCentre(1.25),
  "-": () => zoomAtCentre(0.8),
  d: toggleTheme,
  Escape: () => select(null),
};

const GRAPH_KEYS = {
  ArrowUp: (name) => neighbour(name, "head", "tail"),
  ArrowDown: (name) => neighbour(name, "tail", "head"),
  ArrowLeft: (name) => beside(name, -1),
  ArrowRight: (name) => beside(name, 1),
  Enter: activate,
  f: foldAround,
};

function neighbour(name, from, to) {
  const edge = drawn.edges.find((one) => one[from] === name);
  if (edge) select(edge[to]);
}

/** Go to the nearest box on one side, those in the same row first. */
function beside(name, direction) {
  const own = drawn.boxes.get(name);
  const distance = (box) => Math.abs(box.x - own.x) + 4 * Math.abs(box.y - own.y);
  const others = [...drawn.boxes].filter(([, box]) => (box.x - own.x) * direction > 1);
  others.sort(([, a], [, b]) => distance(a) - distance(b));
  if (others.length) select(others[0][0]);
}

function activate(name) {
  const { content } = drawn.boxes.get(name);
  if (content.group === undefined) select(name);
  else unfold(content.group);
}

function isTyping(target) {
  return target.matches("input[type=search], dialog *");
}

function pressKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const box = event.target.closest("[data-box]")?.dataset.box;
  const frame = event.target.closest("[data-fold]")?.dataset.fold;
  const isButton = event.target.matches("button, [data-fold]");
  if (frame && ["Enter", " "].includes(event.key)) fold(Number(frame));
  else if (isButton && ["Enter", " "].includes(event.key)) return;
  else if (box && GRAPH_KEYS[event.key]) GRAPH_KEYS[event.key](box);
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
}

/* Clicks: what was clicked says what it is for in its data attributes. */

function click(event) {
  if (stage.dataset.moving) return;
  const target = event.target.closest("[data-box], [data-fold], [data-go], [data-unfold]");
  if (!event.target.closest(".finder")) closeFound();
  if (!target) return;
  const { box, fold: folded, go, unfold: unfolded } = target.dataset;
  if (box) select(box);
  if (folded) fold(Number(folded));
  if (unfolded) unfold(Number(unfolded));
  if (go) goToItem(Number(go));
  if (go) closeFound();
}

function doubleClick(event) {
  const box = event.target.closest("[data-box]")?.dataset.box;
  if (box) activate(box);
}

function showLegend() {
  const kinds = new Set(items.map((one) => one.kind));
  const entries = ["parameter", "leaf", "constant", "op"].filter((kind) => kinds.has(kind));
  if (groups.length > 1) entries.push("folded");
  const names = { op: "operation", folded: "folded", leaf: "data" };
  const lines = [...entries, "output", "gradient"].map((kind) =>
    make("li", {}, make("span", { class: `swatch ${kind}` }), names[kind] ?? kind),
  );
  byId("legend").replaceChildren(...lines);
}

function showPasses() {
  const forward = data.forward.length;
  const backward = steps.length - 1 - forward;
  const pass = (name, count) => {
    const part = make("span", { class: name, text: `${name} ${count}` });
    part.style.flexGrow = count;
    return part;
  };
  byId("passes").append(pass("forward", forward));
  if (backward > 0) byId("passes").append(pass("backward", backward));
}

function listen() {
  const actions = {
    "fold-all": foldAll,
    unfold: unfoldLevel,
    fit,
    theme: toggleTheme,
    help: () => byId("keys").showModal(),
    previous: () => goToStep(state.step - 1),
    next: () => goToStep(state.step + 1),
    play,
  };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
  byId("steps").max = steps.length - 1;
  byId("steps").addEventListener("input", () => goToStep(Number(byId("steps").value)));
  byId("search").addEventListener("input", showFound);
  byId("search").addEventListener("keydown", searchKey);
  addEventListener("keydown", pressKey);
  addEventListener("click", click);
  stage.addEventListener("dblclick", doubleClick);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
  listenToPointers();
}

openAtStart();
listen();
showLegend();
showPasses();
redraw();
fitAtStart();
addEventListener("resize", fitAtStart);
