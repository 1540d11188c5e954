// What lost energy is worth: at the average rate at which the feeders of a node billed in the newest year of which bills are known.

import { useEffect, useState } from 'preact/hooks';

import { ask, nodePath } from './api';
import { useFacts } from './live';
import { rupees, text } from './format';

// Months of feeders summed, or a feeder's own; rates in INR/kWh.
export interface RevenueTotal {
  period: string;
  feeder_months: number;
  eif_kwh: number;
  eif_coverage_pct: number | null;
  sold_kwh: number;
  loss_pct: number | null;
  billed_inr: string;
  collected_inr: string;
  abr: number | null;
  tri: number | null;
  ari: number | null;
  target_inr: string;
  deviation_inr: string;
  deviations: number;
  audits: number;
}

export interface NodeRevenue {
  node_id: string;
  months: RevenueTotal[];
  years: RevenueTotal[];
  accounts: { year: string; acs: number; arr: number; gap: number }[];
}

export interface FeederMonth {
  month: string;
  days: number;
  eif_kwh: number | null;
  eif_coverage_pct: number | null;
  sold_kwh: number | null;
  loss_pct: number | null;
  billed_inr: string | null;
  collected_inr: string | null;
  abr: number | null;
  adjusted_abr: number | null;
  allowable_loss_pct: number | null;
  tri: number | null;
  ari: number | null;
  deviation: number | null;
  target_inr: string | null;
  deviation_inr: string | null;
  arrears_suspected: boolean;
  audit: boolean;
  version: number;
}
export interface FeederRevenue { feeder_id: string; months: FeederMonth[]; years: RevenueTotal[] }

// The first day of the financial year (April to March) of a day, `back` years before.
export function yearStart(day: string, back = 0): string {
  const [year, month] = [Number(day.slice(0, 4)), Number(day.slice(5, 7))];
  return `${(month >= 4 ? year : year - 1) - back}-04-01`;
}
export const yearName = (start: string) => `${start.slice(0, 4)}-${String((Number(start.slice(0, 4)) + 1) % 100).padStart(2, '0')}`;

export interface Rate { inr: number; year: string }

const known = new Map<string, Promise<Rate | null>>();
function rateOf(node: string, day: string): Promise<Rate | null> {
  const key = `${node} ${day}`;
  const held = known.get(key) ?? ask<NodeRevenue>(nodePath(node, '/revenue', { from: yearStart(day, 1) })).then(({ years }) => {
    const billed = years.filter(({ abr }) => abr != null).at(-1);
    return billed?.abr == null ? null : { inr: billed.abr, year: billed.period };
  }).catch(() => { known.delete(key); return null; });
  known.set(key, held);
  return held;
}

// Rates of some nodes, asked for one by one; of each that is not known, nothing.
export function useRates(nodes: string[]): Map<string, Rate> {
  const day = useFacts()?.day ?? null;
  const [rates, set] = useState(new Map<string, Rate>());
  useEffect(() => {
    if (!day) return undefined;
    let current = true;
    void (async () => {
      for (const node of nodes) {
        if (!current) return;
        const rate = await rateOf(node, day);
        if (current && rate) set((before) => new Map(before).set(node, rate));
      }
    })();
    return () => { current = false; };
  }, [nodes.join(), day]);
  return rates;
}
export function useRate(node: string | null): Rate | null {
  const rates = useRates(node ? [node] : []);
  return node ? rates.get(node) ?? null : null;
}

export const worth = (wh: number | null | undefined, rate: Rate | null | undefined) => (wh == null || !rate ? null : (wh / 1000) * rate.inr);
// "₹ 1.20 lakh", or nothing where no rate is known.
export function worthText(wh: number | null | undefined, rate: Rate | null | undefined): string {
  const inr = worth(wh, rate);
  return inr == null ? '' : text(rupees(inr));
}
export const basis = (rate: Rate) => `at ₹\u00a0${rate.inr.toFixed(2)} a kWh, billed on average in ${rate.year}`;
