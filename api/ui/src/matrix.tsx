// All DTs of a node by interval, on one canvas: a row a DT, a column an interval, a colour where something asks for attention. What loses by night,
// what is silent since when, and what goes up and down together is seen at once. It is drawn from one picture of a point a cell, so that it keeps
// 60 frames a second with a week of 1,000 DTs, however much of it is shown.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { go } from './address';
import { quote, useSql } from './api';
import { attentionOf } from './asof';
import { civil, count, dayOf, dayText, many, minuteText, percent, withOffset, WORDS } from './format';
import { ChartGhost, Trouble, useShown, useWidth, wall } from './parts';
import type { Attention } from './types';
import { moved, scaled, type Step, StepButton, type Steps, zoomKey } from './zoom';

const ROWS_MAX = 1000;
const SLOT = 900;
const HEIGHT = 420;
// Least that is zoomed to.
const LEAST: [number, number] = [8, 6];

interface Line { dt_id: string; name: string; minutes: number; losses: string }
interface Cells {
  rows: { id: string; name: string }[];
  columns: number;
  // Loss in per cent, of row after row; NaN: not shown, Infinity: no balance.
  loss: Float32Array;
}

// Losses of an interval as `slot:per cent`, a DT a row, the most lost energy first.
function query(node: string, [from, to]: [number, number], asOf: string | null): string {
  const [begin, end] = [from, to].map((at) => new Date(at * 1000).toISOString()) as [string, string];
  return `WITH RECURSIVE below AS (
  SELECT node_id, name FROM nodes WHERE valid_to IS NULL AND node_id = ${quote(node)}
  UNION ALL
  SELECT n.node_id, n.name FROM nodes n JOIN below b ON n.parent_id = b.node_id WHERE n.valid_to IS NULL
)
SELECT d.dt_id, MAX(b.name) AS name, MIN(d.interval_minutes) AS minutes,
  string_agg(CAST((CAST(date_part('epoch', d.interval_end) AS BIGINT) - ${from}) / ${SLOT} AS VARCHAR) || ':' || COALESCE(CAST(ROUND(d.loss_pct, 1) AS VARCHAR), ''), ',') AS losses
FROM ${asOf ? `dt_balance_as_of(${quote(asOf)})` : 'dt_balance'} d JOIN below b ON b.node_id = d.dt_id
WHERE d.day BETWEEN ${quote(dayOf(from * 1000))} AND ${quote(dayOf(to * 1000))} AND d.interval_end > ${quote(begin)} AND d.interval_end <= ${quote(end)} AND d.status <> 'withdrawn'
GROUP BY 1 ORDER BY SUM(d.loss_wh) DESC NULLS LAST, 1 LIMIT ${ROWS_MAX}`;
}

function cellsOf(lines: Line[], columns: number): Cells {
  const loss = new Float32Array(lines.length * columns).fill(Infinity);
  lines.forEach(({ losses, minutes }, row) => {
    const wide = Math.max(1, Math.round(minutes / 15));
    for (const part of losses.split(',')) {
      const [slot = '', pct = ''] = part.split(':');
      const end = Number(slot);
      for (let at = Math.max(0, end - wide); at < end && at < columns; at += 1) loss[row * columns + at] = pct === '' ? NaN : Number(pct);
    }
  });
  return { rows: lines.map(({ dt_id, name }) => ({ id: dt_id, name })), columns, loss };
}

const stateOf = (loss: number): Attention | null => (loss === Infinity ? null : attentionOf(Number.isNaN(loss) ? null : loss));

