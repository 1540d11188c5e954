// The SQL console: one reading statement on the published tables; tables and columns with what they mean; rows as a table or a chart.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { go } from './address';
import { ask, Problem, response, sql, useSql } from './api';
import { GUIDE, useExamples } from './examples';
import { clockText, count, hundredths, many } from './format';
import { Choice, Failed, Ghost, Trouble } from './parts';
import { Plot, type Series, SERIES_MAX } from './plot';
import type { Cell, SqlResult } from './types';

const ROWS_SHOWN = 500;
const BARS_SHOWN = 40;

// Until something else is asked.
const FIRST = 'SELECT interval_end, feeder_id, total_loss_wh, loss_pct, coverage_pct, status\nFROM feeder_balance\nORDER BY interval_end DESC, feeder_id\nLIMIT 50';

interface Column { table_name: string; column_name: string; data_type: string; unit: string; about: string; nullable: boolean; null_means: string }

export function SqlConsole({ at }: { at: URLSearchParams }) {
  const asked = at.get('q') ?? FIRST;
  const examples = useExamples();
  const [query, setQuery] = useState(asked);
  const [result, setResult] = useState<{ of: string; seconds: number; data: SqlResult } | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const editor = useRef<HTMLTextAreaElement>(null);
  const stop = useRef<AbortController | null>(null);
  const shape = at.get('as') === 'chart' ? 'chart' : 'table';
  useEffect(() => { setQuery(asked); }, [asked]);
  useEffect(() => () => stop.current?.abort(), []);
  const run = async (fresh: boolean, text = query) => {
    stop.current?.abort();
    stop.current = new AbortController();
    setBusy(true);
    setProblem(null);
    go({ q: text === FIRST ? null : text }, true);
    const started = performance.now();
    try {
      if (fresh) await ask('/api/v1/checkpoint', { method: 'POST' });
      const data = await sql(text, stop.current.signal);
      setResult({ of: text, seconds: (performance.now() - started) / 1000, data });
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
    }
    setBusy(false);
  };
  const insert = (word: string) => {
    const box = editor.current;
    if (!box) return;
    const [from, to] = [box.selectionStart, box.selectionEnd];
    setQuery(query.slice(0, from) + word + query.slice(to));
    requestAnimationFrame(() => { box.focus(); box.setSelectionRange(from + word.length, from + word.length); });
  };
  const download = async () => {
    if (!result) return;
    setProblem(null);
    try {
      const answer = await response('/api/v1/sql', { method: 'POST', body: JSON.stringify({ query: result.of, format: 'csv' }), headers: { 'content-type': 'application/json', accept: 'text/csv' } });
      const whole = await answer.blob().catch(() => {
        const most = Number(answer.headers.get('sql-rows-max'));
        throw new Problem({ title: 'The download broke off', detail: `A result may have ${many(most, 'row')}, and may take ${answer.headers.get('sql-deadline-seconds')} s. Aggregate, or set a LIMIT; the operator may raise sql.rows_max.` });
      });
      const link = document.createElement('a');
      link.href = URL.createObjectURL(whole);
      link.download = 'gridtally.csv';
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (error) { if (error instanceof Problem) setProblem(error); }
  };
  return (
    <div class="console">
      <Schema insert={insert} />
      <section class="query" aria-label="Query">
        <div class="title"><h1>SQL</h1><span class="id">read-only, on published tables</span></div>
        <form id="sql" onSubmit={(event) => { event.preventDefault(); void run(false); }}>
          <label class="example">Example <select onChange={(event) => { const text = examples[Number(event.currentTarget.value)]?.sql; if (text) { setQuery(text); void run(false, text); } }}>
            {examples.map(({ title, sql: text }, index) => <option key={title} value={index} selected={text === query}>{title}</option>)}
            {!examples.some(({ sql: text }) => text === query) && <option value="-1" selected>your own</option>}
          </select></label> <a href={GUIDE}>The auditor's guide</a>
          <textarea id="query" ref={editor} rows={Math.min(16, Math.max(5, query.split('\n').length + 1))} spellcheck={false} aria-label="SQL query" value={query} onInput={(event) => setQuery(event.currentTarget.value)}
            onKeyDown={(event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); void run(false); } }} />
          <div class="actions">
            <button type="submit" class="primary" disabled={busy}>Run <kbd>Ctrl ↵</kbd></button>
            <button type="button" id="publish" disabled={busy} title="Publishes what is applied, then runs" onClick={() => void run(true)}>Publish first, then run</button>
            {busy && <button type="button" onClick={() => { stop.current?.abort(); setBusy(false); }}>Stop</button>}
            <button type="button" id="download" disabled={!result} onClick={() => void download()}>CSV</button>
            <Choice label="Show rows as" now={shape} of={[['table', 'Table'], ['chart', 'Chart']]} pick={(as) => go({ as: as === 'chart' ? 'chart' : null }, true)} />
            <span id="answered" role="status">{busy ? 'running…' : result ? `${many(result.data.rows.length, 'row')}${result.data.truncated ? ', cut at the limit' : ''} in ${hundredths(result.seconds)} s · as published ${clockText(result.data.published_at)}` : ''}</span>
          </div>
        </form>
        {problem && <Failed problem={problem} />}
        <div id="answer" tabIndex={0} role="region" aria-label="Result of the query">
          {result ? shape === 'chart' ? <AsChart data={result.data} asked={at.get('y')} /> : <AsTable data={result.data} /> : !problem && <p class="facts">Rows appear here. Each query runs in a process of its own with limits of memory, rows and time.</p>}
        </div>
      </section>
    </div>
  );
}

