// Outages: who is out, since when, until when? A list, open or past, and one outage closely.

import { useEffect } from 'preact/hooks';

import { atNode, go, href, to } from './address';
import { path, useAsk } from './api';
import { fields, given, useEntry } from './entry';
import { brief, civil, count, dayPlus, exact, instantOf, isDay, lasting, many, minutesBetween, percent, rupees, SCOPES, text, when, words } from './format';
import { useFacts, useSummary } from './live';
import { Block, Choice, Facts, Failed, Ghost, Glyph, Since, Trouble } from './parts';
import type { Interruption, Outage, OutageDetail } from './types';

const STATUSES: [string, string][] = [['open', 'On now'], ['RESTORED', 'Over'], ['SCHEDULED', 'Planned'], ['CANCELLED', 'Cancelled'], ['any', 'All']];
// The kind of node that an outage is of.
export const GLYPHS: Record<string, string> = { service_line: 'consumer', dt: 'dt', feeder: 'feeder', substation: 'substation' };
// Names of fault types that regulations use; which one counts decides the limit.
const FAULTS: [string, string][] = [
  ['', 'not known: the scope decides'], ['fuse', 'fuse'], ['overhead_line', 'overhead line'], ['underground_cable', 'underground cable'], ['dt_failure', 'DT failure'], ['consumer_fault', "consumer's own fault"],
];
const BASIS: Record<string, string> = { crew: "the crew's word", announced: 'as announced' };
export const isOn = (outage: Outage) => outage.status === 'ACTIVE' || outage.status === 'PARTIALLY_RESTORED';

function basisText(outage: Outage): string {
  if (!outage.etr_basis) return '';
  return BASIS[outage.etr_basis] ?? `estimate from ${many(outage.etr_outages ?? 0, 'past outage')}`;
}

// Minutes that an outage has run, by the configured clock, or lasted.
export function Running({ outage }: { outage: Outage }) {
  const summary = useSummary();
  const end = outage.ended_at ?? (isOn(outage) ? summary?.now : null);
  return <>{end ? lasting(minutesBetween(outage.started_at, end)) : '–'}</>;
}
const tone = (outage: Outage) => (isOn(outage) ? 'investigate' : outage.status === 'SCHEDULED' ? 'watch' : 'normal');
export const Status = ({ outage }: { outage: Outage }) => (
  <span key={outage.status} class="state" data-attention={tone(outage)}>
    <svg class="mark" data-attention={tone(outage)} aria-hidden="true"><use href={`#mark-${tone(outage)}`} /></svg>{words(outage.status === 'ACTIVE' ? 'on' : outage.status)}
  </span>
);

