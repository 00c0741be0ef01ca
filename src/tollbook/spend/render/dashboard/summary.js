// What stands above: the period, the figures in large, and what is missing from them.

const LONG = 100000; // from here on a count is shortened

function headerOf({ overview, format, isAlone, redraw }) {
  const { days, basis } = overview;
  const period = days.length ? stretch(days[0], days.at(-1), format) : "no records";
  const toggle = element(
    "button",
    {
      type: "button",
      class: "theme",
      title: "Light or dark",
      "aria-label": "Switch between light and dark",
      "data-key": "theme",
      onclick: switchTheme,
    },
    drawn(
      "svg",
      { width: 18, height: 18, viewBox: "0 0 18 18", "aria-hidden": "true" },
      drawn("circle", { cx: 9, cy: 9, r: 6.5 }),
      drawn("path", { d: "M9 2.5a6.5 6.5 0 0 1 0 13z" }),
    ),
  );
  return element(
    "header",
    {},
    element(
      "div",
      {},
      element("h1", { text: "Amazon Bedrock spend" }),
      element(
        "p",
        { class: "asked" },
        `${period} · ${printable(basis.period.tz)} · `,
        element("bdi", { text: printable(basis.whose) }),
      ),
    ),
    isAlone ? toggle : null,
  );
}

function tilesOf({ overview, format }) {
  const { total, basis } = overview;
  const isPartial = basis.unread.length > 0;
  const tokens = total.input_tokens + total.output_tokens + total.cache_read_tokens + total.cache_write_tokens;
  return element(
    "div",
    { class: "tiles" },
    tile("Total", bigMoney(total, isPartial, format), changeOf(overview, format)),
    averageTile(overview, format),
    monthEndTile(overview, format),
    tile(
      "Calls",
      total.calls < LONG ? format.count(total.calls) : format.short(total.calls),
      callsNote(overview, format),
    ),
    tile("Tokens", format.short(tokens), `${format.short(total.output_tokens)} of them output`),
    tile(
      "Saved by the cache",
      total.cache_saving_usd === null ? "–" : format.money(total.cache_saving_usd),
      total.cache_hit_rate === null ? "no prompts" : `${format.share(total.cache_hit_rate)} hit rate`,
    ),
  );
}

function averageTile({ total, days, whole_days: wholeDays, unpriced_days: unpricedDays, basis }, format) {
  const whole = total.daily.slice(0, wholeDays).reduce((sum, usd) => sum + usd, 0);
  const isUnpriced = days.slice(0, wholeDays).some((day) => unpricedDays.includes(day));
  if (!wholeDays) return tile("Daily average", "–", "no day is over");
  if (!whole && isUnpriced) return tile("Daily average", "unpriced", "no whole day has a price");
  const average = { ...total, usd: whole / wholeDays };
  const span = days.length > wholeDays ? "whole days only" : counted(days.length, "day", format);
  return tile("Daily average", costOf(average, format, basis.unread.length > 0), span);
}

function tile(label, value, ...note) {
  return element(
    "div",
    { class: "tile" },
    element("p", { class: "tile-label", text: label }),
    element("p", { class: "tile-value" }, value),
    element("p", { class: "tile-note" }, note),
  );
}

/** Dollars large, cents small. */
function bigMoney(line, isPartial, format) {
  if (line.usd === null) return "unpriced";
  const parts = format
    .moneyParts(line.usd)
    .map(({ type, value }) => (type === "decimal" || type === "fraction" ? element("small", { text: value }) : value));
  return element("span", { id: "total" }, certainty(line, isPartial), parts);
}

function changeOf({ explanation }, format) {
  if (!explanation) return "nothing to compare with";
  if (withoutPrice(explanation)) return "no prices to compare";
  const { before, change_usd: change } = explanation;
  const days = daysBetween(explanation.after_period);
  const against = `${counted(days, "whole day", format)} against ${format.count(days)} before`;
  if (!before.cost_usd) return [`${format.change(shownChange(explanation).usd)} · `, against];
  const arrow = change === 0 ? "" : change > 0 ? "▲ " : "▼ ";
  return [element("b", { text: arrow + format.share(Math.abs(change / before.cost_usd)) }), ` ${against}`];
}

