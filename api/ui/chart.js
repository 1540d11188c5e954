// The chart of a node: loss as a line with its band, input as columns behind it, coverage as a strip below.
// Drawn by hand on a canvas, so that a week of intervals drags at 60 frames a second.

import { band, count, dayOf, dayText, el, energyText, minuteText, percent, state, uncertain } from '/ui/format.js';

const PADDING = { left: 44, right: 70, top: 10, bottom: 40 };
const STRIP = 5;

// `rows` of /balance. `onZoom(from, to)` with RFC 3339 texts; null: back to the range.
export function chart({ onZoom }) {
  const canvas = el('canvas', { tabindex: '0', role: 'img' });
  const readout = el('div', { class: 'readout', 'aria-live': 'polite' });
  const root = el('div', { class: 'chart' }, readout, canvas);
  const view = { rows: [], threshold: 95, at: null, drag: null };
  const draw = () => requestAnimationFrame(() => paint(canvas, view));

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - PADDING.left) / (box.width - PADDING.left - PADDING.right);
    return Math.min(view.rows.length - 1, Math.max(0, Math.floor(share * view.rows.length)));
  };
  const point = (at) => {
    view.at = at;
    readout.replaceChildren(...(at == null ? describe(view) : details(view.rows[at])));
    draw();
  };
  canvas.addEventListener('pointermove', (event) => {
    if (!view.rows.length) return;
    if (view.drag) view.drag.to = place(event);
    point(place(event));
  });
  canvas.addEventListener('pointerleave', () => { if (!view.drag) point(null); });
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || !view.rows.length || event.pointerType === 'touch') return;
    canvas.setPointerCapture(event.pointerId);
    view.drag = { from: place(event), to: place(event) };
  });
  canvas.addEventListener('pointerup', () => {
    const drag = view.drag;
    view.drag = null;
    if (!drag) return;
    const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
    if (to - from >= 3 && view.rows[from].interval_end) onZoom(view.rows[Math.max(0, from - 1)].interval_end, view.rows[to].interval_end);
    draw();
  });
  canvas.addEventListener('dblclick', () => onZoom(null));
  canvas.addEventListener('keydown', (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -4, PageDown: 4, Home: -1e9, End: 1e9 };
    if (event.key === 'Escape') { point(null); onZoom(null); return; }
    if (!(event.key in steps) || !view.rows.length) return;
    event.preventDefault();
    point(Math.min(view.rows.length - 1, Math.max(0, (view.at ?? view.rows.length) + steps[event.key])));
  });
  canvas.addEventListener('blur', () => point(null));
  new ResizeObserver(draw).observe(canvas);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);

  return {
    root,
    show(balance) {
      const kept = view.at != null && view.at < balance.rows.length ? view.at : null;
      view.rows = fill(balance);
      view.threshold = balance.coverage_threshold_pct;
      canvas.setAttribute('aria-label', `Loss of ${balance.node.name}, ${balance.from} to ${balance.to}. Arrow keys step through it.`);
      point(kept);
    },
  };
}

// Intervals without a balance get an empty row: a gap is drawn as a gap.
function fill(balance) {
  if (balance.resolution !== 'interval' || balance.rows.length < 2) return balance.rows;
  const times = balance.rows.map((row) => Date.parse(row.interval_end));
  const step = times.slice(1).reduce((least, time, at) => Math.min(least, time - times[at]), Infinity);
  const rows = [];
  times.forEach((time, at) => {
    if (at) for (let gap = times[at - 1] + step; gap < time; gap += step) rows.push({ interval_end: shift(balance.rows[at].interval_end, gap - time), empty: true });
    rows.push(balance.rows[at]);
  });
  return rows;
}

// The same zone's text `milliseconds` away; the offset is that of the text, which is right but at a change of clocks.
function shift(rfc, milliseconds) {
  const offset = rfc.slice(19);
  return new Date(Date.parse(rfc.slice(0, 19) + 'Z') + milliseconds).toISOString().slice(0, 19) + offset;
}

const label = (row) => (row.interval_end ? `${dayText(dayOf(row.interval_end))} ${minuteText(row.interval_end)}` : dayText(row.day ?? row.month));

function details(row) {
  const part = (name, value) => el('span', {}, name + ' ', el('b', {}, value));
  const length = row.interval_minutes ? `${row.interval_minutes} min to ` : '';
  if (row.empty) return [el('b', {}, length + label(row)), el('span', {}, 'no balance')];
  return [
    el('b', {}, length + label(row)),
    part('loss', row.loss_shown ? percent(row.loss_pct) : band(row.loss_low_pct, row.loss_high_pct)),
    row.loss_shown && uncertain(row) ? part('band', band(row.loss_low_pct, row.loss_high_pct)) : '',
    part('input', energyText(row.input_wh)),
    part('delivered', energyText(row.delivered_wh)),
    part('coverage', `${percent(row.coverage_pct)} (${count(row.meters_reported)} of ${count(row.meters_expected)})`),
    row.loss_shown ? '' : el('span', {}, row.not_shown_because),
    state(row.attention),
    el('span', {}, row.version ? `${row.status}, version ${row.version}` : row.status),
  ];
}

