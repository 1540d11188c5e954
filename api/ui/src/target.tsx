// Target against what came in, of a month: figures, words and drawings that revenue views share.

import { count, exact, hundredths, many, NONE, rupees, text } from './format';
import type { FeederMonth, RevenueTotal } from './money';
import { useWidth, wall } from './parts';

// A month of a feeder, or of all feeders below a node.
export interface Month {
  month: string;
  eif: number | null;
  sold: number | null;
  loss: number | null;
  target: number | null;
  abr: number | null;
  tri: number | null;
  ari: number | null;
  deviation: string | null;
  remarks: string[];
}

export const ofFeeder = (row: FeederMonth): Month => ({
  month: row.month, eif: row.eif_kwh, sold: row.sold_kwh, loss: row.loss_pct, target: row.allowable_loss_pct, abr: row.abr, tri: row.tri, ari: row.ari, deviation: row.deviation_inr,
  remarks: [row.audit ? 'audit' : '', row.arrears_suspected ? 'arrears in the demand' : '', row.ari == null && row.tri != null ? 'not over' : ''].filter(Boolean),
});
export const ofNode = (row: RevenueTotal): Month => ({
  month: row.period, eif: row.eif_kwh || null, sold: row.sold_kwh || null, loss: row.loss_pct, target: null, abr: row.abr, tri: row.tri, ari: row.ari,
  deviation: row.deviations ? row.deviation_inr : null, remarks: [row.audits ? many(row.audits, 'feeder to audit', 'feeders to audit') : ''].filter(Boolean),
});

export const rate = (value: number | null | undefined) => exact(value);
export const Of = ({ value, what }: { value: number | null | undefined; what: string }) => <strong>{rate(value)}{value != null && <small> {what}</small>}</strong>;
// kWh by size, as energy elsewhere.
export const units = (kwh: number | null | undefined) => (kwh == null ? NONE : Math.abs(kwh) >= 1e6 ? `${hundredths(kwh / 1e6)}\u00a0MU` : Math.abs(kwh) >= 1e3 ? `${hundredths(kwh / 1e3)}\u00a0MWh` : `${count(Math.round(kwh))}\u00a0kWh`);
export const money = (inr: string | number | null | undefined) => (inr == null ? NONE : text(rupees(inr)));
// What is short asks for somebody, from a hundredth on; what is above the target asks for nobody.
const toneOf = (tri: number | null, ari: number | null) => (tri == null || ari == null ? 'unknown' : ari >= 0.99 * tri ? 'normal' : ari >= 0.85 * tri ? 'watch' : 'investigate');
const SAYS = { unknown: 'not known yet', normal: 'on target', watch: 'below', investigate: 'far below' };
export const Standing = ({ tri, ari }: { tri: number | null; ari: number | null }) => {
  const tone = toneOf(tri, ari);
  return <span key={tone} class="state" data-attention={tone}><svg class="mark" data-attention={tone} aria-hidden="true"><use href={`#mark-${tone}`} /></svg>{SAYS[tone]}</span>;
};

// Twelve months from April on, each with what is known of it.
export function yearOf(start: string, months: Month[]): (Month | null)[] {
  const first = Number(start.slice(0, 4));
  return Array.from({ length: 12 }, (_, at) => {
    const month = `${first + (at >= 9 ? 1 : 0)}-${String(((at + 3) % 12) + 1).padStart(2, '0')}-01`;
    return months.find((row) => row.month === month) ?? null;
  });
}
const SHORT = ['Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec', 'Jan', 'Feb', 'Mar'];

function scale(year: (Month | null)[]): [number, number] {
  const values = year.flatMap((month) => [month?.tri, month?.ari]).filter((value): value is number => value != null);
  if (!values.length) return [0, 1];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = Math.max((most - least) * 0.25, most * 0.04, 0.05);
  return [Math.max(0, least - room), most + room];
}

// The target as a step over each month, what came in as a dot, and the gap between them as a line: the longer, the more is missing.
export function Against({ year, picked, pick }: { year: (Month | null)[]; picked: number | null; pick: (at: number | null) => void }) {
  const [box, wide] = useWidth<HTMLDivElement>(760);
  const tall = wall();
  const [width, high, left, bottom] = [Math.max(280, Math.min(1100 * tall, wide)), 232 * tall, 52 * tall, 22 * tall];
  const [from, to] = scale(year);
  const slot = (width - left) / 12;
  const y = (value: number) => 14 * tall + ((to - value) * (high - bottom - 18 * tall)) / (to - from);
  const step = (to - from) / 4;
  const levels = Array.from({ length: 5 }, (_, at) => from + step * at);
  return (
    <div ref={box}><svg class="against" width={width} height={high} viewBox={`0 0 ${width} ${high}`} role="img" aria-label="Targeted and actual revenue for each unit of input, by month; the table below has the figures.">
      {levels.map((level) => <g key={level}><path class="grid" d={`M${left} ${y(level).toFixed(1)}H${width}`} /><text x={left - 6} y={y(level) + 4} text-anchor="end">{`₹ ${level.toFixed(2)}`}</text></g>)}
      {year.map((month, at) => {
        const [x, middle] = [left + at * slot, left + (at + 0.5) * slot];
        const tone = toneOf(month?.tri ?? null, month?.ari ?? null);
        return (
          <g key={SHORT[at]} data-attention={tone} onPointerEnter={() => pick(at)} onPointerLeave={() => pick(null)}>
            <rect class="slot" x={x} y="0" width={slot} height={high} data-picked={picked === at ? '' : undefined} />
            <text x={middle} y={high - 6} text-anchor="middle" class={month ? undefined : 'dim'}>{SHORT[at]}</text>
            {month?.tri != null && month.ari != null && <path class="gap" d={`M${middle} ${y(month.tri).toFixed(1)}V${y(month.ari).toFixed(1)}`} />}
            {month?.tri != null && <path class="tri" d={`M${x + 6} ${y(month.tri).toFixed(1)}H${x + slot - 6}`} />}
            {month?.ari != null && <circle class="ari" cx={middle} cy={y(month.ari).toFixed(1)} r="5" />}
          </g>
        );
      })}
    </svg></div>
  );
}

// The same, small.
export function Small({ year }: { year: (Month | null)[] }) {
  const [width, high] = [108, 24];
  const [from, to] = scale(year);
  const y = (value: number) => 2 + ((to - value) * (high - 4)) / (to - from);
  return (
    <svg class="against small" width={width * wall()} height={high * wall()} viewBox={`0 0 ${width} ${high}`} aria-hidden="true">
      {year.map((month, at) => month && (
        <g key={at} data-attention={toneOf(month.tri, month.ari)}>
          {month.tri != null && <path class="tri" d={`M${at * 9 + 1} ${y(month.tri).toFixed(1)}h7`} />}
          {month.ari != null && <circle class="ari" cx={at * 9 + 4.5} cy={y(month.ari).toFixed(1)} r="2.2" />}
        </g>
      ))}
    </svg>
  );
}
