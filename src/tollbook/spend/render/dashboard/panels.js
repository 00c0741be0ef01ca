// What changed, what the cache saves, and what stands out.

// The parts of a change, in the order in which spend/answers/effects.py takes them.
const PARTS = {
  new_principals_usd: "New principals",
  gone_principals_usd: "Principals that are gone",
  new_models_usd: "New models",
  gone_models_usd: "Models no longer used",
  volume_usd: "Number of calls",
  mix_usd: "Who called what",
  tokens_usd: "Tokens per call",
  cache_usd: "Use of the cache",
  price_usd: "Prices paid",
};
const SAVERS = 5;
const WASTERS = 3;
const MOST_TOLD = 5;

/** What changed between two windows, as bars to either side that add up to the change. */
function changePanel({ overview, format, view, redraw }) {
  const { explanation } = overview;
  if (!explanation)
    return panel(
      "change",
      "What changed",
      null,
      element("p", { class: "nothing", text: "There is nothing before to compare with." }),
    );
  const { before, after } = explanation;
  const unpriced = withoutPrice(explanation);
  if (unpriced)
    return panel(
      "change",
      "What changed",
      null,
      element("p", {
        class: "nothing",
        text: `No call of ${whenOf(unpriced, format)} has a price: what changed is unpriced.`,
      }),
    );
  const { usd: change } = shownChange(explanation);
  const choose = (kind) => {
    view.movers = kind;
    redraw();
  };
  const kinds = [
    ["parts", "Why"],
    ["principals", "Who"],
    ["models", "Models"],
  ];
  const share = before.cost_usd
    ? ` (${format.share(Math.abs(explanation.change_usd / before.cost_usd))} ${change < 0 ? "less" : "more"})`
    : "";
  return panel(
    "change",
    "What changed",
    choice("Show the change by", kinds, view.movers, choose),
    element(
      "p",
      { class: "lead" },
      element("b", { text: format.change(change) }),
      `${share}: ${format.money(before.cost_usd)} in ${whenOf(explanation.before_period, format)}, `,
      `then ${format.money(after.cost_usd)} in ${whenOf(explanation.after_period, format)}.`,
    ),
    divergingBars(moversOf(explanation, view.movers), format.change, "bars-change"),
    explanation.cautions.map((words) => element("p", { class: "caution", text: printable(words) })),
  );
}

/** The period whose calls are all without a price, where there is one: that is no cost of $0. */
function withoutPrice({ before, after, before_period, after_period, unpriced_calls_before, unpriced_calls_after }) {
  if (!before.calls && unpriced_calls_before) return before_period;
  return !after.calls && unpriced_calls_after ? after_period : null;
}

/** The change between the two costs as they are shown, and to how many decimals. */
function shownChange({ before, after }) {
  const digits = Math.max(before.cost_usd, after.cost_usd) < 0.01 ? 4 : 2;
  return { usd: rounded(asShown(after.cost_usd) - asShown(before.cost_usd), digits), digits };
}

/** `Nov 8 – Nov 21`. */
function whenOf({ since, until }, format) {
  const last = new Date(Date.parse(`${until.slice(0, 10)}T00:00:00Z`) - 864e5).toISOString().slice(0, 10);
  const first = since.slice(0, 10);
  return first === last ? format.day(first) : `${format.day(first)} – ${format.day(last)}`;
}

/** What the change consists of, as it is shown: it adds up, and what would be nothing is left out. */
function moversOf(explanation, kind) {
  const movers = allMovers(explanation, kind);
  const { usd: change, digits } = shownChange(explanation);
  const shown = addingUp(
    movers.map(({ usd }) => usd),
    change,
    digits,
  );
  return movers.map((mover, place) => ({ ...mover, usd: shown[place] })).filter(({ usd }) => usd !== 0);
}

function allMovers(explanation, kind) {
  if (kind === "parts") return Object.entries(PARTS).map(([part, label]) => ({ label, usd: explanation.parts[part] }));
  const others = explanation[`other_${kind}`];
  const movers = explanation[kind].map(({ name, change_usd: usd }) => ({
    label: kind === "models" ? modelWords(name) : name,
    usd,
    title: name,
  }));
  const rest = { label: `${others.count} other${others.count === 1 ? "" : "s"}`, usd: others.change_usd };
  return others.count ? [...movers, rest] : movers;
}

let modelLabels = new Map();

/** The short name of a model that is in the tables; of another one, its id. */
function modelWords(name) {
  return modelLabels.get(name) ?? name;
}

