// Revenue: does each unit of energy bring what it should? TRI against ARI through the year, month by month, the feeders that are furthest from
// their target, who answers for them, and what was billed and collected.

import { useState } from 'preact/hooks';

import { Accountable } from './accountability';
import { Accounting, Bands, Prosumers } from './accounting';
import { go } from './address';
import { nodePath, path, useAsk } from './api';
import { many, monthText, NONE, percent } from './format';
import { useFacts } from './live';
import { yearName, yearStart, type FeederRevenue, type NodeRevenue } from './money';
import { Block, Choice, Ghost, Glyph, Notice, Trouble } from './parts';
import { monthAsked, Ranked } from './ranking';
import { Against, money, type Month, Of, ofFeeder, ofNode, rate, Standing, units, yearOf } from './target';
import type { NodeDetail } from './types';

export function Revenue({ at, detail }: { at: URLSearchParams; detail: NodeDetail | null }) {
  const facts = useFacts();
  const [picked, pick] = useState<number | null>(null);
  const back = at.get('year') === 'last' ? 1 : 0;
  const start = facts ? yearStart(facts.day, back) : null;
  const end = start ? `${Number(start.slice(0, 4)) + 1}-03-31` : null;
  const feeder = detail?.kind === 'dt' ? detail.ancestors.findLast(({ kind }) => kind === 'feeder') ?? null : detail?.kind === 'feeder' ? detail : null;
  const route = !detail || !start ? null : feeder ? path(`feeders/${encodeURIComponent(feeder.node_id)}/revenue`, { from: start, to: end }) : nodePath(detail.node_id, '/revenue', { from: start, to: end });
  const found = useAsk<FeederRevenue | NodeRevenue>(route, 'slow');
  if (!detail || !facts || !start || !end) return <Ghost high={560} />;
  const data = found.data;
  const months: Month[] = !data ? [] : 'feeder_id' in data ? data.months.map(ofFeeder) : data.months.map(ofNode);
  const year = yearOf(start, months);
  const whole = data?.years.find(({ period }) => period === yearName(start)) ?? null;
  const accounts = data && 'accounts' in data ? data.accounts.find((row) => row.year === yearName(start)) ?? null : null;
  const here = picked == null ? null : year[picked];
  return (
    <>
      <div class="title"><Glyph kind={feeder?.kind ?? detail.kind} /><h1>Revenue of {feeder?.name ?? detail.name}</h1></div>
      {detail.kind === 'dt' && feeder && <p class="facts">Revenue is kept by feeder: this is the one above {detail.name}.</p>}
      <div class="filters"><Choice label="Financial year" now={back ? 'last' : 'this'} of={[['this', yearName(yearStart(facts.day))], ['last', yearName(yearStart(facts.day, 1))]]} pick={(next) => go({ year: next === 'last' ? 'last' : null })} /></div>
      <Trouble of={found} />{!data ? !found.problem && <Ghost lines={12} /> : !months.length ? (
        <Notice title="Nothing is known of this year's revenue">Targets need bills of the year before and the discom's accounts of both years; what came in needs bills and balances: <code class="inline">gridtally import billing.csv discom_accounts.csv</code></Notice>
      ) : (
        <>
          <div class="figures">
            <div><h3>Target, TRI</h3><Of value={whole?.tri} what="a kWh of input" /><p>{whole && Number(whole.target_inr) ? `${money(whole.target_inr)} so far` : 'no target yet: last year is not known'}</p></div>
            <div><h3>Came in, ARI</h3><Of value={whole?.ari} what="a kWh of input" /><p>{whole && Number(whole.billed_inr) ? `${money(whole.billed_inr)} billed${Number(whole.collected_inr) ? `, ${money(whole.collected_inr)} collected` : ''}` : 'no bill of this year yet'}</p></div>
            <div><h3>Missing</h3><strong>{whole?.deviations ? money(whole.deviation_inr) : NONE}</strong><p>{whole?.deviations ? <>in {many(whole.deviations, feeder ? 'month' : 'feeder month')} <Standing tri={whole.tri} ari={whole.ari} /></> : 'no month is over'}</p></div>
            <div><h3>Average billing rate</h3><Of value={whole?.abr} what="a kWh sold" /><p>{accounts ? `cost of supply ${rate(accounts.acs)}, realised ${rate(accounts.arr)}, gap ${rate(accounts.gap)}` : whole?.sold_kwh ? `${units(whole.sold_kwh)} sold of ${units(whole.eif_kwh || null)}` : whole?.eif_kwh ? `${units(whole.eif_kwh)} came in, none is billed yet` : '\u00a0'}</p></div>
          </div>
          <Block title="Target against what came in, for each unit of input" id="against" aside={<p class="readout">{here ? `${monthText(here.month)}: target ${rate(here.tri)}, came in ${rate(here.ari)}${here.deviation != null ? `, ${money(here.deviation)} missing` : ''}` : ''}</p>}>
            <Against year={year} picked={picked} pick={pick} />
            <div class="keys" aria-hidden="true"><span><i class="k-tri" />target (TRI)</span><span><i class="k-ari" />came in (ARI)</span><span><i class="k-gap" />what is missing</span></div>
          </Block>
          <Block title="By month">
            <div class="scroll"><table>
              <thead><tr><th scope="col">Month</th><th scope="col" class="number less">Input</th><th scope="col" class="number less">Sold</th><th scope="col" class="number">Loss</th>{feeder && <th scope="col" class="number optional">Allowed</th>}<th scope="col" class="number optional">ABR</th><th scope="col" class="number">TRI</th><th scope="col" class="number">ARI</th><th scope="col" class="number">Missing</th><th scope="col">State</th></tr></thead>
              <tbody>{months.map((row) => (
                <tr key={row.month} data-month={row.month}>
                  <td>{monthText(row.month)}</td><td class="number less">{units(row.eif)}</td><td class="number less">{units(row.sold)}</td><td class="number">{percent(row.loss)}</td>{feeder && <td class="number optional">{percent(row.target)}</td>}<td class="number optional">{rate(row.abr)}</td>
                  <td class="number">{rate(row.tri)}</td><td class="number">{rate(row.ari)}</td><td class="number">{money(row.deviation)}</td><td><Standing tri={row.tri} ari={row.ari} />{row.remarks.length > 0 && <small>{row.remarks.join(', ')}</small>}</td>
                </tr>
              ))}</tbody>
            </table></div>
          </Block>
        </>
      )}
      {feeder ? <Accountable feeder={feeder.node_id} name={feeder.name} day={facts.day} /> : <Ranked under={detail.node_id} kind={detail.kind} at={at} day={facts.day} />}
      <Accounting node={feeder?.node_id ?? detail.node_id} at={at} start={start} end={end} />
      {!feeder && <div class="pair"><Bands node={detail.node_id} month={monthAsked(at, facts.day)} /><Prosumers node={detail.node_id} month={monthAsked(at, facts.day)} /></div>}
    </>
  );
}
