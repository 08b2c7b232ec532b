/* The panel: what a step does, and all about the node that is selected. */

const panel = document.getElementById("panel");

function section(title, ...children) {
  return make("section", {}, make("h3", { text: title }), ...children);
}

function nodeButton(item, text = items[item].title) {
  return make("button", { class: "link", "data-go": item, text });
}

function captioned(name, role, item) {
  const caption = make("span", { class: `caption role-${role}`, text: name });
  if (item === undefined) return caption;
  return make("span", {}, caption, " = ", nodeButton(item));
}

function sign(text) {
  return make("span", { class: "sign", text });
}

/** Show the panel for what is selected, a box's name, at a step. */
function showPanel(selected, number) {
  const step = steps[number];
  const parts = [];
  if (step.kind === "whole" && selected === null) parts.push(introduction());
  if (step.kind !== "whole") parts.push(stepCard(step, number));
  if (selected?.[0] === "g") parts.push(groupDetails(Number(selected.slice(1))));
  if (selected?.[0] === "i") parts.push(details(Number(selected.slice(1)), number));
  panel.replaceChildren(...parts);
  panel.scrollTop = 0;
}

function introduction() {
  const ops = data.forward.length.toLocaleString("en");
  const all = items.length.toLocaleString("en");
  const lines = [
    `${all} boxes, ${ops} of them operations: data flows from top to bottom.`,
    "Click a box for its formula, value and gradient.",
    "Move the slider below, or press n: first the graph is evaluated, op by op; then the chain " +
      "rule goes back through it, and each step shows which local derivative is multiplied into " +
      "which gradient.",
  ];
  const texts = lines.map((text) => make("p", { text }));
  return make("article", {}, make("h2", { text: items[data.outputs[0]].title }), ...texts);
}

/* Steps. */

function stepCard(step, number) {
  const cards = { forward: forwardCard, seed: seedCard, backward: backwardCard };
  const pass = step.kind === "forward" ? "forward" : "backward";
  const head = make("p", { class: `pass ${pass}`, text: `${pass} pass · step ${number} of ${steps.length - 1}` });
  return make("article", { class: `step ${pass}` }, head, ...cards[step.kind](step));
}

function forwardCard({ item }) {
  const one = items[item];
  const row = make("div", { class: "row" });
  const inputs = one.inputs.map((x, i) => figure(arrays[items[x].value], captioned(one.names[i], "input", x)));
  row.append(...inputs, sign("→"), figure(arrays[one.value], captioned("out", "out", item)));
  return [make("h2", { text: `Evaluate ${one.title}` }), valueFormula(one), row];
}

function valueFormula(one) {
  const roles = rolesOf(one);
  return equation(formulaOf(["i", "out"], roles), one.formula, roles);
}

function seedCard() {
  const pictures = data.seeds.map(([item, array]) =>
    figure(arrays[array], make("span", { class: "caption role-g", text: `∂${goal}/∂${items[item].title}` })),
  );
  const single = data.seeds.length === 1 && numberOf(arrays[data.seeds[0][1]]) === "1";
  const text = single
    ? `The chain rule starts at the end: the derivative of ${goal} by itself is 1.`
    : `The chain rule starts at the outputs. L is the sum of their elements, each times the number shown here.`;
  return [make("h2", { text: "Start going back" }), make("p", { text }), make("div", { class: "row" }, ...pictures)];
}

function backwardCard(step) {
  const one = items[step.item];
  const rule = rules[one.rule];
  const intro = make(
    "p",
    {},
    "So far we know ",
    make("b", { class: "role-g", text: `g = ∂${goal}/∂${nameFor(step.item)}` }),
    `, the gradient of what ${one.op} gave. The chain rule passes it on to what ${one.op} was given:`,
  );
  const parts = step.parts.map((part, i) => partCard(step, rule, part, i));
  return [make("h2", { text: `Back through ${one.title}` }), valueFormula(one), intro, ...parts, helpersOf(rule)];
}

