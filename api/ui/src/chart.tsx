// The chart of a node: loss as a stepped line with the band in which it lies, input as columns behind, coverage as a strip below.
// uPlot draws axes and line and keeps 60 frames a second with weeks of intervals; band, columns and strip are painted beneath.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';

import { band, civil, count, dayOf, dayText, energyText, instantOf, minuteText, monthText, NONE, percent, uncertain, withOffset, zoneName } from './format';
import { State, wall } from './parts';
import type { Balance, BalanceRow, Resolution } from './types';

const STRIP = 5;
const MICRO_GAP = 1;

interface Point {
  row: BalanceRow | null;
  // Begin and end, seconds since 1970.
  from: number;
  to: number;
}

// The rows with their spans; intervals without a balance get an empty one: a gap is drawn as a gap.
function points(rows: BalanceRow[], resolution: Resolution): Point[] {
  if (resolution !== 'interval') {
    return rows.map((row) => {
      const day = row.day ?? row.month ?? '';
      const next = resolution === 'day' ? new Date(Date.parse(day) + 864e5) : new Date(Date.UTC(Number(day.slice(0, 4)), Number(day.slice(5, 7)), 1));
      return { row, from: Date.parse(day) / 1000, to: next.getTime() / 1000 };
    });
  }
  const ends = rows.map((row) => Date.parse(row.interval_end ?? '') / 1000);
  const steps = ends.slice(1).map((end, at) => end - (ends[at] ?? 0));
  const step = Math.min(...steps, (rows[0]?.interval_minutes ?? 15) * 60);
  const found: Point[] = [];
  rows.forEach((row, at) => {
    const end = ends[at] ?? 0;
    const before = found.at(-1)?.to ?? end - step;
    for (let gap = before; gap < end - step - 1; gap += step) found.push({ row: null, from: gap, to: gap + step });
    found.push({ row, from: end - step, to: end });
  });
  return found;
}

export const label = (row: BalanceRow): string =>
  row.interval_end ? `${dayText(dayOf(row.interval_end))} ${minuteText(row.interval_end)}` : row.day ? dayText(row.day) : monthText(row.month ?? '');

function scaleOf(all: Point[]): [number, number] {
  const known = all.flatMap(({ row }) => (row ? [row] : []));
  const pick = (values: (number | null)[]) => values.filter((value): value is number => value != null).sort((a, b) => a - b);
  const highs = pick(known.flatMap((row) => [row.loss_pct, row.loss_high_pct]));
  const lows = pick(known.flatMap((row) => [row.loss_pct, row.loss_low_pct]));
  // A few wild intervals (no load at night) must not flatten the rest: the scale covers 95 of 100.
  const at = (values: number[], share: number) => values[Math.min(values.length - 1, Math.floor(values.length * share))];
  return [Math.max(-50, Math.min(0, (at(lows, 0.05) ?? 0) * 1.1)), Math.min(100, Math.max(10, (at(highs, 0.95) ?? 10) * 1.1))];
}

interface Shown {
  all: Point[];
  threshold: number;
  chosen: string | null;
  resolution: Resolution;
}

const rowKey = (row: BalanceRow | null | undefined) => row?.interval_end ?? row?.day ?? row?.month ?? null;

