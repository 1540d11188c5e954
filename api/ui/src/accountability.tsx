// Who answers for a feeder, where its deviations come from, and what is planned against them until when.

import { useEffect, useRef, useState } from 'preact/hooks';

import { path, useAsk } from './api';
import { fields, given, useEntry } from './entry';
import { dateText, dayOf, instantOf, monthsBefore, monthText, when, words } from './format';
import { Block, Failed, Ghost, Since } from './parts';
import type { Attention } from './types';

interface Version {
  version: number;
  person: string;
  month: string;
  cause: string;
  mitigation: string | null;
  starts_on: string | null;
  due_on: string | null;
  done_on: string | null;
  status: 'open' | 'done' | 'withdrawn';
  recorded_at: string;
}
interface Action extends Version { action_id: string; overdue: boolean; history: Version[] }
interface Manager { manager: string; contact: string | null; valid_from: string; valid_to: string | null; recorded_at: string | null; source: string | null; superseded: boolean }
interface Accountability { feeder_id: string; manager: Manager | null; managers: Manager[]; actions: Action[] }
type Asked = ReturnType<typeof useAsk<Accountability>>;

export function Accountable({ feeder, name, day }: { feeder: string; name: string; day: string }) {
  const asked = useAsk<Accountability>(path(`feeders/${encodeURIComponent(feeder)}/accountability`), 'slow');
  if (asked.problem && !asked.data) return <Block title="Who answers for it"><Failed problem={asked.problem} again={asked.again} /></Block>;
  if (!asked.data) return <Ghost lines={6} />;
  return (
    <>
      <Since of={asked} />
      <Managers feeder={feeder} name={name} day={day} of={asked.data} again={asked.again} />
      <Actions feeder={feeder} day={day} of={asked.data} again={asked.again} />
    </>
  );
}

interface Part { feeder: string; day: string; of: Accountability; again: Asked['again'] }

function Managers({ feeder, name, day, of, again }: Part & { name: string }) {
  const entry = useEntry();
  const [turn, setTurn] = useState(0);
  const now = of.manager;
  // Rows that stand, but for the one in force; a row that ends before it begins is withdrawn.
  const others = of.managers.filter((row) => !row.superseded && row.valid_from !== now?.valid_from && (!row.valid_to || Date.parse(row.valid_to) > Date.parse(row.valid_from)));
  const send = (event: Event) => {
    const value = fields(event);
    const body = { ...given({ person: value('person'), manager: value('manager'), contact: value('contact'), valid_to: value('until') && instantOf(`${value('until')}T00:00`) }), valid_from: instantOf(`${value('from')}T00:00`) };
    void entry.send(path(`feeders/${encodeURIComponent(feeder)}/manager`), body, 'Recorded.', () => { setTurn(turn + 1); again(); });
  };
  return (
    <Block title="Who answers for it" class="cause-entry" id="manager">
      <p class="lead">{now ? <><b>{now.manager}</b>{now.contact && `, ${now.contact}`}<small>since {dateText(dayOf(now.valid_from))}{now.valid_to ? `, until ${dateText(dayOf(now.valid_to))}` : ''}</small></> : <>Nobody is named as manager of {name}.</>}</p>
      {others.length > 0 && <ul class="said">{others.map((row) => <li key={row.valid_from}>{row.manager}<small>{dateText(dayOf(row.valid_from))} to {row.valid_to ? dateText(dayOf(row.valid_to)) : 'the next'}</small></li>)}</ul>}
      <details key={turn}>
        <summary>Name a manager</summary>
        <form onSubmit={send}>
          <label>Your name <input name="person" required maxLength={200} autoComplete="name" /></label>
          <label>Manager <input name="manager" required maxLength={200} autoComplete="off" /></label>
          <label>Reached by <input name="contact" maxLength={200} autoComplete="off" placeholder="telephone or mail" /></label>
          <label>From <input name="from" type="date" required defaultValue={day} /></label>
          <label>Until before, if known <input name="until" type="date" /></label>
          <div class="send"><button type="submit" class="primary" disabled={entry.busy}>Record</button></div>
        </form>
      </details>
      <p class="told" role="status">{entry.said}</p>
      {entry.problem && <Failed problem={entry.problem} />}
    </Block>
  );
}

const TONES: Record<string, Attention> = { overdue: 'investigate', open: 'watch', done: 'normal', withdrawn: 'unknown' };
function Status({ of }: { of: Action }) {
  const status = of.overdue ? 'overdue' : of.status;
  const tone = TONES[status] ?? 'unknown';
  return <span key={status} class="state" data-attention={tone}><svg class="mark" data-attention={tone} aria-hidden="true"><use href={`#mark-${tone}`} /></svg>{status === 'open' ? 'under way' : status}</span>;
}

