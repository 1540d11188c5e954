// The tiles: the state of the whole, now.

import type { ComponentChildren } from 'preact';

import { href, to } from './address';
import { age, band, count, decimal, hundredths, many, percent, plural, type Quantity, rupees, uncertain } from './format';
import { useSummary } from './live';
import { basis, type Rate, useRate, worthText } from './money';
import { Measure, Trust } from './parts';
import type { Summary } from './types';

interface Tile { key: string; name: string; value: Quantity; note: ComponentChildren; link?: string }

const pct = (text: string): Quantity => (text.endsWith('%') ? { value: text.replace(/\s%$/, ''), unit: '%' } : { value: text, unit: '' });

function lossTile({ loss_today: loss, coverage_threshold_pct: threshold }: Summary, target: number | null, rate: Rate | null): Tile {
  const about = target != null ? `target ${decimal(target).replace(/\.0$/, '')}\u00a0%` : loss.loss_shown ? (uncertain(loss) ? band(loss.loss_low_pct, loss.loss_high_pct) : 'nothing missing') : loss.not_shown_because;
  const rupees = loss.loss_shown && (loss.loss_wh ?? 0) > 0 ? worthText(loss.loss_wh, rate) : '';
  return {
    key: 'loss', name: 'Loss today', value: pct(loss.loss_shown ? percent(loss.loss_pct) : band(loss.loss_low_pct, loss.loss_high_pct)),
    note: loss.coverage_pct == null ? loss.not_shown_because ?? '' : <><Trust pct={loss.coverage_pct} threshold={threshold} /> {rupees && rate && <span title={basis(rate)}>{rupees} · </span>}{about}</>,
  };
}

// How far figures are behind what was acknowledged: the age of what SQL shows, and what is not applied yet.
function lagTile({ lag, published_at, feeder_days_owed: owed }: Summary): Tile {
  return {
    key: 'lag', name: 'Behind', value: lag.records ? { value: count(lag.records), unit: lag.records === 1 ? 'record' : 'records' } : { value: decimal(lag.tick_ms), unit: 'ms' },
    note: owed ? `${many(owed, 'feeder day')} to compute anew` : published_at ? `tables ${age(lag.published_seconds)} old` : 'nothing in the tables yet',
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
            <p title={typeof tile.note === 'string' ? tile.note : undefined}>{tile.note}</p>
          </div>
        );
      })}
    </section>
  );
}
export const overviewHref = () => href({ node: null });
