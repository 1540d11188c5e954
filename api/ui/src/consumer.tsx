// One consumer, for service staff and the consumer: usage, interruptions, compensation.

import { useState } from 'preact/hooks';

import { atNode, go, to } from './address';
import { path, useAsk } from './api';
import { Entries } from './compensation';
import { count, dayPlus, dayText, decimal, energyText, exact, lasting, many, monthText, percent, when, words } from './format';
import { useFacts } from './live';
import { Block, ChartGhost, Choice, Facts, Failed, Ghost, Glyph, Since, Trouble, wall } from './parts';
import { Plot } from './plot';
import type { ConsumerRow, Entry, Interruption, Resolution, Usage as UsageData, UsageRow } from './types';

export function Consumer({ at }: { at: URLSearchParams }) {
  const id = at.get('consumer');
  return id ? <One key={id} id={id} at={at} /> : <Find />;
}

function Find() {
  const [textNow, setText] = useState('');
  const text = textNow.trim();
  const found = useAsk<{ consumers: ConsumerRow[]; more: boolean }>(text.length >= 2 ? path('consumers', { q: text, limit: 20 }) : null);
  return (
    <>
      <div class="title"><h1>Consumers</h1></div>
      <form class="find" onSubmit={(event) => { event.preventDefault(); const first = found.data?.consumers[0]; if (first) go({ consumer: first.consumer_id }); }}>
        <label>Number of the consumer or the meter <input type="search" value={textNow} onInput={(event) => setText(event.currentTarget.value)} autoComplete="off" spellcheck={false} placeholder="C0000000028" /></label>
      </form>
      {found.problem && <Failed problem={found.problem} again={found.again} />}
      {!text && <p class="notice">Type the beginning of a number: usage, interruptions and compensation of that consumer appear.</p>}
      {found.data && text.length >= 2 && (found.data.consumers.length ? (
        <div class="scroll"><table>
          <thead><tr><th scope="col">Consumer</th><th scope="col">Meter</th><th scope="col">On</th><th scope="col">Category</th><th scope="col" class="number">Load</th></tr></thead>
          <tbody>{found.data.consumers.map((row) => <tr key={`${row.consumer_id} ${row.meter_id}`}><td><a href={to('consumer', { consumer: row.consumer_id })}>{row.consumer_id}</a></td><td>{row.meter_id ?? 'unmetered'}</td><td>{row.node_name}</td><td>{row.category}</td><td class="number">{row.sanctioned_load_kw == null ? '–' : `${decimal(row.sanctioned_load_kw)} kW`}</td></tr>)}</tbody>
        </table>{found.data.more && <p class="facts">There are more: type more of the number.</p>}</div>
      ) : <p class="notice">No consumer or meter begins so.</p>)}
    </>
  );
}

function One({ id, at }: { id: string; at: URLSearchParams }) {
  const facts = useFacts();
  const found = useAsk<{ consumers: ConsumerRow[] }>(path('consumers', { q: id, limit: 50 }));
  const rows = (found.data?.consumers ?? []).filter((row) => row.consumer_id === id);
  const row = rows[0];
  if (found.problem && !found.data) return <Failed problem={found.problem} again={found.again} />;
  if (!found.data || !facts) return <Ghost high={560} />;
  if (!row) return <p class="notice"><b>{id} has no connection now</b>Connections come from connections.csv. <a href={to('consumer')}>Find another</a></p>;
  const meters = rows.flatMap(({ meter_id }) => (meter_id ? [meter_id] : []));
  return (
    <>
      <p class="back"><a href={to('consumer')}>← Find another</a></p>
      <div class="title"><Glyph kind="consumer" /><h1>{id}</h1><span class="id">{meters.length ? `meter ${meters.join(', ')}` : 'unmetered'}</span></div>
      <p class="facts"><span>{row.category}</span><span>{row.supply}, {row.phases === 1 ? 'single phase' : `${row.phases} phases`}</span>{row.sanctioned_load_kw != null && <span>{decimal(row.sanctioned_load_kw)} kW sanctioned</span>}<span>{row.metering}</span>{row.prosumer !== 'none' && <span>{words(row.prosumer)}</span>}<span>on <a href={atNode(row.node_id)}>{row.node_name}</a></span></p>
      {meters.length ? <Usage at={at} id={id} day={facts.day} prosumer={row.prosumer !== 'none'} /> : <p class="notice">An unmetered connection has no reads; its assessed consumption counts in the balance of its DT.</p>}
      <Interruptions id={id} />
      <Owed id={id} />
    </>
  );
}