export function Outages({ at, node }: { at: URLSearchParams; node: string | null }) {
  const facts = useFacts();
  const status = at.get('status') ?? 'open';
  // A chart's zoom stands in the same places of an address, as instants: those are no days.
  const [from, until] = [at.get('from'), at.get('to')].map((day) => (day && isDay(day) ? day : null)) as [string | null, string | null];
  // To the end of the last day asked for.
  const query = { status: status === 'any' ? null : status, node, from, to: until ? dayPlus(until, 1) : null, limit: 200, cursor: at.get('cursor') };
  const found = useAsk<{ outages: Outage[]; next_cursor: string | null }>(path('outages', query), 'outages');
  const rows = found.data?.outages ?? [];
  return (
    <>
      <div class="title"><h1>Outages</h1></div>
      <div class="filters">
        <Choice label="Which outages" now={status} of={STATUSES} pick={(next) => go({ status: next === 'open' ? null : next, cursor: null })} />
        <label>From <input type="date" value={from ?? ''} max={facts?.day} onChange={(event) => go({ from: event.currentTarget.value || null, cursor: null })} /></label>
        <label>to <input type="date" value={until ?? ''} max={facts?.day} onChange={(event) => go({ to: event.currentTarget.value || null, cursor: null })} /></label>
      </div>
      <Trouble of={found} />{!found.data ? !found.problem && <Ghost lines={8} /> : rows.length === 0 ? (
        <p class="notice"><b>{status === 'open' ? 'No outage is on here.' : 'No such outage here.'}</b>Outages come from meters' power-fail and restoration events, from intervals without voltage or energy, and from planned_outages.csv.</p>
      ) : (
        <div class="scroll"><table class="outages">
          <thead><tr><th scope="col">Where</th><th scope="col">State</th><th scope="col" class="number">Out</th><th scope="col">Began</th><th scope="col">Lasts</th><th scope="col" class="less">Back about</th><th scope="col" class="optional">Cause</th></tr></thead>
          <tbody>{rows.map((outage) => (
            <tr key={outage.outage_id}>
              <td class="node"><a href={href({ outage: outage.outage_id })} title={outage.outage_id}><Glyph kind={GLYPHS[outage.scope] ?? null} /><span>{outage.node_name}</span></a><small>{SCOPES[outage.scope] ?? outage.scope}</small></td>
              <td><Status outage={outage} /></td>
              <td class="number">{isOn(outage) ? <><b>{count(outage.consumers_affected - outage.consumers_restored)}</b> of {count(outage.consumers_affected)}</> : count(outage.consumers_affected)}</td>
              <td><time dateTime={outage.started_at} title={when(outage.started_at)}>{brief(outage.started_at)}</time></td><td><Running outage={outage} /></td>
              <td class="less">{outage.etr ? <span title={`${when(outage.etr)}, ${basisText(outage)}`}>{brief(outage.etr)}</span> : <span class="null">{isOn(outage) ? 'nobody can say' : '–'}</span>}</td>
              <td class="optional cause">{outage.cause ?? <span class="null">{outage.class === 'BREAKDOWN' ? 'not recorded' : words(outage.class)}</span>}{outage.force_majeure ? ', force majeure' : ''}</td>
            </tr>
          ))}</tbody>
        </table></div>
      )}
      <div class="pages">
        {at.get('cursor') && <a href={href({ cursor: null })}>First page</a>}
        {found.data?.next_cursor && <a href={href({ cursor: found.data.next_cursor })}>Next page</a>}
      </div>
    </>
  );
}

export const useOutage = (id: string | null) => useAsk<OutageDetail>(id ? path(`outages/${encodeURIComponent(id)}`) : null, 'outages');

export function OutageView({ asked }: { asked: ReturnType<typeof useOutage> }) {
  const { data: outage, problem, again } = asked;
  if (problem && !outage) return <><p><a href={href({ outage: null })}>← All outages</a></p><Failed problem={problem} again={again} /></>;
  if (!outage) return <Ghost high={560} />;
  const out = outage.consumers_affected - outage.consumers_restored;
  const owed = outage.compensation;
  return (
    <>
      <p class="back"><a href={href({ outage: null })}>← All outages</a></p>
      <Since of={asked} />
      <div class="title"><Glyph kind={GLYPHS[outage.scope] ?? null} /><h1>{outage.node_name}</h1><span class="id">{outage.outage_id}</span><Status outage={outage} /></div>
      <p class="facts"><span>{SCOPES[outage.scope] ?? outage.scope}</span><span>{words(outage.class)}</span><span><a href={to('network', { node: outage.node_id })}>energy of this node</a></span>{outage.force_majeure && <span>force majeure</span>}{outage.version === 0 && <span>not published yet</span>}</p>
      {outage.continued_as && <p class="notice">It goes on as <a href={href({ outage: outage.continued_as })}>{outage.continued_as}</a>.</p>}
      <div class="figures">
        <div><h3>{isOn(outage) ? 'Without supply' : 'Were without supply'}</h3><strong>{count(isOn(outage) ? out : outage.consumers_affected)}<small>{isOn(outage) ? ` of ${many(outage.consumers_affected, 'consumer')}` : outage.consumers_affected === 1 ? ' consumer' : ' consumers'}</small></strong><p>{'\u00a0'}</p></div>
        <div><h3>{outage.ended_at ? 'Lasted' : 'Running'}</h3><strong><Running outage={outage} /></strong><p>since {when(outage.started_at)}</p></div>
        <div><h3>{outage.ended_at ? 'Back' : 'Back about'}</h3><strong>{outage.ended_at ? brief(outage.ended_at) : outage.etr ? brief(outage.etr) : '–'}</strong><p>{outage.ended_at ? when(outage.ended_at) : outage.etr ? basisText(outage) : isOn(outage) ? 'nobody can say yet' : ''}</p></div>
        <div><h3>Compensation</h3><strong>{owed ? text(rupees(owed.total_inr)) : '–'}</strong><p>{!owed ? 'no regulation is configured' : owed.consumers ? <>{many(owed.consumers, 'consumer')}{Number(owed.accruing_inr) ? `, ${text(rupees(owed.accruing_inr))} still running` : ''}</> : 'nobody is owed anything yet'}</p></div>
      </div>
      <Block title="Without supply over time"><Steps outage={outage} /></Block>
      <CauseForm key={outage.outage_id} outage={outage} done={again} />
      <Consumers outage={outage} />
    </>
  );
}

