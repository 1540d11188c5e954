// Where a node's energy goes: one band as wide as what came in, from which what is lost falls away, at 11 kV and below the DTs.

import { band, energyText, percent, tells } from './format';
import { useWidth, wall } from './parts';
import type { Figures } from './types';

const HEIGHT = 158;

export interface Split {
  ht: number | null;
  lt: number | null;
}

function wedge(from: number, to: number, y: number, high: number, drop: number): string {
  const bend = (to - from) / 2;
  return `M${from} ${y}C${from + bend} ${y} ${to - bend} ${y + drop} ${to} ${y + drop}v${high}C${to - bend} ${y + drop + high} ${from + bend} ${y + high} ${from} ${y + high}z`;
}
const lossWords = (of: Figures) => (of.loss_shown ? `${energyText(of.loss_wh)} · ${percent(of.loss_pct)}` : band(of.loss_low_pct, of.loss_high_pct));

// `split`: 11 kV and low-voltage loss, Wh: what is known of them is written; drawn where both are something. `worth`: what the loss is worth, in rupees.
export function Flow({ of, split, worth }: { of: Figures; split: Split | null; worth?: string }) {
  const [box, wide] = useWidth<HTMLDivElement>(700);
  const tall = wall();
  const [full, top, drop] = [84 * tall, 26 * tall, 18 * tall];
  const width = Math.max(300, Math.min(900 * tall, wide));
  const whole = of.injected_wh;
  // As tall while nothing came in.
  const least = HEIGHT * tall;
  if (!whole || whole <= 0) {
    return <div ref={box} style={{ minHeight: `${least}px` }}><p class="notice">Nothing came in yet, or the meter at the head did not report. A balance appears with the first interval that it reports.</p></div>;
  }
  const share = (part: number) => Math.max(0, Math.min(1, part));
  const [low, most] = [share((of.loss_low_pct ?? 0) / 100), share((of.loss_high_pct ?? 0) / 100)];
  const sure = of.loss_shown ? share((of.loss_pct ?? 0) / 100) : most;
  // A lost share below two pixels would vanish; what is lost is the point.
  const lost = Math.max(sure > 0 ? 2 : 0, full * sure);
  const kept = full - lost;
  const text = (width < 480 ? 172 : 190) * tall;
  const [split_at, end] = [width - text - width * (width < 480 ? 0.16 : 0.24), width - text];
  const both = of.loss_shown && split && split.ht != null && split.lt != null && split.ht > 0 && split.lt > 0 ? split : null;
  const parts: string[] = of.loss_shown && split ? [...(split.ht != null ? [`11 kV ${energyText(split.ht)}`] : []), ...(split.lt != null ? [`LT ${energyText(split.lt)}`] : [])] : [];
  const ht = both ? lost * (both.ht! / (both.ht! + both.lt!)) : 0;
  const lostAt = Math.max(top + 64 * tall, top + kept + drop + lost / 2 - 4);
  const high = Math.max(HEIGHT * tall, lostAt + (26 + 17 * parts.length) * tall);
  return (
    <div ref={box} style={{ minHeight: `${least}px` }}>
      <svg class="flow" width={width} height={high} viewBox={`0 0 ${width} ${high}`} data-attention={of.attention} role="img"
        aria-label={`Came in ${energyText(whole)}, delivered ${energyText(of.delivered_wh)}, lost ${lossWords(of)}${parts.length ? `, of it ${parts.join(', ')}` : ''}${worth ? `, worth ${worth}` : ''}`}>
        <defs><pattern id="unsure" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="3" height="6" fill="var(--unknown)" /></pattern></defs>
        <rect class="in" x="0" y={top} width={split_at} height={full} />
        <path class="out" d={`M${split_at} ${top}H${end}v${kept}H${split_at}z`} />
        {both ? (
          <>
            <path class="lost ht" d={wedge(split_at, end, top + kept, ht, drop)}><title>{`11 kV loss ${energyText(both.ht)}`}</title></path>
            <path class="lost" d={wedge(split_at, end, top + kept + ht, lost - ht, drop)}><title>{`low-voltage loss ${energyText(both.lt)}`}</title></path>
          </>
        ) : <path class={of.loss_shown ? 'lost' : 'unsure'} d={wedge(split_at, end, top + kept, lost, drop)} />}
        {!of.loss_shown && low > 0 && <path class="lost" d={wedge(split_at, end, top + full - Math.max(1, full * low), Math.max(1, full * low), drop)} />}
        <text x="0" y={top - 9 * tall} class="soft">Came in</text>
        <text x="10" y={top + full / 2 + 5} class="big">{energyText(whole)}</text>
        <text x={end + 10} y={top + 14 * tall} class="soft">Delivered</text>
        <text x={end + 10} y={top + 32 * tall} class="big">{energyText(of.delivered_wh)}</text>
        <text x={end + 10} y={lostAt} class="soft">{of.loss_shown ? worth ? `Lost, worth ${worth}` : 'Lost' : tells(of.loss_low_pct, of.loss_high_pct) ? 'Lost, between' : 'Lost'}</text>
        <text x={end + 10} y={lostAt + 18 * tall} class="big">{lossWords(of)}</text>
        {parts.map((part, at) => <text key={at} x={end + 10} y={lostAt + (35 + 16 * at) * tall} class="soft part">{part}</text>)}
      </svg>
    </div>
  );
}
