// The cost of each day as stacked bars, and what the days to come will probably cost.

const MARGIN = { top: 20, bottom: 24 };
const WIDEST_BAR = 36;
const LABEL_ROOM = 70;
const TICKS = 4;

/** Draws the chart into `box`, as wide as that is.
 *
 *  `drawing` holds: days, unpricedDays (where calls have no price), series (those shown), totals (what is said of each
 *  day), isOpenLast (whether the last day is today), ahead (days of a forecast: day, low_usd, mid_usd,
 *  high_usd), marks (by day, the sentences on what stood out), label, format. */
function drawChart(box, drawing) {
  const plot = plotOf(Math.max(240, box.clientWidth), drawing);
  const columns = plot.days.map((day, place) => columnOf(plot, drawing, day, place));
  const chart = drawn(
    "svg",
    {
      viewBox: `0 0 ${plot.width} ${plot.height}`,
      height: plot.height,
      tabindex: 0,
      role: "group",
      "aria-roledescription": "bar chart",
      "aria-label": `${drawing.label} Left and right arrow keys read each day; the table view has all figures.`,
      "data-key": "chart",
    },
    drawn("g", { "aria-hidden": "true" }, hatch(), grid(plot, drawing), columns, dayLabels(plot, drawing)),
  );
  const tip = element("div", { class: "tip", "aria-hidden": "true" });
  pointAt(chart, columns, tip, plot, drawing);
  refill(box, chart, tip);
}

/** The measures of a chart. */
function plotOf(width, { days, series, ahead, format }) {
  const height = width < 520 ? 220 : 280;
  const every = [...days, ...ahead.filter(({ day }) => !days.includes(day)).map(({ day }) => day)];
  const totals = days.map((_, place) => series.reduce((sum, one) => sum + one.daily[place], 0));
  const ticks = ticksUpTo(Math.max(0.01, ...totals, ...ahead.map(({ high_usd }) => high_usd)));
  const top = ticks.at(-1);
  const areWhole = ticks.every(Number.isInteger);
  const labels = ticks.map((usd) => (areWhole ? format.wholeMoney(usd) : format.money(usd)));
  const left = Math.max(...labels.map((text) => text.length)) * 6.4 + 12;
  const step = (width - left) / Math.max(1, every.length);
  const y = (usd) => height - MARGIN.bottom - (usd / top) * (height - MARGIN.top - MARGIN.bottom);
  return {
    width,
    height,
    left,
    step,
    days: every,
    totals,
    ticks,
    labels,
    y,
    bar: Math.max(1.5, Math.min(WIDEST_BAR, step * 0.72)),
  };
}

/** Round figures from 0 to just above `highest`. */
function ticksUpTo(highest) {
  const rough = highest / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((size) => size * power >= rough) * power;
  return Array.from({ length: Math.ceil(highest / step) + 1 }, (_, place) => place * step);
}

