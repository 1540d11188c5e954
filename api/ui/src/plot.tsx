// A plain chart of series over time, for usage and for results of queries.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';

import { civil, dayOf, dayText, minuteText, monthText, zoneName } from './format';
import { wall } from './parts';
import { moved, scaled, type Steps, ZoomButtons, zoomKey } from './zoom';

export interface Series {
  name: string;
  // Null: a gap. Undefined: nothing is said of this time, and the line goes on.
  values: (number | null | undefined)[];
  columns?: boolean;
}

// Columns stand whole at both ends of the whole: half a step more on each side.
function around(u: uPlot, from: number, to: number): [number, number] {
  const x = u.data[0];
  const half = x.length > 1 ? (x[1]! - x[0]!) / 2 : 43200;
  return [from === x[0] ? from - half : from, to === x.at(-1) ? to + half : to];
}

// Fewer points than this are not zoomed into.
const LEAST_POINTS = 4;

// What each step of the zoom does; `shown`: the part that is shown, seconds, null: the whole.
function stepsOf(u: uPlot | null, x: number[], shown: [number, number] | null, middle: number | null): Steps {
  const [first, last] = [x[0], x.at(-1)];
  if (!u || first == null || last == null || last <= first) return {};
  const all: [number, number] = [first, last];
  const now = shown ?? all;
  const set = ([min, max]: [number, number]) => u.setScale('x', { min, max });
  return {
    ...(now[1] - now[0] > (LEAST_POINTS * (last - first)) / (x.length - 1) ? { closer: () => set(scaled(now, 0.5, middle, all)) } : {}),
    ...(shown ? { wider: () => set(scaled(now, 2, middle, all)), whole: () => set(all) } : {}),
    ...(now[0] > first ? { earlier: () => set(moved(now, -1, all)) } : {}),
    ...(now[1] < last ? { later: () => set(moved(now, 1, all)) } : {}),
  };
}

// Colours of states say states: series have their own, and after these a dash.
const COLOURS = ['accent', 'series-2', 'series-3', 'series-4'];
const DASHES = [[], [6, 3], [2, 2]];
const colourOf = (index: number) => COLOURS[index % COLOURS.length]!;
const dashOf = (index: number) => DASHES[Math.floor(index / COLOURS.length) % DASHES.length]!;
export const SERIES_MAX = COLOURS.length * DASHES.length;

function Swatch({ of, columns }: { of: number; columns: boolean | undefined }) {
  return <svg class="swatch" width="18" height="10" aria-hidden="true"><path d="M0 5H18" stroke={`var(--${colourOf(of)})`} stroke-width={columns ? 10 : 2} stroke-dasharray={dashOf(of).join(' ') || undefined} /></svg>;
}

