// The overview: where must someone act now?

import { useEffect, useState } from 'preact/hooks';

import { go, href } from './address';
import { ask, nodePath, path, useAsk } from './api';
import { Chart } from './chart';
import { Flow } from './flow';
import { count, dayText, energyText, lossText, percent, when, withOffset } from './format';
import { NetworkMap } from './map';
import { useRate, useRates, worthText } from './money';
import { Basis, endOf, Keys, Trusted } from './node';
import { Block, ChartGhost, Coverage, Failed, Ghost, Glyph, Loss, LossBar, Since, Spark, State, Trouble, useOrder } from './parts';
import type { Balance, NodeDetail, NodeRow, Summary } from './types';
import { DayVersions } from './versions';

const FEEDERS = 12;

// The last 48 h of loss of some feeders, asked for one by one and seldom: small multiples.
function useSparks(ids: string[], now: string): Map<string, (number | null)[]> {
  const [sparks, set] = useState(new Map<string, (number | null)[]>());
  const hour = now.slice(0, 13);
  useEffect(() => {
    let current = true;
    const end = Math.ceil(Date.parse(now) / 9e5) * 9e5;
    void (async () => {
      for (const id of ids) {
        if (!current) return;
        try {
          const balance = await ask<Balance>(nodePath(id, '/balance', { from: withOffset(end - 2 * 864e5), to: withOffset(end) }));
          const values = balance.rows.map((row) => (row.loss_shown ? row.loss_pct : null));
          if (current) set((before) => new Map(before).set(id, values));
        } catch { /* Without a line the row still says everything. */ }
      }
    })();
    return () => { current = false; };
  }, [ids.join(), hour]);
  return sparks;
}

export function Overview({ at, facts, root, day, out }: { at: URLSearchParams; facts: Summary; root: NodeDetail; day: string | null; out: Map<string, number> }) {
  const now = Math.ceil(Date.parse(endOf(day, null, facts)) / 9e5) * 9e5;
  const [from, until] = [at.get('from'), at.get('to')];
  const span = from && until ? { from, to: until } : { from: withOffset(now - 2 * 864e5), to: withOffset(now) };
  const balance = useAsk<Balance>(nodePath(root.node_id, '/balance', span), 'tick');
  const split = useAsk<Balance>(nodePath(root.node_id, '/balance', { resolution: 'day', from: root.day, to: dayAfter(root.day) }), 'tick');
  const ofDay = split.data?.rows.at(-1) ?? null;
  const rate = useRate(root.node_id);
  return (
    <>
      <div class="title"><Glyph kind={root.kind} /><h1>{root.name}</h1><State of={root.attention} /></div>
      <div class="pair">
        <Block title="Network, by loss today"><NetworkMap under={null} day={day} high={300} out={out} /></Block>
        <Block title={`Energy, ${dayText(root.day)}`} aside={<Trusted of={root} threshold={facts.coverage_threshold_pct} />}>
          <DayVersions node={root.node_id} day={root.day} row={ofDay} until={null} />
          <Flow of={root} split={ofDay ? { ht: ofDay.ht_loss_wh, lt: ofDay.lt_loss_wh } : null} worth={worthText(root.loss_wh, rate)} />
          <Basis of={root} rate={rate} />
        </Block>
      </div>
      <Block title={from && until ? `Loss, ${when(from)} to ${when(until)}` : day ? `Loss, 48 hours to the end of ${dayText(day)}` : 'Loss, last 48 hours'} class="over-time" aside={<>
        <p>{balance.data?.rows.length ? `over the span: loss ${lossText(balance.data.total)}, input ${energyText(balance.data.total.input_wh)}` : '\u00a0'}</p>
        {from && until && <button type="button" aria-pressed="true" onClick={() => go({ from: null, to: null })}>zoomed ×</button>}
      </>}>
        <Trouble of={balance} />{balance.data ? (
          <Chart balance={balance.data} whole={from && until ? [now / 1000 - 2 * 86400, now / 1000] : null} chosen={at.get('at')} choose={(chosen) => go({ node: root.node_id, at: chosen })}
            zoom={(to) => go({ from: to?.[0] ?? null, to: to?.[1] ?? null }, from != null && to != null)} />
        ) : !balance.problem && <ChartGhost />}
        <Keys />
      </Block>
      <Ranked facts={facts} day={day} />
    </>
  );
}
const dayAfter = (day: string) => new Date(Date.parse(day + 'T00:00:00Z') + 864e5).toISOString().slice(0, 10);

function Ranked({ facts, day }: { facts: Summary; day: string | null }) {
  const found = useAsk<{ nodes: NodeRow[]; not_ranked: number; day: string }>(path('nodes/ranking', { kind: 'feeder', day, top: FEEDERS }), 'tick');
  const [rows, again] = useOrder(found.data?.nodes ?? [], (row) => row.node_id, `feeders ${day ?? ''}`);
  const shown = rows.slice(0, FEEDERS);
  const rates = useRates(shown.map((row) => row.node_id));
  const sparks = useSparks(shown.map((row) => row.node_id), facts.now);
  if (found.problem && !found.data) return <Failed problem={found.problem} again={found.again} />;
  return (
    <Block title="Feeders, worst loss first" aside={<button type="button" onClick={again}>Worst first</button>}>
      <Since of={found} />{!found.data ? <Ghost lines={6} /> : shown.length === 0 ? <p class="notice">No feeder has a loss to show yet: it appears with the first interval that its meter reports.</p> : (
        <div class="scroll"><table class="nodes">
          <thead><tr><th scope="col">Feeder</th><th scope="col" class="number">Loss</th><th scope="col" class="less"><span class="hidden">Loss as a bar</span></th><th scope="col" class="less">48 hours</th><th scope="col" class="number optional">Lost</th><th scope="col" class="number optional">Input</th><th scope="col" class="number optional">Target</th><th scope="col" class="number">Coverage</th><th scope="col">State</th></tr></thead>
          <tbody>{shown.map((row) => (
            <tr key={row.node_id}>
              <td class="node"><a href={href({ node: row.node_id, from: null, to: null, at: null })} title={row.node_id}><Glyph kind={row.kind} /><span>{row.name}</span></a></td>
              <td class="number"><Loss of={row} /></td><td class="less"><LossBar of={row} /></td>
              <td class="less"><Spark values={sparks.get(row.node_id) ?? []} attention={row.attention} /></td>
              <td class="number optional">{energyText(row.loss_wh)}{rates.has(row.node_id) && <small>{worthText(row.loss_wh, rates.get(row.node_id))}</small>}</td><td class="number optional">{energyText(row.input_wh)}</td><td class="number optional">{percent(row.allowable_loss_pct)}</td>
              <td class="number"><Coverage of={row} threshold={facts.coverage_threshold_pct} /></td><td><State of={row.attention} /></td>
            </tr>
          ))}</tbody>
        </table></div>
      )}
      {found.data?.not_ranked ? <p class="facts">{count(found.data.not_ranked)} more have no loss to show (coverage or a missing meter) and are not ranked.</p> : null}
    </Block>
  );
}