// Consumers without supply over time, step by step.
function Steps({ outage }: { outage: OutageDetail }) {
  const summary = useFacts();
  const known = outage.interruptions.filter((one) => !one.excluded_because || one.excluded_because === 'withdrawn' ? one.excluded_because == null : true);
  if (!known.length) return <p class="notice steps">No consumer's interruption is known yet: each shows here as its meter, or its neighbours, say so.</p>;
  const changes = new Map<number, number>();
  const add = (at: string, by: number) => { const time = Date.parse(at); changes.set(time, (changes.get(time) ?? 0) + by); };
  for (const one of known) { add(one.started_at, 1); if (one.ended_at) add(one.ended_at, -1); }
  const times = [...changes.keys()].sort((a, b) => a - b);
  const first = times[0]!;
  const last = Math.max(times.at(-1)!, outage.ended_at ? 0 : Date.parse(summary?.now ?? outage.started_at), first + 60000);
  const [width, high] = [640, 96];
  const x = (time: number) => ((time - first) / (last - first)) * width;
  let now = 0;
  const levels = times.map((time) => { now += changes.get(time) ?? 0; return [time, now] as const; });
  const most = Math.max(...levels.map(([, level]) => level), 1);
  const y = (level: number) => high - 4 - ((high - 20) * level) / most;
  let line = `M0 ${y(0)}`;
  for (const [time, level] of levels) line += `H${x(time).toFixed(1)}V${y(level).toFixed(1)}`;
  line += `H${width}`;
  return (
    <figure class="steps">
      <svg viewBox={`0 0 ${width} ${high}`} preserveAspectRatio="none" role="img" aria-label={`At most ${most} consumers at a time; ${now} now or at the end.`}>
        <path class="area" d={`${line}V${y(0)}H0z`} /><path class="line" d={line} />
      </svg>
      <figcaption><span>{when(new Date(first).toISOString())}</span><span>at most {many(most, 'consumer')} at a time{outage.interruptions_total > known.length ? `, of the first ${count(known.length)} interruptions` : ''}</span><span>{outage.ended_at ? when(outage.ended_at) : 'now'}</span></figcaption>
    </figure>
  );
}