const SPANS: [string, string][] = [['2d', 'Two days'], ['31d', '31 days'], ['12m', '12 months']];
const RESOLUTIONS: Record<string, Resolution> = { '2d': 'interval', '31d': 'day', '12m': 'month' };

// Rows as columns: what was estimated stands out from what the meter said.
function seriesOf(rows: UsageRow[], prosumer: boolean) {
  const part = (row: UsageRow) => (row.import_wh == null ? null : Math.round((row.import_wh * (row.estimated_pct ?? 0)) / 100));
  const anyEstimate = rows.some((row) => (part(row) ?? 0) > 0);
  return [
    { name: 'taken', values: rows.map((row) => row.import_wh), columns: true },
    ...(anyEstimate ? [{ name: 'of it estimated', values: rows.map(part), columns: true }] : []),
    ...(prosumer ? [{ name: 'given', values: rows.map((row) => row.export_wh) }] : []),
  ];
}

function Usage({ at, id, day, prosumer }: { at: URLSearchParams; id: string; day: string; prosumer: boolean }) {
  const span = RESOLUTIONS[at.get('span') ?? ''] ? at.get('span')! : '2d';
  const resolution = RESOLUTIONS[span]!;
  const route = (query: Record<string, string>) => path(`consumers/${encodeURIComponent(id)}/usage`, query);
  const asked = useAsk<UsageData>(route(span === '2d' ? { from: dayPlus(day, -1) } : span === '31d' ? { resolution, from: dayPlus(day, -30) } : { resolution, from: monthsBack(day, 11) }), 'slow');
  const days = useAsk<UsageData>(route({ resolution: 'day', from: dayPlus(day, -30) }), 'slow');
  const mine = asked.data?.resolution === resolution ? asked.data : null;
  const rows = mine?.rows ?? [];
  const today = days.data?.rows.find((row) => row.day === day);
  const total = days.data?.total;
  const volts = span === '2d' ? rows.findLast((row) => row.voltage_v != null)?.voltage_v : null;
  const x = rows.map((row) => Date.parse(row.interval_end ?? row.day ?? row.month ?? '') / 1000);
  return (
    <Block title="Usage" id="usage" aside={<Choice label="Span of usage" now={span} of={SPANS} pick={(next) => go({ span: next === '2d' ? null : next }, true)} />}>
      <Facts of={[
        ['Today so far', days.data ? energyText(today?.import_wh) : '…'], ['Last 31 days', total ? energyText(total.import_wh) : '…'],
        ['Reads that came', total ? `${percent(total.coverage_pct)} of ${count(total.intervals_expected)}` : '…'], ['Of it estimated', total ? percent(total.estimated_pct ?? 0) : '…'],
        ...(volts != null ? [['Last voltage', `${decimal(volts)} V`] as [string, string]] : []),
      ]} />
      <Since of={asked} />{asked.problem && !mine ? <Failed problem={asked.problem} again={asked.again} /> : !mine ? <ChartGhost high={220 * wall()} /> : rows.length === 0 ? <p class="notice">No interval of its meter is over yet. Usage appears with the first read.</p> : (
        <Plot label="Usage" civilDays={span !== '2d'} months={span === '12m'} text={(wh) => energyText(wh)} x={x} series={seriesOf(rows, prosumer)} />
      )}
      {span === '12m' && mine && <Bills of={mine} />}
      <p class="facts">Energy as billed: the meter's count times its multiplying factor. {total && total.intervals_missing > 0 ? `${many(total.intervals_missing, 'interval')} of the last 31 days ${total.intervals_missing === 1 ? 'has' : 'have'} no value at all.` : ''}</p>
    </Block>
  );
}
const monthsBack = (day: string, months: number) => new Date(Date.UTC(Number(day.slice(0, 4)), Number(day.slice(5, 7)) - 1 - months, 1)).toISOString().slice(0, 10);