function describe(view) {
  const shown = view.rows.filter((row) => !row.empty);
  if (!shown.length) return [''];
  return [el('span', {}, `${count(shown.length)} balances, ${label(shown[0])} to ${label(shown[shown.length - 1])}. Point or use the arrow keys; drag to zoom, double-click to reset.`)];
}

// Paints everything; cheap enough for every frame.
function paint(canvas, view) {
  const { width, height } = canvas.getBoundingClientRect();
  if (!width) return;
  const scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const g = canvas.getContext('2d');
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  g.font = `${Math.round(parseFloat(style.fontSize) * 0.8)}px ${style.fontFamily}`;
  const rows = view.rows;
  const area = { left: PADDING.left, top: PADDING.top, width: width - PADDING.left - PADDING.right, height: height - PADDING.top - PADDING.bottom };
  if (!rows.length) {
    g.fillStyle = colour('soft');
    g.fillText('No balance in this span yet.', area.left, area.top + area.height / 2);
    return;
  }
  const scales = scalesOf(rows, area);
  paintGrid(g, scales, area, colour, rows);
  paintInput(g, scales, area, colour, rows);
  paintLoss(g, scales, colour, rows);
  paintCoverage(g, scales, area, colour, rows, view.threshold);
  if (view.drag) {
    const [from, to] = [scales.x(Math.min(view.drag.from, view.drag.to)), scales.x(Math.max(view.drag.from, view.drag.to) + 1)];
    g.globalAlpha = 0.15;
    g.fillStyle = colour('accent');
    g.fillRect(from, area.top, to - from, area.height);
    g.globalAlpha = 1;
  }
  if (view.at != null && rows[view.at]) paintPointer(g, scales, area, colour, rows[view.at], view.at);
}

function scalesOf(rows, area) {
  const highs = rows.flatMap((row) => (row.empty ? [] : [row.loss_pct, row.loss_high_pct])).filter((value) => value != null);
  const lows = rows.flatMap((row) => (row.empty ? [] : [row.loss_pct, row.loss_low_pct])).filter((value) => value != null);
  // A few wild intervals (no load at night) must not flatten the rest: the scale covers 95 of 100.
  const at = (values, share) => values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
  const top = Math.min(100, Math.max(10, (at(highs, 0.95) ?? 10) * 1.1));
  const bottom = Math.max(-50, Math.min(0, (at(lows, 0.05) ?? 0) * 1.1));
  const input = Math.max(1, ...rows.map((row) => row.input_wh ?? 0));
  const clamp = (value) => Math.min(top, Math.max(bottom, value));
  return {
    top, bottom, input,
    x: (at) => area.left + (area.width * at) / rows.length,
    y: (pct) => area.top + area.height - (area.height * (clamp(pct) - bottom)) / (top - bottom),
    yInput: (wh) => (area.height * 0.92 * Math.max(0, wh)) / input,
  };
}

function paintGrid(g, scales, area, colour, rows) {
  const span = scales.top - scales.bottom;
  const step = [1, 2, 5, 10, 20, 25, 50].find((step) => span / step <= 6) ?? 50;
  g.textAlign = 'right';
  g.lineWidth = 1;
  for (let tick = Math.ceil(scales.bottom / step) * step; tick <= scales.top; tick += step) {
    const y = Math.round(scales.y(tick)) + 0.5;
    g.strokeStyle = colour(tick === 0 ? 'faint' : 'line');
    g.beginPath();
    g.moveTo(area.left, y);
    g.lineTo(area.left + area.width, y);
    g.stroke();
    g.fillStyle = colour('soft');
    g.fillText(`${tick} %`.replace('-', '−'), area.left - 6, y + 4);
  }
  g.textAlign = 'left';
  g.fillText(energyText(scales.input / 0.92), area.left + area.width + 5, area.top + 8);
  g.fillText('0', area.left + area.width + 5, area.top + area.height);
  paintTimes(g, scales, area, colour, rows);
}

function paintTimes(g, scales, area, colour, rows) {
  const text = rows[0].interval_end ? (row) => dayOf(shift(row.interval_end, -1)) : (row) => (row.day ?? row.month).slice(0, 7);
  const boundaries = [0];
  rows.forEach((row, at) => { if (at && text(row) !== text(rows[at - 1])) boundaries.push(at); });
  const y = area.top + area.height + STRIP + 16;
  let free = -1e9;
  boundaries.forEach((at) => {
    const x = Math.round(scales.x(at)) + 0.5;
    if (at) {
      g.strokeStyle = colour('faint');
      g.setLineDash([2, 3]);
      g.beginPath();
      g.moveTo(x, area.top);
      g.lineTo(x, area.top + area.height + STRIP + 6);
      g.stroke();
      g.setLineDash([]);
    }
    const name = rows[0].interval_end ? dayText(text(rows[at])) : dayText(rows[at].day ?? rows[at].month);
    const wide = g.measureText(name).width;
    const room = at === 0 && boundaries[1] ? scales.x(boundaries[1]) - x > wide + 14 : true;
    if (x > free && room && x + wide < area.left + area.width + PADDING.right) {
      g.fillStyle = colour('ink');
      g.fillText(name, x + 3, y + 12);
      free = x + wide + 12;
    }
  });
  if (rows[0].interval_end) paintHours(g, scales, area, colour, rows, y - 2);
}