function hatch() {
  const stripe = drawn("rect", { width: 2, height: 6, class: "hatch" });
  const pattern = { id: "hatch", width: 5, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
  return drawn("defs", {}, drawn("pattern", pattern, stripe));
}

function grid(plot) {
  return plot.ticks.map((usd, place) => {
    const y = Math.round(plot.y(usd));
    return [
      drawn("line", { class: place ? "grid" : "base", x1: plot.left, x2: plot.width, y1: y, y2: y }),
      drawn("text", { class: "axis", x: plot.left - 8, y: y + 3.5, "text-anchor": "end", text: plot.labels[place] }),
    ];
  });
}

/** As many days as there is room for, counted back from the last one that is over. */
function dayLabels(plot, { days, format }) {
  const every = Math.max(1, Math.ceil(LABEL_ROOM / plot.step));
  const anchor = days.length - 1;
  return plot.days.flatMap((day, place) => {
    if ((((place - anchor) % every) + every) % every) return [];
    const x = centre(plot, place);
    const nearEnd = x > plot.width - LABEL_ROOM / 2.6;
    const nearStart = x < LABEL_ROOM / 2.6;
    const where = nearEnd
      ? { x: plot.width, "text-anchor": "end" }
      : { x, "text-anchor": nearStart ? "start" : "middle" };
    return [drawn("text", { class: "axis", y: plot.height - 6, ...where, text: format.day(day) })];
  });
}

function centre(plot, place) {
  return plot.left + plot.step * (place + 0.5);
}

/** Everything of one day: its bar, or its part of the forecast, and its mark. */
function columnOf(plot, drawing, day, place) {
  const floor = plot.height - MARGIN.bottom;
  const column = drawn(
    "g",
    { class: "column" },
    drawn("rect", {
      class: "reach",
      x: plot.left + plot.step * place,
      y: 4,
      width: plot.step,
      height: floor - 4,
      rx: 4,
    }),
  );
  const estimate = drawing.ahead.find((one) => one.day === day);
  if (estimate) column.append(...bandOf(plot, estimate, place));
  if (place < drawing.days.length) column.append(...barOf(plot, drawing, place));
  if (drawing.marks.has(day)) column.append(markOf(plot, place, estimate));
  return column;
}

function barOf(plot, { series, days, isOpenLast }, place) {
  const x = centre(plot, place) - plot.bar / 2;
  const parts = series.filter((one) => one.daily[place] > 0);
  let below = 0;
  const shapes = parts.map((one, order) => {
    const isTop = order === parts.length - 1;
    const from = plot.y(below);
    below += one.daily[place];
    const gap = !isTop && from - plot.y(below) > 2.5 ? 1.25 : 0; // neighbours are told apart without their colours
    const size = Math.max(0.5, from - plot.y(below) - gap);
    return drawn("path", {
      fill: one.colour,
      d: block(x, from, plot.bar, size, isTop ? Math.min(3.5, size, plot.bar / 2) : 0),
    });
  });
  if (isOpenLast && place === days.length - 1 && below > 0) {
    shapes.push(
      drawn("rect", { x, y: plot.y(below), width: plot.bar, height: plot.y(0) - plot.y(below), fill: "url(#hatch)" }),
    );
  }
  return shapes;
}

/** A block that stands on `y`, its upper corners round. */
function block(x, y, width, height, radius) {
  const top = y - height;
  const right = x + width;
  return (
    `M${x} ${y}V${top + radius}Q${x} ${top} ${x + radius} ${top}` +
    `H${right - radius}Q${right} ${top} ${right} ${top + radius}V${y}Z`
  );
}

function bandOf(plot, { low_usd, mid_usd, high_usd }, place) {
  const x = plot.left + plot.step * place;
  const middle = plot.y(mid_usd);
  return [
    drawn("rect", {
      class: "range",
      x,
      y: plot.y(high_usd),
      width: plot.step,
      height: Math.max(1, plot.y(low_usd) - plot.y(high_usd)),
    }),
    drawn("line", { class: "expected", x1: x + plot.step * 0.14, x2: x + plot.step * 0.86, y1: middle, y2: middle }),
  ];
}

function markOf(plot, place, estimate) {
  const x = centre(plot, place);
  const y = plot.y(Math.max(plot.totals[place] ?? 0, estimate?.high_usd ?? 0)) - 9;
  return drawn("path", { class: "mark", d: `M${x} ${y - 5}L${x + 5} ${y}L${x} ${y + 5}L${x - 5} ${y}Z` });
}

/** Lets pointer, touch and keys read a day. */
function pointAt(chart, columns, tip, plot, drawing) {
  let current = -1;
  const show = (place, isSpoken) => {
    columns[current]?.classList.remove("on");
    current = place;
    chart.classList.toggle("pointed", place >= 0);
    tip.classList.toggle("on", place >= 0);
    if (place < 0) return;
    columns[place].classList.add("on");
    const told = toldOf(plot, drawing, place);
    tip.replaceChildren(...tipOf(told));
    placeTip(tip, plot, place);
    if (isSpoken)
      tell(
        [
          `${told.title}: ${told.total}`,
          ...told.rows.map(({ label, value }) => `${label} ${value}`),
          ...told.remarks,
        ].join(". "),
      );
  };
  const under = ({ clientX }) => {
    const { left, width } = chart.getBoundingClientRect();
    const place = Math.floor((((clientX - left) * plot.width) / width - plot.left) / plot.step);
    return place >= 0 && place < columns.length ? place : -1;
  };
  const last = columns.length - 1;
  const moves = {
    ArrowRight: () => Math.min(last, current + 1),
    ArrowLeft: () => (current < 0 ? last : Math.max(0, current - 1)),
    Home: () => 0,
    End: () => last,
    Escape: () => -1,
  };
  chart.addEventListener("pointermove", (event) => show(under(event), false));
  chart.addEventListener("pointerdown", (event) => show(under(event), false));
  chart.addEventListener("pointerleave", () => show(-1, false));
  chart.addEventListener("blur", () => show(-1, false));
  chart.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    show(move(), true);
  });
}

