// A small SQL box: one reading statement, its rows as a table.

import { ask, failed } from '/ui/api.js';
import { clockText, count, el } from '/ui/format.js';

const ROWS_SHOWN = 500;

export function sqlBox(root) {
  const [form, query, answer, answered] = [root.querySelector('form'), root.querySelector('#query'), root.querySelector('#answer'), root.querySelector('#answered')];
  const [publish, download] = [root.querySelector('#publish'), root.querySelector('#download')];
  let last = null;

  const post = (format, options = {}) => ask('/api/v1/sql', {
    method: 'POST', body: JSON.stringify({ query: query.value, format }), ...options,
    headers: { 'content-type': 'application/json', accept: format === 'csv' ? 'text/csv' : 'application/json' },
  });

  async function run(fresh) {
    answered.textContent = 'running…';
    const started = performance.now();
    try {
      if (fresh) await ask('/api/v1/checkpoint', { method: 'POST' });
      const result = await post('json');
      last = query.value;
      download.disabled = false;
      const seconds = ((performance.now() - started) / 1000).toFixed(2);
      answered.textContent = `${count(result.rows.length)} rows${result.truncated ? ', cut at the limit' : ''} in ${seconds} s · as published ${clockText(result.published_at)}`;
      answer.replaceChildren(table(result));
    } catch (problem) {
      answered.textContent = '';
      answer.replaceChildren(failed(problem));
    }
  }

  form.addEventListener('submit', (event) => { event.preventDefault(); run(false); });
  publish.addEventListener('click', () => run(true));
  query.addEventListener('keydown', (event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(false); } });
  download.addEventListener('click', async () => {
    if (last == null) return;
    try {
      const blob = await (await post('csv', { raw: true })).blob();
      const link = el('a', { href: URL.createObjectURL(blob), download: 'gridtally.csv' });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (problem) { answer.replaceChildren(failed(problem)); }
  });
}

function table({ columns, rows }) {
  const isNumber = (type) => /int|float|double|decimal|numeric|real/i.test(type);
  const cell = (value, column) => {
    if (value == null) return el('td', { class: isNumber(column.type) ? 'number null' : 'null' }, 'null');
    const text = typeof value === 'object' ? JSON.stringify(value) : typeof value === 'number' && Number.isInteger(value) ? count(value) : String(value);
    return el('td', { class: isNumber(column.type) ? 'number' : '' }, text);
  };
  const head = el('tr', {}, ...columns.map((column) => el('th', { scope: 'col', class: isNumber(column.type) ? 'number' : '' }, column.name, el('small', {}, column.type))));
  const body = rows.slice(0, ROWS_SHOWN).map((row) => el('tr', {}, ...row.map((value, at) => cell(value, columns[at]))));
  const shown = el('table', {}, el('thead', {}, head), el('tbody', {}, ...body));
  if (!rows.length) return el('div', {}, shown, el('p', { class: 'notice' }, 'No rows. Tables hold what was published; “Publish first, then run” brings them up to now.'));
  return rows.length > ROWS_SHOWN ? el('div', {}, shown, el('p', { class: 'notice' }, `The first ${ROWS_SHOWN} rows; CSV has all.`)) : shown;
}
