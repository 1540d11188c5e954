// Compensation: what is owed, to whom, by which rule? Totals by status, standard and node; entries, each with its explanation.

import { atNode, go, href, to } from './address';
import { path, quote, useAsk, useFork, useSql } from './api';
import { count, dayText, exact, many, rupees, text, when, words } from './format';
import { useFacts } from './live';
import { Block, Choice, Failed, Ghost, Notice, Since, Trouble } from './parts';
import type { Entry, NodeRow } from './types';

const STATUSES: [string, string][] = [['any', 'All'], ['accruing', 'Running'], ['due', 'Due'], ['exported', 'With billing'], ['credited', 'Credited']];
const NAMES: Record<string, string> = { accruing: 'Running', due: 'Due', exported: 'With billing', credited: 'Credited' };
const PAGE = 100;

// Nodes at or below one, each with the child of it that it is below.
export const below = (node: string) => `WITH RECURSIVE below AS (
  SELECT node_id, node_id AS child FROM nodes WHERE valid_to IS NULL AND (parent_id = ${quote(node)} OR node_id = ${quote(node)})
  UNION ALL
  SELECT n.node_id, b.child FROM nodes n JOIN below b ON n.parent_id = b.node_id WHERE n.valid_to IS NULL AND b.node_id <> ${quote(node)}
)`;
const OF_CONSUMER = '(SELECT consumer_id, MAX(node_id) AS node_id FROM connections WHERE valid_to IS NULL GROUP BY consumer_id)';

interface Total { regulation: string; standard: string; clause: string; status: string; entries: number; consumers: number; inr: string }
interface ByNode { child: string; name: string; consumers: number; inr: string }