function CauseForm({ outage, done }: { outage: OutageDetail; done: () => void }) {
  const entry = useEntry();
  if (outage.status === 'CANCELLED') return null;
  const send = (event: Event) => {
    const value = fields(event);
    const body = {
      ...given({ person: value('person'), cause: value('cause'), fault_type: value('fault'), etr: value('etr') && instantOf(value('etr')) }),
      force_majeure: value('majeure') !== '',
    };
    void entry.send(path(`outages/${encodeURIComponent(outage.outage_id)}/cause`), body, 'Recorded. Compensation is computed again with it.', done);
  };
  return (
    <Block title="What the crew found" class="cause-entry">
      {outage.causes.length > 0 && <ul class="said">{outage.causes.map((said) => <li key={said.recorded_at}><time>{when(said.recorded_at)}</time> {said.person}: {[said.cause, words(said.fault_type), said.force_majeure ? 'force majeure' : '', said.etr ? `back about ${when(said.etr)}` : ''].filter(Boolean).join(', ')}</li>)}</ul>}
      <form onSubmit={send}>
        <label>Your name <input name="person" required maxLength={200} autoComplete="name" /></label>
        <label class="wide">Cause <input name="cause" maxLength={400} defaultValue={outage.cause ?? ''} placeholder="tree on the line near pole 14" /></label>
        <label>Fault type <select name="fault" defaultValue={outage.fault_type ?? ''}>{FAULTS.map(([value, name]) => <option key={value} value={value} selected={value === (outage.fault_type ?? '')}>{name}</option>)}</select></label>
        <label>Back about <input name="etr" type="datetime-local" defaultValue={outage.etr && outage.etr_basis === 'crew' ? civil(outage.etr).slice(0, 16) : ''} /></label>
        <label class="check"><input name="majeure" type="checkbox" defaultChecked={outage.force_majeure} /> Force majeure: nothing is owed where the regulation exempts it</label>
        <div class="send"><button type="submit" class="primary" disabled={entry.busy}>Record</button> <span role="status">{entry.said}</span></div>
      </form>
      {entry.problem && <Failed problem={entry.problem} />}
    </Block>
  );
}

function Consumers({ outage }: { outage: OutageDetail }) {
  const rows = outage.interruptions.slice(0, 200);
  if (!rows.length) return null;
  return (
    <Block title={many(outage.interruptions_total, 'interruption')} aside={outage.compensation?.largest_entry_id ? <a href={path(`compensation/entries/${outage.compensation.largest_entry_id}/explanation`)}>{outage.compensation.consumers === 1 ? 'Why it is owed' : 'Why the most is owed'}</a> : null}>
      <div class="scroll tall" tabIndex={0} role="region" aria-label="Interruptions of consumers"><table>
        <thead><tr><th scope="col">Consumer</th><th scope="col">Began</th><th scope="col">Back</th><th scope="col" class="number">Lasted</th><th scope="col" class="less">Known from</th></tr></thead>
        <tbody>{rows.map((one) => (
          <tr key={one.consumer_id + one.started_at}>
            <td><a href={to('consumer', { consumer: one.consumer_id, node: null })}>{one.consumer_id}</a></td><td>{when(one.started_at)}</td><td>{one.ended_at ? when(one.ended_at) : 'not yet'}</td><td class="number">{lasting(one.minutes)}</td>
            <td class="less">{words(one.evidence.failed.from)}{one.excluded_because ? `; does not count: ${words(one.excluded_because)}` : ''}</td>
          </tr>
        ))}</tbody>
      </table></div>
      {outage.interruptions_total > rows.length && <p class="facts">The first {rows.length} are shown.</p>}
    </Block>
  );
}

// --- Evidence, at the right: a timeline of dots ---

interface Dot { at: string; kind: 'fail' | 'back' | 'said' | 'note'; says: string; more?: string }

const plain = (from: string) => ({ meter: 'the meters themselves', events: "the meters' events", neighbours: 'neighbours that are silent or dead together', voltage: 'intervals without voltage', energy: 'intervals without energy' })[from] ?? words(from);

// Meter events by minute, so that a storm is a few dots.
function eventDots(interruptions: Interruption[]): Dot[] {
  const groups = new Map<string, { at: string; says: string; meters: Set<string> }>();
  for (const { events } of interruptions) {
    for (const { at, says, meter_id } of events) {
      const key = `${Math.floor(Date.parse(at) / 60000)} ${says}`;
      const group = groups.get(key) ?? { at, says, meters: new Set() };
      if (at < group.at) group.at = at;
      group.meters.add(meter_id);
      groups.set(key, group);
    }
  }
  const names: Record<string, string> = { failed: 'last gasp', restored: 'power is back', disconnected: 'disconnected', cut_off: 'cut off on low credit', connected: 'connected' };
  return [...groups.values()].map(({ at, says, meters }) => ({ at, kind: says === 'failed' ? 'fail' : says === 'restored' ? 'back' : 'note', says: `${names[says] ?? says}: ${many(meters.size, 'meter')}` }));
}

