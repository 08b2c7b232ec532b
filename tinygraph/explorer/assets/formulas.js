/* Formulas, from trees of texts, as MathML. */

const MATHML = "http://www.w3.org/1998/Math/MathML";

function math(tag, ...children) {
  const element = document.createElementNS(MATHML, tag);
  element.append(...children);
  return element;
}

const BRANCHES = { row: "mrow", fraction: "mfrac", power: "msup", root: "msqrt" };
const LEAVES = { i: "mi", n: "mn", o: "mo", t: "mtext" };

/** Give the MathML of a tree; `roles` tells which names are the cotangent, inputs or the result. */
function formulaOf([kind, ...rest], roles) {
  if (kind in LEAVES) return leafOf(kind, rest[0], roles);
  const parts = rest.map((part) => formulaOf(part, roles));
  if (kind === "size") return math("mrow", math("mo", "|"), ...parts, math("mo", "|"));
  return math(BRANCHES[kind], ...parts);
}

function leafOf(kind, text, roles) {
  const element = math(LEAVES[kind], text.replace(/^-/, "−"));
  const role = kind === "i" ? roles[text] : null;
  if (role) element.setAttribute("class", `role-${role}`);
  if (kind === "i" && text.length > 1) element.setAttribute("mathvariant", "normal");
  return element;
}

/** Show what a name is by a formula, or by Python's text where that is all that there is. */
function equation(left, tree, roles, equals = "=") {
  const isCode = tree[0] === "t";
  if (!isCode) return displayed(left, math("mo", equals), formulaOf(tree, roles));
  const shown = displayed(left, math("mo", equals));
  shown.append(" ", make("code", { text: tree[1] }));
  return shown;
}

function displayed(...children) {
  const element = math("math", ...children);
  element.setAttribute("displaystyle", "true");
  return make("div", { class: "formula" }, element);
}

function derivative(of, by, role) {
  const bottom = math("mi", by);
  bottom.setAttribute("class", role ? `role-${role}` : "");
  const top = math("mrow", math("mo", "∂"), math("mi", of));
  return math("mfrac", top, math("mrow", math("mo", "∂"), bottom));
}

/** Tell by name what a rule's names are, for their colours. */
function rolesOf(one) {
  const names = (one.names ?? []).map((name) => [name, "input"]);
  return { ...Object.fromEntries(names), g: "g", out: "out" };
}
