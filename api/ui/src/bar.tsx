// The bar: the way to what is looked at, search, when one looks, and whether the figures are live.

import { useEffect, useRef, useState } from 'preact/hooks';

import { atNode, go, open, to, VIEWS, type View } from './address';
import { ask, path, type Problem } from './api';
import { age, clockText, dayOf, dayPlus, dayText, instantOf, civil, when, withOffset, zoneName } from './format';
import { silence, STALE_SECONDS, useFacts, useSummary } from './live';
import { Glyph } from './parts';
import { SignOut } from './signin';
import type { ConsumerRow, NodeDetail, NodeName, NodeRow } from './types';

// What is chosen of a row that is wider than the page is brought into it; the page itself stays where it is.
function useInRow(now: string): { current: HTMLElement | null } {
  const row = useRef<HTMLElement>(null);
  useEffect(() => {
    const [all, here] = [row.current, row.current?.querySelector<HTMLElement>('[aria-current]')];
    if (!all || !here) return;
    const [around, own] = [all.getBoundingClientRect(), here.getBoundingClientRect()];
    if (own.left < around.left || own.right > around.right) all.scrollLeft += own.left - around.left - (around.width - own.width) / 2;
  }, [now]);
  return row;
}

// The whole way, in a row of its own: no level is left out.
export function Breadcrumb({ detail, all }: { detail: NodeDetail | null; all: NodeName | null }) {
  const steps: NodeName[] = detail ? [...detail.ancestors, detail] : all ? [all] : [];
  const row = useInRow(detail?.node_id ?? '');
  return (
    <nav id="breadcrumb" aria-label="Way to this node" ref={row}>
      {steps.flatMap((step, at) => {
        const last = at === steps.length - 1;
        const link = <a key={step.node_id} href={atNode(step.node_id)} title={step.name} aria-current={last && detail ? 'page' : undefined}>{step.name}</a>;
        return at ? [<i key={`to ${step.node_id}`} aria-hidden="true">▸</i>, link] : [link];
      })}
    </nav>
  );
}

// --- Search: nodes by id or name, consumers by number or meter, views by name ---

// Its type in preact asks for a `list` that this one does not have.
const COMBOBOX = { role: 'combobox' } as object;

interface Hit { key: string; kind: string; name: string; id: string; address: string }

async function search(text: string): Promise<Hit[]> {
  const lower = text.toLowerCase();
  const views = VIEWS.filter(([, name]) => name.toLowerCase().startsWith(lower)).map(([view, name]): Hit => ({ key: `view ${view}`, kind: 'view', name, id: 'view', address: to(view as View) }));
  const [{ nodes }, { consumers }] = await Promise.all([
    ask<{ nodes: NodeRow[] }>(path('nodes', { q: text, limit: 10 })),
    text.length >= 3 ? ask<{ consumers: ConsumerRow[] }>(path('consumers', { q: text, limit: 6 })) : { consumers: [] },
  ]);
  return [
    ...views,
    ...nodes.map((node): Hit => ({ key: node.node_id, kind: node.kind ?? '', name: node.name, id: node.node_id, address: atNode(node.node_id) })),
    ...consumers.map((row): Hit => ({ key: `${row.consumer_id} ${row.meter_id}`, kind: 'consumer', name: `${row.consumer_id}, ${row.category}`, id: row.meter_id ?? 'unmetered', address: to('consumer', { consumer: row.consumer_id, node: null }) })),
  ];
}

export function Search() {
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState('');
  const [found, setFound] = useState<Hit[] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [at, setAt] = useState(0);
  const close = () => { setFound(null); setProblem(null); };
  const pick = (hit: Hit | undefined) => {
    if (!hit) return;
    close();
    setText('');
    input.current?.blur();
    open(hit.address);
  };
  useEffect(() => {
    const asked = text.trim();
    if (!asked) { close(); return undefined; }
    let current = true;
    const timer = setTimeout(() => {
      search(asked).then((hits) => { if (current) { setFound(hits); setProblem(null); setAt(0); } }, (error: Problem) => { if (current) { setFound([]); setProblem(error); } });
    }, 120);
    return () => { current = false; clearTimeout(timer); };
  }, [text]);
  useEffect(() => {
    const shortcut = (event: KeyboardEvent) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? '');
      if (!((event.key === '/' && !typing) || (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey)))) return;
      event.preventDefault();
      // What is hidden takes no words.
      document.documentElement.removeAttribute('data-wall');
      input.current?.focus();
      input.current?.select();
    };
    document.addEventListener('keydown', shortcut);
    return () => document.removeEventListener('keydown', shortcut);
  }, []);
  const keys = (event: KeyboardEvent) => {
    const last = (found?.length ?? 1) - 1;
    if (event.key === 'ArrowDown') { event.preventDefault(); setAt(Math.min(last, at + 1)); }
    else if (event.key === 'ArrowUp') { event.preventDefault(); setAt(Math.max(0, at - 1)); }
    else if (event.key === 'Enter') pick(found?.[at]);
    else if (event.key === 'Escape') { close(); input.current?.blur(); }
  };
  const shown = found != null;
  return (
    <div class="search" role="search">
      <input id="search" ref={input} type="search" placeholder="Search" aria-label="Search nodes, consumers, meters and views" autoComplete="off" spellcheck={false} {...COMBOBOX}
        aria-expanded={shown} aria-controls="found" aria-autocomplete="list" aria-activedescendant={found?.length ? `found-${at}` : undefined}
        value={text} onInput={(event) => setText(event.currentTarget.value)} onKeyDown={keys} onBlur={close} />
      <kbd aria-hidden="true">{/Mac/.test(navigator.platform) ? '⌘K' : 'Ctrl K'}</kbd>
      <ul id="found" role="listbox" aria-label="Found" hidden={!shown}>
        {found?.map((hit, index) => (
          <li key={hit.key} id={`found-${index}`} role="option" aria-selected={index === at} onPointerDown={(event) => { event.preventDefault(); pick(hit); }}>
            {hit.kind === 'view' ? <span class="kind" aria-hidden="true">→</span> : <Glyph kind={hit.kind} />}<span class="name">{hit.name}</span><span class="id">{hit.id}</span>
          </li>
        ))}
        {found?.length === 0 && <li role="option" aria-selected="false" aria-disabled="true">{problem ? `${problem.title}: ${problem.message}` : 'No node, consumer or meter is called so.'}</li>}
      </ul>
    </div>
  );
}

