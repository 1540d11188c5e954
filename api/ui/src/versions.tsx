// What was published of a balance, version by version: when, what, and why another came; each leads to how things stood then.

import { useState } from 'preact/hooks';

import { href } from './address';
import { quote, type Row, useSql } from './api';
import { dateText, dayOf, energyText, minuteText, percent, when } from './format';
import { Failed } from './parts';
import type { BalanceRow } from './types';

const reasonOf = (row: Row) => String(row['reason'] ?? 'first');
const number = (row: Row, name: string) => row[name] as number | null;

export function VersionTable({ rows, caption }: { rows: Row[]; caption: string }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption>{caption}</caption>
        <thead><tr><th class="number" scope="col">Version</th><th scope="col">Published</th><th class="number" scope="col">Loss</th><th class="number" scope="col">Lost</th><th class="number" scope="col">Coverage</th><th scope="col">Status</th><th scope="col">Reason</th></tr></thead>
        <tbody>{rows.map((row) => (
          <tr key={String(row['version'])}>
            <td class="number">{String(row['version'])}</td><td><a href={href({ as_of: String(row['published_at']) })} title="As it stood then">{when(String(row['published_at']))}</a></td>
            <td class="number">{percent(number(row, 'loss_pct'))}</td><td class="number">{energyText(number(row, 'loss_wh'))}</td><td class="number">{percent(number(row, 'coverage_pct'))}</td>
            <td>{String(row['status'])}</td><td>{reasonOf(row)}</td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  );
}

const VERSIONS_MAX = 50;

// Beside the figure of a day: its status, version and why that came; all versions open below. `until`: none that was published later.
export function DayVersions({ node, day, row, until }: { node: string; day: string; row: BalanceRow | null; until: string | null }) {
  const [opened, setOpened] = useState(false);
  // While reads come in a day has a new version with each checkpoint, always for the same reason.
  const comes = row?.status === 'provisional';
  const asked = row && row.version > 1 && (opened || !comes) ? `SELECT version, published_at, status, reason, loss_pct, total_loss_wh AS loss_wh, coverage_pct FROM node_balance_daily_history
WHERE node_id = ${quote(node)} AND day = ${quote(day)}${until ? ` AND published_at <= ${quote(until)}` : ''} ORDER BY version DESC LIMIT ${VERSIONS_MAX}` : null;
  const found = useSql<Row>(asked, 'slow');
  if (!row?.version) return <p class="stands">{row ? `${row.status}, not published yet` : '\u00a0'}</p>;
  const own = found.data?.find((one) => Number(one['version']) === row.version);
  const stands = `${row.status}, version ${row.version}`;
  if (row.version === 1) return <p class="stands">{stands}</p>;
  return (
    <details class="stands" onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary>{stands}{comes ? ': more reads came' : own ? `: ${reasonOf(own)}, ${dateText(dayOf(String(own['published_at'])))} ${minuteText(String(own['published_at']))}` : ''}</summary>
      {found.problem && !found.data && <Failed problem={found.problem} again={found.again} />}
      {found.data && <VersionTable rows={found.data} caption="Every version of this day that was published" />}
    </details>
  );
}
