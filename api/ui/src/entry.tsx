// What a person says by a form: sent, recorded, or refused.

import { useState } from 'preact/hooks';

import { post, Problem } from './api';

interface Said { busy: boolean; said: string; problem: Problem | null }

// Sends what a form holds; `said` is told once it is recorded, then `done` is called.
export function useEntry() {
  const [state, set] = useState<Said>({ busy: false, said: '', problem: null });
  const send = async (route: string, body: unknown, said: string, done: () => void) => {
    set({ busy: true, said: '', problem: null });
    try {
      await post(route, body);
      set({ busy: false, said, problem: null });
      done();
    } catch (error) { set({ busy: false, said: '', problem: error instanceof Problem ? error : new Problem({ detail: String(error) }) }); }
  };
  return { ...state, send };
}

// The fields of a form by name, without spaces around them.
export function fields(event: Event): (name: string) => string {
  event.preventDefault();
  const data = new FormData(event.currentTarget as HTMLFormElement);
  return (name) => String(data.get(name) ?? '').trim();
}
// Only what was filled in.
export const given = (values: Record<string, string>) => Object.fromEntries(Object.entries(values).filter(([, value]) => value));