/** How many days a period of whole days has; where the clocks change, one has an hour more or less. */
function daysBetween({ since, until }) {
  return Math.round((Date.parse(until) - Date.parse(since)) / 864e5);
}

function monthEndTile({ forecast, total }, format) {
  if (total.usd === null) return tile("Month’s end", "unpriced", "nothing here has a price");
  if (!forecast || (forecast.is_at_least && !forecast.mid_usd))
    return tile("Month’s end", "–", "needs 7 whole days of priced calls, up to today");
  const value = `${forecast.is_at_least ? "≥" : "~"}${format.money(forecast.mid_usd)}`;
  const range = `likely ${format.money(forecast.low_usd)} to ${format.money(forecast.high_usd)}`;
  const silence = forecast.silent_days ? `; no calls since ${format.day(forecast.last_call_on)}` : "";
  return tile(`End of ${format.month(forecast.first)}`, value, range + silence);
}

function callsNote({ total, basis }, format) {
  const failed = total.errors ? `, ${format.short(total.errors)} failed` : "";
  const priced = total.calls - basis.unpriced.reduce((sum, { calls }) => sum + calls, 0);
  if (total.usd === null || priced <= 0) return failed.slice(2);
  return `${format.moneyEach(total.usd / priced)} ${priced < total.calls ? "per priced call" : "each"}${failed}`;
}

const MOST_REASONS = 4;

/** What could not be read, priced or counted: never left out, and above all figures. */
function noticesOf({ overview, format }) {
  const { unread, unpriced, rejected, duplicates } = overview.basis;
  const sum = (key) => unpriced.reduce((so, one) => so + one[key], 0);
  const lines = Object.values(rejected).reduce((so, number) => so + number, 0);
  const reasons = Object.entries(rejected).map(([reason, number]) => `${reason} ${format.count(number)}`);
  return element(
    "div",
    { class: "notices" },
    unread.length
      ? notice(
          "grave",
          "Not everything could be read, so every figure may be too low.",
          unread.map((sentence) => [printable(sentence)]),
        )
      : null,
    unpriced.length
      ? notice(
          "warning",
          `Unpriced: ${counted(sum("calls"), "call", format)} with ${counted(sum("tokens"), "token", format)}, ` +
            "in no amount of money here.",
          unpriced.map(({ model, why, calls }) => [
            element("code", {}, element("bdi", { text: printable(model) })),
            ` (${counted(calls, "call", format)}): ${printable(why)}`,
          ]),
        )
      : null,
    lines
      ? notice(
          "warning",
          `Rejected: ${counted(lines, "line", format)} that hold no record (${reasons.join(", ")}).`,
          [],
        )
      : null,
    duplicates
      ? notice(
          "plain",
          `${counted(duplicates, "record", format)} came again and ${duplicates === 1 ? "was" : "were"} not counted again.`,
          [],
        )
      : null,
  );
}

function notice(weight, words, reasons) {
  const rest = reasons.length - MOST_REASONS;
  return element(
    "div",
    { class: `notice ${weight}`, role: "note" },
    drawn(
      "svg",
      { width: 16, height: 16, viewBox: "0 0 16 16", "aria-hidden": "true" },
      drawn("path", {
        d: weight === "plain" ? "M8 1.6a6.4 6.4 0 1 1 0 12.8A6.4 6.4 0 0 1 8 1.6Z" : "M8 1.6 15 14.2H1Z",
      }),
      drawn("path", { d: "M8 6v4M8 11.4v.9" }),
    ),
    element(
      "div",
      {},
      element("p", {}, element("b", { text: words })),
      reasons.slice(0, MOST_REASONS).map((parts) => element("p", {}, parts)),
      rest > 0 ? element("p", { text: `and ${rest} more` }) : null,
    ),
  );
}

/** What belongs beside the figures. */
function footerOf({ overview }) {
  const made = overview.now.slice(0, 16).replace("T", " ");
  return element(
    "footer",
    {},
    overview.basis.notes.map((words) => element("p", { text: printable(words) })),
    element("p", { text: `Made at ${made} ${overview.basis.period.tz} by tollbook from model invocation logs.` }),
  );
}
