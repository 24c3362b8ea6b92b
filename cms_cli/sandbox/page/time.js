// Formats times in UTC, as everywhere in cms. Intl would use the browser's own zone and style.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY = 86400;

const two = (number) => String(number).padStart(2, "0");
const clock = (date) => `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
const seconds = (date) => `${clock(date)}:${two(date.getUTCSeconds())}`;
const day = (date) => `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
const dayOfYear = (date) => `${day(date)} ${date.getUTCFullYear()}`;

/** Format a time as short as is unambiguous: "14:05:09" today, "3 Oct 14:05" this year, "3 Oct 2025" before. */
export function formatTime(iso, now = new Date()) {
  const date = new Date(iso);
  if (date.toISOString().slice(0, 10) === now.toISOString().slice(0, 10)) return seconds(date);
  if (date.getUTCFullYear() === now.getUTCFullYear()) return `${day(date)} ${clock(date)}`;
  return dayOfYear(date);
}

/** Format the beginning of a step for an axis, with no more than tells it from its neighbours. */
export function axisLabel(start, step, span) {
  const date = new Date(start * 1000);
  if (step >= 365 * DAY) return String(date.getUTCFullYear());
  if (step >= DAY) return span > 300 * DAY ? `${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}` : day(date);
  if (span > DAY) return `${day(date)} ${clock(date)}`;
  return step >= 60 ? clock(date) : seconds(date);
}

/** Format a step in full: "3 Oct 2026", "3 Oct 2026 to 9 Oct 2026", "3 Oct 2026 14:00 to 16:00". */
export function stepLabel(start, step) {
  const from = new Date(start * 1000);
  if (step === DAY) return dayOfYear(from);
  if (step > DAY) return `${dayOfYear(from)} to ${dayOfYear(new Date((start + step - DAY) * 1000))}`;
  const until = new Date((start + step) * 1000);
  const name = step >= 60 ? clock : seconds;
  return `${dayOfYear(from)} ${name(from)} to ${name(until)}`;
}
