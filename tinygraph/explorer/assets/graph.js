/* The graph, how it folds, and the steps through it: everything that is not on the screen. */

const data = JSON.parse(document.getElementById("data").textContent);
const { items, groups, arrays, rules } = data;

const START_BOXES = 45;
const START_DEPTH = 18;
const MOST_BOXES = 140;
const LONGEST_SPAN = 10;

const typed = (array) =>
  array.parts ? array.parts.forEach((part) => part && typed(part)) : Object.assign(array, data.types[array.type]);
arrays.forEach(typed);

items.forEach((one, number) => {
  items[number] = { ...data.calls[one.call], scope: scopeOf(one.group), ...one, users: [] };
});
items.forEach((one, number) => new Set(one.inputs).forEach((x) => items[x].users.push(number)));

function scopeOf(group) {
  const names = ancestors(group).map((number) => groups[number]);
  return names.filter((one) => one.kind === "scope").map((one) => one.name).reverse();
}

for (const one of groups) {
  Object.assign(one, { groups: [], items: [], size: 0 });
}
groups.forEach((one, number) => one.parent !== null && groups[one.parent].groups.push(number));
items.forEach((one, number) => groups[one.group].items.push(number));
for (let number = groups.length - 1; number >= 0; number--) {
  groups[number].size += groups[number].items.length;
  if (groups[number].parent !== null) groups[groups[number].parent].size += groups[number].size;
}

const outputs = new Set(data.outputs);

/** The dtype of most values, which boxes do not mention. */
const usual = mostCommon(items.filter((one) => one.op).map((one) => arrays[one.value].dtype));

function mostCommon(list) {
  const counts = new Map();
  for (const one of list) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}

const goal = data.seeds.length === 1 ? items[data.seeds[0][0]].title : "L";

/** The groups whose contents are shown: always the whole, and then others, the last opened last. */
const open = new Set([0]);

function contentCount(group) {
  return groups[group].groups.length + groups[group].items.length;
}

/** Open groups from the outside in, while the boxes are few enough to be read. */
function openAtStart() {
  let boxes = contentCount(0);
  for (const waiting = [...groups[0].groups]; waiting.length; ) {
    const next = waiting.shift();
    if (boxes - 1 + contentCount(next) > START_BOXES) continue;
    open.add(next);
    if (items.length > START_BOXES && depth() > START_DEPTH) {
      open.delete(next);
      continue;
    }
    boxes += contentCount(next) - 1;
    waiting.push(...groups[next].groups);
  }
}

/** Give the number of boxes on the longest path. */
function depth() {
  return 1 + Math.max(...ranksOf(visible().boxOf).values());
}

function ancestors(group) {
  const path = [];
  for (let at = group; at !== null; at = groups[at].parent) path.push(at);
  return path;
}

/** Give the box of every group: its own or an outer one's where it is folded, none where open. */
function boxesOfGroups() {
  const boxes = [];
  groups.forEach((one, number) => {
    const outer = one.parent === null ? null : boxes[one.parent];
    boxes.push(outer ?? (open.has(number) ? null : `g${number}`));
  });
  return boxes;
}

/** Give what is to be drawn: boxes by their names, the box of each item, and edges. */
function visible() {
  const ofGroups = boxesOfGroups();
  const boxOf = items.map((one, number) => ofGroups[one.group] ?? `i${number}`);
  return { boxOf, boxes: [...new Set(boxOf)], edges: edgesBetween(boxOf) };
}

/** Split edges into those that a layout heeds, and those too long for it, which it is slow at. */
function splitEdges(boxOf, edges) {
  const ranks = ranksOf(boxOf);
  const span = ({ tail, head }) => ranks.get(head) - ranks.get(tail);
  const sorted = [...edges].sort((a, b) => span(a) - span(b));
  const held = new Set();
  const short = [];
  const long = [];
  for (const edge of sorted) {
    const isNeeded = span(edge) <= LONGEST_SPAN || !held.has(edge.tail);
    held.add(edge.tail);
    (isNeeded ? short : long).push(edge);
  }
  const order = new Map(edges.map((edge, i) => [edge, i]));
  short.sort((a, b) => order.get(a) - order.get(b));
  return { short, long };
}

