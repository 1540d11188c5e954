// Asking the API: JSON or a problem document; hooks that ask again as things change, and keep what is shown meanwhile.

import { useEffect, useRef, useState } from 'preact/hooks';

import { refused } from './access';
import { live, useTopic } from './live';
import type { Cell, SqlResult } from './types';

export class Problem extends Error {
  title: string;
  status: number;
  constructor({ title, detail, status }: { title?: string; detail?: string; status?: number }) {
    super(detail ?? title ?? 'The request failed');
    this.title = title ?? 'The request failed';
    this.status = status ?? 0;
  }
}

export async function response(path: string, options: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { ...options, headers: { accept: 'application/json', ...options.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem({ title: 'No answer from gridtally', detail: 'Is it running? The page goes on by itself once it answers.' });
  }
  if (answer.ok) return answer;
  const document = await answer.json().catch(() => ({ title: `Status ${answer.status}` }));
  if (answer.status === 401 && !path.endsWith('/session')) refused(document.detail);
  throw new Problem({ ...document, status: answer.status });
}
export const ask = async <T>(path: string, options?: RequestInit): Promise<T> => (await response(path, options)).json();
export const post = <T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> =>
  ask<T>(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } });

type Query = Record<string, string | number | null | undefined>;
export function path(route: string, query: Query = {}): string {
  const text = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value != null && value !== '') text.set(key, String(value));
  const asked = text.toString();
  return `/api/v1/${route}${asked ? '?' + asked : ''}`;
}
export const nodePath = (id: string, tail = '', query: Query = {}) => path(`nodes/${encodeURIComponent(id)}${tail}`, query);

export interface Asked<T> {
  data: T | null;
  // Of another question than the present one, which is still being asked.
  old: boolean;
  problem: Problem | null;
  // When `data` was answered, by the configured clock.
  since: string | null;
  again: () => void;
}

const RETRY_MS = 5000;
export const nowText = () => live.summary?.now ?? new Date().toISOString();

// Asks `key` by `run`; again whenever `topic` says that something changed. What was answered stays until the next answer.
export function useAsked<T>(key: string | null, run: (signal: AbortSignal) => Promise<T>, topic: string | null): Asked<T> {
  const [state, setState] = useState<{ key: string | null; data: T | null; problem: Problem | null; since: string | null }>({ key: null, data: null, problem: null, since: null });
  const [turn, setTurn] = useState(0);
  const tick = useTopic(topic);
  const asking = useRef<{ key: string; stop: AbortController } | null>(null);
  const missed = useRef(false);
  const retry = useRef(0);
  useEffect(() => {
    clearTimeout(retry.current);
    if (asking.current && asking.current.key !== key) { asking.current.stop.abort(); asking.current = null; }
    if (key == null) return;
    // One question is enough at a time; what changed meanwhile is asked for once it is answered.
    if (asking.current) { missed.current = true; return; }
    const question = { key, stop: new AbortController() };
    const isMine = () => asking.current === question;
    asking.current = question;
    missed.current = false;
    run(question.stop.signal).then(
      (data) => { if (isMine()) setState({ key, data, problem: null, since: nowText() }); },
      (error: unknown) => {
        if (!isMine()) return;
        const problem = error instanceof Problem ? error : new Problem({ title: 'The page failed', detail: String(error) });
        setState((before) => ({ key, data: before.key === key ? before.data : null, problem, since: before.since }));
        if (problem.status === 0 || problem.status === 503) retry.current = window.setTimeout(() => setTurn((now) => now + 1), RETRY_MS);
      },
    ).finally(() => {
      if (!isMine()) return;
      asking.current = null;
      if (missed.current) setTurn((now) => now + 1);
    });
  }, [key, turn, tick]);
  useEffect(() => () => { clearTimeout(retry.current); asking.current?.stop.abort(); asking.current = null; }, []);
  const mine = state.key === key;
  return { data: key == null ? null : state.data, old: !mine, problem: mine ? state.problem : null, since: state.since, again: () => setTurn((now) => now + 1) };
}

// Where a hierarchy forks: the first node at or below one that has more than one child, with its children.
interface Fork<R> { id: string; nodes: R[] }
export function useFork<R extends { node_id: string; children: number }>(node: string | null, day: string | null): Asked<Fork<R>> {
  return useAsked<Fork<R>>(node == null ? null : `fork ${node} ${day}`, async (signal) => {
    let id = node ?? '';
    for (;;) {
      const { nodes } = await ask<{ nodes: R[] }>(nodePath(id, '/children', { day }), { signal });
      const [only] = nodes;
      if (nodes.length !== 1 || !only?.children) return { id, nodes };
      id = only.node_id;
    }
  }, null);
}

export const useAsk = <T>(route: string | null, topic: string | null = null): Asked<T> =>
  useAsked<T>(route, (signal) => ask<T>(route ?? '', { signal }), topic);

// --- SQL: every query is a process of the server, so few at a time ---

let running = 0;
const waiting: (() => void)[] = [];
const AT_A_TIME = 2;
async function turn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AT_A_TIME) await new Promise<void>((next) => waiting.push(next));
  running += 1;
  try { return await work(); } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

export const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;
export const list = (texts: string[]) => (texts.length ? texts.map(quote).join(', ') : "''");

export async function sql(query: string, signal?: AbortSignal): Promise<SqlResult> {
  return turn(() => ask<SqlResult>('/api/v1/sql', {
    method: 'POST', body: JSON.stringify({ query, format: 'json' }), headers: { 'content-type': 'application/json' }, ...(signal ? { signal } : {}),
  }));
}
export type Row = Record<string, Cell>;
export const objects = ({ columns, rows }: SqlResult): Row[] => rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at] ?? null])));

// Rows of the published tables as `T`.
export function useSql<T = Row>(query: string | null, topic: string | null = null): Asked<T[]> {
  return useAsked<T[]>(query, async (signal) => objects(await sql(query ?? '', signal)) as T[], topic);
}
