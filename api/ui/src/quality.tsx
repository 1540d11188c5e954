// Data quality: is what the figures rest on there? Completeness by node and day, objections of validation, what waits in quarantine.

import { useState } from 'preact/hooks';

import { go, href } from './address';
import { ask, nodePath, path, post, Problem, quote, useAsk, useAsked, useFork, useSql } from './api';
import { below } from './compensation';
import { count, dayPlus, dayText, hundredths, many, percent, when, words } from './format';
import { useFacts } from './live';
import { Block, Choice, Failed, Ghost, Since, Trouble, Trust } from './parts';
import type { Balance, Held, NodeDetail, NodeRow, Quality } from './types';

const DAYS = 14;
const NODES_MAX = 100;

interface Cell { node_id: string; day: string; coverage_pct: number | null; meters_expected: number; meters_reported: number; meters_estimated: number }

export function DataQuality({ at, node, day }: { at: URLSearchParams; node: string | null; day: string | null }) {
  const facts = useFacts();
  const scope = node ?? facts?.roots[0]?.node_id ?? null;
  if (!facts || !scope) return <Ghost high={400} />;
  const last = day ?? facts.day;
  return (
    <>
      <div class="title"><h1>Data quality</h1></div>
      <Heat scope={scope} last={last} threshold={facts.coverage_threshold_pct} />
      <Exceptions at={at} scope={scope} isAll={scope === facts.roots[0]?.node_id} />
      <Quarantine at={at} />
    </>
  );
}

// Completeness of a node and of those below another, day by day, live: one question a day.
function useCells(scope: string, fork: string | null, days: string[]) {
  const key = fork == null ? null : `cells ${scope} ${fork} ${days[0]}`;
  return useAsked<Cell[]>(key, async (signal) => {
    const own = ask<Balance>(nodePath(scope, '/balance', { resolution: 'day', from: days[0], to: dayPlus(days.at(-1)!, 1) }), { signal });
    const below = days.map((day) => ask<{ nodes: NodeRow[] }>(nodePath(fork!, '/children', { day }), { signal }));
    const rows = await Promise.all(below);
    return [
      ...(await own).rows.map((row) => ({ ...row, node_id: scope, day: row.day ?? '' })),
      ...rows.flatMap(({ nodes }, at) => nodes.slice(0, NODES_MAX).map((row) => ({ ...row, day: days[at]! }))),
    ];
  }, 'slow');
}

// A cell says its number; only what is below the threshold has a colour.
const tone = (pct: number | null, threshold: number) => (pct == null ? 'none' : pct < 80 ? 'bad' : pct < threshold ? 'low' : pct < 99 ? 'good' : 'full');

// The last days stand at the right.
const toTheEnd = (box: HTMLElement | null) => { if (box) box.scrollLeft = box.scrollWidth; };

function Heat({ scope, last, threshold }: { scope: string; last: string; threshold: number }) {
  const below = useFork<NodeRow>(scope, last);
  const own = useAsk<NodeDetail>(nodePath(scope, '', { day: last }));
  const nodes = (below.data?.nodes ?? []).slice(0, NODES_MAX);
  const first = dayPlus(last, 1 - DAYS);
  const days = Array.from({ length: DAYS }, (_, at) => dayPlus(first, at));
  const cells = useCells(scope, below.data?.id ?? null, days);
  const found = new Map((cells.data ?? []).map((cell) => [`${cell.node_id} ${cell.day}`, cell]));
  const rows = [...(own.data ? [{ node_id: scope, name: own.data.name, all: true }] : []), ...nodes.map((row) => ({ node_id: row.node_id, name: row.name, all: false }))];
  return (
    <Block title={`Completeness, ${DAYS} days to ${dayText(last)}`} aside={<p>share of expected interval reads that came; below {hundredths(threshold).replace(/\.00$/, '')} % in colour</p>}>
      <Since of={cells} />{below.problem && !below.data ? <Failed problem={below.problem} again={below.again} /> : cells.problem && !cells.data ? <Failed problem={cells.problem} again={cells.again} /> : !cells.data ? <Ghost lines={8} /> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Completeness by node and day" ref={toTheEnd}><table class="heat">
          <thead><tr><th scope="col">Node</th>{days.map((one) => <th key={one} scope="col" class={one === last ? 'today' : undefined}>{Number(one.slice(8))}<small>{dayText(one).slice(0, 2)}</small></th>)}</tr></thead>
          <tbody>{rows.map((row) => (
            <tr key={row.node_id} class={row.all ? 'all' : undefined}>
              <th scope="row"><a href={href({ node: row.node_id })}>{row.name}</a></th>
              {days.map((one) => {
                const cell = found.get(`${row.node_id} ${one}`);
                const pct = cell?.coverage_pct ?? null;
                const title = cell ? `${row.name}, ${dayText(one)}: ${percent(pct)}, ${count(cell.meters_reported)} of ${count(cell.meters_expected)} reads, ${count(cell.meters_estimated)} estimated` : `${row.name}, ${dayText(one)}: nothing expected`;
                return <td key={one} data-tone={tone(pct, threshold)} title={title}><a href={href({ node: row.node_id, view: null, day: one })} tabIndex={pct == null ? -1 : 0}>{pct == null ? '·' : pct >= 99.95 ? '100' : (Math.floor(pct * 10) / 10).toFixed(pct < 99 ? 0 : 1)}</a></td>;
              })}
            </tr>
          ))}</tbody>
        </table></div>
      )}
    </Block>
  );
}

