// The small parts that look the same everywhere: glyph of a kind, mark and word of a state, bar of a loss, bar of coverage, notices.

import { Component, type ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { Asked, Problem } from './api';
import { brief, kindName, lossText, monthText, NONE, percent, type Quantity, WORDS } from './format';
import type { Attention, Figures } from './types';

export function Glyph({ kind }: { kind: string | null }) {
  const known = ['discom', 'substation', 'feeder', 'dt', 'consumer'].includes(kind ?? '') ? kind : 'area';
  return <svg class="kind" role="img" aria-label={kindName(kind)}><title>{kindName(kind)}</title><use href={`#kind-${known}`} /></svg>;
}
// A new element for a new state: chromium does not always draw a changed `use` in its new colour.
export const Mark = ({ of }: { of: Attention }) => <svg key={of} class="mark" data-attention={of} role="img" aria-label={WORDS[of]}><use href={`#mark-${of}`} /></svg>;
export const State = ({ of }: { of: Attention }) => <span key={of} class="state" data-attention={of}><svg class="mark" data-attention={of} aria-hidden="true"><use href={`#mark-${of}`} /></svg>{WORDS[of]}</span>;

// Losses are drawn on one scale everywhere: the bar is full at 40 %.
const FULL = 40;
export function LossBar({ of }: { of: Figures }) {
  const [low, high] = of.loss_shown ? [0, Math.abs(of.loss_pct ?? 0)] : [of.loss_low_pct, of.loss_high_pct];
  if (low == null || high == null) return <span class="loss" aria-hidden="true" />;
  const at = (pct: number) => Math.min(100, Math.max(0, (100 * pct) / FULL));
  const [from, to] = [at(Math.min(low, high)), at(Math.max(low, high))];
  return <span class="loss" data-attention={of.attention} aria-hidden="true"><i style={{ left: `${from}%`, width: `${Math.max(to - from, 1.5)}%` }} /></span>;
}
// A thin bar of coverage.
export function Trust({ pct, threshold }: { pct: number | null; threshold: number }) {
  return <span class="trust" aria-hidden="true" data-low={pct != null && pct < threshold ? '' : undefined}><i style={{ width: `${Math.max(0, Math.min(100, pct ?? 0))}%` }} /></span>;
}
// A loss as it may be shown: a number, or a band in another tone.
export const Loss = ({ of }: { of: Figures }) => <span class={of.loss_shown ? undefined : 'unsure-text'} title={of.not_shown_because ?? undefined}>{lossText(of)}</span>;
export const Coverage = ({ of, threshold }: { of: Figures; threshold: number }) => (
  <span class="coverage">{percent(of.coverage_pct)} <Trust pct={of.coverage_pct} threshold={threshold} /></span>
);

// On a wall type grows, and drawings with it: what is read at 4 m.
export const wall = () => (matchMedia('(min-width: 3200px)').matches ? 2 : matchMedia('(min-width: 2200px)').matches ? 1.3 : 1);

// The width of an element, as it changes.
export function useWidth<E extends HTMLElement>(first: number): [{ current: E | null }, number] {
  const box = useRef<E>(null);
  const [wide, setWide] = useState(first);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const watch = new ResizeObserver(() => { if (element.clientWidth) setWide(element.clientWidth); });
    watch.observe(element);
    if (element.clientWidth) setWide(element.clientWidth);
    return () => watch.disconnect();
  }, []);
  return [box, wide];
}

// What the figures on the page are of: while others are asked for, still of what was asked before.
export function useShown<T>(isOld: boolean, asked: T): T {
  const shown = useRef(asked);
  if (!isOld) shown.current = asked;
  return shown.current;
}

// A value that changes in place; a changed one glows once.
export function Value({ children, class: name }: { children: string; class?: string }) {
  const node = useRef<HTMLSpanElement>(null);
  const before = useRef<string | null>(null);
  useLayoutEffect(() => {
    const [was, element] = [before.current, node.current];
    before.current = children;
    if (!element || was == null || was === NONE || was === children) return;
    element.classList.remove('glow');
    void element.offsetWidth;
    element.classList.add('glow');
  }, [children]);
  return <span ref={node} class={name}>{children}</span>;
}
export const Measure = ({ of, glow }: { of: Quantity; glow?: boolean }) => (
  <>{glow ? <Value>{of.value}</Value> : of.value}{of.unit && <small>{'\u00a0' + of.unit}</small>}</>
);

