// Text, times and names of images, as people read them. What is stored is shown so that it can do nothing else.

const HARMFUL = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/gu;
const escaped = (character) => `\\u{${character.codePointAt(0).toString(16)}}`;

/** A text as it came; empty where it is none. */
export const text = (value) => (typeof value === 'string' ? value : '');

/** A text on one line, with everything that cannot be seen or turns the line around written out. */
export function line(value) {
  if (Number.isFinite(value)) return String(value);
  return text(value)
    .replace(/\r\n|[\n\t]/g, ' ')
    .replace(HARMFUL, escaped)
    .trim();
}

/** A text with its lines and tabs; everything else as in `line`. */
export const lines = (value) =>
  text(value).replace(HARMFUL, (character) => ('\n\t'.includes(character) ? character : escaped(character)));

/** The first line that says something, such as a commit's subject. */
export const firstLine = (value) =>
  line(
    text(value)
      .split('\n')
      .find((part) => part.trim()),
  );

/** A list, whatever came in its place. */
export const list = (value) => (Array.isArray(value) ? value.filter((item) => item !== null) : []);

/** A whole number of seconds or bytes; 0 where it is none. */
export const number = (value) => (Number.isSafeInteger(value) ? value : 0);

/** An address that may be a link: `http` and `https` only. */
export function webAddress(value) {
  try {
    const url = new URL(value);
    return ['http:', 'https:'].includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

/** The page's own address of a view. */
export function address(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  return given.length ? `/?${new URLSearchParams(given)}` : '/';
}

/* Times */

const [MINUTE, HOUR, DAY] = [60, 3600, 86400];
/** Each unit, up to where it is used: ages below two days are told in hours, since "1 day ago" would say too little. */
const UNITS = [
  [MINUTE, 1, 'second', 's'],
  [HOUR, MINUTE, 'minute', 'min'],
  [2 * DAY, HOUR, 'hour', 'h'],
  [60 * DAY, DAY, 'day', 'd'],
  [730 * DAY, 30 * DAY, 'month', 'mo'],
  [Infinity, 365 * DAY, 'year', 'y'],
];
const RELATIVE = new Intl.RelativeTimeFormat('en');
const unitOf = (seconds) => UNITS.find(([below]) => seconds < below);

/** How long ago a time is, such as `3 hours ago`. */
export function age(seconds, now = Date.now() / 1000) {
  const past = Math.trunc(now - seconds);
  const [, size, unit] = unitOf(Math.abs(past));
  return RELATIVE.format(-Math.trunc(past / size), unit);
}

/** How long something took, such as `3 min`. */
export function duration(seconds) {
  const [, size, , unit] = unitOf(seconds);
  return `${Math.trunc(seconds / size)} ${unit}`;
}

/** A time's date; undefined where it is none, or later than dates go. */
export function dateOf(seconds) {
  const date = new Date(number(seconds) * 1000);
  return number(seconds) && !Number.isNaN(date.getTime()) ? date : undefined;
}

const two = (part) => String(part).padStart(2, '0');

/** A time to the minute in the person's zone, such as `2022-04-14 03:43`. */
export function minute(date) {
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** A time to the second, with its zone. */
export function second(date) {
  const zone = new Intl.DateTimeFormat('en', { timeZoneName: 'short' }).formatToParts(date);
  return `${minute(date)}:${two(date.getSeconds())} ${zone.find(({ type }) => type === 'timeZoneName').value}`;
}

/** What `since` and `until` take, as people say it here: `2d`, `yesterday`, a local day or time. Else as it came. */
export function moment(given, now = new Date()) {
  const text = given.trim();
  const utc = (date) => date.toISOString().replace('.000', '');
  const ago = /^(\d+)\s*(m|h|d|w)$/.exec(text);
  if (ago) {
    const seconds = { m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY }[ago[2]] * Number(ago[1]);
    const then = new Date(Math.trunc(now / 1000 - seconds) * 1000);
    return Number.isNaN(then.getTime()) ? text : utc(then);
  }
  const day = /^(today|yesterday)?(?:\s*(\d\d?):(\d\d))?$/.exec(text);
  if (text && day) {
    const back = day[1] === 'yesterday' ? 1 : 0;
    const hours = [Number(day[2] ?? 0), Number(day[3] ?? 0)];
    return utc(new Date(now.getFullYear(), now.getMonth(), now.getDate() - back, ...hours));
  }
  const local = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?))?$/.exec(text);
  const date = local && new Date(`${local[1]}T${local[2] ?? '00:00'}`);
  return date && !Number.isNaN(date.getTime()) ? utc(date) : text;
}

/** Unix seconds as the API takes them. Eight digits would read as a date, so those are written as a time. */
export const apiTime = (at) => (/^\d{8}$/.test(at) ? new Date(at * 1000).toISOString() : at);

/* Images */

/** An image's repository: its registry, port and name, before the tag or the digest. */
export function repository(image) {
  const name = image.split('@')[0];
  const last = name.lastIndexOf('/') + 1;
  const colon = name.indexOf(':', last);
  return colon < 0 ? name : name.slice(0, colon);
}

/** The name by which container engines tell images apart, as the API finds them. */
export function foundUnder(image) {
  let name = image.replace(/^(index\.)?docker\.io\//, '');
  if (/^library\/[^/]+$/.test(name)) name = name.slice('library/'.length);
  const [, tagged, digest] = /^(.*?)@(.*)$/s.exec(name) ?? [];
  const counts = tagged !== undefined && repository(tagged) !== tagged;
  return counts && /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.test(digest) ? tagged : name;
}

/** By what a walk through an environment goes on behind a repository and a namespace. */
export function lastDeployEntry(repository, namespace) {
  const part = (name) => name.replaceAll('%', '%25').replaceAll('#', '%23');
  return `${part(foundUnder(repository))}#${part(namespace)}`;
}

/** A size in bytes, such as `51.98 MiB`. */
export function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return power ? `${(bytes / 1024 ** power).toFixed(2)} ${units[power]}` : `${bytes} B`;
}