interface Rule { rule: string; open: number; resolved: number }
interface Exception { meter_id: string; consumer_id: string | null; node_id: string | null; interval_end: string; rule: string; value: number | null; detail: string | null; at: string; resolved_at: string | null }
const PAGE = 100;

function Exceptions({ at, scope, isAll }: { at: URLSearchParams; scope: string; isAll: boolean }) {
  const [rule, shown] = [at.get('rule'), at.get('resolved') ? 'all' : 'open'];
  const places = `LEFT JOIN (SELECT meter_id, MAX(consumer_id) AS consumer_id, MAX(node_id) AS node_id FROM connections WHERE valid_to IS NULL AND meter_id IS NOT NULL GROUP BY meter_id) c ON c.meter_id = e.meter_id
LEFT JOIN (SELECT meter_id, MAX(node_id) AS node_id FROM meters WHERE valid_to IS NULL GROUP BY meter_id) m ON m.meter_id = e.meter_id`;
  const head = isAll ? '' : below(scope);
  const from = `vee_exceptions e ${places} ${isAll ? '' : 'JOIN below b ON b.node_id = COALESCE(c.node_id, m.node_id)'}`;
  const rules = useSql<Rule>(`${head} SELECT e.rule, COUNT(*) - COUNT(e.resolved_at) AS open, COUNT(e.resolved_at) AS resolved FROM ${from} GROUP BY 1 ORDER BY 2 DESC, 1`, 'slow');
  const where = [rule ? `e.rule = ${quote(rule)}` : '', shown === 'open' ? 'e.resolved_at IS NULL' : ''].filter(Boolean).join(' AND ');
  const rows = useSql<Exception>(`${head} SELECT e.meter_id, c.consumer_id, COALESCE(c.node_id, m.node_id) AS node_id, e.interval_end, e.rule, e.value, e.detail, e.at, e.resolved_at FROM ${from} ${where ? `WHERE ${where}` : ''} ORDER BY e.at DESC, e.exception_id LIMIT ${PAGE}`, 'slow');
  return (
    <Block title="Objections of validation" aside={<Choice label="Which objections" now={shown} of={[['open', 'Open'], ['all', 'Resolved too']]} pick={(next) => go({ resolved: next === 'all' ? '1' : null })} />}>
      <Trouble of={rules} />{!rules.data ? !rules.problem && <Ghost lines={2} /> : (
        <div class="chips" role="group" aria-label="Rules">
          <button type="button" aria-pressed={!rule} onClick={() => go({ rule: null })}>All rules</button>
          {rules.data.map((one) => <button key={one.rule} type="button" aria-pressed={rule === one.rule} onClick={() => go({ rule: one.rule })}>{words(one.rule)} <b>{count(one.open)}</b></button>)}
        </div>
      )}
      <Trouble of={rows} />{!rows.data ? !rows.problem && <Ghost lines={6} /> : rows.data.length === 0 ? <p class="facts">No objection is open here. Each closed day of each meter is judged; what is wrong stands here until its cause goes away.</p> : (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Objections of validation"><table>
          <thead><tr><th scope="col">Meter</th><th scope="col">Interval to</th><th scope="col">Rule</th><th scope="col">What</th><th scope="col" class="less">Node</th><th scope="col" class="less">Raised</th>{shown === 'all' && <th scope="col">Resolved</th>}</tr></thead>
          <tbody>{rows.data.map((row) => (
            <tr key={`${row.meter_id} ${row.interval_end} ${row.rule}`}>
              <td>{row.consumer_id ? <a href={href({ view: 'consumer', consumer: row.consumer_id, rule: null, resolved: null })}>{row.meter_id}</a> : row.meter_id}</td><td>{when(row.interval_end)}</td><td>{words(row.rule)}</td><td class="wide">{row.detail ?? (row.value == null ? '' : hundredths(row.value))}</td>
              <td class="less">{row.node_id ? <a href={href({ node: row.node_id, view: null, rule: null })}>{row.node_id}</a> : ''}</td><td class="less">{when(row.at)}</td>{shown === 'all' && <td>{row.resolved_at ? when(row.resolved_at) : 'open'}</td>}
            </tr>
          ))}</tbody>
        </table></div>
      )}
      {rows.data?.length === PAGE && <p class="facts">The newest {PAGE} are shown; the table vee_exceptions has all.</p>}
    </Block>
  );
}

