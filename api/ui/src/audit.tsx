// Audit: which DTs are to be inspected, and whose bills and meters are to be checked against each other, each with what it rests on.

import { useState } from 'preact/hooks';

import { go, to } from './address';
import { nodePath, Problem, response, useAsk } from './api';
import { count, dateText, hundredths, many, monthsBefore, monthText, percent } from './format';
import { useFacts } from './live';
import { Choice, Failed, Ghost, Glyph, MonthChoice, Notice, Since } from './parts';
import { monthAsked } from './ranking';
import { units } from './target';
import type { NodeDetail } from './types';

interface Sign { sign: string; strength: number; first_day: string; last_day: string; evidence: string }
interface Technical {
  rank: number;
  dt_id: string;
  name: string;
  feeder_id: string;
  unaccounted_kwh: number | null;
  loss_bound_kwh: number | null;
  loss_pct: number | null;
  coverage_pct: number;
  confidence: number | null;
  signs: Sign[];
}
interface TechnicalList { month: string; suspicious: number; dts: Technical[] }
interface Commercial { rank: number; consumer_id: string; meter_id: string; node_id: string; feeder_id: string; score: number; energy_kwh: number; signs: Sign[] }
interface CommercialList { month: string; consumers: number; share_pct: number; suspicious: number; listed: Commercial[] }

// What each sign is called, before what it rests on.
const SIGNS: Record<string, string> = {
  unaccounted_energy: 'Energy unaccounted for', negative_residual: 'More out than in', night_residual: 'Loss at night', residual_follows: 'Loss follows the consumer',
  tamper_before_drop: 'Tamper event before a drop', bill_below_reads: 'Bill below the reads', wrong_mapping: 'Voltage of another DT',
};
const LISTS: ['technical' | 'commercial', string][] = [['technical', 'DTs to inspect'], ['commercial', 'Consumers to check']];

export function Audit({ at, detail }: { at: URLSearchParams; detail: NodeDetail | null }) {
  const facts = useFacts();
  if (!detail || !facts) return <Ghost high={560} />;
  const month = monthAsked(at, facts.day);
  const list = at.get('list') === 'consumers' ? 'commercial' : 'technical';
  const route = nodePath(detail.node_id, `/audit/${list}`, { month: month.slice(0, 7) });
  return (
    <>
      <div class="title"><Glyph kind={detail.kind} /><h1>Audit of {detail.name}</h1></div>
      <div class="filters">
        <Choice label="Which list" now={list} of={LISTS} pick={(next) => go({ list: next === 'commercial' ? 'consumers' : null })} />
        <MonthChoice now={month} of={monthsBefore(facts.day, 24)} pick={(next) => go({ month: next.slice(0, 7) })} />
        <Download route={route} name={`audit-${list}-${month.slice(0, 7)}.csv`} />
      </div>
      <Notice>Signs are grounds to look, never a proof: a faulty meter, a wrong record or a vacant house look the same from here.</Notice>
      {list === 'technical' ? <Dts key={route} route={route} month={month} /> : <Consumers key={route} route={route} month={month} />}
    </>
  );
}

