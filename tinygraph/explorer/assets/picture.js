/* The picture: boxes, frames and edges, laid out, drawn, zoomed and moved. */

const stage = document.getElementById("stage");
const world = document.getElementById("world");
const ruler = document.createElement("canvas").getContext("2d");
const FAMILY = "system-ui, 'Segoe UI', Arial, sans-serif";
const LINE = { title: `600 13px ${FAMILY}`, plain: `11px ${FAMILY}` };
const PICTURE = { width: 34, height: 30, gap: 6 };

/** What is drawn now: positions and elements of boxes by name, edges, and the box of each item. */
let drawn = { boxes: new Map(), edges: [], boxOf: [] };
const view = { x: 0, y: 0, scale: 1 };

function widthOf(text, font) {
  ruler.font = LINE[font];
  return ruler.measureText(text).width;
}

function clipped(text, length = 30) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** Give what a box says. */
function contentOf(name) {
  const number = Number(name.slice(1));
  return name[0] === "g" ? contentOfGroup(number) : contentOfItem(number);
}

function contentOfGroup(number) {
  const one = groups[number];
  const lines = [`${one.size.toLocaleString("en")} nodes`];
  return { kind: "folded", title: clipped(one.name), lines, group: number };
}

function contentOfItem(number) {
  const one = items[number];
  const array = arrays[one.value];
  if (one.kind === "constant" && numberOf(array) !== null) {
    return { kind: "constant", title: numberOf(array), lines: [], item: number, bare: true };
  }
  const [title, ...lines] = [...one.lines, sizeText(array)].filter(Boolean).map((line) => clipped(line));
  const kind = outputs.has(number) ? `${one.kind} output` : one.kind;
  return { kind, title, lines, item: number };
}

function sizeOf(content) {
  const texts = content.lines.map((line) => widthOf(line, "plain"));
  const width = Math.max(widthOf(content.title, "title"), ...texts) + 24;
  if (content.bare) return { width: Math.max(width, 40), height: 26 };
  const height = 28 + 14 * content.lines.length;
  if (content.group !== undefined) return { width: Math.max(width + 18, 110), height: height + 8 };
  return { width: Math.max(width, 48) + picturesWidth(content.item), height };
}

/** Give the room that a box has for its value, and for its gradient where it gets one. */
function picturesWidth(item) {
  const gradient = gradientAt(item, 0);
  return roomFor(items[item].value) + (gradient === null ? 0 : roomFor(gradient));
}

/** Give the width of one picture, which is more where a text is written. */
function roomFor(number) {
  const text = smallTextOf(arrays[number]);
  return PICTURE.gap + (text === null ? PICTURE.width : Math.max(widthOf(text, "title") + 14, 46));
}

/** Place boxes, edges and frames by dagre. */
function layOut({ boxOf, boxes, edges }) {
  const plan = new dagre.graphlib.Graph({ compound: true, multigraph: true });
  plan.setGraph({ nodesep: 20, edgesep: 12, ranksep: 26, marginx: 12, marginy: 16 });
  const contents = new Map(boxes.map((name) => [name, contentOf(name)]));
  for (const [name, content] of contents) plan.setNode(name, sizeOf(content));
  for (const [name, content] of contents) addToFrames(plan, name, content);
  const { short, long } = splitEdges(boxOf, edges);
  for (const { tail, head, name } of short) plan.setEdge(tail, head, {}, name);
  dagre.layout(plan);
  for (const edge of plan.edges()) {
    const route = plan.edge(edge);
    route.points = straightened(route.points, plan.node(edge.v), plan.node(edge.w));
  }
  for (const { tail, head, name } of long) plan.setEdge(tail, head, aside(plan.node(tail), plan.node(head)), name);
  return { plan, contents };
}

/** Lead an edge that the layout has left out from the foot of one box to the top of another. */
function aside(tail, head) {
  const start = { x: tail.x, y: tail.y + tail.height / 2 };
  const end = { x: head.x + head.width / 4, y: head.y - head.height / 2 };
  const bend = Math.max(tail.x + tail.width, head.x + head.width);
  return { points: [start, { x: bend, y: start.y + 20 }, { x: bend, y: end.y - 20 }, end], isLong: true };
}