// Month by month: what the meter said beside what was billed.
function Bills({ of: { rows, bills } }: { of: UsageData }) {
  const months = [...new Set([...rows.map((row) => row.month ?? ''), ...bills.map((bill) => bill.month)])].sort().reverse();
  if (!bills.length) return <p class="facts">No bill of these months is known: billing.csv brings them.</p>;
  return (
    <div class="scroll"><table>
      <caption>Metered and billed</caption>
      <thead><tr><th scope="col">Month</th><th scope="col" class="number">Metered</th><th scope="col" class="number less">Estimated</th><th scope="col" class="number">Billed</th><th scope="col" class="number">Amount</th><th scope="col" class="number less">Collected</th></tr></thead>
      <tbody>{months.map((month) => {
        const [row, bill] = [rows.find((one) => one.month === month), bills.find((one) => one.month === month)];
        return <tr key={month}><td>{monthText(month)}</td><td class="number">{energyText(row?.import_wh)}</td><td class="number less">{percent(row?.estimated_pct)}</td><td class="number">{bill ? energyText(bill.billed_kwh * 1000) : '–'}</td><td class="number">{exact(bill?.billed_inr)}</td><td class="number less">{exact(bill?.collected_inr)}</td></tr>;
      })}</tbody>
    </table></div>
  );
}

function Interruptions({ id }: { id: string }) {
  const found = useAsk<{ interruptions: Interruption[] }>(path(`consumers/${encodeURIComponent(id)}/interruptions`), 'outages');
  const rows = [...(found.data?.interruptions ?? [])].reverse();
  const counted = rows.filter((row) => !row.excluded_because);
  const minutes = counted.reduce((sum, row) => sum + (row.minutes ?? 0), 0);
  return (
    <Block title="Interruptions" aside={<p>{counted.length ? `${many(counted.length, 'interruption')}, ${lasting(minutes)} in all` : ''}</p>}>
      <Trouble of={found} />{!found.data ? !found.problem && <Ghost lines={3} /> : rows.length === 0 ? <p class="facts">This consumer's supply was never interrupted, as far as is known.</p> : (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Interruptions"><table>
          <thead><tr><th scope="col">Began</th><th scope="col">Back</th><th scope="col" class="number">Lasted</th><th scope="col" class="less">Class</th><th scope="col">Known from</th><th scope="col">Outage</th></tr></thead>
          <tbody>{rows.slice(0, 200).map((row) => (
            <tr key={row.started_at}><td>{when(row.started_at)}</td><td>{row.ended_at ? when(row.ended_at) : 'not yet'}</td><td class="number">{lasting(row.minutes)}</td><td class="less">{words(row.class)}</td>
              <td>{words(row.evidence.failed.from)}{row.excluded_because ? `; does not count: ${words(row.excluded_because)}` : row.sustained === false ? ', momentary' : ''}</td><td><a href={to('outages', { outage: row.outage_id })}>{dayText(row.started_at.slice(0, 10))}</a></td></tr>
          ))}</tbody>
        </table></div>
      )}
    </Block>
  );
}

function Owed({ id }: { id: string }) {
  const found = useAsk<{ total_inr: string; credited_inr: string; entries: Entry[]; not_accrued_because: string | null }>(path(`consumers/${encodeURIComponent(id)}/compensation`), 'outages');
  const owed = found.data;
  return (
    <Block title="Compensation" aside={<p>{owed?.entries.length ? `${exact(owed.total_inr)} in all, ${exact(owed.credited_inr)} credited` : ''}</p>}>
      <Trouble of={found} />{!owed ? !found.problem && <Ghost lines={2} /> : owed.not_accrued_because ? <p class="notice">{owed.not_accrued_because}</p> : owed.entries.length === 0 ? <p class="facts">Nothing is owed: no interruption lasted beyond the limit of a standard.</p> : <Entries rows={owed.entries} consumer={false} />}
    </Block>
  );
}