function paintBeneath(u: uPlot, shown: Shown): void {
  const { ctx } = u;
  const style = getComputedStyle(u.root);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const { left, top, width, height } = u.bbox;
  const pixel = devicePixelRatio || 1;
  const bottom = top + height;
  const most = Math.max(1, ...shown.all.map(({ row }) => row?.input_wh ?? 0));
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height + STRIP * pixel + 4 * pixel);
  ctx.clip();
  for (const { row, from, to } of shown.all) {
    const [x, next] = [u.valToPos(from, 'x', true), u.valToPos(to, 'x', true)];
    if (!row || next < left || x > left + width) continue;
    const gap = next - x > 5 * pixel ? MICRO_GAP * pixel : 0;
    if (row.input_wh != null && row.input_wh > 0) {
      const high = (height * 0.92 * row.input_wh) / most;
      ctx.fillStyle = colour('column');
      ctx.fillRect(x, bottom - high, Math.max(0.5, next - x - gap), high);
    }
    if (row.loss_low_pct != null && row.loss_high_pct != null) {
      const [from_y, to_y] = [u.valToPos(row.loss_high_pct, 'pct', true), u.valToPos(row.loss_low_pct, 'pct', true)];
      ctx.globalAlpha = row.loss_shown ? 0.28 : 0.5;
      ctx.fillStyle = colour(row.loss_shown ? 'accent' : 'unknown');
      ctx.fillRect(x, Math.max(top, from_y), next - x, Math.min(bottom, to_y) - Math.max(top, from_y));
      ctx.globalAlpha = 1;
    }
    if (row.coverage_pct != null) {
      const high = Math.max(pixel, (STRIP * pixel * row.coverage_pct) / 100);
      ctx.fillStyle = colour(row.coverage_pct < shown.threshold ? 'watch-fill' : 'faint');
      ctx.fillRect(x, bottom + 3 * pixel + STRIP * pixel - high, next - x + 0.3, high);
    }
    if (shown.chosen && rowKey(row) === shown.chosen) {
      ctx.fillStyle = colour('accent');
      ctx.globalAlpha = 0.2;
      ctx.fillRect(x, top, Math.max(2 * pixel, next - x), height);
      ctx.globalAlpha = 1;
    }
  }
  paintDays(u, shown, colour);
  ctx.restore();
}

// Where a civil day begins.
function paintDays(u: uPlot, { all, resolution }: Shown, colour: (name: string) => string): void {
  if (resolution !== 'interval') return;
  const { ctx } = u;
  const pixel = devicePixelRatio || 1;
  ctx.strokeStyle = colour('faint');
  ctx.lineWidth = pixel;
  ctx.setLineDash([2 * pixel, 3 * pixel]);
  ctx.beginPath();
  for (const { from } of all) {
    if (civil(from * 1000).slice(11, 16) !== '00:00') continue;
    const x = Math.round(u.valToPos(from, 'x', true)) + 0.5;
    ctx.moveTo(x, u.bbox.top);
    ctx.lineTo(x, u.bbox.top + u.bbox.height + STRIP * pixel);
  }
  ctx.stroke();
  ctx.setLineDash([]);
}

function dates(resolution: Resolution): Pick<uPlot.Options, 'tzDate'> {
  // Days and months are civil as they are: they are drawn in UTC.
  return { tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), resolution === 'interval' ? zoneName() : 'Etc/UTC') };
}

interface Wiring {
  shown: Shown;
  point: (at: number | null) => void;
  zoom: (from: number, to: number) => void;
  dragged: number;
}

