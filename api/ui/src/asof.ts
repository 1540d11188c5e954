// What stood published at an instant: the same figures, from the `_as_of` tables.

import { list, quote, type Row } from './api';
import type { Attention, BalanceRow, Figures, Resolution } from './types';

const number = (value: unknown) => (typeof value === 'number' ? value : value == null ? null : Number(value));

// The bands of DOMAIN: below -3 % negative, below 6 % normal, to 15 % watch.
export function attentionOf(pct: number | null): Attention {
  if (pct == null) return 'unknown';
  if (pct < -3) return 'negative';
  if (pct < 6) return 'normal';
  return pct <= 15 ? 'watch' : 'investigate';
}

function figures(row: Row, wh: { input: number | null; injected: number | null; delivered: number | null; loss: number | null }): Figures {
  const pct = number(row['loss_pct']);
  const [below, above] = [number(row['loss_bound_wh']) ?? 0, number(row['loss_bound_above_wh']) ?? 0];
  const raw = wh.loss ?? (wh.injected != null && wh.delivered != null ? wh.injected - wh.delivered : null);
  const share = (value: number | null) => (value == null || !wh.injected || wh.injected <= 0 ? null : (100 * value) / wh.injected);
  return {
    input_wh: wh.input,
    injected_wh: wh.injected,
    delivered_wh: wh.delivered,
    loss_wh: pct == null ? null : wh.loss,
    loss_pct: pct,
    loss_low_pct: share(raw == null ? null : raw - below),
    loss_high_pct: share(raw == null ? null : raw + above),
    meters_expected: number(row['meters_expected']) ?? 0,
    meters_reported: number(row['meters_reported']) ?? 0,
    meters_estimated: number(row['meters_estimated']) ?? 0,
    coverage_pct: number(row['coverage_pct']),
    loss_shown: pct != null,
    not_shown_because: pct == null ? 'no loss was published for it then: coverage was below the threshold, or the meter at its head did not report' : null,
    attention: attentionOf(pct),
  };
}

const COMMON = 'loss_pct, loss_bound_wh, loss_bound_above_wh, meters_expected, meters_reported, meters_estimated, coverage_pct, status, version';

// Balances of nodes in a day (or several days), as they stood.
export function dailyQuery(nodes: string[], days: { from: string; to: string }, asOf: string): string {
  return `SELECT node_id, day, input_wh, injected_wh, injected_where_known_wh, delivered_wh, ht_loss_wh, lt_loss_wh, total_loss_wh, ${COMMON}
FROM node_balance_daily_as_of(${quote(asOf)})
WHERE node_id IN (${list(nodes)}) AND day BETWEEN ${quote(days.from)} AND ${quote(days.to)} AND status <> 'withdrawn' ORDER BY day`;
}
export function dailyRow(row: Row): BalanceRow {
  const injected = number(row['injected_where_known_wh']);
  return {
    ...figures(row, { input: number(row['input_wh']), injected, delivered: number(row['delivered_wh']), loss: number(row['total_loss_wh']) }),
    day: String(row['day']),
    ht_loss_wh: number(row['ht_loss_wh']),
    lt_loss_wh: number(row['lt_loss_wh']),
    status: String(row['status']),
    version: number(row['version']) ?? 0,
  };
}

// Balances of a DT or feeder by interval, as they stood; of other kinds only days are published.
export function intervalQuery(kind: 'dt' | 'feeder', node: string, span: { from: string; to: string }, asOf: string): string {
  const own = kind === 'dt' ? 'injected_wh, delivered_wh, loss_wh' : 'input_wh, consumer_import_wh, consumer_export_wh, unmetered_wh, ht_loss_wh, lt_loss_wh, total_loss_wh';
  return `SELECT interval_end, interval_minutes, ${own}, ${COMMON}
FROM ${kind}_balance_as_of(${quote(asOf)})
WHERE ${kind}_id = ${quote(node)} AND interval_end > ${quote(span.from)} AND interval_end <= ${quote(span.to)} AND status <> 'withdrawn' ORDER BY interval_end`;
}
export function intervalRow(kind: 'dt' | 'feeder', row: Row): BalanceRow {
  const sum = (...parts: unknown[]) => parts.reduce<number | null>((all, part) => (all == null || number(part) == null ? null : all + (number(part) ?? 0)), 0);
  const injected = kind === 'dt' ? number(row['injected_wh']) : sum(row['input_wh'], row['consumer_export_wh']);
  const delivered = kind === 'dt' ? number(row['delivered_wh']) : sum(row['consumer_import_wh'], row['unmetered_wh']);
  const loss = number(row[kind === 'dt' ? 'loss_wh' : 'total_loss_wh']);
  return {
    ...figures(row, { input: kind === 'dt' ? injected : number(row['input_wh']), injected, delivered, loss }),
    interval_end: String(row['interval_end']),
    interval_minutes: number(row['interval_minutes']) ?? 15,
    ht_loss_wh: number(row['ht_loss_wh']),
    lt_loss_wh: number(row['lt_loss_wh']),
    status: String(row['status']),
    version: number(row['version']) ?? 0,
  };
}

// Every published version of a balance of one interval.
export function versionsQuery(kind: 'dt' | 'feeder', node: string, end: string): string {
  const loss = kind === 'dt' ? 'loss_wh' : 'total_loss_wh AS loss_wh';
  return `SELECT version, published_at, status, reason, loss_pct, ${loss}, coverage_pct, meters_reported, meters_expected
FROM ${kind}_balance_history WHERE ${kind}_id = ${quote(node)} AND interval_end = ${quote(end)} ORDER BY version DESC`;
}
export const publishes = (kind: string | null): kind is 'dt' | 'feeder' => kind === 'dt' || kind === 'feeder';
export type Daily = Map<string, BalanceRow>;
export const RESOLUTIONS: Resolution[] = ['interval', 'day', 'month'];
