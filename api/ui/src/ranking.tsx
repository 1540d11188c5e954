// Feeders, or a level above, by what is missing to their target in a month, beside the month before; of a feeder who answers for it.

import { go, href } from './address';
import { nodePath, path, useAsk } from './api';
import { capital, count, many, monthsBefore, monthText, NONE, percent, plural } from './format';
import { type FeederRevenue, yearStart } from './money';
import { Block, Choice, Failed, Ghost, Glyph, MonthChoice, Trouble, useShown } from './parts';
import { money, ofFeeder, rate, Small, Standing, yearOf } from './target';

interface Deviation {
  rank: number;
  node_id: string;
  name: string;
  deviation: number;
  deviation_inr: string;
  tri: number | null;
  ari: number | null;
  loss_pct: number | null;
  feeders_known: number;
  feeders: number;
  before: number | null;
  before_inr: string | null;
  change: number | null;
  change_inr: string | null;
}
interface Ranking { month: string; nodes: Deviation[]; not_ranked: number }
interface FeederStanding { feeder_id: string; name: string; manager: string | null; causes: string; open: number; overdue: number; next_due_on: string | null }
interface NodeAccountability { month: string; feeders: FeederStanding[] }

const TOP = 50;
// Levels that have a deviation, from above.
const LEVELS = ['zone', 'circle', 'division', 'subdivision', 'section', 'substation', 'feeder'];

// What was asked for, or the last month that is over.
export function monthAsked(at: URLSearchParams, day: string): string {
  const months = monthsBefore(day, 24);
  const asked = at.get('month');
  return months.find((month) => month.slice(0, 7) === asked) ?? months[0]!;
}

// A feeder's year in small; asked for by each row, so that the ranking need not wait.
function Year({ feeder, month }: { feeder: string; month: string }) {
  const start = yearStart(month);
  const found = useAsk<FeederRevenue>(path(`feeders/${encodeURIComponent(feeder)}/revenue`, { from: start, to: `${Number(start.slice(0, 4)) + 1}-03-31` }));
  return <Small year={yearOf(start, (found.data?.months ?? []).map(ofFeeder))} />;
}

// By how much a month was worse or better than the one before.
function changeText(change: string | number | null, say: (value: number) => string): string {
  if (change == null) return NONE;
  const value = Number(change);
  return value === 0 ? 'as before' : `${say(Math.abs(value))} ${value > 0 ? 'worse' : 'better'}`;
}

function Work({ of }: { of: FeederStanding | undefined }) {
  if (!of) return <span class="null">{NONE}</span>;
  return (
    <>
      {of.manager ?? <span class="null">nobody named</span>}
      {of.open > 0 && <small class={of.overdue ? 'late' : undefined}>{many(of.open, 'plan')} under way{of.overdue ? `, ${of.overdue} overdue` : ''}</small>}
    </>
  );
}

export function Ranked({ under, kind, at, day }: { under: string; kind: string | null; at: URLSearchParams; day: string }) {
  const levels = LEVELS.slice(LEVELS.indexOf(kind ?? '') + 1);
  const level = levels.find((one) => one === at.get('level')) ?? 'feeder';
  const month = monthAsked(at, day);
  const asked = at.get('by') === 'unit' ? 'unit' : 'inr';
  const found = useAsk<Ranking>(path('nodes/ranking', { by: asked === 'unit' ? 'deviation' : 'deviation_inr', kind: level, under, month, top: TOP }), 'slow');
  const people = useAsk<NodeAccountability>(nodePath(under, '/accountability', { month }), 'slow');
  const standing = new Map((people.data?.feeders ?? []).map((row) => [row.feeder_id, row]));
  const rows = found.data?.nodes ?? [];
  const [by, shown, of] = useShown(found.old, [asked, month, level] as const);
  const isFeeder = of === 'feeder';
  const say = by === 'unit' ? rate : money;
  return (
    <Block title={`${capital(plural(of, 2))}, most missing first`} id="ranking" aside={(
      <div class="ranges">
        <label class="month">Level <select id="level" onChange={(event) => go({ level: event.currentTarget.value === 'feeder' ? null : event.currentTarget.value })}>{levels.map((one) => <option key={one} value={one} selected={one === level}>{plural(one, 2)}</option>)}</select></label>
        <MonthChoice now={month} of={monthsBefore(day, 24)} pick={(next) => go({ month: next.slice(0, 7) })} />
        <Choice label="Ranked by" now={asked} of={[['inr', 'Rupees'], ['unit', 'A kWh of input']]} pick={(next) => go({ by: next === 'unit' ? 'unit' : null })} />
      </div>
    )}>
      <Trouble of={found} />{!found.data ? !found.problem && <Ghost lines={6} /> : !rows.length ? (
        <p class="facts">No {plural(of, 1)} here has a deviation in {monthText(shown)}: it needs a month that is over, its bills, and bills and accounts of the year before.</p>
      ) : (
        <div class="scroll"><table class="nodes">
          <thead><tr>
            <th scope="col">{capital(plural(of, 1))}</th>{isFeeder && <th scope="col" class="optional">TRI and ARI, April to March</th>}<th scope="col" class="number optional">TRI</th><th scope="col" class="number optional">ARI</th>
            <th scope="col" class="number">Missing</th><th scope="col" class="number less">{monthText(monthsBefore(shown, 1)[0]!)}</th><th scope="col" class="number">Change</th><th scope="col" class="number less">Loss</th>{isFeeder ? <th scope="col" class="less">Manager</th> : <th scope="col" class="number less">Feeders</th>}<th scope="col">State</th>
          </tr></thead>
          <tbody>{rows.map((row) => (
            <tr key={row.node_id}>
              <td class="node"><a href={href({ node: row.node_id, level: null })} title={row.node_id}><Glyph kind={of} /><span>{row.name}</span></a></td>
              {isFeeder && <td class="optional"><Year feeder={row.node_id} month={shown} /></td>}<td class="number optional">{rate(row.tri)}</td><td class="number optional">{rate(row.ari)}</td>
              <td class="number">{by === 'unit' ? rate(row.deviation) : money(row.deviation_inr)}</td><td class="number less">{by === 'unit' ? rate(row.before) : money(row.before_inr)}</td>
              <td class="number">{changeText(by === 'unit' ? row.change : row.change_inr, say)}</td><td class="number less">{percent(row.loss_pct)}</td>
              {isFeeder ? <td class="less"><Work of={standing.get(row.node_id)} /></td> : <td class="number less">{count(row.feeders_known)} of {count(row.feeders)}</td>}<td><Standing tri={row.tri} ari={row.ari} /></td>
            </tr>
          ))}</tbody>
        </table></div>
      )}
      {people.problem && !people.data && <Failed problem={people.problem} />}
      {found.data && found.data.not_ranked > 0 && <p class="facts">{`${count(found.data.not_ranked)} ${plural(of, found.data.not_ranked)}`} without a deviation in {monthText(shown)}: not billed, not over, too little of the input known, or no target.</p>}
      {rows.length === TOP && <p class="facts">The first {TOP}; /api/v1/nodes/ranking has all.</p>}
    </Block>
  );
}
