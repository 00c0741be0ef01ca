// The document that Python made (spend/answers/overview.py), with its money as numbers.

const SERIES = 7;
const MONEY = /_usd$/;

/** Whether `value` is a document that this page shows. */
function isOverview(value) {
  return value !== null && typeof value === "object" && String(value.schema).startsWith("tollbook.overview/");
}

/** Whether `value` says what a line consists of (tools/answers/drill.py). */
function isDetail(value) {
  return value !== null && typeof value === "object" && String(value.schema).startsWith("tollbook.drilled/");
}

/** `overview` with every amount of money and every share as a number: a double holds the millionths. */
function readOverview(overview) {
  return withNumbers(overview);
}

function withNumbers(value) {
  if (Array.isArray(value)) return value.map(withNumbers);
  if (value === null || typeof value !== "object") return value;
  const read = {};
  for (const [key, inner] of Object.entries(value)) {
    const isNumber = typeof inner === "string" && (key === "usd" || MONEY.test(key) || /_(rate|share)$/.test(key));
    if (isNumber) read[key] = Number(inner);
    else if (key === "daily_millionths") read.daily = inner.map((millionths) => millionths / 1e6);
    else read[key] = withNumbers(inner);
  }
  return read;
}

/** The lines of a table, and what is left of it as a line of its own; `shown` has the money that is shown of each. */
function linesOf(table, noun, total) {
  if (!table.rest) return withShown(table.top, total.usd);
  const words = `${table.others} other ${noun}${table.others === 1 ? "" : "s"}`;
  return withShown([...table.top, { ...table.rest, label: words, isRest: true }], total.usd);
}

/** `lines`, which are all that `whole` dollars consist of, so that what is shown of them adds up. */
function withShown(lines, whole) {
  const shown = shownBeside(
    whole ?? 0,
    lines.map(({ usd }) => usd ?? 0),
  );
  return lines.map((line, place) => ({ ...line, shown: line.usd === null ? null : shown[place] }));
}

/** What is shown of each day: the `totals`, which add up to `total`, and for each of `series` its `cells`, which add up
 *  to those of the day. */
function withShownDays(series, total) {
  const totals = shownBeside(total.usd ?? 0, total.daily);
  const days = totals.map((whole, day) =>
    shownBeside(
      whole,
      series.map(({ daily }) => daily[day]),
    ),
  );
  return { totals, series: series.map((one, place) => ({ ...one, cells: days.map((cells) => cells[place]) })) };
}

/** What a day cost: `≥$1.20` where calls of it have no price, or `unpriced`. */
function dayCost(usd, isUnpriced, format) {
  if (!isUnpriced) return format.money(usd);
  return usd === 0 ? "unpriced" : `≥${format.money(usd)}`;
}

/** What the chart stacks: the lines that cost most, and all others as one. */
function seriesOf(lines, days) {
  const paid = lines.filter((line) => line.usd !== null && (line.usd > 0 || line.daily.some((usd) => usd > 0)));
  const tops = paid.filter((line) => !line.isRest).slice(0, paid.length > SERIES + 1 ? SERIES : SERIES + 1);
  const others = paid.filter((line) => !tops.includes(line));
  const series = tops.map((line, place) => ({
    key: line.name,
    label: printable(line.label),
    colour: place < SERIES ? `var(--series-${place + 1})` : "var(--series-other)",
    shown: line.shown,
    daily: line.daily,
  }));
  if (!others.length) return series;
  const count = others.reduce((sum, line) => sum + (line.isRest ? Number.parseInt(line.label, 10) : 1), 0);
  const daily = days.map((_, day) => others.reduce((sum, line) => sum + line.daily[day], 0));
  const shown = others.reduce((sum, line) => sum + line.shown, 0);
  return [...series, { key: "\u0000others", label: `Other (${count})`, colour: "var(--series-other)", shown, daily }];
}

/** The share of prompt tokens that were read from the cache; null without prompts. */
function hitRate(line) {
  const { read, all } = promptOf(line);
  return all ? read / all : null;
}

/** The tokens of all prompts, by what the cache did for them. */
function promptOf(line) {
  const read = line.cache_read_tokens;
  const written = line.cache_write_tokens;
  return { read, written, fresh: line.input_tokens, all: read + written + line.input_tokens };
}