/** Name an item in a formula: by its name, or as the result of its op. */
function nameFor(item) {
  const one = items[item];
  return one.kind === "constant" ? "constant" : one.title;
}

function partCard(step, rule, part, argument) {
  const one = items[step.item];
  const x = one.inputs[argument];
  const head = make("h4", {}, "to ", captioned(one.names[argument] ?? "input", "input", x));
  if (part.reason) {
    return make("div", { class: "part none" }, head, make("p", { class: "quiet", text: `no gradient: ${part.reason}` }));
  }
  const pieces = [head, gradientFormula(one, rule, argument, x), multiplication(step, rule, part, argument)];
  if (part.given) pieces.push(make("p", { class: "note", text: broadcastNote(part, x) }));
  if (part.total !== undefined) pieces.push(sum(part, x));
  return make("div", { class: "part" }, ...pieces);
}

function gradientFormula(one, rule, argument, x) {
  const roles = rolesOf(one);
  const tree = rule.for?.[rule.for.length === one.inputs.length ? argument : 0];
  if (!tree) return null;
  const left = derivative(goal, nameFor(x), "input");
  const isRepeated = one.inputs.filter((y) => y === x).length > 1;
  const shown = [equation(left, tree, roles, isRepeated ? "+=" : "=")];
  for (const [name, meaning] of usedDefinitions(rule, tree)) {
    shown.push(equation(math("mi", name), meaning, roles));
  }
  return make("div", {}, ...shown);
}

/** Give the definitions of the names in a formula, and of those in them. */
function usedDefinitions(rule, tree) {
  const waiting = [tree];
  const found = new Map();
  while (waiting.length) {
    const names = namesIn(waiting.shift());
    for (const [name, meaning] of rule.where ?? []) {
      if (names.has(name) && !found.has(name)) {
        found.set(name, meaning);
        waiting.push(meaning);
      }
    }
  }
  return [...found];
}

function namesIn(tree) {
  if (tree[0] === "i") return new Set([tree[1]]);
  if (!Array.isArray(tree[1])) return new Set();
  return new Set(tree.slice(1).flatMap((part) => [...namesIn(part)]));
}

/** Show pictures of what is multiplied: g and the local derivative, or all that the rule uses. */
function multiplication(step, rule, part, argument) {
  const x = items[step.item].inputs[argument];
  const result = figure(arrays[part.fitted], captioned(`∂${goal}/∂${nameFor(x)}`, "g"));
  const factors = localFactors(step, part, argument) ?? product(step, rule, argument) ?? operands(step, rule, argument);
  const end = part.given ? "→ Σ" : factors.length > 1 ? "=" : "→";
  const row = make("div", { class: "row" }, ...factors, sign(end), result);
  return make("div", {}, row, example(step, part));
}

function localFactors(step, part, argument) {
  if (part.local === undefined) return null;
  const one = items[step.item];
  const local = captioned(`∂${one.op}/∂${one.names[argument]}`, "input");
  return [figure(arrays[step.g], captioned("g", "g")), sign("·"), figure(arrays[part.local], local)];
}

/** Show a product of two as its formula is written, the transposed transposed. */
function product(step, rule, argument) {
  const tree = rule.for?.[argument];
  const isProduct = tree?.[0] === "row" && tree.length === 4 && ["@", "·"].includes(tree[2][1]);
  if (!isProduct) return null;
  const [left, right] = [factorFigure(tree[1], step), factorFigure(tree[3], step)];
  return left && right ? [left, sign(tree[2][1]), right] : null;
}

/** Show a name, or a name transposed; nothing else. */
function factorFigure(tree, step) {
  if (tree[0] === "power" && tree[2][1] === "T" && tree[1][0] === "i") {
    const [name, role, array] = meaningOf(tree[1][1], step);
    return array?.shape?.length === 2 ? figure(transposed(array), captioned(`${name}ᵀ`, role)) : null;
  }
  const [name, role, array, item] = tree[0] === "i" ? meaningOf(tree[1], step) : [];
  return array ? figure(array, captioned(name, role, item)) : null;
}