// A point a cell.
function picture({ rows, columns, loss }: Cells, colour: (name: string) => string): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [Math.max(1, columns), Math.max(1, rows.length)];
  const ctx = canvas.getContext('2d', { willReadFrequently: true });
  if (!ctx) return canvas;
  const names: Record<Attention, string> = { normal: 'column', watch: 'watch-fill', investigate: 'investigate-fill', negative: 'negative-fill', unknown: 'faint' };
  // A colour as the canvas has it.
  const bytes = (name: string) => { ctx.fillStyle = colour(name); ctx.fillRect(0, 0, 1, 1); return new Uint32Array(ctx.getImageData(0, 0, 1, 1).data.buffer)[0]!; };
  const of = Object.fromEntries(Object.entries(names).map(([state, name]) => [state, bytes(name)])) as Record<Attention, number>;
  const none = bytes('ground');
  const data = ctx.createImageData(canvas.width, canvas.height);
  const points = new Uint32Array(data.data.buffer).fill(none);
  loss.forEach((value, at) => { const state = stateOf(value); points[at] = state ? of[state] : none; });
  ctx.putImageData(data, 0, 0);
  return canvas;
}

// The part that is shown: columns and rows.
interface Part { x: [number, number]; y: [number, number] }

// What each step does to the part that is shown.
function stepsOf(part: Part, whole: Part, set: (part: Part) => void): Steps {
  const isWhole = part.x[0] <= whole.x[0] && part.x[1] >= whole.x[1] && part.y[0] <= whole.y[0] && part.y[1] >= whole.y[1];
  const zoom = (factor: number) => () => set({ x: scaled(part.x, factor, null, whole.x), y: scaled(part.y, factor, null, whole.y) });
  return {
    ...(part.x[1] - part.x[0] > LEAST[0] ? { closer: zoom(0.5) } : {}),
    ...(isWhole ? {} : { wider: zoom(2), whole: () => set(whole) }),
    ...(part.x[0] > whole.x[0] ? { earlier: () => set({ ...part, x: moved(part.x, -1, whole.x) }) } : {}),
    ...(part.x[1] < whole.x[1] ? { later: () => set({ ...part, x: moved(part.x, 1, whole.x) }) } : {}),
    ...(part.y[0] > whole.y[0] ? { up: () => set({ ...part, y: moved(part.y, -1, whole.y) }) } : {}),
    ...(part.y[1] < whole.y[1] ? { down: () => set({ ...part, y: moved(part.y, 1, whole.y) }) } : {}),
  };
}
const BUTTONS: [Step, string, string][] = [
  ['earlier', '‹', 'Earlier'], ['later', '›', 'Later'], ['up', '↑', 'Up'], ['down', '↓', 'Down'], ['wider', '−', 'Wider'], ['closer', '+', 'Closer'], ['whole', '↔', 'The whole'],
];

interface Given { node: string; span: [number, number]; asOf: string | null }

export function Matrix({ node, span: [from, to], asOf }: Given) {
  const columns = Math.round((to - from) / SLOT);
  const asked = useSql<Line>(query(node, [from, to], asOf), 'slow');
  const shown = useShown(asked.old, { from, columns });
  const cells = useMemo(() => (asked.data ? cellsOf(asked.data, shown.columns) : null), [asked.data]);
  return (
    <>
      <Trouble of={asked} />
      {!cells ? !asked.problem && <ChartGhost high={HEIGHT * wall()} /> : !cells.rows.length ? <p class="notice">No balance of a DT is published in this span yet: tables are brought up to date with each checkpoint.</p> : <Drawn key={`${node} ${shown.from} ${shown.columns} ${cells.rows.length}`} cells={cells} from={shown.from} />}
      {asked.data?.length === ROWS_MAX && <p class="facts">The {count(ROWS_MAX)} DTs that lost most energy.</p>}
      <div class="keys" aria-hidden="true">{KEYS.map(([name, says]) => <span key={name}><i class={`k-${name}`} />{says}</span>)}</div>
    </>
  );
}
const KEYS: [string, string][] = [['input', 'normal'], ['watch', 'watch'], ['investigate', 'investigate'], ['negative', 'negative'], ['unsure', 'loss not shown']];

