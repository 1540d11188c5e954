// The chart of a node: loss as a stepped line with the band in which it lies, input as columns behind, coverage as a strip below.
// uPlot draws axes and line and keeps 60 frames a second with weeks of intervals; band, columns and strip are painted beneath.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';

import { band, civil, count, dayOf, dayText, energyText, instantOf, monthText, NONE, percent, uncertain, withOffset, zoneName } from './format';
import { label, paintAbove, paintBeneath, type Point, points, rowKey, scaleOf, type Shown, STRIP } from './paint';
import { State, wall } from './parts';
import type { Balance, BalanceRow, Resolution } from './types';
import { moved, scaled, type Steps, ZoomButtons, zoomKey } from './zoom';

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
    const [iso = '', time = ''] = new Date(at * 1000).toISOString().split('T');
    // Within a day, or a month, there is nothing to name.
    if (!time.startsWith('00:00') || (resolution === 'month' && iso.slice(8) !== '01')) return '';
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
      { ...axis, size: pixels + 22, gap: STRIP * wall() + 6, space: pixels * 5.3, grid: { show: false }, values: resolution === 'interval' ? hours : civilDays, ...(resolution === 'month' ? { space: pixels * 6.6 } : {}) },
      { ...axis, scale: 'pct', size: pixels * 4, space: pixels * 2.8, values: (_, splits) => splits.map((value) => `${value} %`.replace('-', '−')) },
      { ...axis, scale: 'wh', side: 1, size: pixels * 5.8, grid: { show: false }, values: (_, splits) => splits.map((value) => (most() === 1 ? '' : value === 0 ? '0' : energyText(value).replace(/\.0+(?=\D)/, ''))), space: pixels * 5.8 },
    ],
    series: [
      {},
      { scale: 'pct', stroke: colour('accent'), width: 1.6 * wall(), points: { show: false }, ...(uPlot.paths.stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}) },
      { scale: 'wh', show: true, stroke: 'transparent', points: { show: false }, paths: () => null },
    ],
    hooks: {
      drawClear: [(u) => paintBeneath(u, wiring.current.shown)],
      draw: [(u) => paintAbove(u, wiring.current.shown)],
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
  // The whole span, seconds since 1970; null: it is the one that is shown.
  whole: [number, number] | null;
}

// Least that is zoomed to: some intervals; a day, which opens into its own.
const LEAST_INTERVALS = 4;
const DAY = 86400;
// As far back as steps lead, in lengths of the whole span.
const BACK = 60;

// What each step of the zoom does to the span that is shown.
function stepsOf({ balance, zoom, whole }: Given, all: Point[], middle: number | null): Steps {
  const isInterval = balance.resolution === 'interval';
  const [first, final] = [all[0], all.at(-1)];
  // What is drawn: of what was asked for, the part of which there are balances.
  const shown: [number, number] = first && final ? [first.from, final.to] : [Date.parse(balance.from) / 1000, Date.parse(balance.to) / 1000];
  const grain = isInterval ? (first ? first.to - first.from : 900) : DAY;
  const least = isInterval ? LEAST_INTERVALS * grain : DAY;
  const [from, to] = whole ?? shown;
  const reach: [number, number] = [to - BACK * (to - from), to];
  const open = (span: [number, number]) => {
    const [start, end] = span.map((at) => Math.round(at / grain) * grain) as [number, number];
    if (end - start >= to - from && end >= to) zoom(null);
    else if (end > start) zoom([instant(start, balance.resolution), instant(end, balance.resolution)]);
  };
  const length = shown[1] - shown[0];
  return {
    ...(length / 2 >= least ? { closer: () => open(scaled(shown, 0.5, middle, reach)) } : {}),
    ...(whole ? { wider: () => (length * 2 >= to - from ? zoom(null) : open(scaled(shown, 2, middle, reach))), whole: () => zoom(null) } : {}),
    ...(shown[0] > reach[0] ? { earlier: () => open(moved(shown, -1, reach)) } : {}),
    ...(shown[1] < to ? { later: () => open(moved(shown, 1, reach)) } : {}),
  };
}

export function Chart(given: Given) {
  const { balance, chosen, choose, zoom } = given;
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

  const point = at == null ? null : all[at];
  const zooms = stepsOf(given, all, point ? (point.from + point.to) / 2 : null);
  const keys = (event: KeyboardEvent) => {
    if (zoomKey(event, zooms)) return;
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
  return (
    <div class="chart">
      <div class="top">
        <div class="readout" aria-live="polite">{point ? <Details point={point} /> : <Described rows={balance.rows} />}</div>
        <ZoomButtons steps={zooms} label="Zoom of the chart" />
      </div>
      <div class="plot" ref={place} tabIndex={0} role="group" aria-label={`Loss of ${balance.node.name} over time. Arrow keys step through it${balance.resolution === 'interval' ? ', Enter looks closely' : ''}, plus and minus zoom, Shift with an arrow moves, Escape goes back.`}
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
  return <span>{`${count(rows.length)} balances, ${label(first)} to ${label(last)}. Point, or use the arrow keys; drag, + and − zoom.`}</span>;
}