function addToFrames(plan, name, content) {
  let inner = name;
  const around = content.item === undefined ? groups[content.group].parent : items[content.item].group;
  for (const group of ancestors(around)) {
    if (group === 0) return;
    const frame = `frame ${group}`;
    const isNew = !plan.hasNode(frame);
    if (isNew) plan.setNode(frame, { group });
    plan.setParent(inner, frame);
    if (!isNew) return;
    inner = frame;
  }
}

/** Lay out and draw everything anew. */
function drawPicture() {
  const shown = visible();
  const { plan, contents } = layOut(shown);
  drawn = { boxes: new Map(), edges: [], boxOf: shown.boxOf, size: plan.graph() };
  const frames = plan.nodes().filter((name) => name.startsWith("frame"));
  const layers = [draw("g"), draw("g"), draw("g")];
  frames.forEach((name) => layers[0].append(frameElement(plan.node(name))));
  for (const edge of plan.edges()) layers[1].append(edgeElement(edge, plan.edge(edge)));
  for (const [name, content] of contents) layers[2].append(boxElement(name, content, plan.node(name)));
  world.replaceChildren(...layers);
}

function frameElement({ group, x, y, width, height }) {
  const { name, kind } = groups[group];
  const place = { x: x - width / 2, y: y - height / 2 };
  const title = `▾ ${clipped(name, 40)}`;
  const label = draw("g", {
    class: "frame-title",
    role: "button",
    tabindex: 0,
    "aria-label": `Fold ${name}`,
    "data-fold": group,
    transform: `translate(${place.x + 12}, ${place.y})`,
  });
  label.append(
    draw("rect", { x: -5, y: -9, width: widthOf(title, "plain") + 12, height: 18, rx: 9 }),
    draw("text", { y: 4, text: title }),
  );
  return draw("g", { class: `frame ${kind}` }, draw("rect", { ...place, width, height, rx: 8 }), label);
}

