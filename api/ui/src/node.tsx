// The view of one node: where does the energy go?

import type { ComponentChildren } from 'preact';

import { go, href, to } from './address';
import { type Asked, nodePath, path, useAsk, useSql, type Row } from './api';
import { dailyQuery, dailyRow, intervalQuery, intervalRow, publishes, versionsQuery } from './asof';
import { Chart } from './chart';
import { Flow } from './flow';
import { band, count, dayOf, dayPlus, dayText, decimal, energyText, hundredths, instantOf, kindName, lasting, lossText, minuteText, percent, plural, uncertain, when, withOffset } from './format';
import { NetworkMap } from './map';
import { Matrix } from './matrix';
import { Meters } from './meters';
import { basis, type Rate, useRate, worthText } from './money';
import { Block, ChartGhost, Choice, Coverage, Facts, Failed, Ghost, Glyph, Loss, LossBar, Notice, Since, State, Trouble, Trust, useOrder } from './parts';
import type { Balance, BalanceRow, Figures, NodeDetail, NodeRow, Resolution, Summary } from './types';
import { DayVersions, VersionTable } from './versions';

// Name, days, and length of a row.
const RANGES: Record<string, [string, number, Resolution]> = {
  '24h': ['24 h', 1, 'interval'], '48h': ['48 h', 2, 'interval'], '7d': ['7 days', 7, 'interval'], '31d': ['31 days', 31, 'day'], '12m': ['12 months', 366, 'month'],
};

// Longest span of which the API gives intervals.
const INTERVAL_DAYS_MAX = 62;

export interface Place {
  node: string;
  day: string | null;
  asOf: string | null;
  facts: Summary;
}

// Until when one looks: the instant of which figures are shown, the end of a day that is asked for, or now.
export const endOf = (day: string | null, asOf: string | null, facts: Summary): string => asOf ?? (day && day < facts.day ? instantOf(`${dayPlus(day, 1)}T00:00`) : facts.now);

interface Span { from: string; to: string; resolution: Resolution; range: string }

// The span of the range that was chosen, whether or not a part of it is looked at.
const wholeOf = (at: URLSearchParams, place: Place): Span => spanOf(new URLSearchParams({ range: at.get('range') ?? '' }), place);
function spanOf(at: URLSearchParams, { facts, asOf, day }: Place): Span {
  const range = RANGES[at.get('range') ?? ''] ? at.get('range')! : '48h';
  const [, days, resolution] = RANGES[range]!;
  const [from, until] = [at.get('from'), at.get('to')];
  if (from && until) {
    // Intervals are given for 62 days at most; of more, days. The end is left out.
    const zoomed = Date.parse(until) - Date.parse(from);
    return zoomed > INTERVAL_DAYS_MAX * 864e5 ? { from: dayOf(from), to: dayOf(until), resolution: 'day', range } : { from, to: until, resolution: 'interval', range };
  }
  const end = endOf(day, asOf, facts);
  if (resolution === 'interval') {
    // To the quarter, so that the question stays the same for a while.
    const now = Math.ceil(Date.parse(end) / 9e5) * 9e5;
    return { from: withOffset(now - days * 864e5), to: withOffset(now), resolution, range };
  }
  const last = dayPlus(dayOf(Date.parse(end) - 1), 1);
  return { from: dayPlus(last, -days), to: last, resolution, range };
}

// The balance over a span: live, or as it stood.
function useBalance(at: URLSearchParams, place: Place, detail: NodeDetail | null) {
  const span = spanOf(at, place);
  const { node, asOf } = place;
  const live = useAsk<Balance>(asOf ? null : nodePath(node, '/balance', { resolution: span.resolution, from: span.from, to: span.to }), 'tick');
  const kind = detail?.kind ?? null;
  const byInterval = span.resolution === 'interval' && publishes(kind);
  const query = !asOf || !detail ? null
    : byInterval && publishes(kind) ? intervalQuery(kind, node, span, asOf) : dailyQuery([node], { from: dayOf(span.from), to: dayOf(Date.parse(span.to) - 1) }, asOf);
  const stood = useSql(query);
  if (!asOf) return { ...live, span };
  const rows = (stood.data ?? []).map((row) => (byInterval && publishes(kind) ? intervalRow(kind, row) : dailyRow(row)));
  const data: Balance | null = stood.data && detail ? {
    node: detail, resolution: byInterval ? 'interval' : 'day', from: span.from, to: span.to, zone: place.facts.zone,
    coverage_threshold_pct: place.facts.coverage_threshold_pct, total: totalOf(rows, detail), rows,
  } : null;
  return { ...stood, data, span };
}