function Quarantine({ at }: { at: URLSearchParams }) {
  const reason = at.get('reason');
  const found = useAsk<{ rows: Held[]; waiting: number; next_cursor: string | null }>(path('quarantine', { reason, limit: 100, cursor: at.get('cursor') }), 'slow');
  const all = useAsk<Quality>(path('data-quality'), 'slow');
  const reasons = Object.entries(all.data?.quarantined ?? {}).filter(([, number]) => number > 0);
  const [state, setState] = useState<{ busy: boolean; said: string; problem: Problem | null }>({ busy: false, said: '', problem: null });
  const replay = async () => {
    setState({ busy: true, said: 'judging again…', problem: null });
    try {
      const done = await post<{ judged: number; released: number; stay: Record<string, number> }>(path('quarantine/replay'), reason ? { reason } : {});
      setState({ busy: false, said: `${many(done.judged, 'row')} judged, ${count(done.released)} released${Object.entries(done.stay).map(([why, number]) => `; ${count(number)} stay: ${words(why)}`).join('')}`, problem: null });
      found.again();
      all.again();
    } catch (error) { setState({ busy: false, said: '', problem: error instanceof Problem ? error : new Problem({ detail: String(error) }) }); }
  };
  return (
    <Block id="quarantine" title="Quarantine" aside={<div class="ranges"><span role="status">{state.said}</span><button type="button" disabled={state.busy} onClick={() => void replay()} title="Judges again what waits, and releases what can stand now">{reason ? `Judge again: ${words(reason)}` : 'Judge all again'}</button></div>}>
      {state.problem && <Failed problem={state.problem} />}
      {reasons.length > 0 && <div class="chips" role="group" aria-label="Reasons">
        <button type="button" aria-pressed={!reason} onClick={() => go({ reason: null, cursor: null })}>All reasons</button>
        {reasons.map(([name, number]) => <button key={name} type="button" aria-pressed={reason === name} onClick={() => go({ reason: name, cursor: null })}>{words(name)} <b>{count(number)}</b></button>)}
      </div>}
      <Trouble of={found} />{!found.data ? !found.problem && <Ghost lines={3} /> : found.data.rows.length === 0 ? <p class="facts">Nothing waits. What cannot be decoded, is from an unknown meter, or breaks a hard rule is kept here whole, and counts as soon as it can.</p> : (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="What waits in quarantine"><table>
          <thead><tr><th scope="col">Received</th><th scope="col">Reason</th><th scope="col">Meter</th><th scope="col" class="less">From</th><th scope="col">Payload</th></tr></thead>
          <tbody>{found.data.rows.map((row) => (
            <tr key={row.exception_id}><td>{when(row.received_at)}</td><td>{words(row.reason)}</td><td>{row.meter_id ?? '–'}</td><td class="less">{row.topic ?? row.source}</td>
              <td class="wide">{row.payload ? <details><summary>{row.payload.slice(0, 48)}{row.payload.length > 48 ? '…' : ''}</summary><pre>{row.payload}</pre></details> : `${count(row.payload_bytes)} bytes, not text`}</td></tr>
          ))}</tbody>
        </table></div>
      )}
      <div class="pages">
        {at.get('cursor') && <a href={href({ cursor: null })}>First page</a>}
        {found.data?.next_cursor && <a href={href({ cursor: found.data.next_cursor })}>Next page</a>}
      </div>
    </Block>
  );
}

// At the right of a node: how complete its day is.
// `isThen`: the figures beside it are as they stood; these are as they are.
export function QualityCard({ node, day, threshold, isThen }: { node: string | null; day: string | null; threshold: number; isThen: boolean }) {
  const found = useAsk<Quality>(path('data-quality', { node, day }), 'tick');
  const quality = found.data;
  const rows: [string, string][] = quality ? [
    ['Complete', percent(quality.completeness_pct)], ['Expected so far', count(quality.expected)], ['Reported', count(quality.reported)], ['Estimated', count(quality.estimated)], ['Missing', count(quality.missing)],
    ['Reported missing by their source', count(quality.exceptions_open)],
    ...(quality.arrival ? [['Within 8 h of the day (95 % asked)', percent(quality.arrival.by_8h_pct)], ['Within 12 h (98 % asked)', percent(quality.arrival.by_12h_pct)]] as [string, string][] : []),
    ...Object.entries(quality.quarantined).filter(([, number]) => number > 0).map(([reason, number]): [string, string] => [`In quarantine: ${words(reason)}`, count(number)]),
  ] : [];
  return (
    <section aria-labelledby="quality-title">
      <header><h2 id="quality-title"><a href={href({ view: 'quality', at: null, from: null, to: null })}>Data quality</a></h2><span id="quality-day">{quality ? `${dayText(quality.day)}${isThen ? ', as known now' : ''}` : ''}</span></header>
      <div id="quality">
        <Trouble of={found} />{!quality ? !found.problem && <Ghost lines={6} /> : (
          <><Trust pct={quality.completeness_pct} threshold={threshold} /><dl>{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl></>
        )}
      </div>
    </section>
  );
}