/** Give each box the length of the longest path to it; what has no inputs is near its users. */
function ranksOf(boxOf) {
  const ranks = new Map(boxOf.map((box) => [box, 0]));
  const first = new Map();
  for (const item of data.forward) {
    const head = boxOf[item];
    for (const tail of items[item].inputs.map((x) => boxOf[x])) {
      if (tail !== head) ranks.set(head, Math.max(ranks.get(head), ranks.get(tail) + 1));
    }
  }
  for (const item of data.forward) {
    for (const tail of items[item].inputs.map((x) => boxOf[x])) {
      if (tail !== boxOf[item]) first.set(tail, Math.min(first.get(tail) ?? Infinity, ranks.get(boxOf[item])));
    }
  }
  for (const [box, rank] of ranks) {
    if (rank === 0 && first.has(box)) ranks.set(box, first.get(box) - 1);
  }
  return ranks;
}

function edgesBetween(boxOf) {
  const edges = new Map();
  items.forEach((one, number) =>
    one.inputs.forEach((x, argument) => {
      const [tail, head] = [boxOf[x], boxOf[number]];
      const plain = tail[0] === "i" && head[0] === "i";
      const name = plain ? `${tail} ${head} ${argument}` : `${tail} ${head}`;
      if (tail !== head && !edges.has(name)) edges.set(name, { tail, head, name });
    }),
  );
  return [...edges.values()];
}

function openGroup(group) {
  for (const one of ancestors(group).reverse()) {
    open.delete(one);
    open.add(one);
  }
  foldOthers(new Set(ancestors(group)));
}

/** Fold what was opened longest ago, while there are more boxes than can be laid out quickly. */
function foldOthers(kept) {
  for (const one of [...open]) {
    if (visible().boxes.length <= MOST_BOXES) return;
    if (!kept.has(one)) open.delete(one);
  }
}

function foldGroup(group) {
  for (const one of [...open]) {
    if (one !== 0 && ancestors(one).includes(group)) open.delete(one);
  }
}

function reveal(item) {
  openGroup(items[item].group);
}

/* Steps: first the whole graph, then each op forward, the seed, and each op backward. */

const steps = [
  { kind: "whole" },
  ...data.forward.map((item) => ({ kind: "forward", item })),
  ...(data.seeds.length ? [{ kind: "seed", item: data.seeds[0][0] }] : []),
  ...data.backward.map((step) => ({ kind: "backward", ...step })),
];
const seedStep = data.forward.length + 1;

/** By item: when it is evaluated, and the gradients that it has had, each from a step on. */
const evaluatedAt = new Map(data.forward.map((item, i) => [item, i + 1]));
const gradients = new Map();

function noteGradient(item, step, array) {
  if (!gradients.has(item)) gradients.set(item, []);
  gradients.get(item).push({ step, array });
}

data.seeds.forEach(([item, array]) => noteGradient(item, seedStep, array));
steps.forEach((step, number) => {
  (step.parts ?? []).forEach((part, argument) => {
    if ("fitted" in part) {
      noteGradient(items[step.item].inputs[argument], number, part.total ?? part.fitted);
    }
  });
});

function isEvaluated(item, step) {
  return step === 0 || (evaluatedAt.get(item) ?? 0) <= step;
}

/** Give the number of the array that an item's gradient is at a step, of the last one at 0. */
function gradientAt(item, step) {
  const had = (gradients.get(item) ?? []).filter((one) => step === 0 || one.step <= step);
  return had.length ? had[had.length - 1].array : null;
}

function describeShape(array) {
  if (array.parts) return array.parts.map((part) => (part ? describeShape(part) : "0")).join(", ");
  const comma = array.shape.length === 1 ? "," : "";
  return `${array.dtype} (${array.shape.join(", ")}${comma})`;
}

/** Write a shape as short as it can be, with the dtype where it is not the usual one. */
function sizeText(array) {
  if (array.parts) return `${array.parts.length} results`;
  return `${array.shape.join("×")} ${array.dtype === usual ? "" : array.dtype}`.trim();
}

function callOf(one) {
  const params = (one.params ?? []).map(([key, text]) => `${key}=${text}`).join(", ");
  return params ? `${one.op}(${params})` : (one.op ?? "");
}

function describeStep(number) {
  const step = steps[number];
  const last = steps.length - 1;
  if (step.kind === "whole") return "the whole graph";
  if (step.kind === "seed") return `${number} of ${last}: the derivative of ${goal} by itself is 1`;
  const { title, op } = items[step.item];
  const name = title === op ? op : `${title} (${op})`;
  return `${number} of ${last}: ${step.kind === "forward" ? "evaluate" : "back through"} ${name}`;
}

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (one) => {
    const all = [one.title, one.op, one.kind, one.line, ...(one.scope ?? [])];
    const written = all.join(" ").toLowerCase();
    return words.every((word) => written.includes(word));
  };
  return words.length ? [...items.keys()].filter((number) => matches(items[number])) : [];
}