function totalOf(rows: BalanceRow[], like: Figures): Figures {
  const sum = (of: (row: BalanceRow) => number | null) => rows.reduce((all, row) => all + (of(row) ?? 0), 0);
  const [loss, injected] = [sum((row) => row.loss_wh), sum((row) => (row.loss_shown ? row.injected_wh : 0))];
  const whole = rows.length > 0 && rows.every((row) => row.loss_shown) && injected > 0;
  return { ...like, input_wh: sum((row) => row.input_wh), loss_wh: loss, loss_pct: whole ? (100 * loss) / injected : null, loss_shown: whole, loss_low_pct: null, loss_high_pct: null };
}

export function NodeView({ at, place, detail, ask }: { at: URLSearchParams; place: Place; detail: NodeDetail | null; ask: Asked<NodeDetail> }) {
  const balance = useBalance(at, place, detail);
  const day = detail?.day ?? null;
  const split = useAsk<Balance>(!place.asOf && day ? nodePath(place.node, '/balance', { resolution: 'day', from: day, to: dayPlus(day, 1) }) : null, 'tick');
  const stood = useSql(place.asOf && day ? dailyQuery([place.node], { from: day, to: day }, place.asOf) : null);
  // A DT's energy is worth what its feeder bills.
  const rate = useRate(detail ? (detail.kind === 'dt' ? detail.ancestors.findLast(({ kind }) => kind === 'feeder')?.node_id ?? null : detail.node_id) : null);
  if (ask.problem && !detail) return <Failed problem={ask.problem} again={ask.again} />;
  if (!detail) return <Ghost high={640} />;
  const then = place.asOf ? (stood.data?.[0] ? dailyRow(stood.data[0]) : null) : null;
  const figures: Figures = place.asOf ? then ?? { ...detail, loss_shown: false, loss_pct: null, loss_low_pct: null, loss_high_pct: null, injected_wh: null, attention: 'unknown', coverage_pct: null, not_shown_because: 'nothing was published of this day then' } : detail;
  const ofDay = place.asOf ? then : split.data?.rows.at(-1) ?? null;
  const zoomed = at.get('from') != null && at.get('to') != null;
  const whole = wholeOf(at, place);
  const threshold = place.facts.coverage_threshold_pct;
  return (
    <>
      <Head detail={detail} figures={figures} />
      <div class="pair">
        <Block title={`Energy, ${dayText(detail.day)}`} aside={<Trusted of={figures} threshold={threshold} />}>
          <DayVersions node={place.node} day={detail.day} row={ofDay} until={place.asOf} />
          {place.asOf && !stood.data && !stood.problem ? <Ghost lines={8} /> : <Flow of={figures} split={ofDay ? { ht: ofDay.ht_loss_wh, lt: ofDay.lt_loss_wh } : null} worth={worthText(figures.loss_wh, rate)} />}
          <Basis of={figures} rate={rate}>{rate && detail.kind !== 'dt' && <a href={to('revenue')}>Revenue</a>}</Basis>
        </Block>
      </div>
      <Block title="Loss over time" class="over-time" aside={<>
        <p>{balance.data?.rows.length ? `over the span: ${balance.data.total.loss_shown || balance.data.total.loss_low_pct != null ? `loss ${lossText(balance.data.total)}, ` : ''}input ${energyText(balance.data.total.input_wh)}` : '\u00a0'}</p>
        <div class="ranges">
          <Choice label="Span of the chart" now={zoomed ? '' : balance.span.range} of={Object.entries(RANGES).map(([key, [text]]) => [key, text])}
            pick={(range) => go({ range, from: null, to: null, at: null })} />
          {zoomed && <button type="button" aria-pressed="true" onClick={() => go({ from: null, to: null })}>zoomed ×</button>}
        </div>
      </>}>
        <Trouble of={balance} />{balance.data ? <Chart balance={balance.data} whole={zoomed ? [Date.parse(whole.from) / 1000, Date.parse(whole.to) / 1000] : null} chosen={at.get('at')} choose={(chosen) => go({ at: chosen }, true)}
            zoom={(span) => go({ from: span?.[0] ?? null, to: span?.[1] ?? null, at: null }, zoomed && span != null)} /> : !balance.problem && <ChartGhost />}
        <Keys />
      </Block>
      {at.get('at') && <Interval node={detail} end={at.get('at')!} rows={balance.data?.rows ?? []} threshold={threshold} />}
      {publishes(detail.kind) && (detail.kind === 'dt' || at.get('at')) && <Meters node={place.node} end={at.get('at')} now={`${detail.day}T12:00:00Z`} asOf={place.asOf} />}
      {detail.children > 0 && <Below at={at} place={place} detail={detail} rate={rate} />}
      {!place.asOf && <Supply node={place.node} />}
      {detail.kind !== 'dt' && <Block title="Where it is"><NetworkMap under={place.node} day={place.day} high={280} /></Block>}
    </>
  );
}