// When it is done, or was to be.
function dates(of: Version): string {
  return [of.starts_on && `from ${dateText(of.starts_on)}`, of.due_on && `due ${dateText(of.due_on)}`, of.done_on && `done ${dateText(of.done_on)}`].filter(Boolean).join(', ');
}

function Actions({ feeder, day, of, again }: Part) {
  const entry = useEntry();
  const [changed, change] = useState<Action | null>(null);
  const [turn, setTurn] = useState(0);
  const box = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    if (!changed || !box.current) return;
    box.current.open = true;
    box.current.querySelector('input')?.focus();
  }, [changed]);
  const stand = of.actions.filter(({ status }) => status !== 'withdrawn');
  const withdrawn = of.actions.length - stand.length;
  const send = (event: Event) => {
    const value = fields(event);
    const body = given({
      action_id: changed?.action_id ?? '', month: value('month'), status: value('status'),
      ...Object.fromEntries(['person', 'cause', 'mitigation', 'starts_on', 'due_on', 'done_on'].map((name) => [name, value(name)])),
    });
    void entry.send(path(`feeders/${encodeURIComponent(feeder)}/actions`), body, changed ? 'Recorded as a new version.' : 'Recorded.', () => { change(null); setTurn(turn + 1); again(); });
  };
  return (
    <Block title="Causes of deviation, and plans" class="cause-entry" id="actions">
      {stand.length === 0 ? <p class="facts">No cause is recorded yet: where does the deviation come from, and what is done about it until when?</p> : (
        <ol class="plans">{stand.map((row) => (
          <li key={row.action_id} data-status={row.status}>
            <p><b>{row.cause}</b> <small>deviation of {monthText(row.month)}</small></p>
            <p>{row.mitigation ?? <span class="null">nothing planned yet</span>}{dates(row) && <small> {dates(row)}</small>}</p>
            <p class="by"><Status of={row} /><small>{row.person}, {when(row.recorded_at)}</small><button type="button" onClick={() => change(row)}>Change<span class="hidden">: {row.cause}</span></button></p>
            {row.history.length > 1 && <details><summary>{row.history.length} versions</summary><ul class="said">{row.history.map((version) => (
              <li key={version.version}><time>{when(version.recorded_at)}</time> {version.person}: {[version.cause, version.mitigation, dates(version), words(version.status)].filter(Boolean).join('; ')}</li>
            ))}</ul></details>}
          </li>
        ))}</ol>
      )}
      {withdrawn > 0 && <p class="facts">{withdrawn} withdrawn.</p>}
      <details ref={box} key={turn}>
        <summary>{changed ? `Change “${changed.cause}”` : 'Record a cause or plan'}</summary>
        <Plan key={changed?.action_id ?? ''} of={changed} day={day} busy={entry.busy} send={send} cancel={() => { change(null); setTurn(turn + 1); }} />
      </details>
      <p class="told" role="status">{entry.said}</p>
      {entry.problem && <Failed problem={entry.problem} />}
    </Block>
  );
}

function Plan({ of, day, busy, send, cancel }: { of: Action | null; day: string; busy: boolean; send: (event: Event) => void; cancel: () => void }) {
  const [status, setStatus] = useState<string>(of?.status ?? 'open');
  const over = monthsBefore(day, 24);
  const month = of?.month ?? over[0]!;
  const months = over.includes(month) ? over : [month, ...over];
  return (
    <form onSubmit={send}>
      <label>Your name <input name="person" required maxLength={200} autoComplete="name" /></label>
      <label>Month of the deviation <select name="month">{months.map((one) => <option key={one} value={one} selected={one === month}>{monthText(one)}</option>)}</select></label>
      <label class="wide">Cause <input name="cause" required maxLength={400} defaultValue={of?.cause ?? ''} placeholder="hooking in the old town" autoComplete="off" /></label>
      <label class="wide">Plan <input name="mitigation" maxLength={400} defaultValue={of?.mitigation ?? ''} placeholder="armoured cable" autoComplete="off" /></label>
      <label>To begin <input name="starts_on" type="date" defaultValue={of?.starts_on ?? ''} /></label>
      <label>To be done by <input name="due_on" type="date" defaultValue={of?.due_on ?? ''} /></label>
      {of && <label>It is <select name="status" onChange={(event) => setStatus(event.currentTarget.value)}>{['open', 'done', 'withdrawn'].map((one) => <option key={one} value={one} selected={one === of.status}>{one === 'open' ? 'under way' : one}</option>)}</select></label>}
      {of && status === 'done' && <label>Done on <input name="done_on" type="date" required max={day} defaultValue={of.done_on ?? day} /></label>}
      <div class="send"><button type="submit" class="primary" disabled={busy}>Record</button>{of && <> <button type="button" onClick={cancel}>Leave as it is</button></>}</div>
    </form>
  );
}
