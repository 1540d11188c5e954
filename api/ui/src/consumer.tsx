// One consumer, for service staff and the consumer: usage, interruptions, compensation.

import { useState } from 'preact/hooks';

import { atNode, go, to } from './address';
import { path, quote, list, useAsk, useSql } from './api';
import { Entries } from './compensation';
import { count, dayPlus, dayText, decimal, energyText, exact, lasting, many, when, words } from './format';
import { useFacts } from './live';
import { Block, Choice, Facts, Failed, Ghost, Glyph } from './parts';
import { Plot } from './plot';
import type { ConsumerRow, Entry, Interruption } from './types';

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
      {meters.length ? <Usage at={at} meters={meters} day={facts.day} prosumer={row.prosumer !== 'none'} /> : <p class="notice">An unmetered connection has no reads; its assessed consumption counts in the balance of its DT.</p>}
      <Interruptions id={id} />
      <Owed id={id} />
    </>
  );
}

interface Used { day: string; import_wh: number; export_wh: number | null; reads: number; estimated: number }
interface Read { interval_end: string; import_wh: number; export_wh: number | null; quality: string; voltage_v: number | null }
const SPANS: [string, string][] = [['2d', 'Two days'], ['31d', '31 days']];

function Usage({ at, meters, day, prosumer }: { at: URLSearchParams; meters: string[]; day: string; prosumer: boolean }) {
  const span = at.get('span') === '31d' ? '31d' : '2d';
  const from = `interval_reads r JOIN (SELECT meter_id, MAX(multiplier) AS multiplier FROM meters WHERE valid_to IS NULL GROUP BY meter_id) m ON m.meter_id = r.meter_id WHERE r.meter_id IN (${list(meters)}) AND r.quality <> 'missing'`;
  const days = useSql<Used>(`SELECT r.day, SUM(r.import_wh * m.multiplier) AS import_wh, SUM(r.export_wh * m.multiplier) AS export_wh, COUNT(*) AS reads, SUM(CASE WHEN r.quality = 'estimated' THEN 1 ELSE 0 END) AS estimated FROM ${from} AND r.day > ${quote(dayPlus(day, -31))} GROUP BY 1 ORDER BY 1`, 'slow');
  const reads = useSql<Read>(span === '2d' ? `SELECT r.interval_end, r.import_wh * m.multiplier AS import_wh, r.export_wh * m.multiplier AS export_wh, r.quality, r.voltage_v FROM ${from} AND r.day >= ${quote(dayPlus(day, -1))} ORDER BY 1` : null, 'slow');
  const total = (days.data ?? []).reduce((sum, one) => sum + Number(one.import_wh), 0);
  const estimated = (days.data ?? []).reduce((sum, one) => sum + Number(one.estimated), 0);
  const today = days.data?.find((one) => one.day === day);
  const asked = span === '2d' ? reads : days;
  const rows = span === '2d' ? reads.data ?? [] : days.data ?? [];
  const number = (value: unknown) => (value == null ? null : Number(value));
  return (
    <Block title="Usage" aside={<Choice label="Span of usage" now={span} of={SPANS} pick={(next) => go({ span: next === '31d' ? '31d' : null }, true)} />}>
      <Facts of={[['Today so far', days.data ? energyText(today ? Number(today.import_wh) : null) : '…'], ['Last 31 days', days.data ? energyText(total) : '…'], ['Reads that are estimates', days.data ? count(estimated) : '…'], ...(span === '2d' && reads.data?.at(-1)?.voltage_v != null ? [['Last voltage', `${decimal(reads.data.at(-1)!.voltage_v)} V`] as [string, string]] : [])]} />
      {asked.problem && !asked.data ? <Failed problem={asked.problem} again={asked.again} /> : asked.data == null ? <Ghost high={240} /> : rows.length === 0 ? <p class="notice">No read is published yet. Reads appear with the next checkpoint after the meter has sent them.</p> : (
        <Plot label="Usage" civilDays={span === '31d'} text={(wh) => energyText(wh)} x={rows.map((row) => Date.parse('day' in row ? row.day : row.interval_end) / 1000)}
          series={[{ name: 'taken', values: rows.map((row) => number(row.import_wh)), columns: true }, ...(prosumer ? [{ name: 'given', values: rows.map((row) => number(row.export_wh)) }] : [])]} />
      )}
      <p class="facts">Energy as billed: the meter's count times its multiplying factor, as last published.</p>
    </Block>
  );
}

function Interruptions({ id }: { id: string }) {
  const found = useAsk<{ interruptions: Interruption[] }>(path(`consumers/${encodeURIComponent(id)}/interruptions`), 'outages');
  const rows = [...(found.data?.interruptions ?? [])].reverse();
  const counted = rows.filter((row) => !row.excluded_because);
  const minutes = counted.reduce((sum, row) => sum + (row.minutes ?? 0), 0);
  return (
    <Block title="Interruptions" aside={<p>{found.data ? `${many(counted.length, 'interruption')}, ${lasting(minutes)} in all` : ''}</p>}>
      {found.problem && !found.data ? <Failed problem={found.problem} again={found.again} /> : !found.data ? <Ghost lines={3} /> : rows.length === 0 ? <p class="facts">This consumer's supply was never interrupted, as far as is known.</p> : (
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
    <Block title="Compensation" aside={<p>{owed ? `${exact(owed.total_inr)} in all, ${exact(owed.credited_inr)} credited` : ''}</p>}>
      {found.problem && !owed ? <Failed problem={found.problem} again={found.again} /> : !owed ? <Ghost lines={2} /> : owed.not_accrued_because ? <p class="notice">{owed.not_accrued_because}</p> : owed.entries.length === 0 ? <p class="facts">Nothing is owed: no interruption lasted beyond the limit of a standard.</p> : <Entries rows={owed.entries} consumer={false} />}
    </Block>
  );
}
