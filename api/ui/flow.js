// Where a node's energy goes: one band as wide as what came in, splitting into what was delivered and what is missing.

import { band, energyText, percent, svg } from '/ui/format.js';

const HEIGHT = 132;
const FULL = 84;
const TOP = 26;

// `width` of the place it is drawn in, pixels: text keeps its size.
export function flow(figures, width) {
  const WIDTH = Math.max(300, Math.min(760, width));
  const drawing = svg('svg', { class: 'flow', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, 'data-attention': figures.attention, role: 'img', 'aria-label': words(figures), preserveAspectRatio: 'xMinYMid meet' });
  drawing.append(svg('defs', {}, svg('pattern', { id: 'unsure', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' }, svg('rect', { width: 3, height: 6, fill: 'var(--unknown)' }))));
  const whole = figures.injected_wh;
  if (!whole || whole <= 0) {
    drawing.append(text(0, HEIGHT / 2, 'Nothing came in yet, or the meter at the head did not report.', 'soft'));
    return drawing;
  }
  const share = (pct) => Math.max(0, Math.min(1, pct / 100));
  const high = share(figures.loss_high_pct ?? 0);
  const low = share(figures.loss_low_pct ?? 0);
  const sure = figures.loss_shown ? share(figures.loss_pct ?? 0) : low;
  // A lost share below half a pixel would vanish; what is lost is the point.
  const lost = Math.max(high > 0 ? 2 : 0, FULL * Math.max(sure, high));
  const kept = FULL - lost;
  const [split, end] = [WIDTH - 190 - WIDTH * 0.25, WIDTH - 190];
  const drop = 16;
  drawing.append(
    svg('rect', { class: 'in', x: 0, y: TOP, width: split, height: FULL }),
    svg('path', { class: 'out', d: `M${split} ${TOP}H${end}v${kept}H${split}z` }),
    svg('path', { class: figures.loss_shown ? 'lost' : 'unsure', d: wedge(split, end, TOP + kept, lost, drop) }),
  );
  if (!figures.loss_shown && low > 0) drawing.append(svg('path', { class: 'lost', d: wedge(split, end, TOP + FULL - Math.max(1, FULL * low), Math.max(1, FULL * low), drop) }));
  drawing.append(
    text(0, TOP - 9, 'Came in', 'soft'),
    text(10, TOP + FULL / 2 + 5, energyText(whole), 'big'),
    text(end + 10, TOP + 14, 'Delivered', 'soft'),
    text(end + 10, TOP + 32, energyText(figures.delivered_wh), 'big'),
    text(end + 10, Math.max(TOP + 62, TOP + kept + drop - 8), figures.loss_shown ? 'Lost' : 'Lost, between', 'soft'),
    text(end + 10, Math.max(TOP + 80, TOP + kept + drop + 10), lossWords(figures), 'big'),
  );
  return drawing;
}

function wedge(from, to, y, high, drop) {
  const bend = (to - from) / 2;
  return `M${from} ${y}C${from + bend} ${y} ${to - bend} ${y + drop} ${to} ${y + drop}v${high}C${to - bend} ${y + drop + high} ${from + bend} ${y + high} ${from} ${y + high}z`;
}

function text(x, y, content, kind) {
  return svg('text', { x, y, class: kind }, content);
}

function lossWords(figures) {
  if (figures.loss_shown) return `${energyText(figures.loss_wh)} · ${percent(figures.loss_pct)}`;
  return band(figures.loss_low_pct, figures.loss_high_pct);
}

function words(figures) {
  return `Came in ${energyText(figures.injected_wh)}, delivered ${energyText(figures.delivered_wh)}, lost ${lossWords(figures)}`;
}
