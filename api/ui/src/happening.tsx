// Happening now: first the outages that are on, then feeders whose loss came to ask for something else than before.

import { useEffect, useRef, useState } from 'preact/hooks';

import { atNode, to } from './address';
import { type Asked, path, useAsk } from './api';
import { band, brief, clockText, count, many, percent, SCOPES, WORDS, words } from './format';
import { live, on, useFacts } from './live';
import { GLYPHS, Running } from './outages';
import { Ghost, Glyph, Mark, Trouble } from './parts';
import type { FeederEvent, Outage } from './types';

const OUTAGES_MAX = 12;
const CARDS_MAX = 24;

interface Open { outages: Outage[]; next_cursor: string | null }
export const useOpenOutages = () => useAsk<Open>(path('outages', { status: 'open', limit: 500 }), 'outages');

interface Card { id: string; feeder: FeederEvent; over: boolean }
const WEIGHT: Record<string, number> = { investigate: 0, negative: 1, watch: 2, unknown: 3, normal: 4 };

// Cards of feeders that asked for more while this page was open; what asks for more stands first, among equals the order stays.
function useCards(): Card[] {
  const seen = useRef(new Map<string, string>());
  const [cards, setCards] = useState<Card[]>([]);
  useEffect(() => on('balances', () => {
    const event = live.balances;
    if (!event) return;
    setCards((before) => {
      let next = [...before];
      for (const feeder of event.feeders) {
        const key = feeder.dts_to_investigate ? 'dts' : feeder.attention;
        const was = seen.current.get(feeder.node_id);
        seen.current.set(feeder.node_id, key);
        const asks = key === 'dts' || ['watch', 'investigate', 'negative'].includes(feeder.attention);
        const held = next.find((card) => card.id === feeder.node_id);
        if (held) next = next.map((card) => (card === held ? { ...card, feeder, over: !asks } : card));
        else if (asks && was !== key) next.unshift({ id: feeder.node_id, feeder, over: false });
      }
      return next.sort((a, b) => Number(a.over) - Number(b.over) || (WEIGHT[a.feeder.attention] ?? 3) - (WEIGHT[b.feeder.attention] ?? 3)).slice(0, CARDS_MAX);
    });
  }), []);
  useEffect(() => on('reset', () => seen.current.clear()), []);
  return cards;
}

// Outages of single service lines on one DT are one line.
interface Together { outage: Outage; lines: number; out: number; newest: string }
function together(outages: Outage[]): Together[] {
  const found = new Map<string, Together>();
  for (const outage of outages) {
    const key = outage.scope === 'service_line' ? `lines of ${outage.node_id}` : outage.outage_id;
    const held = found.get(key);
    const out = outage.consumers_affected - outage.consumers_restored;
    if (held) { held.lines += 1; held.out += out; } else found.set(key, { outage, lines: 1, out, newest: outage.started_at });
  }
  return [...found.values()];
}

export function OutageLine({ of: { outage, lines, out: all } }: { of: Together }) {
  if (lines > 1) {
    return (
      <li data-attention="investigate" data-outage={outage.outage_id}>
        <Mark of="investigate" />
        <a href={to('outages', { node: outage.node_id, status: 'open' })}><Glyph kind={GLYPHS[outage.scope] ?? null} />{outage.node_name}</a>
        <time dateTime={outage.started_at}>{brief(outage.started_at)}</time>
        <p>{many(all, 'consumer')} without supply, {many(lines, 'service line')}, the newest for <Running outage={outage} /></p>
      </li>
    );
  }
  const out = outage.consumers_affected - outage.consumers_restored;
  return (
    <li data-attention="investigate" data-outage={outage.outage_id}>
      <Mark of="investigate" />
      <a href={to('outages', { outage: outage.outage_id })}><Glyph kind={GLYPHS[outage.scope] ?? null} />{outage.node_name}</a>
      <time dateTime={outage.started_at}>{brief(outage.started_at)}</time>
      <p>
        {many(out, 'consumer')} without supply, {SCOPES[outage.scope] ?? outage.scope}, for <Running outage={outage} />
        {outage.class === 'BREAKDOWN' ? '' : `, ${words(outage.class)}`}{outage.consumers_restored ? `, ${count(outage.consumers_restored)} back` : ''}
        {outage.cause ? ` · ${outage.cause}` : ''}
        {outage.etr ? ` · back about ${brief(outage.etr)}${outage.etr_outages ? ` (estimate from ${many(outage.etr_outages, 'past outage')})` : ''}` : ''}
      </p>
    </li>
  );
}

function FeederLine({ card: { feeder, over } }: { card: Card }) {
  return (
    <li data-attention={feeder.attention}>
      <Mark of={feeder.attention} />
      <a href={atNode(feeder.node_id)}><Glyph kind="feeder" />{feeder.name}</a>
      <time dateTime={feeder.interval_end}>{brief(feeder.interval_end)}</time>
      <p>
        {over ? 'calm again: ' : ''}{feeder.loss_pct == null && feeder.loss_low_pct == null ? 'no loss to show' : `loss ${feeder.loss_pct == null ? band(feeder.loss_low_pct, feeder.loss_high_pct) : percent(feeder.loss_pct)}, ${WORDS[feeder.attention]}`}
        {feeder.dts_to_investigate ? ` · ${many(feeder.dts_to_investigate, 'DT')} to investigate` : ''}
        {feeder.worst_dt && feeder.dts_to_investigate ? <>, worst <a href={atNode(feeder.worst_dt.node_id)}>{feeder.worst_dt.name}</a> {percent(feeder.worst_dt.loss_pct)}</> : null}
      </p>
    </li>
  );
}

export function Happening({ asked }: { asked: Asked<Open> }) {
  const outages = asked.data?.outages ?? [];
  const cards = useCards();
  const facts = useFacts();
  const [pulse, setPulse] = useState('');
  useEffect(() => {
    const stop = [
      on('balances', () => { if (live.balances) setPulse(live.balances.at); }),
      on('outages', () => { if (live.outages) setPulse(live.outages.at); }),
    ];
    return () => stop.forEach((end) => end());
  }, []);
  const lines = together(outages);
  const quiet = asked.data != null && !cards.length && !outages.length;
  return (
    <section class="now" aria-labelledby="happening-title">
      <header><h2 id="happening-title">Happening now</h2><span id="pulse" title="When the newest change was heard of">{pulse && clockText(pulse)}</span></header>
      <Trouble of={asked} />
      {!asked.data && !asked.problem ? <Ghost lines={3} /> : <ol id="happening">
        {lines.slice(0, OUTAGES_MAX).map((line) => <OutageLine key={line.outage.outage_id} of={line} />)}
        {lines.length > OUTAGES_MAX && <li class="calm"><span /><a href={to('outages', { status: 'open', node: null })}>{count(lines.length - OUTAGES_MAX)} more places are without supply</a></li>}
        {cards.map((card) => <FeederLine key={card.id} card={card} />)}
        {quiet && <li class="calm"><span /><span>{facts && !facts.roots.length ? 'Events appear here once meters publish.' : 'No outage is on, and no feeder has come to ask for attention since this page was opened.'}</span></li>}
      </ol>}
    </section>
  );
}
