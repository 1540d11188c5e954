// Whether gridtally asks who one is: a key is given once, and a cookie that no script can read stands for it from then on.

import { useEffect, useState } from 'preact/hooks';

let because: string | null = null;
const listeners = new Set<() => void>();

// A route, or the stream, answered 401.
export function refused(why: string | undefined): void {
  if (because != null) return;
  because = why ?? '';
  for (const listener of listeners) listener();
}

// Why a key is asked for; null: none is.
export function useRefused(): string | null {
  const [, redraw] = useState(0);
  useEffect(() => {
    const listener = () => redraw((now) => now + 1);
    listeners.add(listener);
    return () => { listeners.delete(listener); };
  }, []);
  return because;
}

// That somebody signed in here, so that signing out is offered: nothing secret.
const MARK = 'gridtally.signed_in';
export const hasSignedIn = () => { try { return localStorage.getItem(MARK) != null; } catch { return false; } };
export function noteSignedIn(isIn: boolean): void {
  try { if (isIn) localStorage.setItem(MARK, '1'); else localStorage.removeItem(MARK); } catch { /* A browser that keeps nothing signs in all the same. */ }
}
