// The page: what it shows now, and where that comes from.

const state = {
  language: navigator.language || FALLBACK_LANGUAGE,
  overview: null,
  host: null,
  by: "models",
  view: "chart",
  hidden: new Set(),
  movers: "parts",
  principals: freshView(),
  models: freshView(),
};
const main = document.getElementById("dashboard");
const boxes = {}; // what is drawn anew when a choice changes

function show(overview) {
  state.overview = readOverview(overview);
  modelLabels = new Map(state.overview.models.top.map(({ name, label }) => [name, label]));
  Object.assign(state, { hidden: new Set(), principals: freshView(), models: freshView() });
  draw();
}

/** Draws everything. */
function draw() {
  const { overview } = state;
  if (!overview) return;
  const scene = sceneOf();
  for (const name of ["change", "cost", "principals", "models"])
    boxes[name] = element("div", { class: `box box-${name}` });
  main.removeAttribute("aria-busy");
  refill(
    main,
    headerOf(scene),
    tilesOf(scene),
    noticesOf(scene),
    boxes.cost,
    element("div", { class: "pair" }, boxes.change, cachePanel(scene)),
    boxes.principals,
    boxes.models,
    footerOf(scene),
  );
  drawCost();
  drawChange();
  drawLines("principals", "principal");
  drawLines("models", "model");
}

function sceneOf() {
  const { overview, language } = state;
  return {
    overview,
    format: formatsIn(language),
    isAlone: !state.host,
    principals: linesOf(overview.principals, "principal", overview.total),
    models: linesOf(overview.models, "model", overview.total),
  };
}

function drawCost() {
  const scene = sceneOf();
  const { overview, format } = scene;
  const { totals, series: all } = withShownDays(seriesOf(scene[state.by], overview.days), overview.total);
  const series = all.filter((one) => !state.hidden.has(one.key));
  const isWhole = series.length === all.length;
  const noun = state.by === "models" ? "model" : "principal";
  const drawing = {
    days: overview.days,
    unpricedDays: isWhole ? overview.unpriced_days : [],
    series,
    totals: isWhole ? totals : totals.map((_, day) => series.reduce((sum, one) => sum + one.cells[day], 0)),
    isOpenLast: overview.whole_days < overview.days.length,
    ahead: isWhole ? aheadOf(overview) : [],
    marks: isWhole ? marksOf(scene) : new Map(),
    label: overview.days.length
      ? `Cost of each day by ${noun}, ${stretch(overview.days[0], overview.days.at(-1), format)}.`
      : "",
    format,
  };
  const chart = element("div", { class: "chart" });
  const choices = element(
    "div",
    { class: "choices" },
    choice(
      "Group by",
      [
        ["models", "Model"],
        ["principals", "Principal"],
      ],
      state.by,
      regroup,
    ),
    choice(
      "Show as",
      [
        ["chart", "Chart"],
        ["table", "Table"],
      ],
      state.view,
      (view) => {
        state.view = view;
        drawCost();
      },
    ),
  );
  const isChart = state.view === "chart" && all.length > 0;
  const figures = isChart
    ? [legendOf(all, format), chart, forecastNote(drawing, format)]
    : [dayTable({ ...drawing, unpricedDays: overview.unpriced_days, series: all, totals, total: overview.total })];
  refill(
    boxes.cost,
    panel(
      "cost",
      "Cost by day",
      choices,
      all.length ? figures : element("p", { class: "nothing", text: "Nothing here has a price." }),
      standingOut(scene),
    ),
  );
  if (!isChart) return;
  const redraw = () => drawChart(chart, drawing);
  redraw();
  onNewWidth(chart, redraw);
}

function regroup(by) {
  state.by = by;
  state.hidden.clear();
  drawCost();
}

let widthObserver = null;

function onNewWidth(box, redraw) {
  let width = box.clientWidth;
  widthObserver?.disconnect();
  widthObserver = new ResizeObserver(() => {
    if (box.clientWidth === width) return;
    width = box.clientWidth;
    redraw();
  });
  widthObserver.observe(box);
}

/** The days of the forecast that are not over; none if the days shown end before them. */
function aheadOf({ forecast, days }) {
  const today = forecast?.now.slice(0, 10);
  const isCurrent = forecast && Date.parse(today) - Date.parse(days.at(-1)) <= 864e5;
  return isCurrent ? forecast.days.filter(({ day, mid_usd: mid }) => day >= today && mid !== null) : [];
}

function forecastNote({ ahead, days }, format) {
  const coming = ahead.filter(({ day }) => !days.includes(day)).length;
  if (!coming) return null;
  const band = element("i", { class: "swatch band", "aria-hidden": "true" });
  return element(
    "p",
    { class: "forecast-note" },
    band,
    `Forecast of ${counted(coming, "day", format)} to the month’s end: the line is the estimate, `,
    "and 4 in 5 such days should end in the band.",
  );
}

function legendOf(all, format) {
  const toggle = (key) => {
    if (!state.hidden.delete(key)) state.hidden.add(key);
    if (state.hidden.size === all.length) state.hidden.clear();
    drawCost();
  };
  return element(
    "ul",
    { class: "legend", "aria-label": "What is stacked" },
    all.map(({ key, label, colour, shown }) =>
      element(
        "li",
        {},
        element(
          "button",
          {
            type: "button",
            title: label,
            "aria-pressed": String(!state.hidden.has(key)),
            "data-key": `legend:${key}`,
            onclick: () => toggle(key),
          },
          swatch(colour),
          element("bdi", { class: "cut", text: label }),
          element("span", { class: "amount", text: format.money(shown) }),
        ),
      ),
    ),
  );
}