/** What there is to say of a day. */
function toldOf(plot, { days, unpricedDays, series, totals, isOpenLast, ahead, marks, format }, place) {
  const day = plot.days[place];
  const isKnown = place < days.length;
  const isOpen = isKnown && isOpenLast && place === days.length - 1;
  const estimate = ahead.find((one) => one.day === day);
  const parts = isKnown
    ? series.filter((one) => one.daily[place] > 0).sort((a, b) => b.daily[place] - a.daily[place])
    : [];
  const remarks = [...(marks.get(day) ?? [])];
  if (estimate) {
    const range = `${format.money(estimate.low_usd)} to ${format.money(estimate.high_usd)}`;
    remarks.push(isOpen ? `The whole day: about ${format.money(estimate.mid_usd)}, ${range}` : `Between ${range}`);
  }
  return {
    title: format.weekday(day) + (isOpen ? " (so far)" : isKnown ? "" : " (forecast)"),
    total: isKnown
      ? dayCost(totals[place], unpricedDays.includes(day), format)
      : `about ${format.money(estimate.mid_usd)}`,
    rows: parts.map((one) => ({ label: one.label, colour: one.colour, value: format.money(one.cells[place]) })),
    remarks,
  };
}

function tipOf({ title, total, rows, remarks }) {
  return [
    element("div", { class: "tip-head" }, element("span", { text: title }), element("b", { text: total })),
    ...rows.map(({ label, colour, value }) =>
      element(
        "div",
        { class: "tip-row" },
        swatch(colour),
        element("span", { text: label }),
        element("b", { text: value }),
      ),
    ),
    ...remarks.map((words) => element("p", { text: words })),
  ];
}

function swatch(colour) {
  return element("i", { class: "swatch", style: `background: ${colour}`, "aria-hidden": "true" });
}

/** Beside the day, on the side where there is room. */
function placeTip(tip, plot, place) {
  const right = plot.left + plot.step * (place + 1) + 10;
  const fits = right + tip.offsetWidth < plot.width;
  const left = fits ? right : plot.left + plot.step * place - 10 - tip.offsetWidth;
  tip.style.transform = `translate(${Math.max(0, Math.min(left, plot.width - tip.offsetWidth))}px, 8px)`;
}

/** A line of how the days went; for the eye alone. */
function trendOf(daily) {
  if (!daily?.length) return "";
  const width = 76;
  const height = 20;
  const highest = Math.max(...daily, 1e-9);
  const x = (place) => 1 + (place * (width - 2)) / Math.max(1, daily.length - 1);
  const y = (usd) => height - 2 - (usd / highest) * (height - 5);
  const line = daily.map((usd, place) => `${place ? "L" : "M"}${x(place).toFixed(1)} ${y(usd).toFixed(1)}`).join("");
  return drawn(
    "svg",
    { class: "trend", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    drawn("path", { class: "trend-area", d: `${line}L${x(daily.length - 1)} ${height}L1 ${height}Z` }),
    drawn("path", { class: "trend-line", d: line }),
  );
}
