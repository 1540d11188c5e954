// The stream of changes: one EventSource that resumes after a break, and topics that say what changed.
//
// summary: every second · facts: zone, day, roots or threshold · balances, outages: an event · state: connection ·
// tick: something changed, at most every five seconds while the page is seen · slow: the same, at most every half minute

import { useEffect, useState } from 'preact/hooks';

import { refused } from './access';
import { useToday, useZoneOf } from './format';
import type { FeederEvent, Outage, Summary } from './types';

export interface BalancesEvent { at: string; changed: number; feeders: FeederEvent[] }
export interface OutagesEvent { at: string; changed: number; outages: (Outage & { reason: string })[] }

const REFRESH_MS = 5000;
const SLOW_TURNS = 6;
export const STALE_SECONDS = 6;

const topics = new Map<string, Set<() => void>>();
const numbers = new Map<string, number>();
function say(topic: string): void {
  numbers.set(topic, (numbers.get(topic) ?? 0) + 1);
  for (const listener of [...(topics.get(topic) ?? [])]) listener();
}
export function on(topic: string, listener: () => void): () => void {
  const all = topics.get(topic) ?? new Set();
  topics.set(topic, all);
  all.add(listener);
  return () => { all.delete(listener); };
}
// A number that grows whenever the topic is said; the component is drawn anew.
export function useTopic(topic: string | null): number {
  const [, set] = useState(0);
  useEffect(() => (topic ? on(topic, () => set((now) => now + 1)) : undefined), [topic]);
  return topic ? numbers.get(topic) ?? 0 : 0;
}

export const live = {
  summary: null as Summary | null,
  balances: null as BalancesEvent | null,
  outages: null as OutagesEvent | null,
  resets: 0,
};
export function useSummary(): Summary | null {
  useTopic('summary');
  return live.summary;
}
// What seldom changes of the summary.
export function useFacts(): Summary | null {
  useTopic('facts');
  return live.summary;
}

let last = 0;
let isReopened = false;
let dirty = false;
let turns = 0;
// Seconds since the server was last heard; null: never.
export const silence = () => (last ? (Date.now() - last) / 1000 : null);

function summarise(next: Summary): void {
  const before = live.summary;
  live.summary = next;
  useZoneOf(next.zone);
  useToday(next.day);
  const same = before && before.day === next.day && before.zone === next.zone && before.coverage_threshold_pct === next.coverage_threshold_pct
    && before.roots.length === next.roots.length && before.roots.every((root, at) => root.node_id === next.roots[at]?.node_id && root.name === next.roots[at]?.name);
  say('summary');
  if (!same) { dirty = true; say('facts'); refresh(); }
}

function refresh(): void {
  if (!dirty || document.hidden) return;
  dirty = false;
  turns += 1;
  say('tick');
  if (turns % SLOW_TURNS === 1) say('slow');
}

let stream: EventSource | null = null;
function connect(): void {
  stream?.close();
  const source = new EventSource('/api/v1/stream');
  stream = source;
  const heard = <T>(name: string, take: (data: T) => void) => source.addEventListener(name, (event) => {
    last = Date.now();
    take(JSON.parse((event as MessageEvent<string>).data) as T);
  });
  source.addEventListener('open', () => {
    last = Date.now();
    dirty = true;
    say('state');
    // Whoever heard of no change before the break has nothing to resume from: what stands is asked for.
    if (isReopened) say('outages');
    isReopened = true;
  });
  // It comes back by itself and resumes by the id of its last event; where the server refuses it, it gives up and is opened anew.
  source.addEventListener('error', () => { say('state'); if (source === stream && source.readyState === EventSource.CLOSED) void again(); });
  heard<Summary>('summary', summarise);
  heard<BalancesEvent>('balances', (event) => { live.balances = event; dirty = true; say('balances'); });
  heard<OutagesEvent>('outages', (event) => { live.outages = event; dirty = true; say('outages'); });
  heard('reset', () => { live.resets += 1; dirty = true; say('reset'); say('outages'); });
}

// The first summary, or why there is none.
async function first(): Promise<number> {
  try {
    const answer = await fetch('/api/v1/summary', { headers: { accept: 'application/json' } });
    if (answer.ok && !live.summary) summarise(await answer.json());
    if (answer.status === 401) refused((await answer.json().catch(() => ({}))).detail);
    return answer.status;
  } catch { return 0; }
}

// A stream that was refused does not say why, so something else is asked; whoever must sign in first begins anew after that.
async function again(): Promise<void> {
  if ((await first()) !== 401) setTimeout(connect, 3000);
}

// The first summary is asked for as well: the stream may take longer.
export async function begin(): Promise<void> {
  connect();
  setInterval(refresh, REFRESH_MS);
  document.addEventListener('visibilitychange', refresh);
  // A page that was left may be kept for coming back; its stream would hold one of the few connections that a browser has to a server.
  addEventListener('pagehide', () => { stream?.close(); stream = null; });
  addEventListener('pageshow', (event) => { if (event.persisted) connect(); });
  await first();
}