// `x`: seconds since 1970, in order. `text` says a value with its unit. `civilDays`: they are days, the same in every zone; `months`: the first of each.
export function Plot({ x, series, text, label, civilDays = false, months = false, high: asked = 220 }: { x: number[]; series: Series[]; text: (value: number) => string; label: string; civilDays?: boolean; months?: boolean; high?: number }) {
  const high = asked * wall();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const [shown, setShown] = useState<[number, number] | null>(null);
  const zoomed = useRef<[number, number] | null>(null);
  const data = (): uPlot.AlignedData => [x, ...series.map(({ values }) => values)];
  const shape = `${series.map(({ name, columns }) => `${name} ${columns}`).join('|')} ${civilDays} ${months}`;
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const style = getComputedStyle(element);
    const colour = (name: string) => () => style.getPropertyValue(`--${name}`).trim();
    const pixels = Math.round(parseFloat(style.fontSize) * 0.86);
    const font = `${pixels}px ${style.fontFamily}`;
    const axis: uPlot.Axis = { stroke: colour('soft'), font, grid: { stroke: colour('line'), width: 1 }, ticks: { show: false } };
    const bars = uPlot.paths.bars?.({ size: [0.8, 40 * wall()] });
    const times = (_: uPlot, splits: number[]) => splits.map((split) => {
      const [day, hour] = new Date(split * 1000).toISOString().split('T');
      // Between two days, or two months, there is nothing to name.
      if (civilDays && (!hour?.startsWith('00:00') || (months && !day!.endsWith('-01')))) return '';
      if (civilDays) return months ? monthText(day!) : dayText(day!).slice(4);
      const local = civil(split * 1000);
      return local.slice(11, 16) === '00:00' ? dayText(local.slice(0, 10)).slice(4) : local.slice(11, 16);
    });
    const made = new uPlot({
      width: element.clientWidth, height: high, legend: { show: false }, padding: [8, 20, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), civilDays ? 'Etc/UTC' : zoneName()),
      cursor: { drag: { setScale: true, x: true, y: false }, y: false },
      scales: { ...(series.some(({ columns }) => columns) ? { x: { range: around } } : {}), y: { range: (_, least, most) => [Math.min(0, least ?? 0), Math.max(1e-9, (most ?? 1) * 1.06)] } },
      axes: [{ ...axis, size: pixels * 2.4, space: pixels * 5, grid: { show: false }, values: times }, { ...axis, size: pixels * 6.4, space: pixels * 3, values: (_, splits) => splits.map(text) }],
      series: [{}, ...series.map(({ columns }, index): uPlot.Series => ({
        stroke: colour(colourOf(index)), dash: dashOf(index), width: columns ? 0 : 1.5 * wall(), points: { show: false },
        ...(columns && bars ? { paths: bars, fill: colour(colourOf(index)) } : {}),
      }))],
      hooks: {
        setCursor: [(u) => setAt(u.cursor.idx ?? null)],
        setScale: [(u, key) => {
          const { min, max } = u.scales['x'] ?? {};
          const [first, last] = [u.data[0][0], u.data[0].at(-1)];
          if (key !== 'x' || min == null || max == null || first == null || last == null) return;
          zoomed.current = min > first || max < last ? [min, max] : null;
          setShown(zoomed.current);
        }],
      },
    }, data(), element);
    plot.current = made;
    const watch = new ResizeObserver(() => { if (element.clientWidth) made.setSize({ width: element.clientWidth, height: high }); });
    watch.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const repaint = () => made.redraw(false, true);
    scheme.addEventListener('change', repaint);
    return () => { watch.disconnect(); scheme.removeEventListener('change', repaint); made.destroy(); plot.current = null; };
  }, [shape]);
  // Newer values into the part that is shown.
  useEffect(() => {
    const u = plot.current;
    // As it is by now: what was drawn last may not know yet of a zoom that has just been made.
    const kept = zoomed.current;
    u?.setData(data(), !kept);
    if (kept) u?.setScale('x', { min: kept[0], max: kept[1] });
  }, [x, series]);
  const here = at == null ? undefined : x[at];
  const zooms = stepsOf(plot.current, x, shown, here ?? null);
  const keys = (event: KeyboardEvent) => {
    if (zoomKey(event, zooms)) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
    if (step == null || !x.length) return;
    event.preventDefault();
    const next = Math.min(x.length - 1, Math.max(0, (at ?? x.length) + step));
    plot.current?.setCursor({ left: plot.current.valToPos(x[next] ?? 0, 'x'), top: 10 });
    setAt(next);
  };
  const time = (seconds: number) => {
    const day = new Date(seconds * 1000).toISOString().slice(0, 10);
    if (civilDays) return months ? monthText(day) : dayText(day);
    const iso = new Date(seconds * 1000).toISOString();
    return `${dayText(dayOf(iso))} ${minuteText(iso)}`;
  };
  return (
    <div class="chart">
      <div class="top"><div class="readout" aria-live="polite">
        {here == null ? <span>{series.length > 1 ? '\u00a0' : series[0]?.name}</span>
          : <><b>{time(here)}</b>{series.map(({ name, values, columns }, index) => <span key={name}>{series.length > 1 && <Swatch of={index} columns={columns} />}{name} <b>{at == null || values[at] == null ? '–' : text(values[at]!)}</b></span>)}</>}
      </div><ZoomButtons steps={zooms} label="Zoom of the chart" /></div>
      <div class="plain-plot" style={{ height: `${high}px` }} ref={place} tabIndex={0} role="group" aria-label={`${label}. Arrow keys step through it, plus and minus zoom, Shift with an arrow moves.`} onKeyDown={keys} />
      {series.length > 1 && <div class="keys">{series.map(({ name, columns }, index) => <span key={name}><Swatch of={index} columns={columns} />{name}</span>)}</div>}
    </div>
  );
}