export const Trusted = ({ of, threshold }: { of: Figures; threshold: number }) => (
  <p>
    <Trust pct={of.coverage_pct} threshold={threshold} />{' '}
    {of.coverage_pct == null ? '' : `${percent(of.coverage_pct)} of reads here`}
    {of.loss_shown && uncertain(of) && of.loss_low_pct != null ? `, ${band(of.loss_low_pct, of.loss_high_pct)} whatever the missing meters carried` : ''}
  </p>
);

// What the figure rests on, or why there is none: one line, whichever it is.
export const Basis = ({ of, rate, children }: { of: Figures; rate: Rate | null; children?: ComponentChildren }) => (
  <p class="facts basis">{!of.loss_shown && of.coverage_pct != null ? <b>The loss is not shown as one number: {of.not_shown_because}. </b> : rate && of.loss_wh != null ? `${basis(rate)} ` : '\u00a0'}{children}</p>
);

function Head({ detail, figures }: { detail: NodeDetail; figures: Figures }) {
  const facts = [
    detail.kind === 'dt' ? 'distribution transformer' : kindName(detail.kind), detail.children ? `${count(detail.children)} below` : null,
    detail.capacity_kva ? `${count(detail.capacity_kva)} kVA` : null, detail.area_class, detail.allowable_loss_pct != null ? `target ${percent(detail.allowable_loss_pct)}` : null,
  ];
  return (
    <div>
      <div class="title"><Glyph kind={detail.kind} /><h1>{detail.name}</h1><span class="id">{detail.node_id}</span><State of={figures.attention} /></div>
      <p class="facts">{facts.filter(Boolean).map((fact) => <span key={fact}>{fact}</span>)}</p>
    </div>
  );
}

export const Keys = () => (
  <div class="keys" aria-hidden="true">
    <span><i class="k-loss" />loss, left scale</span><span><i class="k-band" />band in which it lies</span><span><i class="k-unsure" />not shown as a number</span>
    <span><i class="k-input" />input, right scale</span><span><i class="k-beyond" />loss beyond the scale</span><span><i class="k-low" />coverage below the threshold</span>
  </div>
);

// One interval closely: its figures, and every version that was published.
function Interval({ node, end, rows, threshold }: { node: NodeDetail; end: string; rows: BalanceRow[]; threshold: number }) {
  const row = rows.find((one) => one.interval_end != null && Date.parse(one.interval_end) === Date.parse(end));
  const kind = node.kind;
  const versions = useSql<Row>(publishes(kind) ? versionsQuery(kind, node.node_id, end) : null, 'slow');
  return (
    <Block id="interval" class="close" title={`Interval to ${when(end)}`} aside={<button type="button" onClick={() => go({ at: null }, true)} aria-label="Close this interval">×</button>}>
      {row && <Facts of={[
        ['Loss', <><Loss of={row} /> <State of={row.attention} /></>], ['Lost', energyText(row.loss_wh)], ['Came in', energyText(row.injected_wh ?? row.input_wh)], ['Delivered', energyText(row.delivered_wh)],
        ...(row.ht_loss_wh != null ? [['11 kV loss', energyText(row.ht_loss_wh)] as [string, string]] : []), ...(row.lt_loss_wh != null ? [['LT loss', energyText(row.lt_loss_wh)] as [string, string]] : []),
        ['Meters', <>{count(row.meters_reported)} of {count(row.meters_expected)}{row.meters_estimated ? `, ${count(row.meters_estimated)} estimated` : ''}</>], ['Coverage', <Coverage of={row} threshold={threshold} />],
        ...(row.dt_total != null ? [['DTs metered', `${count(row.dt_metered)} of ${count(row.dt_total)}`] as [string, string]] : []),
        ['Status', row.version ? `${row.status}, version ${row.version}` : `${row.status}, not published yet`],
      ]} />}
      {!publishes(kind) && <p class="facts">Above the feeders an interval is the sum of its feeders and has no versions of its own.</p>}
      {versions.problem && <Failed problem={versions.problem} again={versions.again} />}
      {versions.data && versions.data.length > 0 && <VersionTable rows={versions.data} caption="Every version that was published" />}
      {versions.data?.length === 0 && <p class="facts">Not published yet: tables are brought up to date with each checkpoint.</p>}
      {publishes(kind) && versions.old && !versions.problem && <Ghost lines={2} exact />}
    </Block>
  );
}