/** Bars that go left where less and right where more, from one line between them. */
function divergingBars(rows, words, kind) {
  if (!rows.length) return element("p", { class: "nothing", text: "No difference." });
  const most = Math.max(0, ...rows.map(({ usd }) => usd));
  const least = Math.min(0, ...rows.map(({ usd }) => usd));
  const zero = (-least / (most - least || 1)) * 100;
  return element(
    "ul",
    { class: `bars ${kind}` },
    rows.map(({ label, usd, title }) => {
      const size = (Math.abs(usd) / (most - least || 1)) * 100;
      const start = usd < 0 ? zero - size : zero;
      return element(
        "li",
        {},
        element("bdi", { class: "cut", title: printable(title ?? label), text: printable(label) }),
        element(
          "span",
          { class: "track", "aria-hidden": "true" },
          element("i", {
            class: usd < 0 ? "fall" : "rise",
            style: `left: ${start.toFixed(2)}%; width: ${Math.max(0.6, size).toFixed(2)}%`,
          }),
          element("i", { class: "zero", style: `left: ${zero.toFixed(2)}%` }),
        ),
        element("b", { text: words(usd) }),
      );
    }),
  );
}

/** What the prompt cache gives, to whom, and who pays for filling it in vain. */
function cachePanel({ overview, format, principals }) {
  const { total } = overview;
  const prompt = promptOf(total);
  if (!prompt.all)
    return panel("cache", "Prompt cache", null, element("p", { class: "nothing", text: "No prompt tokens." }));
  const parts = [
    { words: "read from the cache", tokens: prompt.read, kind: "read" },
    { words: "written to it", tokens: prompt.written, kind: "written" },
    { words: "neither", tokens: prompt.fresh, kind: "fresh" },
  ];
  const saving = total.cache_saving_usd ?? 0;
  return panel(
    "cache",
    "Prompt cache",
    null,
    element(
      "p",
      { class: "lead" },
      element("b", { text: format.share(prompt.read / prompt.all) }),
      ` of ${format.short(prompt.all)} prompt tokens came from the cache, which `,
      total.cache_saving_usd === null
        ? "has no price here."
        : saving < 0
          ? `cost ${format.money(-saving)} more than it saved.`
          : `saved ${format.money(saving)}.`,
    ),
    element(
      "div",
      { class: "split", "aria-hidden": "true" },
      parts.map(({ tokens, kind }) =>
        element("i", { class: `part-${kind}`, style: `flex-grow: ${tokens / prompt.all}` }),
      ),
    ),
    element(
      "ul",
      { class: "split-legend" },
      parts.map(({ words, tokens, kind }) =>
        element(
          "li",
          {},
          element("i", { class: `swatch part-${kind}`, "aria-hidden": "true" }),
          `${format.share(tokens / prompt.all)} ${words}`,
        ),
      ),
    ),
    savers(principals, format),
  );
}

function savers(principals, format) {
  const found = principals.filter((line) => !line.isRest && line.cache_saving_usd);
  const ordered = found.sort((a, b) => b.cache_saving_usd - a.cache_saving_usd);
  const gains = ordered.filter((line) => line.cache_saving_usd > 0).slice(0, SAVERS);
  const losses = ordered.filter((line) => line.cache_saving_usd < 0).slice(-WASTERS);
  const rows = [...gains, ...losses].map((line) => ({ label: line.label, usd: line.cache_saving_usd }));
  if (!rows.length) return element("p", { class: "nothing", text: "Nobody uses it." });
  const words = losses.length ? "Saved or, filled in vain, lost by" : "Saved by";
  return [
    element("h3", { text: words }),
    divergingBars(rows, (usd) => (usd < 0 ? format.change(usd) : format.money(usd)), "bars-saving"),
  ];
}

/** By day, a sentence for each thing that stands out. */
function marksOf({ overview, format }) {
  const marks = new Map();
  for (const anomaly of overview.anomalies?.anomalies ?? []) {
    marks.set(anomaly.day, [...(marks.get(anomaly.day) ?? []), anomalyWords(anomaly, format)]);
  }
  return marks;
}

function anomalyWords({ model, principal, cost_usd: cost, usual_usd: usual }, format) {
  const who =
    principal === null
      ? "All together"
      : [principal, model === null ? null : modelWords(model)].filter(Boolean).map(printable).join(" · ");
  return `${who}: ${format.money(cost)}, ${usual ? `usually ${format.money(usual)}` : "new"}`;
}

/** The dearest of what stands out, in words, below the chart. */
function standingOut({ overview, format }) {
  const found = overview.anomalies?.anomalies ?? [];
  const shown = found.filter(({ day }) => overview.days.includes(day)).slice(0, MOST_TOLD);
  if (!shown.length) return null;
  const words =
    found.length > shown.length ? `What stands out, the dearest ${shown.length} of ${found.length}` : "What stands out";
  const list = element(
    "ul",
    { class: "outstanding" },
    shown.map((anomaly) =>
      element(
        "li",
        {},
        drawn(
          "svg",
          { width: 10, height: 10, viewBox: "0 0 10 10", "aria-hidden": "true" },
          drawn("path", { class: "mark", d: "M5 0 10 5 5 10 0 5Z" }),
        ),
        element("b", { text: format.weekday(anomaly.day) }),
        element("bdi", { text: anomalyWords(anomaly, format) }),
      ),
    ),
  );
  return [element("h3", { text: words }), list];
}