function Schema({ insert }: { insert: (word: string) => void }) {
  const columns = useSql<Column>('SELECT table_name, column_name, data_type, unit, about, nullable, null_means FROM table_columns');
  const [filter, setFilter] = useState('');
  const tables = useMemo(() => {
    const found = new Map<string, Column[]>();
    for (const column of columns.data ?? []) found.set(column.table_name, [...(found.get(column.table_name) ?? []), column]);
    const text = filter.toLowerCase();
    return [...found].filter(([name, all]) => !text || name.includes(text) || all.some((column) => column.column_name.includes(text)));
  }, [columns.data, filter]);
  return (
    <aside class="schema" aria-label="Tables and columns">
      <header><h2>Tables</h2><input type="search" placeholder="Filter" aria-label="Filter tables and columns" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} /></header>
      <Trouble of={columns} />{!columns.data ? !columns.problem && <Ghost lines={10} /> : tables.map(([name, all]) => (
        <details key={name} open={filter.length > 2}>
          <summary>{name} <span>{count(all.length)}</span></summary>
          <ul>
            {all.map((column) => (
              <li key={column.column_name}>
                <button type="button" onClick={() => insert(column.column_name)}>{column.column_name}</button> <small>{column.unit || short(column.data_type)}</small>
                <p>{column.about}{column.nullable && column.null_means ? `. Null: ${column.null_means}` : ''}</p>
              </li>
            ))}
          </ul>
          <p><button type="button" onClick={() => insert(name)}>insert name</button> <button type="button" onClick={() => insert(`${name}_history`)}>history</button></p>
        </details>
      ))}
      <p class="facts">{'{table}'} is the newest version per key, {'{table}'}_history every version, {'{table}'}_as_of('time') what stood published then.</p>
    </aside>
  );
}
const short = (type: string) => ({ Utf8: 'text', Int64: 'whole', Int32: 'whole', Int16: 'whole', Float64: 'number', Float32: 'number', Boolean: 'yes or no', Date32: 'day', Binary: 'bytes' })[type] ?? (type.startsWith('Timestamp') ? 'time' : type.startsWith('Decimal') ? 'decimal' : type.toLowerCase());

const isNumber = (type: string) => /int|float|double|decimal|numeric|real/i.test(type);
const isText = (type: string) => /utf8|varchar|text|string/i.test(type);
const isTime = (type: string) => /timestamp|date/i.test(type);
function shown(value: Cell): string {
  if (value == null) return 'null';
  if (typeof value === 'object') return JSON.stringify(value);
  return typeof value === 'number' && Number.isInteger(value) ? count(value) : String(value);
}

function AsTable({ data: { columns, rows, truncated, rows_max } }: { data: SqlResult }) {
  return (
    <>
      <table>
        <thead><tr>{columns.map((column) => <th key={column.name} scope="col" class={isNumber(column.type) ? 'number' : undefined}>{column.name}<small>{column.type}</small></th>)}</tr></thead>
        <tbody>{rows.slice(0, ROWS_SHOWN).map((row, index) => <tr key={index}>{row.map((value, place) => <td key={place} class={[isNumber(columns[place]?.type ?? '') ? 'number' : '', value == null ? 'null' : ''].join(' ').trim() || undefined}>{shown(value)}</td>)}</tr>)}</tbody>
      </table>
      {!rows.length && <p class="notice">No rows. Tables hold what was published; “Publish first, then run” brings them up to now.</p>}
      {rows.length > ROWS_SHOWN && <p class="notice">The first {ROWS_SHOWN} rows{truncated ? ` of more than the ${count(rows_max)} that a result may have` : '; CSV has all'}.</p>}
    </>
  );
}