// --- When one looks: the day of the figures, and as they stood published at which instant ---

export function When({ at }: { at: URLSearchParams }) {
  const facts = useFacts();
  const box = useRef<HTMLDetailsElement>(null);
  const [day, asOf] = [at.get('day'), at.get('as_of')];
  useEffect(() => {
    const away = (event: Event) => {
      if (box.current?.open && !box.current.contains(event.target as Node)) box.current.open = false;
    };
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, []);
  if (!facts) return <div class="when"><span class="skeleton">Today as of now ▾</span></div>;
  const today = facts.day;
  const dayName = !day || day === 'today' || day === today ? 'Today' : day === 'yesterday' || day === dayPlus(today, -1) ? 'Yesterday' : dayText(day);
  const set = (changes: Record<string, string | null>) => go({ ...changes, from: null, to: null, at: null });
  const now = Date.parse(facts.now);
  return (
    <details class="when" ref={box} onKeyDown={(event) => { if (event.key === 'Escape' && box.current) { box.current.open = false; box.current.querySelector('summary')?.focus(); } }}>
      <summary title="Day of the figures, and as of when they are shown"><span>{dayName}</span><span class="as-of">as of {asOf ? when(asOf) : 'now'} ▾</span></summary>
      <div>
        <h3>Day of the figures</h3>
        <div class="choice" role="group" aria-label="Day of the figures">
          <button type="button" data-day="today" aria-pressed={dayName === 'Today'} onClick={() => set({ day: null })}>Today</button>
          <button type="button" data-day="yesterday" aria-pressed={dayName === 'Yesterday'} onClick={() => set({ day: 'yesterday' })}>Yesterday</button>
        </div>
        <label>Another day <input type="date" value={day && /^\d/.test(day) ? day : ''} max={today} onChange={(event) => set({ day: event.currentTarget.value || null })} /></label>
        <h3>As it stood published</h3>
        <div class="choice" role="group" aria-label="As it stood published">
          <button type="button" aria-pressed={!asOf} onClick={() => set({ as_of: null })}>Now</button>
          <button type="button" aria-pressed="false" onClick={() => set({ as_of: withOffset(now - 36e5) })}>An hour ago</button>
          <button type="button" aria-pressed="false" onClick={() => set({ as_of: withOffset(now - 864e5) })}>A day ago</button>
        </div>
        <label>At <input type="datetime-local" value={asOf ? civil(asOf).slice(0, 16) : ''} max={civil(facts.now).slice(0, 16)} onChange={(event) => set({ as_of: event.currentTarget.value ? instantOf(event.currentTarget.value) : null })} /></label>
        <p>Times are those of {zoneName()}. Every published version stays: what a figure was at any instant can be seen here.</p>
      </div>
    </details>
  );
}

export function Clock() {
  const summary = useSummary();
  if (!summary) return <time id="clock"><span class="skeleton">00:00:00</span></time>;
  return <time id="clock" dateTime={summary.now} title="The configured clock, in the zone of civil days">{clockText(summary.now)} <small>{dayText(dayOf(summary.now))} · {summary.zone}</small></time>;
}

// Whether the figures are live: how long ago the server was last heard.
export function Live() {
  const [, redraw] = useState(0);
  const seconds = silence();
  const [state, text] = seconds == null ? ['connecting', 'connecting'] : seconds > STALE_SECONDS ? ['stale', `stale ${age(seconds)}`] : ['live', `live ${age(seconds)}`];
  useEffect(() => {
    const timer = setInterval(() => redraw((now) => now + 1), 500);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => { document.body.classList.toggle('stale', state === 'stale'); }, [state]);
  return (
    <>
      <span id="live" data-state={state} title="How long ago gridtally was last heard"><i aria-hidden="true" /><span>{text}</span></span>
      <span class="hidden" role="status">{state === 'stale' ? 'The connection is lost: figures are stale.' : state === 'live' ? 'Live.' : ''}</span>
    </>
  );
}

export function Views({ now }: { now: View }) {
  const row = useInRow(now);
  return (
    <nav class="views" aria-label="Views" ref={row}>
      {VIEWS.map(([view, name]) => <a key={view} href={to(view)} aria-current={view === now ? 'page' : undefined}>{name}</a>)}
      <a class="api" href="/docs">API</a>
      <SignOut />
    </nav>
  );
}
