// Numbers, times and words, as people in India read them. Nothing here touches the network or the document.

import type { Figures } from './types';

const whole = new Intl.NumberFormat('en-IN', { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat('en-IN', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const two = new Intl.NumberFormat('en-IN', { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const NONE = '–';
const minus = (text: string) => text.replace('-', '−');
type Maybe<T> = T | null | undefined;

export const count = (value: Maybe<number>) => (value == null ? NONE : minus(whole.format(value)));
export const percent = (value: Maybe<number>) => (value == null ? NONE : minus(one.format(value)) + '\u00a0%');
export const decimal = (value: Maybe<number>) => (value == null ? NONE : minus(one.format(value)));
export const hundredths = (value: Maybe<number>) => (value == null ? NONE : minus(two.format(value)));

export interface Quantity {
  value: string;
  unit: string;
}

// Energy from Wh, by size: kWh, MWh, MU (a million units, that is kWh); about four digits at every size.
export function energy(wh: Maybe<number>): Quantity {
  if (wh == null) return { value: NONE, unit: '' };
  const size = Math.abs(wh);
  const scaled = (value: number) => minus((Math.abs(value) < 100 ? two : one).format(value));
  if (size < 1e6) return { value: scaled(wh / 1e3), unit: 'kWh' };
  if (size < 1e9) return { value: scaled(wh / 1e6), unit: 'MWh' };
  return { value: scaled(wh / 1e9), unit: 'MU' };
}
export const text = ({ value, unit }: Quantity) => (unit ? `${value}\u00a0${unit}` : value);
export const energyText = (wh: Maybe<number>) => text(energy(wh));

// Rupees by size: plain to a lakh, then lakh (1,00,000) and crore (1,00,00,000).
export function rupees(inr: Maybe<number | string>): Quantity {
  if (inr == null) return { value: NONE, unit: '' };
  const amount = Number(inr);
  const size = Math.abs(amount);
  const sign = amount < 0 ? '−₹\u00a0' : '₹\u00a0';
  if (size < 1e5) return { value: sign + count(Math.round(size)), unit: '' };
  if (size < 1e7) return { value: sign + hundredths(size / 1e5), unit: 'lakh' };
  return { value: sign + hundredths(size / 1e7), unit: 'crore' };
}
// An amount to the paisa.
export const exact = (inr: Maybe<number | string>) => (inr == null ? NONE : `${Number(inr) < 0 ? '−' : ''}₹\u00a0${hundredths(Math.abs(Number(inr)))}`);

// A band wider than all that came in tells nothing (house choice).
const WIDEST = 100;
export const tells = (low: Maybe<number>, high: Maybe<number>) => low != null && high != null && high - low <= WIDEST;
// "9.1 to 9.8 %": a loss that is not shown as one number.
export function band(low: Maybe<number>, high: Maybe<number>): string {
  if (low == null || high == null) return NONE;
  if (!tells(low, high)) return 'not known';
  const [from, to] = [minus(one.format(low)), minus(one.format(high))];
  return from === to ? `about ${to}\u00a0%` : `${from} to ${to}\u00a0%`;
}
// Whether missing meters leave a band around the loss.
export const uncertain = (figures: Figures) => figures.loss_low_pct !== figures.loss_high_pct;
export const lossText = (figures: Figures) => (figures.loss_shown ? percent(figures.loss_pct) : band(figures.loss_low_pct, figures.loss_high_pct));

// --- Times, always in the discom's zone, never in the browser's ---

let zone: string | null = null;
let parts: Intl.DateTimeFormat | null = null;
export function useZoneOf(name: string): void {
  if (name === zone) return;
  zone = name;
  parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: name, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
  });
}
export const zoneName = () => zone ?? 'UTC';

// "2026-04-01T13:05:09" in the discom's zone.
export function civil(at: string | number | Date): string {
  if (!parts) return typeof at === 'string' ? at.slice(0, 19) : new Date(at).toISOString().slice(0, 19);
  const found: Record<string, string> = {};
  for (const { type, value } of parts.formatToParts(new Date(at))) found[type] = value;
  return `${found['year']}-${found['month']}-${found['day']}T${found['hour']}:${found['minute']}:${found['second']}`;
}
export const clockText = (at: Maybe<string>) => (at ? civil(at).slice(11, 19) : NONE);
export const minuteText = (at: Maybe<string>) => (at ? civil(at).slice(11, 16) : NONE);
export const dayOf = (at: string | number) => civil(at).slice(0, 10);

// Whether a text of the address is a civil day.
export const isDay = (text: string) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text + 'T00:00:00Z'));
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
export function dayText(day: string): string {
  const date = new Date(day + 'T00:00:00Z');
  return `${WEEKDAYS[date.getUTCDay()]} ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
}
export const monthText = (day: string) => `${MONTHS[Number(day.slice(5, 7)) - 1]} ${day.slice(0, 4)}`;
// "2 Apr 2026": a day that may be of any year.
export const dateText = (day: string) => `${Number(day.slice(8, 10))} ${monthText(day)}`;
// First days of the months before the one of a day, newest first.
export function monthsBefore(day: string, number: number): string[] {
  const now = Number(day.slice(0, 4)) * 12 + Number(day.slice(5, 7)) - 1;
  return Array.from({ length: number }, (_, back) => now - 1 - back).map((month) => `${Math.floor(month / 12)}-${String((month % 12) + 1).padStart(2, '0')}-01`);
}
// "Thu 2 Apr 13:05".
export const when = (at: Maybe<string>) => (at ? `${dayText(dayOf(at))} ${minuteText(at)}` : NONE);
// As short as it can be: "13:05" today, "Wed 13:05" in the last days, else with the date.
let today: string | null = null;
export const useToday = (day: string): void => { today = day; };
export function brief(at: Maybe<string>): string {
  if (!at) return NONE;
  const day = dayOf(at);
  if (!today || day === today) return minuteText(at);
  const apart = Math.abs(Date.parse(day) - Date.parse(today)) / 864e5;
  return apart < 6 ? `${dayText(day).slice(0, 3)} ${minuteText(at)}` : when(at);
}
export function dayPlus(day: string, days: number): string {
  return new Date(Date.parse(day + 'T00:00:00Z') + days * 864e5).toISOString().slice(0, 10);
}
// The instant at which a civil text stands in the discom's zone, RFC 3339 with its offset there.
export function instantOf(local: string): string {
  const asked = local.length === 16 ? local + ':00' : local;
  let at = Date.parse(asked + 'Z');
  // Twice, for the offset at the first guess may be that of the other side of a change of clocks.
  for (let turn = 0; turn < 2; turn += 1) at += Date.parse(asked + 'Z') - Date.parse(civil(at) + 'Z');
  return withOffset(at);
}
export function withOffset(at: number): string {
  const local = civil(at);
  const minutes = Math.round((Date.parse(local + 'Z') - Math.floor(at / 1000) * 1000) / 60000);
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  return `${local}${minutes < 0 ? '-' : '+'}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
}

export function age(seconds: Maybe<number>): string {
  if (seconds == null) return NONE;
  if (seconds < 10) return `${one.format(Math.max(0, seconds))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}
// "2 h 05 min" of minutes.
export function lasting(minutes: Maybe<number>): string {
  if (minutes == null) return NONE;
  if (minutes < 1) return 'under 1 min';
  const rounded = Math.round(minutes);
  if (rounded < 60) return `${rounded} min`;
  if (rounded < 2880) return `${Math.floor(rounded / 60)} h ${String(rounded % 60).padStart(2, '0')} min`;
  return `${Math.floor(rounded / 1440)} d ${Math.floor((rounded % 1440) / 60)} h`;
}
export const minutesBetween = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 60000;

// --- Words ---

export const WORDS: Record<string, string> = { normal: 'normal', watch: 'watch', investigate: 'investigate', negative: 'negative', unknown: 'not shown' };
export const KINDS: Record<string, string> = {
  dt: 'DT', feeder: 'feeder', substation: 'substation', section: 'section', subdivision: 'subdivision', division: 'division', circle: 'circle', zone: 'zone', discom: 'discom',
};
export const SCOPES: Record<string, string> = { service_line: 'service line', dt: 'DT', feeder: 'feeder', substation: 'several feeders' };
export const kindName = (kind: Maybe<string>) => (kind ? KINDS[kind] ?? kind : 'node');
export const plural = (kind: Maybe<string>, number: number) => (number === 1 ? kindName(kind) : kind === 'dt' ? 'DTs' : kindName(kind) + 's');
export const words = (code: Maybe<string>) => (code ?? '').replaceAll('_', ' ').toLowerCase();
export const many = (number: number, name: string, more = name + 's') => `${count(number)} ${number === 1 ? name : more}`;
export const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
