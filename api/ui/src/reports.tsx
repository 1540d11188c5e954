// Reports that a discom signs: which, of which period, of what; each as a page to print and as CSV.

import { go } from './address';
import { path } from './api';
import { monthsBefore, monthText, when } from './format';
import { useFacts } from './live';
import { Block, Choice, Ghost } from './parts';
import type { NodeDetail, Summary } from './types';

interface Report { name: string; title: string; every: 'month' | 'quarter'; holds: string }
const REPORTS: Report[] = [
  { name: 'mis-monthly', title: 'Monthly MIS', every: 'month', holds: 'What came in, was billed and was collected, who was out, what that costs, and how reads came: for the management.' },
  { name: 'amisp-monthly', title: 'AMISP read availability', every: 'month', holds: 'How complete and how timely reads were, against the service levels, by node and day: what the provider is measured by.' },
  { name: 'sop-quarterly', title: 'SoP return', every: 'quarter', holds: 'Reliability as the return counts it and as consumers met it, and compensation: for the regulator.' },
  { name: 'bee-quarterly', title: 'Quarterly energy accounting', every: 'quarter', holds: 'Input, billed energy, efficiencies and AT&C loss, in the manner of the Bureau of Energy Efficiency.' },
];

// The quarter of the financial year of a day, as reports call it: 2026-Q1 is April to June 2026.
function quarterOf(day: string): [string, string] {
  const [year, month] = [Number(day.slice(0, 4)), Number(day.slice(5, 7))];
  const [first, number] = [month >= 4 ? year : year - 1, Math.floor(((month + 8) % 12) / 3) + 1];
  const words = ['April to June', 'July to September', 'October to December', 'January to March'][number - 1];
  return [`${first}-Q${number}`, `Q${number} of ${first}-${String((first + 1) % 100).padStart(2, '0')}, ${words} ${number === 4 ? first + 1 : first}`];
}
// Periods to choose from: the running one, then those that are over, newest first.
function periods(every: Report['every'], day: string): [string, string][] {
  const months = [day.slice(0, 8) + '01', ...monthsBefore(day, 24)];
  if (every === 'month') return months.map((month) => [month.slice(0, 7), monthText(month)]);
  return [...new Map(months.map(quarterOf))];
}

export function Reports({ at, detail }: { at: URLSearchParams; detail: NodeDetail | null }) {
  const facts = useFacts();
  return !facts || !detail ? <Ghost high={560} /> : <Chosen at={at} detail={detail} facts={facts} />;
}

function Chosen({ at, detail, facts }: { at: URLSearchParams; detail: NodeDetail; facts: Summary }) {
  const report = REPORTS.find(({ name }) => name === at.get('report')) ?? REPORTS[0]!;
  const known = periods(report.every, facts.day);
  const [running] = known[0]!;
  const [period, periodName] = known.find(([name]) => name === at.get('period')) ?? known[1] ?? known[0]!;
  const asOf = at.get('as_of');
  // A DT has no report: its feeder's stands for it.
  const places = [...detail.ancestors, detail].filter(({ kind }) => kind !== 'dt');
  const place = places.at(-1) ?? detail;
  const isAll = facts.roots.some(({ node_id }) => node_id === place.node_id);
  const link = (format: string) => path(`reports/${report.name}`, { period, node: isAll ? null : place.node_id, as_of: asOf, format });
  return (
    <>
      <div class="title"><h1>Reports</h1></div>
      <div class="filters"><Choice label="Which report" now={report.name} of={REPORTS.map(({ name, title }) => [name, title])} pick={(name) => go({ report: name === REPORTS[0]?.name ? null : name, period: null })} /></div>
      <div class="filters">
        <label>Period <select id="period" onChange={(event) => go({ period: event.currentTarget.value })}>{known.map(([name, words]) => <option key={name} value={name} selected={name === period}>{words}{name === running ? ', running' : ''}</option>)}</select></label>
        <label>Of <select id="place" onChange={(event) => go({ node: event.currentTarget.value })}>{places.map((one) => <option key={one.node_id} value={one.node_id} selected={one === place}>{one.name}</option>)}</select></label>
      </div>
      <Block title={`${report.title} of ${place.name}`} id="report">
        <p class="lead">{periodName}{period === running && <small>This period is not over: its figures change until it is.</small>}</p>
        <p>{report.holds}</p>
        <p class="doors"><a class="door" id="open-report" href={link('html')}>Open to read or print</a> <a class="door" id="csv-report" href={link('csv')}>CSV</a></p>
        <p class="facts">{asOf ? `As it stood published on ${when(asOf)}.` : 'As last published.'} The same report as of the same instant is the same to the last byte; each figure names the query that makes it. Another feeder or office is chosen in the tree.{detail.kind === 'dt' && ' Reports are made for feeders and above.'}</p>
      </Block>
    </>
  );
}