// Values of one column over time, a line for each value of a text column. What is not in the answer is a gap: no line goes over a missing
// interval, an interval being the least step of that line.
export function linesOf(rows: { at: number; name: string; value: number | null }[]): { x: number[]; series: Series[]; twice: number } {
  const byName = new Map<string, Map<number, number | null>>();
  let twice = 0;
  for (const { at, name, value } of rows) {
    const line = byName.get(name) ?? new Map<number, number | null>();
    byName.set(name, line);
    if (line.has(at)) twice += 1;
    line.set(at, value);
  }
  for (const line of byName.values()) {
    const times = [...line.keys()].sort((a, b) => a - b);
    const step = Math.min(...times.slice(1).map((time, at) => time - times[at]!));
    times.slice(1).forEach((time, at) => { if (time - times[at]! > 1.5 * step) line.set(times[at]! + step, null); });
  }
  const x = [...new Set([...byName.values()].flatMap((line) => [...line.keys()]))].sort((a, b) => a - b);
  return { x, twice, series: [...byName].map(([name, line]) => ({ name, values: x.map((time) => line.get(time)) })) };
}

// A number over the first time or day, by the first text; else the number by the first text.
function AsChart({ data: { columns, rows }, asked }: { data: SqlResult; asked: string | null }) {
  const [time, text] = [columns.findIndex(({ type }) => isTime(type)), columns.findIndex(({ type }) => isText(type))];
  const numbers = columns.flatMap(({ name, type }, place) => (isNumber(type) ? [{ name, place }] : []));
  const chosen = numbers.find(({ name }) => name === asked) ?? numbers[0];
  const number = (value: Cell | undefined) => (value == null ? null : Number(value));
  const lines = useMemo(() => {
    if (time < 0 || !chosen) return null;
    return linesOf(rows.flatMap((row) => (row[time] == null ? [] : [{ at: Date.parse(String(row[time])) / 1000, name: text >= 0 ? shown(row[text] ?? null) : chosen.name, value: number(row[chosen.place]) }])));
  }, [rows, chosen?.place]);
  if (!chosen || !rows.length) return <p class="notice">A chart needs rows with a number, over a time or by a name.</p>;
  const first = chosen.place;
  const pick = numbers.length > 1 && <p class="facts"><label>Number <select id="y" onChange={(event) => go({ y: event.currentTarget.value }, true)}>{numbers.map(({ name, place }) => <option key={place} value={name} selected={place === first}>{name}</option>)}</select></label></p>;
  if (lines) {
    return (
      <>
        {pick}
        <Plot high={320} label={`${chosen.name} over time`} civilDays={/date/i.test(columns[time]?.type ?? '')} x={lines.x} text={(value) => hundredths(value).replace(/\.00$/, '')} series={lines.series.slice(0, SERIES_MAX)} />
        {lines.series.length > SERIES_MAX && <p class="notice">{many(lines.series.length, 'line')} by {columns[text]?.name}; the first {SERIES_MAX} are drawn.</p>}
        {lines.twice > 0 && <p class="notice">{many(lines.twice, 'row has', 'rows have')} the time of another on the same line; the last is drawn.</p>}
      </>
    );
  }
  const most = Math.max(...rows.slice(0, BARS_SHOWN).map((row) => Math.abs(number(row[first]) ?? 0)), 1e-9);
  return (
    <>{pick}<table class="bars">
      <caption>{columns[first]?.name} by {text >= 0 ? columns[text]?.name : 'row'}</caption>
      <tbody>{rows.slice(0, BARS_SHOWN).map((row, index) => (
        <tr key={index}><th scope="row">{text >= 0 ? shown(row[text] ?? null) : index + 1}</th><td><i style={{ width: `${(100 * Math.abs(number(row[first]) ?? 0)) / most}%` }} /></td><td class="number">{shown(row[first] ?? null)}</td></tr>
      ))}</tbody>
    </table></>
  );
}