function dotsOf(outage: OutageDetail): Dot[] {
  const { failed, restored, steps } = outage.evidence;
  const span = (edge: { earliest: string; latest: string }) => (edge.earliest === edge.latest ? '' : `between ${brief(edge.earliest)} and ${brief(edge.latest)}`);
  const dots: Dot[] = [...eventDots(outage.interruptions)];
  if (failed) dots.push({ at: failed.at, kind: 'fail', says: outage.scope === 'service_line' ? `supply lost on a service line of ${outage.node_name}` : `${outage.node_name} lost supply`, more: [`from ${plain(failed.from)}`, span(failed)].filter(Boolean).join(', ') });
  for (const step of steps ?? []) dots.push({ at: step.at, kind: 'back', says: `${many(step.consumers, 'consumer')} back` });
  if (restored && outage.ended_at) dots.push({ at: restored.at, kind: 'back', says: outage.scope === 'service_line' ? 'it has supply again' : `${outage.node_name} has supply again`, more: [`from ${plain(restored.from)}`, span(restored)].filter(Boolean).join(', ') });
  for (const said of outage.causes) dots.push({ at: said.recorded_at, kind: 'said', says: `${said.person}: ${[said.cause, words(said.fault_type)].filter(Boolean).join(', ') || 'said something'}`, ...(said.etr ? { more: `back about ${when(said.etr)}` } : {}) });
  if (outage.announced?.notice_at) dots.push({ at: outage.announced.notice_at, kind: 'note', says: 'consumers were told', more: outage.announced.reason ?? '' });
  return dots.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

const DOTS_MAX = 60;

export function Evidence({ outage }: { outage: OutageDetail }) {
  const dots = dotsOf(outage);
  const known = Object.entries(outage.evidence.known_from ?? {});
  return (
    <>
      <section aria-labelledby="evidence-title">
        <header><h2 id="evidence-title">Evidence</h2><span>{many(dots.length, 'moment')}</span></header>
        <ol class="timeline">{dots.slice(0, DOTS_MAX).map((dot, at) => (
          <li key={`${dot.at} ${dot.says} ${at}`} data-kind={dot.kind}><time dateTime={dot.at} title={when(dot.at)}>{brief(dot.at)}</time><span>{dot.says}{dot.more && <small>{dot.more}</small>}</span></li>
        ))}</ol>
        {dots.length > DOTS_MAX && <p class="facts">The first {DOTS_MAX} moments are shown.</p>}
        {known.length > 0 && <Facts of={known.map(([from, number]) => [`Known from ${plain(from)}`, count(number)])} />}
      </section>
      {outage.history.length > 0 && (
        <section aria-labelledby="versions-title">
          <header><h2 id="versions-title">Versions published</h2><span title="Each stands under the time at which it was published; what happened when is said below it">{count(outage.history.length)}, by when</span></header>
          <ol class="timeline">{[...outage.history].reverse().slice(0, 20).map((version) => (
            <li key={version.version} data-kind="note"><time dateTime={version.published_at} title={when(version.published_at)}>{brief(version.published_at)}</time><span>{version.reason ?? 'first published'}<small>{words(version.status)}, {SCOPES[version.scope] ?? version.scope}, {many(version.consumers_affected, 'consumer')}: {brief(version.started_at)} {version.ended_at ? `to ${brief(version.ended_at)}` : 'on'}</small></span></li>
          ))}</ol>
        </section>
      )}
    </>
  );
}
export const shareBack = (outage: Outage) => percent((100 * outage.consumers_restored) / Math.max(1, outage.consumers_affected));
export const amount = exact;
export const nodeOf = (outage: Outage) => atNode(outage.node_id);
export function useTitle(title: string): void {
  useEffect(() => { document.title = title; }, [title]);
}
