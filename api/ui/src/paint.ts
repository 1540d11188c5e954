// What is painted of a balance: band, columns, coverage and days beneath uPlot's line, and marks of what is beyond the scale above it.

import type uPlot from 'uplot';

import { civil, dayOf, dayText, minuteText, monthText, tells } from './format';
import { wall } from './parts';
import type { BalanceRow, Resolution } from './types';

export const STRIP = 5;
const MICRO_GAP = 1;

export interface Point {
  row: BalanceRow | null;
  // Begin and end, seconds since 1970.
  from: number;
  to: number;
}

// The rows with their spans; intervals without a balance get an empty one: a gap is drawn as a gap.
export function points(rows: BalanceRow[], resolution: Resolution): Point[] {
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

// A band that tells nothing is drawn as not known, and shapes no scale.
const isTold = (row: BalanceRow) => row.loss_shown || tells(row.loss_low_pct, row.loss_high_pct);

export function scaleOf(all: Point[]): [number, number] {
  const known = all.flatMap(({ row }) => (row && isTold(row) ? [row] : []));
  const pick = (values: (number | null)[]) => values.filter((value): value is number => value != null).sort((a, b) => a - b);
  const highs = pick(known.flatMap((row) => [row.loss_pct, row.loss_high_pct]));
  const lows = pick(known.flatMap((row) => [row.loss_pct, row.loss_low_pct]));
  // A few wild intervals (no load at night) must not flatten the rest: the scale covers 95 of 100.
  const at = (values: number[], share: number) => values[Math.min(values.length - 1, Math.floor(values.length * share))];
  return [Math.max(-50, Math.min(0, (at(lows, 0.05) ?? 0) * 1.1)), Math.min(100, Math.max(10, (at(highs, 0.95) ?? 10) * 1.1))];
}

export interface Shown {
  all: Point[];
  threshold: number;
  chosen: string | null;
  resolution: Resolution;
}

export const rowKey = (row: BalanceRow | null | undefined) => row?.interval_end ?? row?.day ?? row?.month ?? null;

export function paintBeneath(u: uPlot, shown: Shown): void {
  const { ctx } = u;
  const style = getComputedStyle(u.root);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const { left, top, width, height } = u.bbox;
  const pixel = (devicePixelRatio || 1) * wall();
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
      const [high, low] = isTold(row) ? [Math.max(top, from_y), Math.min(bottom, to_y)] : [top, bottom];
      ctx.globalAlpha = row.loss_shown ? 0.28 : isTold(row) ? 0.5 : 0.14;
      ctx.fillStyle = colour(row.loss_shown ? 'accent' : 'unknown');
      ctx.fillRect(x, high, next - x, Math.max(0, low - high));
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

const MARK = 7;
// A loss beyond the scale is marked at the edge that it is beyond, in the colour of its state: what is clipped is said to be.
export function paintAbove(u: uPlot, { all }: Shown): void {
  const { ctx } = u;
  const style = getComputedStyle(u.root);
  const { left, top, width, height } = u.bbox;
  const { min, max } = u.scales['pct'] ?? {};
  const size = MARK * (devicePixelRatio || 1) * wall();
  if (min == null || max == null) return;
  for (const { row, from, to } of all) {
    const loss = row?.loss_shown ? row.loss_pct : null;
    if (row == null || loss == null || (loss <= max && loss >= min)) continue;
    const x = u.valToPos((from + to) / 2, 'x', true);
    if (x < left || x > left + width) continue;
    const [edge, way] = loss > max ? [top, 1] : [top + height, -1];
    ctx.fillStyle = style.getPropertyValue(row.attention === 'normal' ? '--normal' : `--${row.attention}-fill`).trim();
    ctx.beginPath();
    ctx.moveTo(x, edge);
    ctx.lineTo(x + size / 2, edge + way * size);
    ctx.lineTo(x - size / 2, edge + way * size);
    ctx.fill();
  }
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