function optionsOf(element: HTMLElement, wiring: { current: Wiring }, resolution: Resolution): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => () => style.getPropertyValue(`--${name}`).trim();
  const pixels = Math.round(parseFloat(style.fontSize) * 0.86);
  const font = `${pixels}px ${style.fontFamily}`;
  const axis: uPlot.Axis = { stroke: colour('soft'), font, grid: { stroke: colour('line'), width: 1 }, ticks: { show: false } };
  const most = () => Math.max(1, ...wiring.current.shown.all.map(({ row }) => row?.input_wh ?? 0));
  const day = 86400;
  const hours = (u: uPlot, splits: number[]) => splits.map((at) => {
    const text = civil(at * 1000);
    const narrow = (u.scales['x']?.max ?? 0) - (u.scales['x']?.min ?? 0) > 4 * day;
    return text.slice(11, 16) === '00:00' ? dayText(text.slice(0, 10)) : narrow ? '' : text.slice(11, 16);
  });
  const civilDays = (_: uPlot, splits: number[]) => splits.map((at) => {
    const iso = new Date(at * 1000).toISOString().slice(0, 10);
    return resolution === 'month' ? monthText(iso) : iso.slice(8) === '01' ? monthText(iso) : dayText(iso).slice(4);
  });
  return {
    width: element.clientWidth,
    height: element.clientHeight,
    ...dates(resolution),
    legend: { show: false },
    padding: [8, 0, 0, 0],
    cursor: { drag: { x: true, y: false, setScale: false }, y: false, points: { size: 9, width: 2, fill: colour('ground') } },
    select: { show: true, left: 0, top: 0, width: 0, height: 0 },
    scales: { x: { time: true }, pct: { range: () => scaleOf(wiring.current.shown.all) }, wh: { range: () => [0, most() / 0.92] } },
    axes: [
      { ...axis, size: pixels + 22, gap: STRIP + 6, space: 64, grid: { show: false }, values: resolution === 'interval' ? hours : civilDays, ...(resolution === 'month' ? { space: 80 } : {}) },
      { ...axis, scale: 'pct', size: pixels * 4, space: pixels * 2.8, values: (_, splits) => splits.map((value) => `${value} %`.replace('-', '−')) },
      { ...axis, scale: 'wh', side: 1, size: pixels * 5.8, grid: { show: false }, values: (_, splits) => splits.map((value) => (value === 0 ? '0' : energyText(value).replace(/\.0+(?=\D)/, ''))), space: 70 },
    ],
    series: [
      {},
      { scale: 'pct', stroke: colour('accent'), width: 1.6 * wall(), points: { show: false }, ...(uPlot.paths.stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}) },
      { scale: 'wh', show: true, stroke: 'transparent', points: { show: false }, paths: () => null },
    ],
    hooks: {
      drawClear: [(u) => paintBeneath(u, wiring.current.shown)],
      setCursor: [(u) => wiring.current.point(u.cursor.idx ?? null)],
      setSelect: [(u) => {
        const { left, width } = u.select;
        // The click that ends a drag chooses nothing.
        if (width > 8) wiring.current.dragged = performance.now();
        if (width > 8) wiring.current.zoom(u.posToVal(left, 'x'), u.posToVal(left + width, 'x'));
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
    },
  };
}

// Days and months are drawn in UTC; they begin at midnight in the discom's zone.
const instant = (seconds: number, resolution: Resolution) => (resolution === 'interval' ? withOffset(seconds * 1000) : instantOf(new Date(seconds * 1000).toISOString().slice(0, 16)));

const dataOf = (all: Point[]): uPlot.AlignedData => {
  const last = all.at(-1);
  const loss = all.map(({ row }) => (row?.loss_shown ? row.loss_pct : null));
  return [
    // The last step has an end as well.
    [...all.map(({ from }) => from), ...(last ? [last.to] : [])],
    [...loss, ...(last ? [loss.at(-1) ?? null] : [])],
    [...all.map(({ row }) => row?.input_wh ?? null), ...(last ? [null] : [])],
  ];
};

interface Given {
  balance: Balance;
  // The row that is looked at closely: its time.
  chosen: string | null;
  choose: (at: string | null) => void;
  // Instants; null: back to the whole span.
  zoom: (span: [string, string] | null) => void;
}