/** Give what a name in a rule stands for: its role, its array, and its item if it is one. */
function meaningOf(name, step) {
  const one = items[step.item];
  if (name === "g") return [name, "g", arrays[step.g]];
  if (name === "out") return [name, "out", arrays[one.value], step.item];
  const x = one.inputs[one.names.indexOf(name)];
  return x === undefined ? [name] : [name, "input", arrays[items[x].value], x];
}

/** Show g and all else that a formula uses the numbers of. */
function operands(step, rule, argument) {
  const shown = [figure(arrays[step.g], captioned("g", "g"))];
  const tree = rule.for?.[argument];
  if (!tree) return shown;
  const trees = [tree, ...usedDefinitions(rule, tree).map(([, meaning]) => meaning)];
  const names = new Set(trees.flatMap((one) => [...namesIn(one)]));
  for (const name of names) {
    const [, role, array, item] = meaningOf(name, step);
    if (item === undefined || isOnlyShape(tree, name)) continue;
    shown.push(sign("with"), figure(array, captioned(name, role, item)));
  }
  return shown;
}

/** Write the product for one element, the largest. */
function example(step, part) {
  const pictured = [step.g, part.local, part.fitted].map((number) => arrays[number]);
  const [g, local, result] = pictured.map((array) => array?.numbers ?? []);
  const size = result.length;
  if (!size || local.length !== size || g.length !== size || part.given) return null;
  const sizes = result.map((x) => (typeof x === "number" ? Math.abs(x) : Infinity));
  const largest = sizes.indexOf(Math.max(...sizes));
  const index = size > 1 ? `at ${indexText(largest, pictured[2].shape)}: ` : "";
  const product = `${factor(g[largest])} · ${factor(local[largest])} = ${format(result[largest])}`;
  return make("p", { class: "example" }, make("span", { class: "index", text: index }), product);
}

/** Write a number as a factor, a negative one in parentheses. */
function factor(number) {
  const text = format(number);
  return text.startsWith("−") ? `(${text})` : text;
}

/** Write the index of an element, given by its place in C's order. */
function indexText(place, shape) {
  const index = [];
  for (const size of [...shape].reverse()) {
    index.unshift(place % size);
    place = Math.floor(place / size);
  }
  return `[${index.join(", ")}]`;
}

/** Tell whether a name is used for its shape alone, as in what spreads a gradient. */
function isOnlyShape(tree, name) {
  const call = tree[0] === "row" && tree[1][0] === "t" && ["spread", "keep", "masked", "terms", "divided"].includes(tree[1][1]);
  return call && namesIn(tree).has(name);
}

function broadcastNote(part, x) {
  const shape = (numbers) => `(${numbers.join(", ")}${numbers.length === 1 ? "," : ""})`;
  const own = arrays[items[x].value].shape;
  return `${nameFor(x)} was broadcast from ${shape(own)} to ${shape(part.given)}: each element was used several times, so its gradients are added up.`;
}

function sum(part, x) {
  const caption = captioned(`∂${goal}/∂${nameFor(x)} so far`, "g");
  const note = make("p", { class: "note", text: `${nameFor(x)} is used more than once: this is added to what it has got before.` });
  return make("div", {}, note, make("div", { class: "row" }, sign("+ before ="), figure(arrays[part.total], caption)));
}

function helpersOf(rule) {
  if (!rule.helpers?.length) return null;
  const lines = rule.helpers.map(([name, text]) => make("li", {}, make("code", { text: name }), `: ${text}`));
  return make("ul", { class: "helpers" }, ...lines);
}

/* Details of a node or of a folded group. */

function groupDetails(group) {
  const one = groups[group];
  const kind = one.kind === "run" ? "neighbours, folded" : "a scope, folded";
  const unfold = make("button", { "data-unfold": group, text: "Unfold (Enter)" });
  const text = `${one.size.toLocaleString("en")} nodes: ${kind}.`;
  return make("article", {}, make("h2", { text: one.name }), make("p", { text }), unfold, countsOfOps(group));
}