// The list as CSV: the route gives it to whoever accepts that.
function Download({ route, name }: { route: string; name: string }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const save = async () => {
    setProblem(null);
    try {
      const answer = await response(route, { headers: { accept: 'text/csv' } });
      const link = document.createElement('a');
      link.href = URL.createObjectURL(await answer.blob());
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (error) { setProblem(error instanceof Problem ? error : new Problem({ detail: String(error) })); }
  };
  return <><button type="button" id="csv" onClick={() => void save()}>CSV</button>{problem && <Failed problem={problem} />}</>;
}

// Nothing is listed: nothing was seen, or nobody has looked yet.
const Nobody = ({ month, who }: { month: string; who: string }) => (
  <Notice title={`No sign is seen in ${monthText(month)}`}>Either nothing about {who} here was out of the ordinary, or the month is not judged yet: that is done once it is over and its reads have settled, and again when they change. DTs with less than 95 % of their reads are not judged at all.</Notice>
);

const span = ({ first_day, last_day }: Sign) => (first_day === last_day ? dateText(first_day) : `${dateText(first_day)} to ${dateText(last_day)}`);
const Signs = ({ of }: { of: Sign[] }) => (
  <ul>{of.map((sign) => <li key={sign.sign}><b>{SIGNS[sign.sign] ?? sign.sign}</b>: {sign.evidence} <small>{span(sign)}</small></li>)}</ul>
);
// A share of 1 as a number with a thin bar.
const Sure = ({ of, what }: { of: number; what: string }) => <span>{what} <b>{hundredths(of)}</b> <span class="trust" aria-hidden="true"><i style={{ width: `${100 * of}%` }} /></span></span>;

function Dts({ route, month }: { route: string; month: string }) {
  const found = useAsk<TechnicalList>(route, 'slow');
  const data = found.data;
  if (found.problem && !data) return <Failed problem={found.problem} again={found.again} />;
  if (!data) return <Ghost lines={8} />;
  if (!data.dts.length) return <><Since of={found} /><Nobody month={month} who="the DTs" /></>;
  return (
    <>
      <Since of={found} />
      <p class="facts">{many(data.suspicious, 'DT')} with a sign in {monthText(month)}{data.dts.length < data.suspicious ? `, of which the first ${count(data.dts.length)} stand here` : ''}; the most energy first.</p>
      <ol class="suspects">{data.dts.map((row) => (
        <li key={row.dt_id} data-id={row.dt_id}>
          <p class="who"><span class="rank">{row.rank}</span><Glyph kind="dt" /><a href={to('network', { node: row.dt_id, range: '31d' })}>{row.name}</a><small>on <a href={to('audit', { node: row.feeder_id, month: month.slice(0, 7) })}>{row.feeder_id}</a></small></p>
          <p class="known">
            {row.unaccounted_kwh != null && <span><b>{units(row.unaccounted_kwh)}</b> unaccounted{row.loss_bound_kwh ? `, less up to ${units(row.loss_bound_kwh)} for meters not heard` : ''}</span>}
            {row.confidence != null && <Sure of={row.confidence} what="confidence" />}
            {row.loss_pct != null && <span>loss {percent(row.loss_pct)}</span>}
            <span>coverage {percent(row.coverage_pct)}</span>
          </p>
          <Signs of={row.signs} />
        </li>
      ))}</ol>
    </>
  );
}

function Consumers({ route, month }: { route: string; month: string }) {
  const found = useAsk<CommercialList>(route, 'slow');
  const data = found.data;
  if (found.problem && !data) return <Failed problem={found.problem} again={found.again} />;
  if (!data) return <Ghost lines={8} />;
  if (!data.listed.length) return <><Since of={found} /><Nobody month={month} who="the consumers" /></>;
  return (
    <>
      <Since of={found} />
      <p class="facts">{count(data.listed.length)} of {many(data.consumers, 'consumer')} here, the most suspicious first{data.listed.length < data.suspicious ? `; ${count(data.suspicious)} have a sign, and the list holds ${percent(data.share_pct)} of all` : ''}.</p>
      <ol class="suspects">{data.listed.map((row) => (
        <li key={row.consumer_id} data-id={row.consumer_id}>
          <p class="who"><span class="rank">{row.rank}</span><Glyph kind="consumer" /><a href={to('consumer', { consumer: row.consumer_id, node: null, span: '31d' })}>{row.consumer_id}</a><small>meter {row.meter_id}, on <a href={to('network', { node: row.node_id, range: '31d' })}>{row.node_id}</a></small></p>
          <p class="known"><Sure of={row.score} what="suspicion" />{row.energy_kwh > 0 && <span>up to <b>{units(row.energy_kwh)}</b></span>}</p>
          <Signs of={row.signs} />
        </li>
      ))}</ol>
    </>
  );
}
