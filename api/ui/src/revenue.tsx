// Revenue: does each unit of energy bring what it should? TRI against ARI through the year, month by month, and the feeders that are furthest
// from their target.

import { useEffect, useState } from 'preact/hooks';

import { go, href } from './address';
import { ask, nodePath, path, useAsk, useAsked } from './api';
import { count, hundredths, many, monthText, NONE, percent, rupees, text } from './format';
import { useFacts } from './live';
import { yearName, yearStart, type FeederMonth, type FeederRevenue, type NodeRevenue, type RevenueTotal } from './money';
import { Block, Choice, Failed, Ghost, Glyph, Notice, useWidth, wall } from './parts';
import type { NodeDetail, NodeRow } from './types';

const FEEDERS_MAX = 60;
const AT_A_TIME = 4;

// A month of a feeder, or of all feeders below a node.
interface Month {
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

const ofFeeder = (row: FeederMonth): Month => ({
  month: row.month, eif: row.eif_kwh, sold: row.sold_kwh, loss: row.loss_pct, target: row.allowable_loss_pct, abr: row.abr, tri: row.tri, ari: row.ari, deviation: row.deviation_inr,
  remarks: [row.audit ? 'audit' : '', row.arrears_suspected ? 'arrears in the demand' : '', row.ari == null && row.tri != null ? 'not over' : ''].filter(Boolean),
});
const ofNode = (row: RevenueTotal): Month => ({
  month: row.period, eif: row.eif_kwh || null, sold: row.sold_kwh || null, loss: row.loss_pct, target: null, abr: row.abr, tri: row.tri, ari: row.ari,
  deviation: row.deviations ? row.deviation_inr : null, remarks: [row.audits ? many(row.audits, 'feeder to audit', 'feeders to audit') : ''].filter(Boolean),
});

const rate = (value: number | null | undefined) => (value == null ? NONE : `${value < 0 ? '−' : ''}₹\u00a0${hundredths(Math.abs(value))}`);
const Of = ({ value, what }: { value: number | null | undefined; what: string }) => <strong>{rate(value)}{value != null && <small> {what}</small>}</strong>;
// kWh by size, as energy elsewhere.
const units = (kwh: number | null | undefined) => (kwh == null ? NONE : Math.abs(kwh) >= 1e6 ? `${hundredths(kwh / 1e6)}\u00a0MU` : Math.abs(kwh) >= 1e3 ? `${hundredths(kwh / 1e3)}\u00a0MWh` : `${count(Math.round(kwh))}\u00a0kWh`);
const money = (inr: string | number | null | undefined) => (inr == null ? NONE : text(rupees(inr)));
// What is short asks for somebody, from a hundredth on; what is above the target asks for nobody.
const toneOf = (tri: number | null, ari: number | null) => (tri == null || ari == null ? 'unknown' : ari >= 0.99 * tri ? 'normal' : ari >= 0.85 * tri ? 'watch' : 'investigate');
const SAYS = { unknown: 'not known yet', normal: 'on target', watch: 'below', investigate: 'far below' };
const Standing = ({ tri, ari }: { tri: number | null; ari: number | null }) => {
  const tone = toneOf(tri, ari);
  return <span key={tone} class="state" data-attention={tone}><svg class="mark" data-attention={tone} aria-hidden="true"><use href={`#mark-${tone}`} /></svg>{SAYS[tone]}</span>;
};

// Twelve months from April on, each with what is known of it.
function yearOf(start: string, months: Month[]): (Month | null)[] {
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
function Against({ year, picked, pick }: { year: (Month | null)[]; picked: number | null; pick: (at: number | null) => void }) {
  const [box, wide] = useWidth<HTMLDivElement>(760);
  const tall = wall();
  const [width, high, left, bottom] = [Math.max(280, Math.min(1100 * tall, wide)), 232 * tall, 52 * tall, 22 * tall];
  const [from, to] = scale(year);
  const slot = (width - left) / 12;
  const y = (value: number) => 10 + ((to - value) * (high - bottom - 14)) / (to - from);
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
function Small({ year }: { year: (Month | null)[] }) {
  const [width, high] = [108, 24];
  const [from, to] = scale(year);
  const y = (value: number) => 2 + ((to - value) * (high - 4)) / (to - from);
  return (
    <svg class="against small" width={width} height={high} viewBox={`0 0 ${width} ${high}`} aria-hidden="true">
      {year.map((month, at) => month && (
        <g key={at} data-attention={toneOf(month.tri, month.ari)}>
          {month.tri != null && <path class="tri" d={`M${at * 9 + 1} ${y(month.tri).toFixed(1)}h7`} />}
          {month.ari != null && <circle class="ari" cx={at * 9 + 4.5} cy={y(month.ari).toFixed(1)} r="2.2" />}
        </g>
      ))}
    </svg>
  );
}

export function Revenue({ at, detail }: { at: URLSearchParams; detail: NodeDetail | null }) {
  const facts = useFacts();
  const [picked, pick] = useState<number | null>(null);
  const back = at.get('year') === 'last' ? 1 : 0;
  const start = facts ? yearStart(facts.day, back) : null;
  const end = start ? `${Number(start.slice(0, 4)) + 1}-03-31` : null;
  const feeder = detail?.kind === 'dt' ? detail.ancestors.findLast(({ kind }) => kind === 'feeder') ?? null : detail?.kind === 'feeder' ? detail : null;
  const route = !detail || !start ? null : feeder ? path(`feeders/${encodeURIComponent(feeder.node_id)}/revenue`, { from: start, to: end }) : nodePath(detail.node_id, '/revenue', { from: start, to: end });
  const found = useAsk<FeederRevenue | NodeRevenue>(route, 'slow');
  if (!detail || !facts || !start || !end) return <Ghost high={560} />;
  const data = found.data;
  const months: Month[] = !data ? [] : 'feeder_id' in data ? data.months.map(ofFeeder) : data.months.map(ofNode);
  const year = yearOf(start, months);
  const whole = data?.years.find(({ period }) => period === yearName(start)) ?? null;
  const accounts = data && 'accounts' in data ? data.accounts.find((row) => row.year === yearName(start)) ?? null : null;
  const here = picked == null ? null : year[picked];
  return (
    <>
      <div class="title"><Glyph kind={feeder?.kind ?? detail.kind} /><h1>Revenue of {feeder?.name ?? detail.name}</h1></div>
      {detail.kind === 'dt' && feeder && <p class="facts">Revenue is kept by feeder: this is the one above {detail.name}.</p>}
      <div class="filters"><Choice label="Financial year" now={back ? 'last' : 'this'} of={[['this', yearName(yearStart(facts.day))], ['last', yearName(yearStart(facts.day, 1))]]} pick={(next) => go({ year: next === 'last' ? 'last' : null })} /></div>
      {found.problem && !data ? <Failed problem={found.problem} again={found.again} /> : !data ? <Ghost high={320} /> : !months.length ? (
        <Notice title="Nothing is known of this year's revenue">Targets need bills of the year before and the discom's accounts of both years; what came in needs bills and balances: <code class="inline">gridtally import billing.csv discom_accounts.csv</code></Notice>
      ) : (
        <>
          <div class="figures">
            <div><h3>Target, TRI</h3><Of value={whole?.tri} what="a kWh of input" /><p>{whole && Number(whole.target_inr) ? `${money(whole.target_inr)} so far` : 'no target yet: last year is not known'}</p></div>
            <div><h3>Came in, ARI</h3><Of value={whole?.ari} what="a kWh of input" /><p>{whole && Number(whole.billed_inr) ? `${money(whole.billed_inr)} billed${Number(whole.collected_inr) ? `, ${money(whole.collected_inr)} collected` : ''}` : 'no bill of this year yet'}</p></div>
            <div><h3>Missing</h3><strong>{whole?.deviations ? money(whole.deviation_inr) : NONE}</strong><p>{whole?.deviations ? <>in {many(whole.deviations, feeder ? 'month' : 'feeder month')} <Standing tri={whole.tri} ari={whole.ari} /></> : 'no month is over'}</p></div>
            <div><h3>Average billing rate</h3><Of value={whole?.abr} what="a kWh sold" /><p>{accounts ? `cost of supply ${rate(accounts.acs)}, realised ${rate(accounts.arr)}, gap ${rate(accounts.gap)}` : `${units(whole?.sold_kwh || null)} sold of ${units(whole?.eif_kwh || null)}`}</p></div>
          </div>
          <Block title="Target against what came in, for each unit of input" id="against" aside={<p class="readout">{here ? `${monthText(here.month)}: target ${rate(here.tri)}, came in ${rate(here.ari)}${here.deviation != null ? `, ${money(here.deviation)} missing` : ''}` : ''}</p>}>
            <Against year={year} picked={picked} pick={pick} />
            <div class="keys" aria-hidden="true"><span><i class="k-tri" />target (TRI)</span><span><i class="k-ari" />came in (ARI)</span><span><i class="k-gap" />what is missing</span></div>
          </Block>
          <Block title="By month">
            <div class="scroll"><table>
              <thead><tr><th scope="col">Month</th><th scope="col" class="number less">Input</th><th scope="col" class="number less">Sold</th><th scope="col" class="number">Loss</th>{feeder && <th scope="col" class="number optional">Allowed</th>}<th scope="col" class="number optional">ABR</th><th scope="col" class="number">TRI</th><th scope="col" class="number">ARI</th><th scope="col" class="number">Missing</th><th scope="col">State</th></tr></thead>
              <tbody>{months.map((row) => (
                <tr key={row.month} data-month={row.month}>
                  <td>{monthText(row.month)}</td><td class="number less">{units(row.eif)}</td><td class="number less">{units(row.sold)}</td><td class="number">{percent(row.loss)}</td>{feeder && <td class="number optional">{percent(row.target)}</td>}<td class="number optional">{rate(row.abr)}</td>
                  <td class="number">{rate(row.tri)}</td><td class="number">{rate(row.ari)}</td><td class="number">{money(row.deviation)}</td><td><Standing tri={row.tri} ari={row.ari} />{row.remarks.length > 0 && <small>{row.remarks.join(', ')}</small>}</td>
                </tr>
              ))}</tbody>
            </table></div>
          </Block>
        </>
      )}
      {!feeder && <Feeders under={detail.node_id} start={start} end={end} />}
    </>
  );
}

interface Ranked { row: NodeRow; whole: RevenueTotal | null; year: (Month | null)[] }

// The revenue of each feeder below, a few at a time; furthest from its target first.
function useFeeders(rows: NodeRow[], start: string, end: string): { ranked: Ranked[]; done: boolean } {
  const [state, set] = useState<{ ranked: Ranked[]; done: boolean }>({ ranked: [], done: false });
  const ids = rows.map(({ node_id }) => node_id).join();
  useEffect(() => {
    let current = true;
    const waiting = [...rows];
    const ranked: Ranked[] = [];
    set({ ranked: [], done: false });
    const work = async () => {
      for (let row = waiting.shift(); row && current; row = waiting.shift()) {
        try {
          const revenue = await ask<FeederRevenue>(path(`feeders/${encodeURIComponent(row.node_id)}/revenue`, { from: start, to: end }));
          const whole = revenue.years.find(({ period }) => period === yearName(start)) ?? null;
          ranked.push({ row, whole, year: yearOf(start, revenue.months.map(ofFeeder)) });
        } catch { /* A feeder of which nothing is answered is not ranked. */ }
      }
    };
    void Promise.all(Array.from({ length: AT_A_TIME }, work)).then(() => {
      const missing = ({ whole }: Ranked) => (whole?.deviations ? Number(whole.deviation_inr) : -Infinity);
      if (current) set({ ranked: ranked.sort((a, b) => missing(b) - missing(a)), done: true });
    });
    return () => { current = false; };
  }, [ids, start]);
  return state;
}

// Feeders below a node, at most so many: whoever looks at the whole is told by kind, else children are followed down.
async function feedersBelow(under: string, isAll: boolean, signal: AbortSignal): Promise<NodeRow[]> {
  if (isAll) return (await ask<{ nodes: NodeRow[] }>(path('nodes', { kind: 'feeder', limit: FEEDERS_MAX }), { signal })).nodes;
  const found: NodeRow[] = [];
  const waiting = [under];
  for (let id = waiting.pop(); id && found.length < FEEDERS_MAX; id = waiting.pop()) {
    const { nodes } = await ask<{ nodes: NodeRow[] }>(nodePath(id, '/children'), { signal });
    for (const row of nodes) if (row.kind === 'feeder') found.push(row); else if (row.kind !== 'dt' && row.children) waiting.push(row.node_id);
  }
  return found.slice(0, FEEDERS_MAX);
}

function Feeders({ under, start, end }: { under: string; start: string; end: string }) {
  const facts = useFacts();
  const isAll = under === facts?.roots[0]?.node_id && facts.roots.length === 1;
  const asked = useAsked<NodeRow[]>(`feeders below ${under}`, (signal) => feedersBelow(under, isAll, signal), null);
  const { ranked, done } = useFeeders(asked.data ?? [], start, end);
  const known = ranked.filter(({ whole }) => whole && (whole.deviations || Number(whole.target_inr) || whole.abr != null));
  return (
    <Block title="Feeders, most missing first">
      {asked.problem && !asked.data ? <Failed problem={asked.problem} again={asked.again} /> : !asked.data || !done ? <Ghost lines={6} /> : !known.length ? <p class="facts">No feeder here has bills or a target in {yearName(start)}.</p> : (
        <div class="scroll"><table class="nodes">
          <thead><tr><th scope="col">Feeder</th><th scope="col" class="less">TRI and ARI, April to March</th><th scope="col" class="number">TRI</th><th scope="col" class="number">ARI</th><th scope="col" class="number">Missing</th><th scope="col" class="number less">Loss</th><th scope="col" class="number optional">To audit</th><th scope="col">State</th></tr></thead>
          <tbody>{known.map(({ row, whole, year }) => (
            <tr key={row.node_id}>
              <td class="node"><a href={href({ node: row.node_id })} title={row.node_id}><Glyph kind="feeder" /><span>{row.name}</span></a></td><td class="less"><Small year={year} /></td>
              <td class="number">{rate(whole?.tri)}</td><td class="number">{rate(whole?.ari)}</td><td class="number">{whole?.deviations ? money(whole.deviation_inr) : NONE}</td><td class="number less">{percent(whole?.loss_pct)}</td>
              <td class="number optional">{whole?.audits ? many(whole.audits, 'month') : NONE}</td><td><Standing tri={whole?.tri ?? null} ari={whole?.ari ?? null} /></td>
            </tr>
          ))}</tbody>
        </table></div>
      )}
      {asked.data?.length === FEEDERS_MAX && <p class="facts">Of {FEEDERS_MAX} feeders; the table feeder_revenue_monthly has all.</p>}
    </Block>
  );
}
