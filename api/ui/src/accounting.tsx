// Energy accounting of a node: what was billed of what came in, what was collected of what was billed, and to whom energy went.

import { go } from './address';
import { nodePath, useAsk } from './api';
import { count, monthText, percent, words } from './format';
import { Block, Choice, Ghost, Trouble, useShown } from './parts';
import { money, units } from './target';
import type { SqlResult } from './types';

interface Period {
  from: string;
  period: string;
  feeder_months: number;
  feeder_months_known: number;
  input_kwh: number;
  input_known_kwh: number;
  billed_known_kwh: number;
  bills: number;
  billed_kwh: number;
  billed_inr: string;
  collected_inr: string;
  billing_efficiency_pct: number | null;
  collection_efficiency_pct: number | null;
  atc_loss_pct: number | null;
}
interface Accounts { node_id: string; periods: Period[] }
interface Band { node_id: string; name: string; band: string; consumers: number; consumers_pct: number | null; billed_kwh: number; billed_kwh_pct: number | null }
interface Bands { kind: string; low_max_kwh: number; high_above_kwh: number; rows: Band[] }

// A share as a bar beside its number: full at 100 %.
const Share = ({ pct }: { pct: number | null }) => (
  <span class="share">{percent(pct)} <span class="trust less" aria-hidden="true"><i style={{ width: `${Math.max(0, Math.min(100, pct ?? 0))}%` }} /></span></span>
);

export function Accounting({ node, at, start, end }: { node: string; at: URLSearchParams; start: string; end: string }) {
  const each = at.get('each') === 'quarter' ? 'quarter' : 'month';
  const found = useAsk<Accounts>(nodePath(node, '/accounting', { from: start, to: end, resolution: each }), 'slow');
  const periods = found.data?.periods ?? [];
  return (
    <Block title="AT&C loss: billing and collection" id="accounting" aside={<Choice label="Periods of AT&C loss" now={each} of={[['month', 'By month'], ['quarter', 'By quarter']]} pick={(next) => go({ each: next === 'quarter' ? 'quarter' : null })} />}>
      <Trouble of={found} />{!found.data ? !found.problem && <Ghost lines={4} /> : !periods.length ? <p class="facts">Nothing is known of this year: it needs balances and bills.</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="AT&C loss by period"><table>
          <thead><tr>
            <th scope="col">{each === 'month' ? 'Month' : 'Quarter'}</th><th scope="col" class="number less">Input</th><th scope="col" class="number less">Energy billed</th><th scope="col" class="number optional">Money billed</th><th scope="col" class="number optional">Collected</th>
            <th scope="col" class="number broken">Billing efficiency</th><th scope="col" class="number broken">Collection efficiency</th><th scope="col" class="number">AT&amp;C loss</th>
          </tr></thead>
          <tbody>{periods.map((row) => (
            <tr key={row.from} data-period={row.period}>
              <td>{each === 'month' ? monthText(row.from) : row.period}{row.feeder_months_known < row.feeder_months && <small>{row.feeder_months_known ? `of ${count(row.feeder_months_known)} of ${count(row.feeder_months)} feeder months` : 'not known yet'}</small>}</td>
              <td class="number less">{units(row.feeder_months_known ? row.input_known_kwh : row.input_kwh || null)}</td><td class="number less">{units(row.feeder_months_known ? row.billed_known_kwh : row.billed_kwh || null)}</td>
              <td class="number optional">{row.bills ? money(row.billed_inr) : '–'}</td><td class="number optional">{row.bills ? money(row.collected_inr) : '–'}</td>
              <td class="number"><Share pct={row.billing_efficiency_pct} /></td><td class="number"><Share pct={row.collection_efficiency_pct} /></td><td class="number"><b>{percent(row.atc_loss_pct)}</b></td>
            </tr>
          ))}</tbody>
        </table></div>
      )}
      <p class="facts">AT&amp;C loss = 1 − billing efficiency × collection efficiency: energy billed of what came in, times money collected of what bills demand. Arrears and advances do not count.</p>
    </Block>
  );
}

const ORDER = ['low', 'medium', 'high'];

// Consumers by how much they are billed in a month.
export function Bands({ node, month }: { node: string; month: string }) {
  const found = useAsk<Bands>(nodePath(node, '/consumption-bands', { from: month, to: month }), 'slow');
  const data = found.data;
  const shown = useShown(found.old, month);
  const nodes = [...new Map((data?.rows ?? []).map((row) => [row.node_id, row.name]))];
  const row = (id: string, band: string) => data?.rows.find((one) => one.node_id === id && one.band === band);
  return (
    <Block title={`Consumption in ${monthText(shown)}, by subdivision`} id="bands">
      <Trouble of={found} />{!data ? !found.problem && <Ghost lines={3} /> : !nodes.length ? <p class="facts">No consumer of a subdivision here is billed in {monthText(shown)}.</p> : (
        <>
          <div class="scroll" tabIndex={0} role="region" aria-label="Consumers by consumption"><table>
            <thead><tr><th scope="col">Subdivision</th>{ORDER.map((band) => <th key={band} scope="col" class="number">{band}</th>)}</tr></thead>
            <tbody>{nodes.map(([id, name]) => (
              <tr key={id}><td>{name}</td>{ORDER.map((band) => { const one = row(id, band); return <td key={band} class="number">{count(one?.consumers ?? 0)}<small>{one ? percent(one.billed_kwh_pct) : '\u00a0'}</small></td>; })}</tr>
            ))}</tbody>
          </table></div>
          <p class="facts">Consumers billed, and their share of the energy: low up to {count(data.low_max_kwh)} kWh in the month, high above {count(data.high_above_kwh)} kWh.</p>
        </>
      )}
    </Block>
  );
}

// Prosumers by scheme, of a month.
export function Prosumers({ node, month }: { node: string; month: string }) {
  const found = useAsk<SqlResult>(nodePath(node, '/prosumers', { from: month, to: month }), 'slow');
  const shown = useShown(found.old, month);
  const names = found.data?.columns.map(({ name }) => name) ?? [];
  const cell = (row: unknown[], name: string) => row[names.indexOf(name)];
  const kwh = (row: unknown[], name: string) => units(cell(row, name) == null ? null : Number(cell(row, name)) / 1000);
  return (
    <Block title={`Prosumers in ${monthText(shown)}`} id="prosumers">
      <Trouble of={found} />{!found.data ? !found.problem && <Ghost lines={3} /> : !found.data.rows.length ? <p class="facts">No prosumer here, or nothing is published of {monthText(shown)}.</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Prosumers by scheme"><table>
          <thead><tr><th scope="col">Scheme</th><th scope="col" class="number">Consumers</th><th scope="col" class="number">Drawn</th><th scope="col" class="number">Given</th><th scope="col" class="number less">Bought</th><th scope="col" class="number less">Carried on</th></tr></thead>
          <tbody>{found.data.rows.map((row) => <tr key={String(cell(row, 'scheme'))}><td>{words(String(cell(row, 'scheme')))}</td><td class="number">{count(Number(cell(row, 'consumers')))}</td><td class="number">{kwh(row, 'import_wh')}</td><td class="number">{kwh(row, 'export_wh')}</td><td class="number less">{kwh(row, 'bought_wh')}</td><td class="number less">{kwh(row, 'carried_forward_wh')}</td></tr>)}</tbody>
        </table></div>
      )}
    </Block>
  );
}