function Drawn({ cells, from }: { cells: Cells; from: number }) {
  const [box, wide] = useWidth<HTMLDivElement>(700);
  const canvas = useRef<HTMLCanvasElement>(null);
  const high = HEIGHT * wall();
  const whole: Part = { x: [0, cells.columns], y: [0, cells.rows.length] };
  const [part, set] = useState<Part>(whole);
  const [at, setAt] = useState<[number, number] | null>(null);
  const [scheme, setScheme] = useState(0);
  const drag = useRef<{ x: number; y: number; part: Part; moved: boolean } | null>(null);
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const repaint = () => setScheme((now) => now + 1);
    dark.addEventListener('change', repaint);
    return () => dark.removeEventListener('change', repaint);
  }, []);
  const drawn = useMemo(() => {
    const style = getComputedStyle(document.documentElement);
    return picture(cells, (name) => style.getPropertyValue(`--${name}`).trim());
  }, [cells, scheme]);
  const days = useMemo(() => daysOf(from, cells.columns), [from, cells.columns]);
  useEffect(() => { if (canvas.current) paint(canvas.current, drawn, part, days); }, [drawn, part, wide, high, days]);

  const steps = stepsOf(part, whole, set);
  // The cell under the pointer.
  const under = (event: PointerEvent): [number, number] => {
    const edge = canvas.current!.getBoundingClientRect();
    const [x, y] = [(event.clientX - edge.left) / edge.width, (event.clientY - edge.top) / edge.height];
    const of = (share: number, [begin, end]: [number, number], most: number) => Math.max(0, Math.min(most - 1, Math.floor(begin + share * (end - begin))));
    return [of(x, part.x, cells.columns), of(y, part.y, cells.rows.length)];
  };
  const move = (event: PointerEvent) => {
    setAt(under(event));
    const held = drag.current;
    if (!held) return;
    const [dx, dy] = [(event.clientX - held.x) / wide, (event.clientY - held.y) / high];
    if (Math.abs(event.clientX - held.x) + Math.abs(event.clientY - held.y) > 4) held.moved = true;
    const shift = ([begin, end]: [number, number], share: number, most: number): [number, number] => {
      const start = Math.max(0, Math.min(most - (end - begin), begin - share * (end - begin)));
      return [start, start + end - begin];
    };
    set({ x: shift(held.part.x, dx, cells.columns), y: shift(held.part.y, dy, cells.rows.length) });
  };
  const open = (cell: [number, number] | null) => {
    const row = cell && cells.rows[cell[1]];
    if (cell && row) go({ node: row.id, below: null, at: withOffset((from + (cell[0] + 1) * SLOT) * 1000) });
  };
  const keys = (event: KeyboardEvent) => {
    if (zoomKey(event, steps)) return;
    if (event.key === 'Enter') { open(at); return; }
    const way: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: [-1e9, 0], End: [1e9, 0], PageUp: [0, -10], PageDown: [0, 10] };
    const by = way[event.key];
    if (!by) return;
    event.preventDefault();
    const [x, y] = at ?? [Math.floor(part.x[0]), Math.floor(part.y[0])];
    const next: [number, number] = [Math.max(0, Math.min(cells.columns - 1, x + by[0])), Math.max(0, Math.min(cells.rows.length - 1, y + by[1]))];
    setAt(next);
    // What is stepped to is shown.
    const into = (place: number, [begin, end]: [number, number]): [number, number] => (place < begin ? [place, place + end - begin] : place + 1 > end ? [place + 1 - (end - begin), place + 1] : [begin, end]);
    set({ x: into(next[0], part.x), y: into(next[1], part.y) });
  };
  const place = at && { left: `${(100 * (at[0] - part.x[0])) / (part.x[1] - part.x[0])}%`, top: `${(100 * (at[1] - part.y[0])) / (part.y[1] - part.y[0])}%`, width: `${100 / (part.x[1] - part.x[0])}%`, height: `${100 / (part.y[1] - part.y[0])}%` };
  return (
    <div class="chart">
      <div class="top">
        <div class="readout" aria-live="polite">{at ? <Cell cells={cells} at={at} from={from} /> : <span>{many(cells.rows.length, 'DT')} by {count(cells.columns)} intervals. Point, or use the arrow keys; a click or Enter opens the DT there.</span>}</div>
        <div class="zoom" role="group" aria-label="Zoom of the DTs">{BUTTONS.map(([of, sign, name]) => <StepButton key={of} steps={steps} of={of} sign={sign} name={name} />)}</div>
      </div>
      <div class="matrix" data-zoomed={steps.wider ? '' : undefined} ref={box} style={{ height: `${high}px` }} tabIndex={0} role="group" aria-label="Loss of each DT by interval. Arrow keys step through it, Enter opens a DT at an interval, plus and minus zoom, Shift with an arrow moves."
        onKeyDown={keys} onPointerDown={(event) => { drag.current = { x: event.clientX, y: event.clientY, part, moved: false }; event.currentTarget.setPointerCapture(event.pointerId); }}
        onPointerMove={move} onPointerUp={(event) => { if (drag.current && !drag.current.moved) open(under(event)); drag.current = null; }} onPointerCancel={() => { drag.current = null; }}
        onPointerLeave={() => { if (!drag.current) setAt(null); }} onDblClick={() => set(whole)}>
        <canvas ref={canvas} width={wide * devicePixelRatio} height={high * devicePixelRatio} style={{ width: `${wide}px`, height: `${high}px` }} />
        {place && <i class="cell" style={place} />}
      </div>
    </div>
  );
}