const BELOW: Record<string, string> = { children: 'Directly below', feeder: 'Worst feeders', dt: 'Worst DTs', intervals: 'DTs by interval' };
// Of a feeder its DTs are what is directly below.
const BELOW_FEEDER = ['children', 'intervals'];
// Most days of which DTs are shown by interval.
const MATRIX_DAYS = 7;

// What is zoomed to, where that is a week at most; else whole days, so that the question stays the same for a day.
function matrixSpan(at: URLSearchParams, place: Place): [number, number] {
  const span = spanOf(at, place);
  const [from, to] = [Date.parse(span.from) / 1000, Date.parse(span.to) / 1000];
  const whole = (seconds: number) => Math.round(seconds / 900) * 900;
  if (at.get('from') && span.resolution === 'interval' && to - from <= MATRIX_DAYS * 86400) return [whole(from), whole(to)];
  const tomorrow = dayPlus(dayOf(Date.parse(endOf(place.day, place.asOf, place.facts)) - 1), 1);
  const days = Math.min(MATRIX_DAYS, span.resolution === 'interval' ? Math.ceil((to - from) / 86400) : MATRIX_DAYS);
  return [dayPlus(tomorrow, -days), tomorrow].map((day) => Date.parse(instantOf(`${day}T00:00`)) / 1000) as [number, number];
}

function Below({ at, place, detail, rate }: { at: URLSearchParams; place: Place; detail: NodeDetail; rate: Rate | null }) {
  const choices = Object.entries(BELOW).filter(([name]) => detail.kind !== 'feeder' || BELOW_FEEDER.includes(name));
  const which = choices.find(([name]) => name === at.get('below'))?.[0] ?? 'children';
  const day = place.day;
  const found = useAsk<{ nodes: NodeRow[]; not_ranked?: number }>(
    which === 'intervals' ? null : which === 'children' ? nodePath(place.node, '/children', { day }) : path('nodes/ranking', { kind: which, under: place.node, day, top: 50 }), place.asOf ? null : 'tick');
  const nodes = found.data?.nodes ?? [];
  const stood = useSql(place.asOf && nodes.length ? dailyQuery(nodes.slice(0, 500).map((row) => row.node_id), { from: detail.day, to: detail.day }, place.asOf) : null);
  const then = new Map((stood.data ?? []).map((row) => [String(row['node_id']), dailyRow(row)]));
  const rows = place.asOf ? nodes.map((row) => ({ ...row, ...(then.get(row.node_id) ?? { loss_shown: false, loss_pct: null, loss_wh: null, input_wh: null, delivered_wh: null, loss_low_pct: null, loss_high_pct: null, attention: 'unknown' as const, coverage_pct: null }) })) : nodes;
  const [ordered, again] = useOrder(rows, (row) => row.node_id, `${place.node} ${which} ${day ?? ''}`);
  const threshold = place.facts.coverage_threshold_pct;
  return (
    <Block class={which === 'intervals' ? 'matrix-block' : ''} title={which === 'intervals' ? BELOW[which] : which === 'children' ? `${count(rows.length)} ${plural(rows[0]?.kind, rows.length)} below, ${dayText(detail.day)}` : `${BELOW[which]}, ${dayText(detail.day)}`} aside={<div class="ranges">
      <Choice label="Which nodes" now={which} of={choices} pick={(below) => go({ below: below === 'children' ? null : below }, true)} />
      {which !== 'intervals' && <button type="button" onClick={again}>Worst first</button>}
    </div>}>
      {which === 'intervals' && <Matrix node={place.node} span={matrixSpan(at, place)} asOf={place.asOf} />}
      <Trouble of={found} />{which === 'intervals' ? null : found.data ? <NodeTable rows={ordered.slice(0, 500)} threshold={threshold} rate={rate} /> : !found.problem && <Ghost lines={6} />}
      {rows.length > 500 && <p class="facts">The 500 worst are shown; /api/v1/nodes gives all.</p>}
      {found.data?.not_ranked ? <p class="facts">{count(found.data.not_ranked)} more have no loss to show (coverage or a missing meter) and are not ranked.</p> : null}
    </Block>
  );
}

