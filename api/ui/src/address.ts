// What is looked at stands in the address: #node=F1&view=outages&day=…&as_of=…; a colleague who opens it sees the same.

import { useEffect, useState } from 'preact/hooks';

export type View = 'network' | 'revenue' | 'audit' | 'reports' | 'outages' | 'compensation' | 'quality' | 'sql' | 'consumer';
export const VIEWS: [View, string][] = [
  ['network', 'Energy'], ['revenue', 'Revenue'], ['audit', 'Audit'], ['outages', 'Outages'], ['compensation', 'Compensation'], ['quality', 'Data quality'], ['consumer', 'Consumers'], ['reports', 'Reports'], ['sql', 'SQL'],
];

type Changes = Record<string, string | null | undefined>;

// What stays when one goes to another view or node: where and when one looks.
const KEPT = ['node', 'day', 'as_of'];

export const read = () => new URLSearchParams(location.hash.slice(1));

function written(next: URLSearchParams): string {
  return '#' + next.toString();
}
function changed(from: URLSearchParams, changes: Changes): URLSearchParams {
  for (const [key, value] of Object.entries(changes)) {
    if (value == null || value === '') from.delete(key);
    else from.set(key, value);
  }
  return from;
}

// The present address with changes.
export const href = (changes: Changes) => written(changed(read(), changes));
// Another view, at the same place and time.
export function to(view: View, changes: Changes = {}): string {
  const [from, next] = [read(), new URLSearchParams()];
  for (const key of KEPT) {
    const value = from.get(key);
    if (value) next.set(key, value);
  }
  if (view !== 'network') next.set('view', view);
  return written(changed(next, changes));
}
// The node in the view where one is; what was chosen within the view falls away.
export function atNode(node: string | null): string {
  const view = (read().get('view') ?? 'network') as View;
  const keeps = view === 'consumer' || view === 'sql' ? 'network' : view;
  const kept: Changes = { node };
  for (const key of ['range', 'below', 'status', 'rule', 'year', 'month', 'by', 'each', 'list', 'report', 'period']) kept[key] = read().get(key);
  return to(keeps, kept);
}

export function go(changes: Changes, replace = false): void {
  open(href(changes), replace);
}
export function open(address: string, replace = false): void {
  if (address === (location.hash || '#')) return;
  if (replace) {
    history.replaceState(null, '', address);
    dispatchEvent(new HashChangeEvent('hashchange'));
  } else location.hash = address;
}

export function useAddress(): URLSearchParams {
  const [at, setAt] = useState(read);
  useEffect(() => {
    const moved = () => setAt(read());
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return at;
}