/** Give a smooth path through points: straight to the first middle, curves between the middles. */
function pathThrough(points) {
  const [first, ...rest] = points;
  let path = `M${first.x} ${first.y}`;
  for (let i = 0; i < rest.length - 1; i++) {
    const [a, b] = [rest[i], rest[i + 1]];
    const end = i === rest.length - 2 ? b : { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
    path += ` Q${a.x} ${a.y} ${end.x} ${end.y}`;
  }
  return rest.length === 1 ? `${path} L${rest[0].x} ${rest[0].y}` : path;
}

/** Let an edge leave a box at its foot, and reach another at its top. */
function straightened(points, tail, head) {
  const at = (box, x) => Math.min(Math.max(x, box.x - box.width / 2 + 10), box.x + box.width / 2 - 10);
  const [second, last] = [points[1], points[points.length - 2]];
  const start = { x: at(tail, second.x), y: tail.y + tail.height / 2 };
  const end = { x: at(head, last.x), y: head.y - head.height / 2 };
  return tail.y < head.y ? [start, ...points.slice(1, -1), end] : points;
}

function edgeElement({ v, w, name }, { points, isLong }) {
  const path = draw("path", { class: isLong ? "edge long" : "edge", d: pathThrough(points) });
  drawn.edges.push({ tail: v, head: w, name, element: path });
  return path;
}

function boxElement(name, content, { x, y, width, height }) {
  const element = draw("g", {
    class: `box ${content.kind}${content.bare ? " bare" : ""}`,
    id: `box-${name}`,
    role: "button",
    tabindex: -1,
    "aria-label": spoken(content),
    "data-box": name,
    transform: `translate(${x - width / 2}, ${y - height / 2})`,
  });
  if (content.group !== undefined) {
    for (const shift of [8, 4]) {
      element.append(draw("rect", { class: "behind", x: shift, y: shift, width: width - 8, height: height - 8, rx: 6 }));
    }
  }
  const inset = content.group === undefined ? 0 : 8;
  element.append(draw("rect", { class: "body", width: width - inset, height: height - inset, rx: 6 }));
  element.append(...textsOfBox(content, width - inset));
  const pictures = draw("g", { transform: `translate(0, ${(height - PICTURE.height) / 2})` });
  element.append(pictures);
  drawn.boxes.set(name, { element, pictures, content, x, y, width, height });
  return element;
}

function textsOfBox({ title, lines, bare, group }, width) {
  const shown = group === undefined ? title : `▸ ${title}`;
  const texts = [draw("text", { class: "title", x: bare ? width / 2 : 11, y: bare ? 17.5 : 18, text: shown })];
  lines.forEach((line, i) => texts.push(draw("text", { class: "line", x: 11, y: 32 + 14 * i, text: line })));
  return texts;
}

function spoken({ title, kind, lines, group, item }) {
  if (group !== undefined) return `${title}, folded, ${lines[0]}`;
  title = items[item].title;
  const inputs = items[item].inputs.map((x) => items[x].title).join(" and ");
  return [title, kind, ...lines, inputs ? `made of ${inputs}` : ""].filter(Boolean).join(", ");
}

/* What changes with a step: what is evaluated, where gradients are, what flows now. */

const images = new Map();

function imageOf(number) {
  const key = `${number} ${isDark()}`;
  if (!images.has(key)) images.set(key, heatMap(arrays[number])?.toDataURL() ?? null);
  return images.get(key);
}

function small(number, x, width, role) {
  const text = smallTextOf(arrays[number]);
  if (text !== null) return smallText(role === "gradient" ? `∂ ${text}` : text, x, width, role);
  const cells = cellsOf(arrays[number]);
  const [w, h] = fitInto(width, PICTURE.height, cells);
  const place = { x: x + (width - w) / 2, y: (PICTURE.height - h) / 2, width: w, height: h };
  const image = draw("image", { ...place, href: imageOf(number), preserveAspectRatio: "none" });
  return draw("g", { class: `small ${role}` }, image, draw("rect", place));
}

/** Give what is written in place of a heat map. */
function smallTextOf(array) {
  if (array.parts) return `${array.parts.length} parts`;
  if (array.shape.includes(0)) return "empty";
  if (cellsOf(array)) return numberOf(array);
  return array.low === undefined ? oddities(array) : `≈ ${format(array.mean)}`;
}

function smallText(text, x, width, role) {
  return draw("text", { class: `small ${role}`, x: x + width / 2, y: 19, text });
}

/** Show values and gradients as they are at a step. */
function drawSmallPictures(step) {
  for (const { content, pictures, width } of drawn.boxes.values()) {
    if (content.item === undefined || content.bare) continue;
    const { value } = items[content.item];
    const gradient = gradientAt(content.item, step);
    const room = roomFor(value);
    const left = width - picturesWidth(content.item) - 2;
    const shown = [];
    if (isEvaluated(content.item, step)) shown.push(small(value, left, room - PICTURE.gap, "value"));
    if (gradient !== null) shown.push(small(gradient, left + room, width - left - room - 8, "gradient"));
    pictures.replaceChildren(...shown);
  }
}

/** Give the boxes that hold what is evaluated, or has a gradient, at a step. */
function boxesWhere(condition) {
  const found = new Set();
  items.forEach((one, number) => condition(number) && found.add(drawn.boxOf[number]));
  return found;
}

function markStep(number) {
  const step = steps[number];
  const current = step.item === undefined ? null : drawn.boxOf[step.item];
  const evaluated = boxesWhere((item) => isEvaluated(item, number));
  const graded = boxesWhere((item) => number >= seedStep && gradientAt(item, number) !== null);
  for (const [name, { element }] of drawn.boxes) {
    element.classList.toggle("waiting", !evaluated.has(name));
    element.classList.toggle("graded", graded.has(name));
    element.classList.toggle("now", name === current);
  }
  markEdges(step, current);
  stage.dataset.pass = step.kind;
  drawSmallPictures(number);
}

function markEdges(step, current) {
  world.querySelectorAll(".factor").forEach((one) => one.remove());
  const parts = step.parts ?? [];
  const inputs = step.item === undefined ? [] : items[step.item].inputs;
  const flows = inputs.filter((x, i) => step.kind === "forward" || "fitted" in (parts[i] ?? {}));
  const tails = new Set(step.kind === "seed" ? [] : flows.map((x) => drawn.boxOf[x]));
  for (const { tail, head, element } of drawn.edges) {
    const flowing = head === current && tails.has(tail);
    element.classList.toggle("forward", flowing && step.kind === "forward");
    element.classList.toggle("backward", flowing && step.kind === "backward");
    if (flowing) element.parentNode.append(element);
  }
  parts.forEach((part, i) => writeFactor(part, `i${inputs[i]} ${current} ${i}`));
}

/** Write a local derivative that is one number at the edge along which it is multiplied. */
function writeFactor(part, name) {
  const edge = drawn.edges.find((one) => one.name === name);
  const number = part.local === undefined ? null : numberOf(arrays[part.local]);
  if (!edge || number === null) return;
  const { x, y } = edge.element.getPointAtLength(edge.element.getTotalLength() / 2);
  world.lastChild.append(draw("text", { class: "factor", x: x + 7, y: y + 4, text: `· ${number}` }));
}

function markSelected(name, found) {
  for (const [box, { element }] of drawn.boxes) {
    element.classList.toggle("selected", box === name);
    element.classList.toggle("found", found.has(box));
    element.setAttribute("aria-pressed", box === name);
    element.setAttribute("tabindex", box === name ? 0 : -1);
  }
  if (!drawn.boxes.has(name)) firstBox()?.element.setAttribute("tabindex", 0);
}

function firstBox() {
  const outputBox = drawn.boxOf[data.outputs[0]];
  return drawn.boxes.get(outputBox) ?? drawn.boxes.values().next().value;
}

/* Zoom and pan. */

function applyView() {
  world.setAttribute("transform", `translate(${view.x}, ${view.y}) scale(${view.scale})`);
}

function fit() {
  const { width, height } = stage.getBoundingClientRect();
  const below = document.getElementById("legend").offsetHeight + 10;
  const scale = Math.min(width / drawn.size.width, (height - below) / drawn.size.height, 1.4);
  view.scale = Math.max(scale * 0.97, 0.02);
  view.x = (width - drawn.size.width * view.scale) / 2;
  view.y = (height - below - drawn.size.height * view.scale) / 2;
  applyView();
}

/** Show all, or the top of what would be too small to read. */
function fitAtStart() {
  fit();
  const { width } = stage.getBoundingClientRect();
  if (view.scale >= 0.5) return;
  Object.assign(view, { scale: 0.6, x: (width - drawn.size.width * 0.6) / 2, y: 6 });
  applyView();
}

function zoom(factor, x, y) {
  const scale = Math.min(Math.max(view.scale * factor, 0.02), 6);
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  applyView();
}

function zoomAtCentre(factor) {
  const { width, height } = stage.getBoundingClientRect();
  zoom(factor, width / 2, height / 2);
}

function placeOnStage(name) {
  const { x, y } = drawn.boxes.get(name);
  return { x: view.x + x * view.scale, y: view.y + y * view.scale };
}

/** Move a box to where it can be seen, if it is not, large enough to be read. */
function bringIntoView(name) {
  if (!drawn.boxes.has(name)) return;
  const { width, height } = stage.getBoundingClientRect();
  const { x, y } = placeOnStage(name);
  const box = drawn.boxes.get(name);
  const [halfWidth, halfHeight] = [(box.width * view.scale) / 2, (box.height * view.scale) / 2];
  const inside = x > halfWidth && x < width - halfWidth && y > halfHeight && y < height - halfHeight;
  if (inside && view.scale > 0.3) return;
  view.scale = Math.max(view.scale, 0.75);
  moveBox(name, width / 2, height / 2);
}

function moveBox(name, x, y) {
  const now = placeOnStage(name);
  view.x += x - now.x;
  view.y += y - now.y;
  applyView();
}

const fingers = new Map();

function listenToPointers() {
  stage.addEventListener("wheel", turnWheel, { passive: false });
  stage.addEventListener("pointerdown", (event) => fingers.set(event.pointerId, event));
  stage.addEventListener("pointermove", movePointer);
  for (const name of ["pointerup", "pointercancel"]) addEventListener(name, liftPointer);
}

function turnWheel(event) {
  event.preventDefault();
  const { left, top } = stage.getBoundingClientRect();
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoom(Math.exp(-event.deltaY * lines * 0.0015), event.clientX - left, event.clientY - top);
}

function movePointer(event) {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
  if (!stage.dataset.moving && Math.hypot(dx, dy) < 4) return;
  stage.dataset.moving = "yes";
  if (fingers.size === 2) pinch(event, before);
  else Object.assign(view, { x: view.x + dx, y: view.y + dy });
  fingers.set(event.pointerId, event);
  applyView();
}

function pinch(event, before) {
  const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
  const distance = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
  const { left, top } = stage.getBoundingClientRect();
  const middle = [(event.clientX + other.clientX) / 2 - left, (event.clientY + other.clientY) / 2 - top];
  zoom(distance(event) / Math.max(distance(before), 1), ...middle);
}

/** A click follows a lifted pointer at once: only then does moving end. */
function liftPointer(event) {
  fingers.delete(event.pointerId);
  setTimeout(() => delete stage.dataset.moving);
}