export function NodeTable({ rows, threshold, rate }: { rows: NodeRow[]; threshold: number; rate: Rate | null }) {
  if (!rows.length) return <Notice>Nothing to rank yet: a balance appears once the meters at the head have reported.</Notice>;
  return (
    <div class="scroll">
      <table class="nodes">
        <thead><tr>
          <th scope="col">Name</th><th scope="col" class="number">Loss</th><th class="less" scope="col"><span class="hidden">Loss as a bar</span></th><th scope="col" class="number less">Lost</th>
          <th scope="col" class="number less">Input</th><th scope="col" class="number optional">Delivered</th><th scope="col" class="number">Coverage</th><th scope="col">State</th>
        </tr></thead>
        <tbody>{rows.map((row) => (
          <tr key={row.node_id}>
            <td class="node"><a href={href({ node: row.node_id, from: null, to: null, at: null })} title={row.node_id}><Glyph kind={row.kind} /><span>{row.name}</span></a></td>
            <td class="number"><Loss of={row} /></td><td class="less"><LossBar of={row} /></td>
            <td class={row.loss_wh == null ? 'number null less' : 'number less'}>{energyText(row.loss_wh)}{rate && row.loss_wh != null && <small>{worthText(row.loss_wh, rate)}</small>}</td><td class="number less">{energyText(row.input_wh)}</td>
            <td class="number optional">{energyText(row.delivered_wh)}</td><td class="number"><Coverage of={row} threshold={threshold} /></td><td><State of={row.attention} /></td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}

interface Indices { month: string; basis: string; med: string; consumers_served: number; saifi: number | null; saidi_minutes: number | null; maifi: number | null; caidi_minutes: number | null }

// Reliability of supply by month: each consumer's own interruptions beside what the feeder alone shows.
function Supply({ node }: { node: string }) {
  const found = useAsk<{ months: Indices[] }>(nodePath(node, '/reliability', { med: 'included' }), 'slow');
  const months = [...new Set((found.data?.months ?? []).map((row) => row.month))].sort().reverse().slice(0, 6);
  if (found.problem && !found.data) return <Block title="Supply by month"><Failed problem={found.problem} again={found.again} /></Block>;
  if (!found.data) return <Block title="Supply by month"><Ghost lines={3} /></Block>;
  if (!months.length) return null;
  const of = (month: string, basis: string) => found.data?.months.find((row) => row.month === month && row.basis === basis);
  return (
    <Block title="Supply by month" aside={<a href={to('outages')}>Outages here</a>}>
      <Since of={found} />
      <div class="scroll"><table>
        <thead><tr><th scope="col">Month</th><th scope="col" class="number">SAIDI, minutes</th><th scope="col" class="number">SAIFI</th><th scope="col" class="number less">CAIDI</th><th scope="col" class="number less">MAIFI</th><th scope="col" class="number">SAIDI by feeder</th><th scope="col" class="number less">Consumers</th></tr></thead>
        <tbody>{months.map((month) => {
          const [own, feeder] = [of(month, 'consumer'), of(month, 'feeder')];
          return (
            <tr key={month}>
              <td>{dayText(month).split(' ')[2]} {month.slice(0, 4)}</td><td class="number">{decimal(own?.saidi_minutes)}</td><td class="number">{hundredths(own?.saifi)}</td>
              <td class="number less">{lasting(own?.caidi_minutes)}</td><td class="number less">{hundredths(own?.maifi)}</td><td class="number">{decimal(feeder?.saidi_minutes)}</td><td class="number less">{count(own?.consumers_served)}</td>
            </tr>
          );
        })}</tbody>
      </table></div>
    </Block>
  );
}
export const minuteOf = minuteText;
