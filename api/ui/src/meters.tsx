// The meters of a node, one by one: what each read in an interval that is looked at, how good that read is and when it came.

import { to } from './address';
import { quote, useSql } from './api';
import { count, dayOf, dayPlus, decimal, many, NONE, when, words } from './format';
import { Block, Ghost, Trouble, useOrder } from './parts';

const METERS_MAX = 500;

interface Meter { meter_id: string; role: string; consumer_id: string | null; category: string | null; multiplier: number | null }
interface Read extends Meter { asked: string | null; import_wh: number | null; export_wh: number | null; quality: string | null; voltage_v: number | null; received_at: string | null; source: string | null; version: number | null }

// Who hangs there at an instant, the node's own meter first; energy is that of the meter's count times its multiplier.
function query(node: string, at: string, end: string | null, asOf: string | null): string {
  const holds = (table: string) => `${table}.valid_from < ${quote(at)} AND (${table}.valid_to IS NULL OR ${table}.valid_to >= ${quote(at)})`;
  const reads = end && `LEFT JOIN (
  SELECT * FROM ${asOf ? `interval_reads_as_of(${quote(asOf)})` : 'interval_reads'}
  WHERE interval_end = ${quote(end)} AND day BETWEEN ${quote(dayPlus(dayOf(end), -1))} AND ${quote(dayOf(end))} AND quality <> 'missing'
) r ON r.meter_id = m.meter_id`;
  return `WITH m AS (
  SELECT o.meter_id, o.role, CAST(NULL AS VARCHAR) AS consumer_id, CAST(NULL AS VARCHAR) AS category FROM meters o WHERE o.node_id = ${quote(node)} AND ${holds('o')}
  UNION ALL
  SELECT c.meter_id, 'consumer' AS role, c.consumer_id, c.category FROM connections c WHERE c.node_id = ${quote(node)} AND c.meter_id IS NOT NULL AND ${holds('c')}
)
SELECT m.meter_id, m.role, m.consumer_id, m.category, x.multiplier${end ? `, ${quote(end)} AS asked, r.import_wh, r.export_wh, r.quality, r.voltage_v, r.received_at, r.source, r.version` : ''}
FROM m LEFT JOIN meters x ON x.meter_id = m.meter_id AND ${holds('x')} ${reads ?? ''}
ORDER BY CASE WHEN m.consumer_id IS NULL THEN 0 ELSE 1 END, ${end ? 'r.import_wh * x.multiplier DESC NULLS LAST, ' : ''}m.meter_id LIMIT ${METERS_MAX}`;
}

// `end`: of the interval that is looked at; null: none is. `now`: the instant of which connections are, then.
export function Meters({ node, end, now, asOf }: { node: string; end: string | null; now: string; asOf: string | null }) {
  const found = useSql<Read>(query(node, end ?? now, end, asOf), end ? 'slow' : null);
  // In the order of the first answer, so that a read that comes late moves no row from under the pointer.
  const [rows] = useOrder(found.data ?? [], (row) => row.meter_id, `${node} ${found.data?.[0]?.asked ?? ''}`);
  // Of the interval that was asked for last, until the next is here.
  const hasReads = rows.some((row) => row.quality !== undefined);
  const silent = rows.filter((row) => row.quality === null).length;
  return (
    <Block id="meters" title={end ? `Its meters, interval to ${when(end)}` : 'Its meters'} aside={<p>{!found.data ? '' : hasReads ? `${many(rows.length, 'meter')}${silent ? `, ${count(silent)} without a read` : ''}` : 'choose an interval above: what each meter read in it stands here'}</p>}>
      <Trouble of={found} />{!found.data ? !found.problem && <Ghost lines={6} /> : !rows.length ? <p class="facts">No meter hangs directly on this node, or nothing of it is published yet.</p> : (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Meters of this node"><table>
          <thead><tr><th scope="col">Meter</th><th scope="col">Of</th><th scope="col" class="less">Category</th>{hasReads && <><th scope="col" class="number">Taken</th><th scope="col" class="number">Given</th><th scope="col">Read</th><th scope="col" class="number less">Voltage</th><th scope="col" class="less">Received</th></>}</tr></thead>
          <tbody>{rows.map((row) => (
            <tr key={`${row.meter_id} ${row.consumer_id}`}>
              <td>{row.meter_id}</td><td>{row.consumer_id ? <a href={to('consumer', { consumer: row.consumer_id, node: null })}>{row.consumer_id}</a> : OWN[row.role] ?? words(row.role)}</td><td class="less">{row.category ?? ''}</td>
              {hasReads && <>
                <td class="number">{scaled(row.import_wh, row.multiplier)}</td><td class="number">{row.export_wh ? scaled(row.export_wh, row.multiplier) : NONE}</td>
                <td>{row.quality ? `${words(row.quality)}, version ${row.version}` : <span class="null">no read</span>}</td>
                <td class="number less">{row.voltage_v == null ? NONE : `${decimal(row.voltage_v)}\u00a0V`}</td><td class="less"><span title={row.source ?? undefined}>{when(row.received_at)}</span></td>
              </>}
            </tr>
          ))}</tbody>
        </table></div>
      )}
      {rows.length === METERS_MAX && <p class="facts">The first {METERS_MAX}; SQL has all.</p>}
    </Block>
  );
}
const OWN: Record<string, string> = { dt: 'the DT itself', feeder: 'the feeder itself', boundary: 'a boundary' };
// A household takes few Wh in an interval: all are written in them, so that the column compares.
const scaled = (wh: number | null, multiplier: number | null) => (wh == null ? NONE : `${count(Math.round(wh * (multiplier ?? 1)))}\u00a0Wh`);