function countsOfOps(group) {
  const counts = new Map();
  const inside = (number) => ancestors(items[number].group).includes(group);
  items.forEach((one, number) => inside(number) && counts.set(one.op ?? one.kind, (counts.get(one.op ?? one.kind) ?? 0) + 1));
  const rows = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 12);
  const lines = rows.map(([name, count]) => make("tr", {}, make("td", { text: `${count} ×` }), make("td", { text: name })));
  return make("table", { class: "counts" }, ...lines);
}

function details(item, number) {
  const one = items[item];
  const rule = one.rule === undefined ? null : rules[one.rule];
  const stepping = steps[number].item === item;
  return make(
    "article",
    { class: "details" },
    make("h2", { text: stepping ? `About ${one.title}` : one.title }),
    make("p", { class: "quiet", text: factsOf(item) }),
    rule?.summary ? make("p", { text: rule.summary }) : null,
    one.line ? make("p", { class: "made-at" }, "made at ", make("code", { text: one.line })) : null,
    one.op && !stepping ? valueFormula(one) : null,
    valueSection(item, number),
    gradientSection(item, number),
    rule ? ruleSection(one, rule) : null,
    neighbours("Made of", one.inputs),
    neighbours("Used by", one.users),
  );
}

const KINDS = { op: "operation", leaf: "leaf without gradient", parameter: "parameter", constant: "constant" };

function factsOf(item) {
  const one = items[item];
  const kind = outputs.has(item) ? `output, ${KINDS[one.kind]}` : KINDS[one.kind];
  const scope = one.scope?.length ? `in ${one.scope.join(" / ")}` : "";
  return [kind, callOf(one), describeShape(arrays[one.value]), scope].filter(Boolean).join(" · ");
}

function valueSection(item, number) {
  if (!isEvaluated(item, number)) return section("Value", make("p", { class: "quiet", text: "not evaluated yet" }));
  return section("Value", figure(arrays[items[item].value], null, { details: true, space: 220 }));
}

function gradientSection(item, number) {
  const gradient = gradientAt(item, number);
  const title = `Gradient ∂${goal}/∂${nameFor(item)}${number ? " so far" : ""}`;
  if (gradient !== null) return section(title, figure(arrays[gradient], null, { details: true, space: 220 }));
  const never = gradientAt(item, 0) === null;
  const text = never ? "none flows here" : "none yet: it comes in the backward pass";
  return section(title, make("p", { class: "quiet", text }));
}

function ruleSection(one, rule) {
  if (!rule.source) {
    return section("Derivative rule", make("p", { class: "quiet", text: "its source is not at hand" }));
  }
  const lines = rule.source.split("\n").map((line, i) => {
    const element = make("span", { text: `${line}\n` });
    if (i + 1 === rule.line) element.className = "returned";
    return element;
  });
  const roles = rolesOf(one);
  const formulas = (rule.for ?? []).map((tree, i) => {
    if (!tree) return null;
    const by = rule.for.length === one.names.length ? one.names[i] : "inputs";
    return equation(derivative(goal, by, "input"), tree, roles);
  });
  const where = (rule.where ?? []).map(([name, tree]) => equation(math("mi", name), tree, roles));
  const legend = make("p", { class: "quiet" }, make("b", { class: "role-g", text: "g" }), ` is ∂${goal}/∂`, make("b", { class: "role-out", text: "out" }));
  const source = make("pre", { class: "source", tabindex: 0, "aria-label": "Source of the rule" }, ...lines);
  return section("Derivative rule", ...formulas, ...where, legend, helpersOf(rule), source);
}

function neighbours(title, found) {
  if (!found.length) return null;
  const entries = [...new Set(found)].slice(0, 40).map((item) => make("li", {}, nodeButton(item), " ", make("span", { class: "quiet", text: describeShape(arrays[items[item].value]) })));
  const more = found.length > 40 ? make("li", { text: `and ${found.length - 40} more` }) : null;
  return section(title, make("ul", {}, ...entries, more));
}
