// Tables of lines: sorted, filtered, cut, and opened to see what a line consists of.

const FIRST_ROWS = 10;
const TOO_FEW_TO_CUT = 13;

// A column: its key, its words, what to sort by, what its cell holds, and the width of page from which it is shown.
const COLUMNS = [
  { key: "trend", words: "Trend", cell: (line) => trendOf(line.daily), from: "wide" },
  { key: "calls", words: "Calls", value: (line) => line.calls, cell: callsOf, from: "middle" },
  { key: "input", words: "Input", value: (line) => line.input_tokens, cell: shortOf("input_tokens"), from: "wide" },
  { key: "output", words: "Output", value: (line) => line.output_tokens, cell: shortOf("output_tokens"), from: "wide" },
  {
    key: "read",
    words: "Cache read",
    value: (line) => line.cache_read_tokens,
    cell: shortOf("cache_read_tokens"),
    from: "wide",
  },
  { key: "hit", words: "Hit rate", value: (line) => hitRate(line) ?? -1, cell: hitRateOf, from: "middle" },
  {
    key: "cost",
    words: "Cost",
    value: (line) => line.usd ?? -1,
    cell: (line, { format }) => costOf(line, format),
    from: "all",
  },
  { key: "share", words: "Share", cell: (line, { format, whole }) => shareOf(line.usd, whole, format), from: "small" },
];

function shortOf(key) {
  return (line, { format }) => format.short(line[key]);
}

function hitRateOf(line, { format }) {
  const rate = hitRate(line);
  return rate === null ? "–" : format.share(rate);
}

function callsOf(line, { format }) {
  if (!line.errors) return format.count(line.calls);
  const failed = `, and ${counted(line.errors, "call", format)} failed`;
  return element(
    "span",
    { title: failed.slice(2) },
    format.count(line.calls),
    element("sup", { "aria-hidden": "true", text: " !" }),
    element("span", { class: "unseen", text: failed }),
  );
}

function shareOf(usd, whole, format) {
  const share = whole ? (usd ?? 0) / whole : 0;
  return element(
    "span",
    { class: "share" },
    element(
      "span",
      { class: "share-bar", "aria-hidden": "true" },
      element("i", { style: `width: ${(share * 100).toFixed(1)}%` }),
    ),
    element("span", { text: usd === null ? "–" : format.share(share) }),
  );
}

/** What of a table is shown. */
function freshView() {
  return { sort: "cost", isDown: true, filter: "", sought: "", isWhole: false, opened: new Map() };
}

/** Draws a table into `box`.
 *
 *  `table` holds: id, title, noun, lines, others (how many are in the last line), total, view (see `freshView`), format; `open` is called with a line to see
 *  what it consists of, `redraw` when the view has changed, `seek` (if anybody can be asked) with the whole name of one
 *  that is not listed. */
function drawTable(box, table) {
  const { view, lines, noun, format } = table;
  const listed = lines.filter((line) => !line.isRest);
  const found = view.filter.trim() ? sorted(listed.filter(matching(view.filter)), view) : sorted(lines, view);
  const isCut = found.length > TOO_FEW_TO_CUT;
  const shown = view.isWhole || !isCut ? found : found.slice(0, FIRST_ROWS);
  const filter = lines.length > FIRST_ROWS ? filterOf(table, found.length) : null;
  const parts = [
    element(
      "table",
      {},
      element("caption", { class: "unseen", text: `Cost by ${noun}` }),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          headOf(table, "name", capitalized(noun), "name"),
          COLUMNS.map((column) => headOf(table, column.key, column.words, column.from, column.value)),
        ),
      ),
      element(
        "tbody",
        {},
        shown.map((line) => rowsOf(table, line)),
      ),
      element("tfoot", {}, rowOf(table, table.total, "total", view.filter.trim() ? "Total of all" : "Total")),
    ),
    found.length ? null : nothingFound(table, listed.length),
    isCut ? moreOf(table, found.filter((line) => !line.isRest).length) : null,
  ];
  refill(box, panel(table.id, table.title, filter, ...parts));
  if (view.filter) tell(`${format.count(found.length)} of ${counted(listed.length, noun, format)}`);
}

/** Says that the filter finds nothing; of those who are not listed, the server behind a host may know more. */
function nothingFound({ id, noun, others, view, format, seek }, listed) {
  const filter = printable(view.filter);
  if (!others) return element("p", { class: "nothing", text: `No ${noun} holds “${filter}”.` });
  const text =
    `None of the ${format.count(listed)} dearest ${noun}s holds “${filter}”. ` +
    `The ${counted(others, `other ${noun}`, format)} ${others === 1 ? "is" : "are"} not listed here.`;
  const asking = seek && {
    type: "button",
    class: "show-more",
    text: `Ask the server for the ${noun} “${filter}”`,
    "data-key": `${id}:seek`,
    onclick: () => seek(view.filter.trim()),
  };
  return [
    element("p", { class: "nothing", text }),
    asking ? element("button", asking) : null,
    view.sought ? element("p", { class: "nothing", text: view.sought }) : null,
  ];
}

function capitalized(word) {
  return word[0].toUpperCase() + word.slice(1);
}

function matching(filter) {
  const part = filter.trim().toLowerCase();
  return (line) => !part || line.name.toLowerCase().includes(part) || line.label.toLowerCase().includes(part);
}