function paintHours(g, scales, area, colour, rows, y) {
  const hours = rows.length * 15 <= 60 * 13 ? 1 : rows.length * 15 <= 60 * 30 ? 3 : rows.length * 15 <= 60 * 60 ? 6 : 12;
  const fit = area.width / (rows.length / (hours * 4)) > 36;
  if (!fit) return;
  g.fillStyle = colour('soft');
  g.textAlign = 'center';
  rows.forEach((row, at) => {
    const minute = minuteText(row.interval_end);
    if (minute.slice(3) === '00' && Number(minute.slice(0, 2)) % hours === 0 && at > 1 && at < rows.length - 2) g.fillText(minute, scales.x(at + 1), y);
  });
  g.textAlign = 'left';
}

function paintInput(g, scales, area, colour, rows) {
  g.fillStyle = colour('line');
  g.globalAlpha = 0.8;
  rows.forEach((row, at) => {
    if (row.input_wh == null) return;
    const [x, next] = [scales.x(at), scales.x(at + 1)];
    const high = scales.yInput(row.input_wh);
    g.fillRect(x, area.top + area.height - high, Math.max(0.5, next - x - (next - x > 4 ? 1 : 0)), high);
  });
  g.globalAlpha = 1;
}

// The band is always drawn; the line only where the loss may be shown as a number.
function paintLoss(g, scales, colour, rows) {
  const middle = (at) => (scales.x(at) + scales.x(at + 1)) / 2;
  const runs = (keep) => {
    const found = [];
    rows.forEach((row, at) => {
      if (row.empty || !keep(row)) return;
      const last = found[found.length - 1];
      if (last && last[last.length - 1] === at - 1) last.push(at); else found.push([at]);
    });
    return found;
  };
  g.fillStyle = colour('accent');
  g.globalAlpha = 0.25;
  for (const run of runs((row) => row.loss_low_pct != null)) {
    g.beginPath();
    run.forEach((at, first) => {
      // A step at both ends, so that a single interval has a width.
      if (first === 0) g.moveTo(scales.x(at), scales.y(rows[at].loss_high_pct));
      g.lineTo(middle(at), scales.y(rows[at].loss_high_pct));
    });
    const last = run[run.length - 1];
    g.lineTo(scales.x(last + 1), scales.y(rows[last].loss_high_pct));
    g.lineTo(scales.x(last + 1), scales.y(rows[last].loss_low_pct));
    [...run].reverse().forEach((at) => g.lineTo(middle(at), scales.y(rows[at].loss_low_pct)));
    g.lineTo(scales.x(run[0]), scales.y(rows[run[0]].loss_low_pct));
    g.fill();
  }
  g.globalAlpha = 1;
  g.strokeStyle = colour('accent');
  g.lineWidth = rows.length > 400 ? 1.2 : 1.8;
  g.lineJoin = 'round';
  for (const run of runs((row) => row.loss_shown && row.loss_pct != null)) {
    g.beginPath();
    run.forEach((at, first) => (first ? g.lineTo(middle(at), scales.y(rows[at].loss_pct)) : g.moveTo(middle(at), scales.y(rows[at].loss_pct))));
    if (run.length === 1) g.lineTo(middle(run[0]) + 1, scales.y(rows[run[0]].loss_pct));
    g.stroke();
  }
}

function paintCoverage(g, scales, area, colour, rows, threshold) {
  const y = area.top + area.height + 2;
  rows.forEach((row, at) => {
    const [x, next] = [scales.x(at), scales.x(at + 1)];
    if (row.empty || row.coverage_pct == null) return;
    g.fillStyle = colour(row.coverage_pct < threshold ? 'watch-fill' : 'faint');
    const high = Math.max(1, (STRIP * row.coverage_pct) / 100);
    g.fillRect(x, y + STRIP - high, next - x + 0.3, high);
  });
}

function paintPointer(g, scales, area, colour, row, at) {
  const x = Math.round((scales.x(at) + scales.x(at + 1)) / 2) + 0.5;
  g.strokeStyle = colour('ink');
  g.lineWidth = 1;
  g.beginPath();
  g.moveTo(x, area.top);
  g.lineTo(x, area.top + area.height);
  g.stroke();
  const loss = row.loss_shown ? row.loss_pct : row.loss_high_pct;
  if (loss == null) return;
  g.fillStyle = colour('ground');
  g.strokeStyle = colour('accent');
  g.lineWidth = 2;
  g.beginPath();
  g.arc(x, scales.y(loss), 4, 0, 7);
  g.fill();
  g.stroke();
}
