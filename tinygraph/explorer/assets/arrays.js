/* Arrays as numbers, heat maps and histograms. */

const SVG = "http://www.w3.org/2000/svg";

/** Make an element with attributes, `text` and children; data never becomes markup. */
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const NEGATIVE = [0, 114, 178];
const POSITIVE = [213, 94, 0];
const LEVELS = 126;
const CODES = { nan: 255, inf: 254, "-inf": 253 };

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Give red, green and blue for a part of the scale, from -1 to 1, or for what is no number. */
function colourOf(code) {
  if (code === CODES.nan) return [240, 228, 66];
  if (code >= CODES["-inf"]) return isDark() ? [255, 255, 255] : [0, 0, 0];
  const part = (code - LEVELS) / LEVELS;
  const zero = isDark() ? [38, 41, 48] : [250, 250, 250];
  const end = part < 0 ? NEGATIVE : POSITIVE;
  return zero.map((from, i) => Math.round(from + (end[i] - from) * Math.abs(part)));
}

function codeOf(number, scale) {
  if (typeof number === "string") return CODES[number];
  return LEVELS + Math.round((number / (scale || 1)) * LEVELS);
}

/** Give an array's rows, columns, and the code of each cell's colour; null where it has none. */
function cellsOf(array) {
  if (array.cells) return array.cells;
  if (array.numbers?.length) {
    const columns = array.shape.length ? array.shape[array.shape.length - 1] : 1;
    const finite = array.numbers.filter((x) => typeof x === "number");
    const scale = Math.max(0, ...finite.map(Math.abs));
    const codes = array.numbers.map((x) => codeOf(x, scale));
    return { rows: codes.length / columns, columns, scale, codes };
  }
  if (!array.heat) return null;
  const codes = Uint8Array.from(atob(array.heat.of), (c) => c.charCodeAt(0));
  return { ...array.heat, codes };
}

/** Give a matrix, as it is told, with rows and columns exchanged. */
function transposed(array) {
  const exchange = (list, columns) => {
    const rows = list.length / columns;
    return Array.from(list, (_, i) => list[(i % rows) * columns + Math.floor(i / rows)]);
  };
  const other = { ...array, shape: [...array.shape].reverse() };
  for (const key of ["numbers", "texts"]) {
    if (array[key]) other[key] = exchange(array[key], array.shape[1]);
  }
  if (array.heat) {
    const { rows, columns, codes } = cellsOf(array);
    other.cells = { ...array.heat, rows: columns, columns: rows, codes: exchange(codes, columns) };
  }
  return other;
}

function heatMap(array) {
  const cells = cellsOf(array);
  if (!cells) return null;
  const canvas = make("canvas", { width: cells.columns, height: cells.rows });
  const image = new ImageData(cells.columns, cells.rows);
  cells.codes.forEach((code, i) => image.data.set([...colourOf(code), 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Give the size at which a heat map fits in a space, with cells as square as they can be. */
function fitInto(width, height, cells) {
  const cell = Math.min(width / cells.columns, height / cells.rows, 14);
  return [Math.max(cell * cells.columns, 3), Math.max(cell * cells.rows, 3)];
}

function isFew(array) {
  const columns = array.shape[array.shape.length - 1] ?? 1;
  return array.numbers?.length > 0 && columns <= 8 && array.numbers.length <= 64;
}

/** Tell whether a table of an array leaves room for others beside it. */
function isNarrow(array) {
  return array.numbers.length <= 4 && (array.shape[array.shape.length - 1] ?? 1) <= 2;
}

function format(number) {
  if (typeof number === "string") return { inf: "∞", "-inf": "−∞", nan: "NaN" }[number];
  const text = Number(number.toPrecision(3)).toString();
  return (text.length > 8 ? number.toExponential(1) : text).replaceAll("-", "−");
}

function textsOf(array) {
  return array.texts ?? array.numbers.map(format);
}

/** Give the one number of an array, as a text; null where there are more. */
function numberOf(array) {
  return array.numbers?.length === 1 ? textsOf(array)[0] : null;
}

function numberTable(array) {
  const { columns, codes } = cellsOf(array);
  const texts = textsOf(array);
  const table = make("table", { class: "numbers" });
  for (let start = 0; start < texts.length; start += columns) {
    const row = table.insertRow();
    for (let i = start; i < start + columns; i++) {
      const cell = row.insertCell();
      cell.textContent = texts[i];
      if (codes.length === 1 && codes[i] <= 2 * LEVELS) continue;
      const [r, g, b] = colourOf(codes[i]);
      cell.style.background = `rgb(${r}, ${g}, ${b})`;
      cell.style.color = 0.3 * r + 0.59 * g + 0.11 * b > 140 ? "#111" : "#fff";
    }
  }
  return table;
}

function rangeOf(array) {
  if (array.parts || array.low === undefined) return "";
  const size = array.dtype.startsWith("complex") ? "sizes " : "";
  return `${size}${format(array.low)} … ${format(array.high)}, mean ${format(array.mean)}`;
}

function oddities(array) {
  const counts = [
    [array.nan, "NaN"],
    [array.infinite, "infinite"],
    [array.zeros, array.zeros === 1 ? "zero" : "zeros"],
  ];
  return counts.filter(([count]) => count).map(([count, what]) => `${count} ${what}`).join(", ");
}

function histogram(array) {
  const highest = Math.max(...array.bins);
  const width = 168 / array.bins.length;
  const bars = array.bins.map((count, i) => {
    const height = count ? Math.max(1, (44 * count) / highest) : 0;
    const place = { x: i * width, y: 44 - height, width: Math.max(width - 1, 1), height };
    return draw("rect", place);
  });
  const label = `Histogram: ${rangeOf(array)}`;
  const axis = draw("line", { x1: 0, y1: 44.5, x2: 168, y2: 44.5 });
  const options = { class: "histogram", viewBox: "0 0 168 46", role: "img", "aria-label": label };
  return draw("svg", options, axis, ...bars);
}

function largeHeatMap(array, space) {
  const canvas = heatMap(array);
  if (!canvas) return null;
  const [width, height] = fitInto(space, space, { columns: canvas.width, rows: canvas.height });
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const label = `Heat map of ${describeShape(array)}: ${rangeOf(array)} ${oddities(array)}`;
  return fill(canvas, { class: "heat", role: "img", "aria-label": label }, []);
}

/** Show an array: its numbers where they are few, else a heat map; details add a histogram. */
function figure(array, caption, { details = false, space = 96 } = {}) {
  if (array.parts) {
    const parts = array.parts.map((part, i) => partFigure(part, `${i}`, { details, space }));
    return make("figure", { class: "parts" }, caption, make("div", { class: "row" }, ...parts));
  }
  const few = details ? isFew(array) : isFew(array) && isNarrow(array);
  const body = few ? numberTable(array) : largeHeatMap(array, space);
  const empty = array.shape.includes(0) ? make("p", { class: "quiet", text: "no elements" }) : null;
  const notes = [describeShape(array), oddities(array)].filter(Boolean).join(" · ");
  const shown = make("figure", {}, caption, body ?? empty);
  shown.append(make("figcaption", { class: "quiet", text: notes }));
  if (details && array.bins?.length > 1 && !isFew(array)) shown.append(histogram(array));
  if (rangeOf(array) && (details || !body)) {
    shown.append(make("p", { class: "quiet", text: rangeOf(array) }));
  }
  return shown;
}

function partFigure(part, name, options) {
  const caption = make("span", { class: "caption", text: `part ${name}` });
  if (part) return figure(part, caption, options);
  return make("figure", {}, caption, make("p", { class: "quiet", text: "zeros" }));
}
