// The guide's questions, which tests ask of a village of their own, asked of the data at hand: they name what this has, and its newest month.

import { useMemo } from 'preact/hooks';

import { useAsk, useSql } from './api';

export const GUIDE = '/docs/auditors-guide';
export interface Question { title: string; sql: string }
interface AtHand { day: string; feeder: string; dt: string | null; consumer: string | null }

// The newest day that has a balance, a feeder and a DT of it, and a consumer that is connected.
const AT_HAND = `SELECT f.day, f.node_id AS feeder, d.node_id AS dt, c.consumer_id AS consumer
FROM (SELECT day, node_id FROM node_balance_daily WHERE kind = 'feeder' ORDER BY day DESC, node_id LIMIT 1) AS f
LEFT JOIN (SELECT node_id FROM node_balance_daily WHERE kind = 'dt' ORDER BY day DESC, node_id LIMIT 1) AS d ON TRUE
LEFT JOIN (SELECT consumer_id FROM connections WHERE valid_to IS NULL ORDER BY consumer_id LIMIT 1) AS c ON TRUE`;

// What the guide names: a test holds this list against it.
const NAMES = { F1: 'feeder', T1: 'dt', C5: 'consumer' } as const;

const civil = (time: number) => new Date(time).toISOString().slice(0, 10);
// The guide's days, of which April 2026 is the month that it asks about.
function days(day: string): Record<string, string> {
  const [year = 0, month = 0, date = 0] = day.split('-').map(Number);
  const after = civil(Date.UTC(year, month - 1, date + 1));
  return {
    '2026-01-01': `${year}-01-01`,
    '2027-01-01': `${year + 1}-01-01`,
    '2026-04-01': civil(Date.UTC(year, month - 1, 1)),
    '2026-04-02': day,
    '2026-04-03': after,
    '2026-04-04': day,
    '2026-04-05': after,
    '2026-05-01': civil(Date.UTC(year, month, 1)),
  };
}

function of(question: string, at: AtHand): string {
  const told = days(at.day);
  const quoted = (text: string) => text.replaceAll("'", "''");
  return question
    .replaceAll("day = DATE '2026-04-01'", `day = DATE '${at.day}'`)
    .replace(/'(20\d\d-\d\d-\d\d)(T[^']*)?'/g, (all: string, day: string, time = '') => (told[day] ? `'${told[day]}${time}'` : all))
    .replace(/'([A-Z]\d)'/g, (_all: string, name: keyof typeof NAMES) => `'${quoted(at[NAMES[name]] ?? name)}'`);
}

export function useExamples(): Question[] {
  const { data: questions } = useAsk<Question[]>(`${GUIDE}/questions.json`);
  const at = useSql<Record<string, string | null>>(AT_HAND).data?.[0] as AtHand | undefined;
  return useMemo(() => (questions ?? []).map(({ title, sql }) => ({ title, sql: at ? of(sql, at) : sql })), [questions, at]);
}