export const Notice = ({ title, children }: { title?: string; children?: ComponentChildren }) => <div class="notice">{title && <b>{title}</b>}{children}</div>;
// What failed, with a way to try again.
export function Failed({ problem, again }: { problem: Problem; again?: () => void }) {
  // Asking again does not help who may not.
  if (problem.status === 403) return <div class="notice denied" role="note"><b>{problem.title}</b>{problem.message}</div>;
  return (
    <div class="notice failed" role="alert">
      <b>{problem.title}</b>{problem.message}
      {again && <div><button type="button" onClick={again}>Try again</button></div>}
    </div>
  );
}
// Figures that stand although asking for newer ones failed: since when they are so.
export function Since({ of }: { of: Pick<Asked<unknown>, 'data' | 'problem' | 'since' | 'again'> }) {
  if (!of.problem || of.data == null) return null;
  return <p class="notice since" role="status"><b>Not refreshed since {brief(of.since)}</b>{of.problem.title}: {of.problem.message} <button type="button" onClick={of.again}>Try again</button></p>;
}
// What went wrong with asking: instead of figures that there are none of, or above those that stand.
export const Trouble = ({ of }: { of: Pick<Asked<unknown>, 'data' | 'problem' | 'since' | 'again'> }) => (of.problem && of.data == null ? <Failed problem={of.problem} again={of.again} /> : <Since of={of} />);
// What is shown here failed to be drawn: that is said, and the rest of the page goes on. Another place is tried anew.
export class Guard extends Component<{ place: string; children: ComponentChildren }, { failed: string | null }> {
  override state = { failed: null as string | null };
  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ failed: error instanceof Error ? error.message : String(error) });
  }
  override componentDidUpdate(before: { place: string }): void {
    if (before.place !== this.props.place && this.state.failed != null) this.setState({ failed: null });
  }
  override render() {
    if (this.state.failed == null) return this.props.children;
    return (
      <div class="notice failed" role="alert">
        <b>This view failed</b>{this.state.failed}. What gridtally keeps is not touched by it.
        <div><button type="button" onClick={() => location.reload()}>Load again</button> <button type="button" onClick={() => { location.hash = ''; location.reload(); }}>Load the overview</button></div>
      </div>
    );
  }
}
// Lines where something will stand; shown only when it takes longer than one notices. How tall that will be is not known yet: what stands below
// is not seen until it is (views.css), so that nothing is pushed away under a hand. `exact`: it is known, and nothing need wait.
export function Ghost({ lines = 3, high, exact = false }: { lines?: number; high?: number; exact?: boolean }) {
  const late = useLate();
  const style = high ? { height: `${high}px` } : undefined;
  return <div class="ghost" data-open={exact ? undefined : ''} data-late={late ? '' : undefined} aria-hidden="true" style={style}>{high ? null : Array.from({ length: lines }, (_, at) => <p key={at} class="skeleton">.</p>)}</div>;
}
// Where a chart will stand, as tall as it will be.
export function ChartGhost({ high }: { high?: number }) {
  const late = useLate();
  return <div class="ghost chart" data-late={late ? '' : undefined} aria-hidden="true"><div class="top"><div class="readout" /><div class="zoom"><button type="button" disabled>.</button></div></div><div class="plot skeleton" style={high ? { height: `${high}px` } : undefined} /></div>;
}
function useLate(): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 300);
    return () => clearTimeout(timer);
  }, []);
  return late;
}

// A choice of a few, of which one is in force.
export function Choice<T extends string>({ label, of, now, pick }: { label: string; of: [T, string][]; now: T; pick: (value: T) => void }) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {of.map(([value, text]) => <button key={value} type="button" aria-pressed={value === now} onClick={() => pick(value)}>{text}</button>)}
    </div>
  );
}

// One of some months, by its first day.
export const MonthChoice = ({ now, of, pick }: { now: string; of: string[]; pick: (month: string) => void }) => (
  <label class="month">Month <select name="month" onChange={(event) => pick(event.currentTarget.value)}>{of.map((month) => <option key={month} value={month} selected={month === now}>{monthText(month)}</option>)}</select></label>
);

export function Block({ title, aside, children, id, class: name }: { title: ComponentChildren; aside?: ComponentChildren; children: ComponentChildren; id?: string; class?: string }) {
  return (
    <section class={name ? `block ${name}` : 'block'} id={id}>
      <header><h2>{title}</h2>{aside}</header>
      {children}
    </section>
  );
}

// Names and values, one a line.
export const Facts = ({ of }: { of: [string, ComponentChildren][] }) => (
  <dl class="pairs">{of.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
);

// A loss over time, small: a line on the scale 0 to 40 %, gaps where it is not shown.
export function Spark({ values, attention }: { values: (number | null)[]; attention: Attention }) {
  const [width, height] = [96 * wall(), 20 * wall()];
  if (values.length < 2) return <svg class="spark" width={width} height={height} aria-hidden="true" />;
  const x = (at: number) => (at * width) / (values.length - 1);
  const y = (value: number) => height - 2 - ((height - 4) * Math.max(0, Math.min(FULL, value))) / FULL;
  let path = '';
  let pen = false;
  values.forEach((value, at) => {
    if (value == null) { pen = false; return; }
    path += `${pen ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
  });
  return <svg class="spark" width={width} height={height} data-attention={attention} aria-hidden="true"><path d={`M0 ${height - 1.5}H${width}`} class="ground" /><path d={path} /></svg>;
}

// The order of a list stays while one looks; new rows come last. `again` sorts it anew.
export function useOrder<T>(rows: T[], id: (row: T) => string, scope: string): [T[], () => void] {
  const held = useRef<{ scope: string; order: Map<string, number> }>({ scope: '', order: new Map() });
  const [, redraw] = useState(0);
  if (held.current.scope !== scope) held.current = { scope, order: new Map() };
  const { order } = held.current;
  const sorted = [...rows].sort((a, b) => (order.get(id(a)) ?? 1e9) - (order.get(id(b)) ?? 1e9));
  for (const row of sorted) if (!order.has(id(row))) order.set(id(row), order.size);
  return [sorted, () => { held.current = { scope, order: new Map() }; redraw((now) => now + 1); }];
}