/** `lines` in the order of the view; the sum of the others always comes last. */
function sorted(lines, { sort, isDown }) {
  const { value } = COLUMNS.find(({ key }) => key === sort) ?? {};
  const compared = value ? (a, b) => value(a) - value(b) : (a, b) => a.label.localeCompare(b.label);
  return [...lines].sort((a, b) => Boolean(a.isRest) - Boolean(b.isRest) || (isDown ? -1 : 1) * compared(a, b));
}

function headOf({ view, redraw, id }, key, words, from, value = null) {
  const isSorted = view.sort === key;
  const isName = key === "name";
  const sort = () => {
    view.isDown = isSorted ? !view.isDown : !isName;
    view.sort = key;
    redraw();
    tell(`Sorted by ${words}, ${view.isDown ? "descending" : "ascending"}`);
  };
  const arrow = element("span", { class: "arrow", "aria-hidden": "true", text: isSorted && !view.isDown ? "▲" : "▼" });
  return element(
    "th",
    { scope: "col", class: from, "aria-sort": isSorted ? (view.isDown ? "descending" : "ascending") : null },
    value || isName
      ? element("button", { type: "button", "data-key": `${id}:sort:${key}`, onclick: sort }, arrow, words)
      : words,
  );
}

function rowsOf(table, line) {
  const opened = table.view.opened.get(line.name);
  const name = printable(line.label);
  const toggle = () => table.open(line);
  const title = name === printable(line.name) ? name : `${name}: ${printable(line.name)}`;
  const cell = line.isRest
    ? element("bdi", { class: "cut", text: name })
    : element(
        "button",
        {
          type: "button",
          class: "opener",
          title,
          "aria-expanded": String(Boolean(opened)),
          "data-key": `${table.id}:open:${line.name}`,
          onclick: toggle,
        },
        element("span", { class: "chevron", "aria-hidden": "true" }),
        element("bdi", { class: "cut", text: name }),
      );
  const row = rowOf(table, line, line.isRest ? "rest" : "line", cell);
  if (!opened) return [row];
  if (typeof opened === "string")
    return [row, element("tr", { class: "inner" }, element("td", { colspan: COLUMNS.length + 1, text: opened }))];
  return [row, ...opened.flatMap((group) => innerRows({ ...table, whole: line.usd }, group))];
}

function innerRows(table, { words, parts, others }) {
  const span = { class: "inner-head" };
  return [
    element(
      "tr",
      span,
      element("th", {
        scope: "rowgroup",
        colspan: COLUMNS.length + 1,
        text: others ? `${words}, and ${others} more` : words,
      }),
    ),
    ...parts.map((part) =>
      rowOf(
        table,
        part,
        "inner",
        element("bdi", { class: "cut", title: printable(part.name), text: printable(part.label) }),
      ),
    ),
  ];
}

function rowOf({ format, total, whole = total.usd }, line, kind, name) {
  return element(
    "tr",
    { class: kind },
    element("th", { scope: "row", class: "name" }, name),
    COLUMNS.map((column) =>
      element("td", { class: `${column.from} col-${column.key}` }, column.cell(line, { format, whole })),
    ),
  );
}

function filterOf({ view, redraw, id, noun }, found) {
  return element(
    "div",
    { class: "filter" },
    element("input", {
      type: "search",
      placeholder: `Filter ${noun}s`,
      "aria-label": `Filter ${noun}s`,
      value: view.filter,
      autocomplete: "off",
      spellcheck: "false",
      "data-key": `${id}:filter`,
      oninput: (event) => {
        view.filter = event.target.value;
        view.sought = "";
        redraw();
      },
    }),
    view.filter ? element("span", { text: `${found} found` }) : null,
  );
}

function moreOf({ view, redraw, id, others, format }, found) {
  const toggle = () => {
    view.isWhole = !view.isWhole;
    redraw();
  };
  const words = view.isWhole
    ? "Show fewer"
    : `Show ${others && !view.filter.trim() ? "the dearest" : "all"} ${format.count(found)}`;
  return element("button", {
    type: "button",
    class: "show-more",
    text: words,
    "data-key": `${id}:more`,
    onclick: toggle,
  });
}

/** The figures of the chart as a table: for whoever does not see it, or wants to copy them. */
function dayTable({ days, unpricedDays, series, totals, total, label, format }) {
  const cells = (whole, values) => [whole, ...values.map(format.money)].map((text) => element("td", { text }));
  return element(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": label, "data-key": "days" },
    element(
      "table",
      { class: "days" },
      element("caption", { class: "unseen", text: label }),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ["Day", "Total", ...series.map((one) => one.label)].map((text) => element("th", { scope: "col", text })),
        ),
      ),
      element(
        "tbody",
        {},
        days.map((day, place) =>
          element(
            "tr",
            { class: "line" },
            element("th", { scope: "row", text: format.weekday(day) }),
            cells(
              dayCost(totals[place], unpricedDays.includes(day), format),
              series.map((one) => one.cells[place]),
            ),
          ),
        ),
      ),
      element(
        "tfoot",
        {},
        element(
          "tr",
          { class: "total" },
          element("th", { scope: "row", text: "Total" }),
          cells(
            costOf(total, format),
            series.map((one) => one.shown),
          ),
        ),
      ),
    ),
  );
}
