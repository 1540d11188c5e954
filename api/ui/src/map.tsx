// The network where coordinates exist: no tiles, no other host. Lines join what belongs to one feeder; they are not the wires' route.

import type { VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { atNode } from './address';
import { path, useAsk } from './api';
import { count, many, percent, WORDS } from './format';
import { Failed, Ghost, Since, wall } from './parts';
import type { Place, Places } from './types';
import { type Step, StepButton, type Steps, zoomKey } from './zoom';

interface Point extends Place { x: number; y: number }
interface Box { x: number; y: number; width: number; height: number }

const MARGIN = 26;
// Pixels at the lower edge that the words lie on, beside the margin.
const BELOW = 30;
const ZOOM_MAX = 24;

// Metres east and south of the middle, so that shapes are true at any latitude.
function project(places: Place[]): Point[] {
  const middle = places.reduce((sum, { lat }) => sum + lat, 0) / Math.max(1, places.length);
  const shrink = Math.cos((middle * Math.PI) / 180);
  return places.map((place) => ({ ...place, x: place.lon * 111320 * shrink, y: -place.lat * 110540 }));
}

// What belongs to a feeder, joined by shortest lines from the feeder on (Prim): the feeder's id and the path of its lines.
function lines(points: Point[]): [string, string][] {
  const byId = new Map(points.map((point) => [point.node_id, point]));
  const groups = new Map<string, Point[]>();
  for (const point of points) if (point.parent_id && byId.has(point.parent_id)) groups.set(point.parent_id, [...(groups.get(point.parent_id) ?? []), point]);
  const found: [string, string][] = [];
  for (const [id, below] of groups) {
    const top = byId.get(id)!;
    if (top.kind !== 'feeder' || below.length > 400) { found.push([id, below.map((point) => line(top, point)).join('')]); continue; }
    let path = '';
    const joined = new Map(below.map((point) => [point, { from: top, far: (point.x - top.x) ** 2 + (point.y - top.y) ** 2 }]));
    while (joined.size) {
      let next: Point | null = null;
      for (const [point, { far }] of joined) if (!next || far < joined.get(next)!.far) next = point;
      if (!next) break;
      path += line(joined.get(next)!.from, next);
      joined.delete(next);
      for (const [point, held] of joined) {
        const far = (point.x - next.x) ** 2 + (point.y - next.y) ** 2;
        if (far < held.far) joined.set(point, { from: next, far });
      }
    }
    found.push([id, path]);
  }
  return found;
}

const line = (from: Point, to: Point) => `M${from.x} ${from.y}L${to.x} ${to.y}`;

// Chromium (156) takes a time that grows with the square of how many elements it adds side by side inside what a container query rules:
// six seconds for the map of 2,000 places. So no more than these are siblings.
const SIDE_BY_SIDE = 50;
function few(all: VNode[]): VNode[] {
  const parts: VNode[] = [];
  for (let at = 0; at < all.length; at += SIDE_BY_SIDE) parts.push(<g key={at}>{all.slice(at, at + SIDE_BY_SIDE)}</g>);
  return parts;
}

function around(points: Point[], wide: number, high: number): Box {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [across, down] = [Math.max(200, Math.max(...xs) - left), Math.max(200, Math.max(...ys) - top)];
  const scale = Math.max(across / (wide - 2 * MARGIN), down / (high - 2 * MARGIN));
  const [width, height] = [wide * scale, high * scale];
  return { x: left + across / 2 - width / 2 - (across === 200 ? 100 : 0), y: top + down / 2 - height / 2 - (down === 200 ? 100 : 0), width, height };
}

// Ways to move what is zoomed, without dragging.
const WAYS: [Step, string, string][] = [['up', '↑', 'North'], ['down', '↓', 'South'], ['earlier', '←', 'West'], ['later', '→', 'East']];

const SHAPES: Record<string, (size: number) => string> = {
  watch: (size) => `M0 ${-1.25 * size}L${1.2 * size} ${0.95 * size}H${-1.2 * size}z`,
  investigate: (size) => `M0 ${-1.45 * size}L${1.45 * size} 0 0 ${1.45 * size} ${-1.45 * size} 0z`,
  negative: (size) => `M${-1.4 * size} ${-0.6 * size}H${1.4 * size}V${0.6 * size}H${-1.4 * size}z`,
};

export function NetworkMap({ under, day, high: asked, out, selected }: { under: string | null; day: string | null; high: number; out?: Map<string, number>; selected?: string | null }) {
  const high = asked * wall();
  const found = useAsk<Places>(path('places', { under, day }), 'slow');
  const frame = useRef<HTMLDivElement>(null);
  const [wide, setWide] = useState(700);
  const [zoom, setZoom] = useState({ by: 1, x: 0, y: 0 });
  const [pointed, setPointed] = useState<Point | null>(null);
  const drag = useRef<{ x: number; y: number; from: { x: number; y: number }; moved: boolean } | null>(null);
  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const measure = () => { if (element.clientWidth) setWide(element.clientWidth); };
    const watch = new ResizeObserver(measure);
    watch.observe(element);
    measure();
    return () => watch.disconnect();
  }, [found.data == null]);
  useEffect(() => setZoom({ by: 1, x: 0, y: 0 }), [under]);
  const points = useMemo(() => project(found.data?.places ?? []), [found.data]);
  const joins = useMemo(() => lines(points), [points]);
  if (found.problem && !found.data) return <Failed problem={found.problem} again={found.again} />;
  if (!found.data) return <Ghost high={high} exact />;
  if (!points.length) {
    return <p class="notice">No node here has coordinates. With <code class="inline">lat</code> and <code class="inline">lon</code> in nodes.csv they stand on this map: <code class="inline">gridtally import nodes.csv</code>.</p>;
  }
  const whole = around(points, wide, high - BELOW);
  const pixel = (whole.width / wide / zoom.by) * wall();
  const box = { width: whole.width / zoom.by, height: (whole.height * high) / (high - BELOW) / zoom.by, x: whole.x + whole.width / 2 + zoom.x - whole.width / zoom.by / 2, y: whole.y + whole.height / 2 + zoom.y - whole.height / zoom.by / 2 };
  const middle = { x: whole.x + whole.width / 2, y: whole.y + whole.height / 2 };
  const change = (factor: number) => setZoom((now) => {
    const by = Math.min(ZOOM_MAX, Math.max(1, now.by * factor));
    if (by === 1) return { by, x: 0, y: 0 };
    // Closer to what is there: where nothing would be seen, to the nearest node.
    const away = points.map((point) => ({ x: point.x - middle.x - now.x, y: point.y - middle.y - now.y }));
    if (factor < 1 || away.some(({ x, y }) => Math.abs(x) < whole.width / by / 2 && Math.abs(y) < whole.height / by / 2)) return { ...now, by };
    const nearest = away.reduce((best, one) => (one.x ** 2 + one.y ** 2 < best.x ** 2 + best.y ** 2 ? one : best));
    return { by, x: now.x + nearest.x, y: now.y + nearest.y };
  });
  // By a third of what is shown.
  const shift = (x: number, y: number) => () => setZoom((now) => ({ ...now, x: now.x + (x * box.width) / 3, y: now.y + (y * box.height) / 3 }));
  const isZoomed = zoom.by > 1;
  const steps: Steps = {
    ...(zoom.by < ZOOM_MAX ? { closer: () => change(1.6) } : {}),
    ...(isZoomed ? { wider: () => change(1 / 1.6), whole: () => setZoom({ by: 1, x: 0, y: 0 }), earlier: shift(-1, 0), later: shift(1, 0), up: shift(0, -1), down: shift(0, 1) } : {}),
  };
  const base = (points.length > 600 ? 2.2 : points.length > 150 ? 3 : 4);
  const size = (point: Point) => pixel * (point.kind === 'dt' ? base : base + 0.5);
  const order: Record<string, number> = { normal: 0, unknown: 1, watch: 2, negative: 3, investigate: 4 };
  const dts = points.filter(({ kind }) => kind === 'dt').sort((a, b) => (order[a.attention] ?? 0) - (order[b.attention] ?? 0));
  const stations = points.filter(({ kind }) => kind === 'substation');
  const feeders = points.filter(({ kind }) => kind === 'feeder');
  const colour = new Map(feeders.map((feeder) => [feeder.node_id, feeder.attention]));
  const move = (event: PointerEvent) => {
    if (!drag.current) return;
    const [dx, dy] = [event.clientX - drag.current.x, event.clientY - drag.current.y];
    if (Math.abs(dx) + Math.abs(dy) > 4) drag.current.moved = true;
    setZoom((now) => ({ ...now, x: drag.current!.from.x - (dx * pixel) / wall(), y: drag.current!.from.y - (dy * pixel) / wall() }));
  };
  const worse = dts.filter(({ attention }) => attention === 'investigate' || attention === 'watch').length;
  return (
    <><Since of={found} /><div class="map" ref={frame} style={{ height: `${high}px` }} tabIndex={0} role="group" aria-label="Map. Plus and minus zoom, arrow keys move what is zoomed, 0 shows the whole." onKeyDown={(event) => zoomKey(event, steps, isZoomed)}>
      <svg width={wide} height={high} viewBox={`${box.x} ${box.y} ${box.width} ${box.height}`} role="img" data-zoomed={isZoomed ? '' : undefined}
        aria-label={`Map of ${many(points.length, 'node')}, of which ${many(worse, 'DT asks', 'DTs ask')} for attention. The tree lists the same nodes.`}
        onPointerDown={(event) => { if (isZoomed) drag.current = { x: event.clientX, y: event.clientY, from: { x: zoom.x, y: zoom.y }, moved: false }; }}
        onPointerMove={move} onPointerUp={() => { setTimeout(() => { drag.current = null; }); }} onPointerLeave={() => { drag.current = null; setPointed(null); }} onDblClick={() => change(2)}>
        {few(joins.map(([feeder, line]) => (
          <path key={feeder} class={pointed && (pointed.node_id === feeder || pointed.parent_id === feeder) ? 'join lit' : 'join'} data-attention={colour.get(feeder)} d={line} stroke-width={pixel * 1.2} />
        )))}
        {few(dts.map((point) => {
          const shape = SHAPES[point.attention]?.(size(point));
          const common = {
            class: 'spot', 'data-attention': point.attention, onPointerEnter: () => setPointed(point),
            onClick: () => { if (!drag.current?.moved) location.hash = atNode(point.node_id); },
          };
          return (
            <g key={point.node_id} transform={`translate(${point.x} ${point.y})`}>
              {out?.has(point.node_id) && <circle class="dark" r={size(point) + 5 * pixel} stroke-width={2 * pixel} />}
              {point.node_id === selected && <circle class="here" r={size(point) + 8 * pixel} stroke-width={1.5 * pixel} />}
              {shape ? <path {...common} d={shape} /> : <circle {...common} r={size(point)} stroke-width={pixel * 1.4} />}
            </g>
          );
        }))}
        {[...feeders.filter(({ node_id }) => out?.has(node_id) || node_id === selected), ...stations].map((point) => (
          <g key={point.node_id} transform={`translate(${point.x} ${point.y})`}>
            {out?.has(point.node_id) && <circle class="dark" r={11 * pixel} stroke-width={2 * pixel} />}
            {point.node_id === selected && <circle class="here" r={14 * pixel} stroke-width={1.5 * pixel} />}
            <rect class="station" x={-5 * pixel} y={-5 * pixel} width={10 * pixel} height={10 * pixel} stroke-width={1.5 * pixel} onPointerEnter={() => setPointed(point)} onClick={() => { location.hash = atNode(point.node_id); }} />
            {point.kind === 'substation' && stations.length <= 24 && <text x={9 * pixel} y={4 * pixel} font-size={12 * pixel} stroke-width={3 * pixel}>{point.name.replace(/ 33\/11 kV substation$/, '')}</text>}
          </g>
        ))}
      </svg>
      <div class="map-buttons">
        <StepButton steps={steps} of="closer" sign="+" name="Closer" /><StepButton steps={steps} of="wider" sign="−" name="Wider" />
        {isZoomed && <>{WAYS.map(([of, sign, name]) => <StepButton key={of} steps={steps} of={of} sign={sign} name={name} />)}<StepButton steps={steps} of="whole" sign="↔" name="The whole" /></>}
      </div>
      <p class="map-words" aria-live="off">
        {pointed ? `${pointed.name}: loss ${percent(pointed.loss_pct)}, ${WORDS[pointed.attention]}${out?.get(pointed.node_id) ? `, ${many(out.get(pointed.node_id)!, 'consumer')} without supply` : ''}`
          : `Lines join what hangs on one feeder; they are not the wires.${found.data.left_out ? ` ${count(found.data.left_out)} nodes are left out: choose a node below.` : ''}${found.data.dts_not_placed ? ` ${many(found.data.dts_not_placed, 'DT has', 'DTs have')} no coordinates.` : ''}`}
      </p>
    </div></>
  );
}
