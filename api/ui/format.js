// Numbers, times and marks, as people in India read them. Nothing here touches the network.

const whole = new Intl.NumberFormat('en-IN', { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat('en-IN', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const two = new Intl.NumberFormat('en-IN', { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const NONE = '–';
const minus = (text) => text.replace('-', '−');

export const count = (value) => (value == null ? NONE : minus(whole.format(value)));
export const percent = (value) => (value == null ? NONE : minus(one.format(value)) + ' %');

// Energy from Wh, by size: kWh, MWh, MU (a million units, that is kWh).
export function energy(wh) {
  if (wh == null) return { value: NONE, unit: '' };
  const size = Math.abs(wh);
  // About four digits at every size.
  const scaled = (value) => minus((Math.abs(value) < 100 ? two : one).format(value));
  if (size < 1e6) return { value: scaled(wh / 1e3), unit: 'kWh' };
  if (size < 1e9) return { value: scaled(wh / 1e6), unit: 'MWh' };
  return { value: scaled(wh / 1e9), unit: 'MU' };
}
export const energyText = (wh) => { const { value, unit } = energy(wh); return unit ? `${value} ${unit}` : value; };

// "9.1–9.8 %": a loss that is not shown as one number.
export function band(low, high) {
  if (low == null || high == null) return NONE;
  const [from, to] = [minus(one.format(low)), minus(one.format(high))];
  return from === to ? `about ${to} %` : `${from} to ${to} %`;
}
// Whether missing meters leave a band around the loss.
export const uncertain = (figures) => figures.loss_low_pct !== figures.loss_high_pct;

// Times arrive as RFC 3339 in the discom's zone; their text is shown, never the browser's zone.
export const clockText = (rfc) => (rfc ? rfc.slice(11, 19) : NONE);
export const minuteText = (rfc) => (rfc ? rfc.slice(11, 16) : NONE);
export const dayOf = (rfc) => rfc.slice(0, 10);
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
export function dayText(day) {
  const date = new Date(day + 'T00:00:00Z');
  return `${WEEKDAYS[date.getUTCDay()]} ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
}
export function dayBefore(day) {
  return new Date(Date.parse(day + 'T00:00:00Z') - 864e5).toISOString().slice(0, 10);
}
export function age(seconds) {
  if (seconds == null) return NONE;
  if (seconds < 10) return `${one.format(Math.max(0, seconds))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export const WORDS = { normal: 'normal', watch: 'watch', investigate: 'investigate', negative: 'negative', unknown: 'not shown' };
export const KINDS = { dt: 'DT', feeder: 'feeder', substation: 'substation', section: 'section', subdivision: 'subdivision', division: 'division', circle: 'circle', zone: 'zone', discom: 'discom' };
const PLURALS = { dt: 'DTs' };
export const plural = (kind, number) => (number === 1 ? KINDS[kind] ?? 'node' : PLURALS[kind] ?? (KINDS[kind] ?? 'node') + 's');

// Elements, with text as text: nothing that was imported is ever parsed as markup.
export function el(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key === 'class') node.className = value;
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}
export function svg(name, properties = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(properties)) if (value != null) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
export function glyph(kind) {
  const known = ['discom', 'substation', 'feeder', 'dt'].includes(kind) ? kind : 'area';
  const node = svg('svg', { class: 'kind', role: 'img', 'aria-label': KINDS[kind] ?? 'node' }, svg('use', { href: `#kind-${known}` }));
  node.prepend(svg('title', {}, KINDS[kind] ?? 'node'));
  return node;
}
export const mark = (attention) => svg('svg', { class: 'mark', role: 'img', 'aria-label': WORDS[attention] }, svg('use', { href: `#mark-${attention}` }));
export const state = (attention) => el('span', { class: 'state', 'data-attention': attention }, mark(attention), WORDS[attention]);

// Losses are drawn on one scale everywhere: the bar is full at 40 %.
const FULL = 40;
export function lossBar(figures) {
  const bar = el('span', { class: 'loss', 'data-attention': figures.attention, 'aria-hidden': 'true' });
  const [low, high] = figures.loss_shown ? [0, Math.abs(figures.loss_pct ?? 0)] : [figures.loss_low_pct, figures.loss_high_pct];
  if (low == null || high == null) return bar;
  const from = Math.min(100, Math.max(0, (100 * Math.min(low, high)) / FULL));
  const to = Math.min(100, Math.max(0, (100 * Math.max(low, high)) / FULL));
  const fill = el('i');
  fill.style.left = `${from}%`;
  fill.style.width = `${Math.max(to - from, 1.5)}%`;
  bar.append(fill);
  return bar;
}
export const lossText = (figures) => (figures.loss_shown ? percent(figures.loss_pct) : band(figures.loss_low_pct, figures.loss_high_pct));
export function trust(coverage, threshold) {
  const bar = el('span', { class: 'trust', 'aria-hidden': 'true', 'data-low': coverage != null && coverage < threshold });
  const fill = el('i');
  fill.style.width = `${Math.max(0, Math.min(100, coverage ?? 0))}%`;
  bar.append(fill);
  return bar;
}

// Replaces text in place; a changed value glows once.
export function change(node, text) {
  if (node.textContent === text) return;
  const first = node.textContent === '' || node.textContent === NONE;
  node.textContent = text;
  if (first) return;
  node.classList.remove('glow');
  void node.offsetWidth;
  node.classList.add('glow');
}