export function Chart({ balance, chosen, choose, zoom }: Given) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const all = points(balance.rows, balance.resolution);
  const wiring = useRef<Wiring>({ shown: { all, threshold: 95, chosen: null, resolution: 'interval' }, point: () => undefined, zoom: () => undefined, dragged: -1e9 });
  wiring.current = {
    shown: { all, threshold: balance.coverage_threshold_pct, chosen, resolution: balance.resolution },
    point: (next) => setAt(next != null && next < all.length ? next : null),
    zoom: (from, to) => {
      const inside = all.filter((point) => point.to > from && point.from < to);
      const [first, last] = [inside[0], inside.at(-1)];
      // A few intervals show nothing more; a day or month opens into its own.
      if (first && last && inside.length >= (balance.resolution === 'interval' ? 3 : 1)) zoom([instant(first.from, balance.resolution), instant(last.to, balance.resolution)]);
    },
    dragged: wiring.current.dragged,
  };

  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const made = new uPlot(optionsOf(element, wiring, balance.resolution), dataOf(wiring.current.shown.all), element);
    plot.current = made;
    const resized = new ResizeObserver(() => { if (element.clientWidth) made.setSize({ width: element.clientWidth, height: element.clientHeight }); });
    resized.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const repaint = () => made.redraw(false, true);
    scheme.addEventListener('change', repaint);
    return () => { resized.disconnect(); scheme.removeEventListener('change', repaint); made.destroy(); plot.current = null; };
  }, [balance.resolution]);
  useEffect(() => { plot.current?.setData(dataOf(all)); }, [balance]);
  useEffect(() => { plot.current?.redraw(false, true); }, [chosen]);

  const keys = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -4, PageDown: 4, Home: -1e9, End: 1e9 };
    const step = steps[event.key];
    const [u, here] = [plot.current, at == null ? null : all[at]];
    if (event.key === 'Escape') { if (chosen) choose(null); else zoom(null); return; }
    // Only intervals have versions to look at.
    if (event.key === 'Enter' && here?.row && balance.resolution === 'interval') { choose(rowKey(here.row)); return; }
    if (step == null || !all.length || !u) return;
    event.preventDefault();
    const next = Math.min(all.length - 1, Math.max(0, (at ?? all.length) + step));
    const point = all[next];
    if (point) u.setCursor({ left: u.valToPos(point.from, 'x') + 0.5, top: 10 });
    setAt(next);
  };
  const point = at == null ? null : all[at];
  return (
    <div class="chart">
      <div class="readout" aria-live="polite">{point ? <Details point={point} /> : <Described rows={balance.rows} />}</div>
      <div class="plot" ref={place} tabIndex={0} role="group" aria-label={`Loss of ${balance.node.name} over time. Arrow keys step through it${balance.resolution === 'interval' ? ', Enter looks closely' : ''}, Escape goes back.`}
        onKeyDown={keys} onDblClick={() => zoom(null)} onClick={() => { if (performance.now() - wiring.current.dragged > 300 && point?.row && balance.resolution === 'interval') choose(rowKey(point.row)); }}
        onBlur={() => { setAt(null); plot.current?.setCursor({ left: -10, top: -10 }); }} />
      {!balance.rows.length && <p class="notice over">No balance in this span yet. It fills as the meters of this node report.</p>}
    </div>
  );
}

function Details({ point: { row, from, to } }: { point: Point }) {
  const part = (name: string, value: string) => <span>{name} <b>{value}</b></span>;
  if (!row) return <><b>{`${dayText(dayOf(from * 1000))} ${civil(from * 1000).slice(11, 16)} to ${civil(to * 1000).slice(11, 16)}`}</b><span>no balance</span></>;
  return (
    <>
      <b>{row.interval_minutes ? `${row.interval_minutes} min to ` : ''}{label(row)}</b>
      {part('loss', row.loss_shown ? percent(row.loss_pct) : band(row.loss_low_pct, row.loss_high_pct))}
      {row.loss_shown && uncertain(row) && part('band', band(row.loss_low_pct, row.loss_high_pct))}
      {part('input', energyText(row.input_wh))}
      {part('coverage', row.coverage_pct == null ? NONE : `${percent(row.coverage_pct)} (${count(row.meters_reported)} of ${count(row.meters_expected)})`)}
      {!row.loss_shown && <span>{row.not_shown_because}</span>}
      <State of={row.attention} />
      <span>{row.version ? `${row.status}, version ${row.version}` : row.status}</span>
    </>
  );
}

function Described({ rows }: { rows: BalanceRow[] }) {
  const [first, last] = [rows[0], rows.at(-1)];
  if (!first || !last) return <span>{'\u00a0'}</span>;
  return <span>{`${count(rows.length)} balances, ${label(first)} to ${label(last)}. Point or use the arrow keys; drag to zoom, double-click to reset.`}</span>;
}