export function Compensation({ at, node }: { at: URLSearchParams; node: string | null }) {
  const facts = useFacts();
  const status = at.get('status') ?? 'any';
  const page = Math.max(0, Number(at.get('page') ?? 0) || 0);
  const root = facts?.roots[0]?.node_id ?? null;
  const scope = node && node !== root ? node : null;
  const from = scope
    ? `compensation_entries e JOIN ${OF_CONSUMER} c ON c.consumer_id = e.consumer_id JOIN below b ON b.node_id = c.node_id`
    : 'compensation_entries e';
  const head = scope ? below(scope) : '';
  const totals = useSql<Total>(`${head} SELECT e.regulation, e.standard, e.clause, e.status, COUNT(*) AS entries, COUNT(DISTINCT e.consumer_id) AS consumers, SUM(e.amount_inr) AS inr FROM ${from} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2`, 'slow');
  const fork = useFork<NodeRow>(scope ?? root, null);
  const top = fork.old ? null : fork.data?.id ?? null;
  const nodes = useSql<ByNode>(top ? `${below(top)} SELECT b.child, MAX(n.name) AS name, COUNT(DISTINCT e.consumer_id) AS consumers, SUM(e.amount_inr) AS inr
FROM compensation_entries e JOIN ${OF_CONSUMER} c ON c.consumer_id = e.consumer_id JOIN below b ON b.node_id = c.node_id JOIN nodes n ON n.node_id = b.child AND n.valid_to IS NULL
GROUP BY 1 ORDER BY inr DESC LIMIT 50` : null, 'slow');
  const entries = useSql<Entry>(`${head} SELECT e.* FROM ${from} ${status === 'any' ? '' : `WHERE e.status = ${quote(status)}`} ORDER BY e.created_at DESC, e.entry_id LIMIT ${PAGE + 1} OFFSET ${page * PAGE}`, 'slow');
  // Says why nothing accrues, where nothing does.
  const feed = useAsk<{ not_accrued_because: string | null }>(path('compensation/entries', { limit: 1 }));
  const sum = (of: string) => (totals.data ?? []).filter((row) => row.status === of).reduce((all, row) => all + Number(row.inr), 0);
  const number = (of: string) => (totals.data ?? []).filter((row) => row.status === of).reduce((all, row) => all + row.entries, 0);
  if (!feed.data && !feed.problem) return <Ghost high={560} />;
  return (
    <>
      <div class="title"><h1>Compensation</h1></div>
      {feed.data?.not_accrued_because && <Notice title="Nothing is accrued">{feed.data.not_accrued_because}</Notice>}
      <Since of={totals} />{totals.problem && !totals.data ? <Failed problem={totals.problem} again={totals.again} /> : (
        <div class="figures">{Object.entries(NAMES).map(([key, name]) => (
          <div key={key}><h3>{name}</h3><strong>{totals.data ? text(rupees(sum(key))) : <span class="skeleton">00,000</span>}</strong><p>{totals.data ? many(number(key), 'entry', 'entries') : '\u00a0'}</p></div>
        ))}</div>
      )}
      <div class="pair">
        <Block title="By regulation and standard">
          {!totals.data ? <Ghost lines={3} /> : totals.data.length === 0 ? <p class="facts">No entry yet: one is made when an outage lasts beyond the limit of a standard.</p> : (
            <div class="scroll"><table><thead><tr><th scope="col">Standard</th><th scope="col">Status</th><th scope="col" class="number">Consumers</th><th scope="col" class="number">Amount</th></tr></thead>
              <tbody>{totals.data.map((row) => <tr key={`${row.regulation} ${row.standard} ${row.clause} ${row.status}`}><td>{words(row.standard).replaceAll('-', ' ')}<small>{row.regulation}, {row.clause}</small></td><td>{NAMES[row.status] ?? row.status}</td><td class="number">{count(row.consumers)}</td><td class="number">{exact(row.inr)}</td></tr>)}</tbody>
            </table></div>
          )}
        </Block>
        <Block title="By node">
          <Since of={nodes} />{fork.problem && !fork.data ? <Failed problem={fork.problem} again={fork.again} /> : nodes.problem && !nodes.data ? <Failed problem={nodes.problem} again={nodes.again} /> : !nodes.data ? <Ghost lines={3} /> : nodes.data.length === 0 ? <p class="facts">Nothing below this node.</p> : (
            <div class="scroll"><table><thead><tr><th scope="col">Node</th><th scope="col" class="number">Consumers</th><th scope="col" class="number">Amount</th></tr></thead>
              <tbody>{nodes.data.map((row) => <tr key={row.child}><td class="node"><a href={atNode(row.child)}>{row.name}</a></td><td class="number">{count(row.consumers)}</td><td class="number">{exact(row.inr)}</td></tr>)}</tbody>
            </table></div>
          )}
        </Block>
      </div>
      <Block title="Entries, newest first" aside={<Choice label="Which entries" now={status} of={STATUSES} pick={(next) => go({ status: next === 'any' ? null : next, page: null })} />}>
        <Trouble of={entries} />{!entries.data ? !entries.problem && <Ghost lines={8} /> : <Entries rows={entries.data.slice(0, PAGE)} />}
        <div class="pages">
          {page > 0 && <a href={href({ page: page > 1 ? String(page - 1) : null })}>Newer</a>}
          {(entries.data?.length ?? 0) > PAGE && <a href={href({ page: String(page + 1) })}>Older</a>}
        </div>
        <p class="facts">As last published. Billing takes entries from /api/v1/compensation/entries, ordered and resumable.</p>
      </Block>
    </>
  );
}

export function Entries({ rows, consumer = true }: { rows: Entry[]; consumer?: boolean }) {
  if (!rows.length) return <p class="facts">No such entry.</p>;
  return (
    <div class="scroll"><table>
      <thead><tr>{consumer && <th scope="col">Consumer</th>}<th scope="col">For</th><th scope="col" class="number">Amount</th><th scope="col">Status</th><th scope="col" class="less">Kind</th><th scope="col" class="less">Made</th><th scope="col" class="optional">Credit by</th><th scope="col">Why</th></tr></thead>
      <tbody>{rows.map((entry) => (
        <tr key={entry.entry_id}>
          {consumer && <td><a href={to('consumer', { consumer: entry.consumer_id, node: null })}>{entry.consumer_id}</a></td>}
          <td>{entry.outage_id ? <a href={to('outages', { outage: entry.outage_id })} title={entry.outage_id}>outage</a> : words(entry.standard)}<small>{entry.default_minutes == null ? entry.clause : `${count(entry.default_minutes)} min beyond ${count(entry.limit_minutes)}`}</small></td>
          <td class="number">{exact(entry.amount_inr)}</td><td>{NAMES[entry.status] ?? entry.status}</td><td class="less">{entry.kind}</td><td class="less">{when(entry.created_at)}</td><td class="optional">{entry.due_by ? dayText(entry.due_by) : '–'}</td>
          <td><a href={path(`compensation/entries/${encodeURIComponent(entry.entry_id)}/explanation`)}>explained</a></td>
        </tr>
      ))}</tbody>
    </table></div>
  );
}
