// The tiles: the state of the whole, now.

import type { ComponentChildren } from 'preact';

import { href, to } from './address';
import { age, band, count, decimal, hundredths, many, percent, plural, type Quantity, rupees, uncertain } from './format';
import { useSummary } from './live';
import { basis, type Rate, useRate, worthText } from './money';
import { Measure, Trust } from './parts';
import type { Attention, Figures, Summary } from './types';

interface Tile { key: string; name: string; value: Quantity; note: ComponentChildren; title?: string; link?: string }

const pct = (text: string): Quantity => (text.endsWith('%') ? { value: text.replace(/\s%$/, ''), unit: '%' } : { value: text, unit: '' });

// Where the loss, or the band in which it lies, stands to the target, in percentage points.
function againstTarget(loss: Figures, target: number): { tone: Attention; words: string } | null {
  const [low, high] = loss.loss_shown ? [loss.loss_pct, loss.loss_pct] : [loss.loss_low_pct, loss.loss_high_pct];
  if (low == null || high == null) return null;
  if (low > target) return { tone: 'watch', words: `${decimal(low - target)} above target` };
  if (high <= target) return { tone: 'normal', words: `${decimal(target - high)} below target` };
  return { tone: 'unknown', words: `target ${decimal(target)} within` };
}

function lossTile({ loss_today: loss, coverage_threshold_pct: threshold }: Summary, target: number | null, rate: Rate | null): Tile {
  const against = target == null ? null : againstTarget(loss, target);
  const about = loss.loss_shown ? (uncertain(loss) ? band(loss.loss_low_pct, loss.loss_high_pct) : against ? '' : 'nothing missing') : loss.not_shown_because ?? '';
  const rupees = loss.loss_shown && (loss.loss_wh ?? 0) > 0 ? worthText(loss.loss_wh, rate) : '';
  return {
    key: 'loss', name: 'Loss today', value: pct(loss.loss_shown ? percent(loss.loss_pct) : band(loss.loss_low_pct, loss.loss_high_pct)),
    note: loss.coverage_pct == null ? loss.not_shown_because ?? '' : <>
      {against ? <span class="state" data-attention={against.tone} id="against-target"><svg key={against.tone} class="mark" data-attention={against.tone} aria-hidden="true"><use href={`#mark-${against.tone}`} /></svg>{against.words}</span> : <Trust pct={loss.coverage_pct} threshold={threshold} />}
      {about && ` ${against ? '· ' : ''}${about}`}{rupees && rate && <span title={basis(rate)}>{against || about ? ' · ' : ' '}{rupees}</span>}
    </>,
    title: [against ? `${against.words} the target of ${percent(target)}` : '', about, rupees, `${percent(loss.coverage_pct)} of reads are here`].filter(Boolean).join('; '),
  };
}

// How far figures are behind what was acknowledged: records that are not applied yet; and the age of what SQL shows.
function lagTile({ lag, published_at, feeder_days_owed: owed }: Summary): Tile {
  return {
    key: 'lag', name: 'Behind', value: { value: count(lag.records), unit: lag.records === 1 ? 'record' : 'records' },
    note: `${published_at ? `tables ${age(lag.published_seconds)} old` : 'nothing in the tables yet'}${owed ? `, ${many(owed, 'feeder day')} to compute anew` : ''}`,
  };
}

function tilesOf(summary: Summary, target: number | null, rate: Rate | null): Tile[] {
  const { completeness_today: complete, network: size, open_outages: open, consumers_without_supply: out } = summary;
  return [
    { key: 'supply', name: 'Without supply', value: { value: count(out), unit: out === 1 ? 'consumer' : 'consumers' }, note: open ? `${many(open, 'outage')} on` : 'no outage is on', link: to('outages', { node: null, status: 'open' }) },
    lossTile(summary, target, rate),
    { key: 'complete', name: 'Completeness today', value: pct(percent(complete.pct)), note: `${count(complete.reported)} of ${count(complete.expected)}${complete.estimated ? `, ${count(complete.estimated)} estimated` : ''}`, link: to('quality', { node: null }) },
    { key: 'saidi', name: 'SAIDI this month', value: { value: decimal(summary.saidi_month_minutes), unit: summary.saidi_month_minutes == null ? '' : 'min' }, note: summary.saifi_month == null ? 'nobody was interrupted' : `SAIFI ${hundredths(summary.saifi_month)} a consumer` },
    { key: 'owed', name: 'Compensation owed', value: rupees(summary.compensation_accrued_inr), note: summary.compensation_accrued_inr == null ? 'no regulation is configured' : 'not credited yet', link: to('compensation', { node: null }) },
    { key: 'reads', name: 'Reads', value: { value: count(Math.round(summary.reads_per_second)), unit: '/s' }, note: `${count(summary.reads_applied)} applied` },
    lagTile(summary),
    { key: 'size', name: 'Network', value: { value: count(size.dts), unit: plural('dt', size.dts) }, note: `${many(size.feeders, 'feeder')}, ${many(size.meters, 'meter')}` },
  ];
}
const NAMES = ['Without supply', 'Loss today', 'Completeness today', 'SAIDI this month', 'Compensation owed', 'Reads', 'Behind', 'Network'];

export function Tiles({ target, root }: { target: number | null; root: string | null }) {
  const summary = useSummary();
  const rate = useRate(root);
  const tiles = summary ? tilesOf(summary, target, rate) : null;
  return (
    <section id="tiles" aria-label="The whole, now">
      {NAMES.map((name, at) => {
        const tile = tiles?.[at];
        if (!tile) return <div key={name} class="tile"><h2>{name}</h2><strong><span class="skeleton">0000</span></strong><p>{'\u00a0'}</p></div>;
        return (
          <div key={name} class="tile" data-key={tile.key}>
            <h2>{tile.link ? <a href={tile.link}>{name}</a> : name}</h2>
            <strong class={tile.value.value.length > 7 ? 'long' : undefined}><Measure of={tile.value} glow={tile.key !== 'lag' && tile.key !== 'reads'} /></strong>
            <p title={tile.title ?? (typeof tile.note === 'string' ? tile.note : undefined)}>{tile.note}</p>
          </div>
        );
      })}
    </section>
  );
}
export const overviewHref = () => href({ node: null });