function Cell({ cells, at: [x, y], from }: { cells: Cells; at: [number, number]; from: number }) {
  const loss = cells.loss[y * cells.columns + x] ?? Infinity;
  const state = stateOf(loss);
  const end = new Date((from + (x + 1) * SLOT) * 1000).toISOString();
  return (
    <>
      <b>{cells.rows[y]?.name}</b><span>{dayText(dayOf(end))} {minuteText(end)}</span>
      <span>{state == null ? 'no balance' : state === 'unknown' ? 'loss not shown' : <>loss <b>{percent(loss)}</b>, {WORDS[state]}</>}</span>
    </>
  );
}

// Where a civil day begins: its column, and its name.
function daysOf(from: number, columns: number): [number, string][] {
  const locals = Array.from({ length: columns }, (_, slot) => civil((from + slot * SLOT) * 1000));
  return locals.flatMap((local, slot): [number, string][] => (local.slice(11, 16) === '00:00' ? [[slot, dayText(local.slice(0, 10))]] : []));
}

// The part that is shown, with a line where a civil day begins.
function paint(canvas: HTMLCanvasElement, drawn: HTMLCanvasElement, { x, y }: Part, days: [number, string][]): void {
  const ctx = canvas.getContext('2d');
  if (!ctx) return;
  ctx.imageSmoothingEnabled = false;
  ctx.clearRect(0, 0, canvas.width, canvas.height);
  ctx.drawImage(drawn, x[0], y[0], x[1] - x[0], y[1] - y[0], 0, 0, canvas.width, canvas.height);
  const style = getComputedStyle(canvas);
  const pixels = parseFloat(style.fontSize) * 0.86 * devicePixelRatio;
  ctx.font = `${pixels}px ${style.fontFamily}`;
  // Where the next name has room.
  let free = 0;
  for (const [slot, text] of days) {
    if (slot < x[0] || slot >= x[1]) continue;
    const left = ((slot - x[0]) / (x[1] - x[0])) * canvas.width;
    ctx.fillStyle = style.getPropertyValue('--soft');
    ctx.fillRect(left, 0, devicePixelRatio, canvas.height);
    const long = ctx.measureText(text).width + pixels * 0.6;
    if (left < free || left + long > canvas.width) continue;
    free = left + long;
    ctx.fillStyle = style.getPropertyValue('--ground');
    ctx.fillRect(left + devicePixelRatio, 0, long, pixels * 1.5);
    ctx.fillStyle = style.getPropertyValue('--ink');
    ctx.fillText(text, left + pixels * 0.4, pixels * 1.1);
  }
}