function drawChange() {
  const chosen = (view) => {
    state.movers = view.movers;
    drawChange();
  };
  const view = { movers: state.movers };
  refill(boxes.change, changePanel({ ...sceneOf(), view, redraw: () => chosen(view) }));
}

function drawLines(name, noun) {
  const scene = sceneOf();
  const redraw = () => drawLines(name, noun);
  drawTable(boxes[name], {
    id: name,
    title: `By ${noun}`,
    noun,
    lines: scene[name],
    others: scene.overview[name].others,
    total: scene.overview.total,
    view: state[name],
    format: scene.format,
    open: (line) => open(name, line, redraw),
    seek: state.host && ((wanted) => seek(name, wanted, redraw)),
    redraw,
  });
}

/** Opens or closes what the calls of a line consist of. Alone, the page knows; within a host, it asks. */
async function open(name, line, redraw) {
  const { opened } = state[name];
  if (opened.delete(line.name)) return redraw();
  opened.set(line.name, state.host ? "Asking …" : partsInside(name, line));
  redraw();
  if (!state.host) return;
  const found = await partsAsked(name, line);
  if (!opened.has(line.name)) return; // closed meanwhile
  opened.set(line.name, found);
  redraw();
  tell(typeof found === "string" ? found : `${printable(line.label)} is open`);
}

/** Asks the server what somebody cost who is not listed, by the whole name. */
async function seek(name, wanted, redraw) {
  const view = state[name];
  const asked = view.filter;
  const say = (words) => {
    if (view.filter !== asked) return; // typed on meanwhile
    view.sought = words;
    redraw();
    tell(words);
  };
  say("Asking …");
  const { format } = sceneOf();
  try {
    const { total } = await drilled(name, wanted);
    const who = printable(wanted);
    say(
      total.calls || total.errors
        ? `${who}: ${costOf(total, format)} in ${counted(total.calls, "call", format)}.`
        : `No calls of ${who}: the whole name is needed, such as user/alice.`,
    );
  } catch (fault) {
    say(`This could not be asked: ${fault.message}`);
  }
}

/** From the document alone: a principal's models, and a model's principals. */
function partsInside(name, line) {
  if (name === "principals") return [{ words: "Models", parts: withShown(line.models, line.shown), others: 0 }];
  const { top, others } = state.overview.principals;
  const parts = top.flatMap((who) =>
    who.models
      .filter((model) => model.name === line.name)
      .map((part) => ({ ...part, name: who.name, label: who.label })),
  );
  return [{ words: "Principals", parts: parts.sort((a, b) => (b.usd ?? 0) - (a.usd ?? 0)), others }];
}

/** From the server: those, the sessions of a role, and the operations. */
async function partsAsked(name, line) {
  try {
    const found = await drilled(name, line.name);
    const groups = [
      ["Models", found.models],
      ["Principals", found.principals],
      ["Sessions", found.sessions],
      ["Operations", found.operations],
    ];
    const own = name === "models" ? "Models" : "Principals";
    return groups
      .filter(([words, { top }]) => words !== own && top.length > 0)
      .map(([words, { top, others }]) => ({ words, parts: others ? top : withShown(top, line.shown), others }));
  } catch (fault) {
    return `This could not be asked: ${fault.message}`;
  }
}

/** What the server says of one principal or one model. */
async function drilled(name, wanted) {
  const { host, overview } = state;
  const one = { [name === "models" ? "of_model" : "of_principal"]: wanted };
  const input = { ...host.input, days: overview.days.length, ...one };
  return readOverview(await callTool(host, DETAIL_TOOL, input, isDetail));
}

function fail(words) {
  main.removeAttribute("aria-busy");
  refill(
    main,
    element("h1", { class: "unseen", text: "Amazon Bedrock spend" }),
    element("p", { class: "nothing", role: "alert", text: printable(words) }),
  );
}

let hasAsked = false;

/** Asks the server itself where the host has delivered nothing to show. */
function ask(why) {
  if (hasAsked || state.overview) return;
  hasAsked = true;
  callTool(state.host, OVERVIEW_TOOL, state.host.input, isOverview).then(show, (fault) =>
    fail(`${why} ${fault.message}`),
  );
}

function take(result) {
  if (result.isError) return fail(textOf(result) || "The tool failed without a word.");
  const found = documentIn(result, isOverview);
  if (!found) return ask("The result holds no figures.");
  try {
    show(found);
  } catch (fault) {
    fail(`The result cannot be shown: ${fault.message}`);
  }
}

function start() {
  const inside = document.getElementById("overview").textContent.trim();
  if (inside) {
    document.documentElement.classList.add("alone");
    show(JSON.parse(inside));
  } else if (parent !== window) {
    state.host = connect({
      context: (context) => {
        wear(context);
        draw();
      },
      result: take,
      cancelled: (reason) => fail(`It was cancelled. ${typeof reason === "string" ? reason : ""}`),
      silent: () => ask("The host has delivered nothing."),
      failed: fail,
    });
  } else {
    fail(
      "This page holds no figures: it is meant for a host of MCP Apps. " +
        "Make one that does with tollbook report --format html.",
    );
  }
}

start();
