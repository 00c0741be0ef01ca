// Numbers, days and names as the reader's language writes them.

const FALLBACK_LANGUAGE = "en-US";
const LEAST = 0.0001; // dollars: what is less is shown as less than this

/** All that writes figures in `language`. */
function formatsIn(language) {
  const numbers = (options) => inLanguage(Intl.NumberFormat, language, options);
  const days = (options) => {
    const format = inLanguage(Intl.DateTimeFormat, language, { timeZone: "UTC", ...options });
    return (day) => format.format(new Date(`${day}T00:00:00Z`));
  };
  const dollars = { style: "currency", currency: "USD" };
  const cents = numbers(dollars);
  const tiny = numbers({ ...dollars, minimumFractionDigits: 4 });
  const whole = numbers({ ...dollars, maximumFractionDigits: 0 });
  const short = numbers({ notation: "compact", maximumFractionDigits: 1 });
  const exact = numbers({});
  const share = numbers({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const money = (usd) => {
    if (isTiny(usd) && Math.abs(usd) < LEAST) return `${usd < 0 ? "-" : ""}<${tiny.format(LEAST)}`;
    return (isTiny(usd) ? tiny : cents).format(asShown(usd));
  };
  return {
    money,
    change: (usd) => (usd < 0 ? "−" : usd > 0 ? "+" : "") + money(Math.abs(usd)),
    wholeMoney: (usd) => whole.format(usd),
    moneyParts: (usd) => (isTiny(usd) ? tiny : cents).formatToParts(asShown(usd)),
    moneyEach: (usd) => (Math.abs(usd) < 1 ? tiny.format(rounded(usd, 4)) : cents.format(rounded(usd, 2))),
    count: (number) => exact.format(number),
    short: (number) => short.format(number),
    share: (number) => share.format(number),
    day: days({ month: "short", day: "numeric" }),
    weekday: days({ weekday: "short", month: "short", day: "numeric" }),
    fullDay: days({ month: "short", day: "numeric", year: "numeric" }),
    month: days({ month: "long" }),
  };
}

/** Whether an amount of dollars has four decimals instead of two: as in every form of the report. */
function isTiny(usd) {
  return usd !== 0 && Math.abs(usd) < 0.01;
}

/** `usd` as it is shown. */
function asShown(usd) {
  return rounded(usd, isTiny(usd) ? 4 : 2);
}

/** `usd`, which is known to the millionth, to `digits` decimals; halves go to the even digit, as Python has it. */
function rounded(usd, digits) {
  const unit = 10 ** (6 - digits);
  const millionths = Math.round(usd * 1e6);
  const below = Math.floor(millionths / unit);
  const over = 2 * (millionths - below * unit) - unit;
  return (over > 0 || (over === 0 && below % 2 !== 0) ? below + 1 : below) / 10 ** digits;
}

/** `parts` to `digits` decimals so that they add up to `whole`, which has as many: those are rounded the other way that
 *  come nearest to it (the method of largest remainders, as in spend/answers/money.py). */
function addingUp(parts, whole, digits = 2) {
  if (!parts.length) return [];
  const units = parts.map((usd) => (Math.round(usd * 1e6) * 10 ** digits) / 1e6);
  const found = units.map(Math.floor);
  const missing = Math.round(whole * 10 ** digits) - found.reduce((sum, unit) => sum + unit, 0);
  const order = units.map((_, place) => place).sort((a, b) => units[b] - found[b] - (units[a] - found[a]) || a - b);
  if (missing < 0) order.reverse();
  for (let step = 0; step < Math.abs(missing); step += 1) found[order[step % order.length]] += Math.sign(missing);
  return found.map((unit) => unit / 10 ** digits);
}

/** `parts`, none below zero, as they are shown beside their sum `whole`: to the cent they add up to it. What is less
 *  than a cent is shown with four decimals. */
function shownBeside(whole, parts) {
  const small = parts.reduce((sum, usd) => sum + (isTiny(usd) ? asShown(usd) : 0), 0);
  const large = addingUp(
    parts.filter((usd) => usd !== 0 && !isTiny(usd)),
    rounded(asShown(whole) - small, 2),
  );
  return parts.map((usd) => (usd === 0 || isTiny(usd) ? usd : large.shift()));
}

function inLanguage(Format, language, options) {
  try {
    return new Format(language, options);
  } catch {
    return new Format(FALLBACK_LANGUAGE, options); // a host may name a language that is none
  }
}

// The characters of core/text.py: those that hide, reorder or steer text.
const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu;

/** `text` with every character that could deceive a reader shown as its code. */
function printable(text) {
  return text.replace(UNSAFE, (char) => `<U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
}

/** What a line cost and how sure that is: `$1.20`, `~$1.20` where something was assumed, `≥$1.20` where something is
 *  missing, or `unpriced`: as in every form of the report. */
function costOf(line, format, isPartial = false) {
  if (line.usd === null) return "unpriced";
  return certainty(line, isPartial) + format.money(line.shown ?? line.usd);
}

function certainty(line, isPartial) {
  if (isPartial || line.status.includes("unpriced")) return "≥";
  return line.status.some((status) => status !== "exact") ? "~" : "";
}

function counted(number, noun, format) {
  return `${format.count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** `Oct 24 – Nov 22, 2026`. */
function stretch(first, last, format) {
  if (first === last) return format.fullDay(first);
  const start = first.slice(0, 4) === last.slice(0, 4) ? format.day(first) : format.fullDay(first);
  return `${start} – ${format.fullDay(last)}`;
}
