// Numbers, days and names as the reader's language writes them.

const FALLBACK_LANGUAGE = "en-US";

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
  const money = (usd) => (usd !== 0 && Math.abs(usd) < 0.01 ? tiny : cents).format(usd);
  return {
    money,
    change: (usd) => (usd < 0 ? "−" : "+") + money(Math.abs(usd)),
    wholeMoney: (usd) => whole.format(usd),
    moneyParts: (usd) => cents.formatToParts(usd),
    moneyEach: (usd) => (Math.abs(usd) < 1 ? tiny : cents).format(usd),
    count: (number) => exact.format(number),
    short: (number) => short.format(number),
    share: (number) => share.format(number),
    day: days({ month: "short", day: "numeric" }),
    weekday: days({ weekday: "short", month: "short", day: "numeric" }),
    fullDay: days({ month: "short", day: "numeric", year: "numeric" }),
    month: days({ month: "long" }),
  };
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
  return certainty(line, isPartial) + format.money(line.usd);
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
