// Asking the API: JSON or a problem, and the stream of changes.

import { el } from '/ui/format.js';

export class Problem extends Error {
  constructor({ title, detail, status }) {
    super(detail ?? title);
    this.title = title ?? 'The request failed';
    this.status = status ?? 0;
  }
}

export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { headers: { accept: 'application/json', ...options.headers }, ...options });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem({ title: 'No answer from gridtally', detail: 'Is it running? This page goes on by itself once it answers.' });
  }
  if (!response.ok) {
    const document = await response.json().catch(() => ({ title: `Status ${response.status}` }));
    throw new Problem({ ...document, status: response.status });
  }
  return options.raw ? response : response.json();
}

export const node = (id, tail = '', query = {}) => {
  const text = new URLSearchParams(Object.entries(query).filter(([, value]) => value != null)).toString();
  return `/api/v1/nodes/${encodeURIComponent(id)}${tail}${text ? '?' + text : ''}`;
};

// What failed, with a way to try again. Where nobody answered it tries by itself, as long as the notice is what is shown.
export function failed(problem, again) {
  const notice = el('div', { class: 'notice failed', role: 'alert' }, el('b', {}, problem.title ?? 'The page failed'), problem.message);
  if (again) notice.append(el('br'), el('button', { type: 'button', onclick: again }, 'Try again'));
  if (again && problem.status === 0) setTimeout(() => { if (notice.isConnected) again(); }, 5000);
  return notice;
}

// Listens to the stream for ever. EventSource comes back by itself after a break and resumes by the id of its last event; where the
// server refuses it (then it gives up), it is opened anew.
export function listen({ onSummary, onBalances, onOutages, onReset, onOpen }) {
  let last = 0;
  let opened = false;
  const open = () => {
    const source = new EventSource('/api/v1/stream');
    const on = (name, handle) => source.addEventListener(name, (event) => { last = Date.now(); handle(JSON.parse(event.data)); });
    source.addEventListener('open', () => { last = Date.now(); onOpen(opened); opened = true; });
    source.addEventListener('error', () => { if (source.readyState === EventSource.CLOSED) setTimeout(open, 3000); });
    on('summary', onSummary);
    on('balances', onBalances);
    on('outages', onOutages);
    on('reset', onReset);
  };
  open();
  return () => (last ? (Date.now() - last) / 1000 : null);
}
