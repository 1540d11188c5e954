// The view of one node: where does the energy go?

import { ask, failed, node as nodePath } from '/ui/api.js';
import { chart } from '/ui/chart.js';
import { flow } from '/ui/flow.js';
import { band, count, dayText, el, energyText, glyph, KINDS, lossBar, lossText, percent, plural, state, trust, uncertain } from '/ui/format.js';

export const RANGES = { '24h': ['24 h', 1, 'interval'], '48h': ['48 h', 2, 'interval'], '7d': ['7 days', 7, 'interval'], '31d': ['31 days', 31, 'day'] };

// `place()` gives { node, range, day, from, to }; `go(changes)` changes it.
export function nodeView({ root, place, go }) {
  let shown = null;
  let parts = null;
  let asked = 0;

  function build(detail) {
    const drawing = chart({ onZoom: (from, to) => go(from ? { from, to } : { from: null, to: null }) });
    parts = {
      head: el('div'),
      flow: el('section', { class: 'block' }),
      drawing,
      ranges: el('div', { class: 'ranges', role: 'group', 'aria-label': 'Span of the chart' }),
      total: el('p'),
      below: el('section', { class: 'block' }),
      order: [],
    };
    const keys = el('div', { class: 'keys', 'aria-hidden': 'true' },
      el('span', {}, el('i', { class: 'k-loss' }), 'loss, left scale'), el('span', {}, el('i', { class: 'k-band' }), 'band in which it lies'),
      el('span', {}, el('i', { class: 'k-input' }), 'input, right scale'), el('span', {}, el('i', { class: 'k-low' }), 'coverage below the threshold'));
    const over = el('section', { class: 'block' }, el('header', {}, el('h2', {}, 'Loss over time'), parts.total, parts.ranges), drawing.root, keys);
    root.replaceChildren(parts.head, parts.flow, over, parts.below);
    shown = detail.node_id;
  }

  function fillHead(detail) {
    const kind = KINDS[detail.kind] ?? 'node';
    const facts = [kind === 'DT' ? 'distribution transformer' : kind, detail.children ? `${count(detail.children)} below` : null,
      detail.capacity_kva ? `${count(detail.capacity_kva)} kVA` : null, detail.area_class, detail.allowable_loss_pct != null ? `target ${percent(detail.allowable_loss_pct)}` : null];
    parts.head.replaceChildren(
      el('div', { class: 'title' }, glyph(detail.kind), el('h1', {}, detail.name), el('span', { class: 'id' }, detail.node_id), state(detail.attention)),
      el('p', { class: 'facts' }, ...facts.filter(Boolean).map((fact) => el('span', {}, fact))),
    );
    const bound = detail.loss_shown && uncertain(detail) ? `, ${band(detail.loss_low_pct, detail.loss_high_pct)} whatever the missing meters carried` : '';
    const trusted = detail.coverage_pct == null ? '' : `${percent(detail.coverage_pct)} of reads here${bound}`;
    parts.flow.replaceChildren(
      el('header', {}, el('h2', {}, `Energy, ${dayText(detail.day)}`), el('p', {}, trust(detail.coverage_pct, place().threshold), ' ', trusted)),
      flow(detail, root.clientWidth - 32),
      detail.loss_shown || detail.coverage_pct == null ? '' : el('p', { class: 'notice' }, `The loss is not shown as one number: ${detail.not_shown_because}.`),
    );
  }

  function fillRanges() {
    const { range, from } = place();
    const buttons = Object.entries(RANGES).map(([key, [text]]) =>
      el('button', { type: 'button', 'aria-pressed': String(key === range && !from), onclick: () => go({ range: key, from: null, to: null }) }, text));
    if (from) buttons.push(el('button', { type: 'button', 'aria-pressed': 'true', onclick: () => go({ from: null, to: null }) }, 'zoomed ×'));
    parts.ranges.replaceChildren(...buttons);
  }

  function fillBelow(detail, rows) {
    if (!detail.children) { parts.below.replaceChildren(); return; }
    // The order stays while one looks; new nodes come last.
    const order = new Map(parts.order.map((id, at) => [id, at]));
    if (parts.order.length) rows.sort((a, b) => (order.get(a.node_id) ?? 1e9) - (order.get(b.node_id) ?? 1e9));
    parts.order = rows.map((row) => row.node_id);
    const number = (content, extra = '') => el('td', { class: 'number' + extra }, content);
    const body = rows.slice(0, 500).map((row) => el('tr', {},
      el('td', { class: 'node' }, el('a', { href: `#node=${encodeURIComponent(row.node_id)}`, title: row.node_id }, glyph(row.kind), el('span', {}, row.name))),
      number(lossText(row)),
      el('td', { class: 'less' }, lossBar(row)),
      number(row.loss_wh == null ? '–' : energyText(row.loss_wh), row.loss_wh == null ? ' null less' : ' less'),
      number(energyText(row.input_wh), ' less'),
      number(energyText(row.delivered_wh), ' optional'),
      el('td', { class: 'number' }, percent(row.coverage_pct), ' ', trust(row.coverage_pct, place().threshold)),
      el('td', {}, state(row.attention)),
    ));
    const heads = [['Name'], ['Loss', 1], ['', 0, 'less'], ['Lost', 1, 'less'], ['Input', 1, 'less'], ['Delivered', 1, 'optional'], ['Coverage', 1], ['State']];
    parts.below.replaceChildren(
      el('header', {}, el('h2', {}, `${count(rows.length)} ${plural(rows[0]?.kind, rows.length)} below, ${dayText(detail.day)}`),
        el('button', { type: 'button', onclick: () => { parts.order = []; load(); } }, 'Worst first')),
      el('div', { class: 'scroll' }, el('table', {}, el('thead', {}, el('tr', {}, ...heads.map(([text, isNumber, rank]) => el('th', { scope: 'col', class: (isNumber ? 'number' : '') + (rank ? ' ' + rank : '') }, text)))), el('tbody', {}, ...body))),
      rows.length > 500 ? el('p', { class: 'facts' }, 'The 500 worst are shown; /api/v1/nodes gives all.') : '',
    );
  }

  async function load() {
    const at = place();
    if (!at.node) return null;
    const mine = ++asked;
    if (shown !== at.node) root.replaceChildren(el('div', { class: 'skeleton block', 'aria-hidden': 'true' }, el('p', {}, '.'), flowGhost()));
    const [, days, resolution] = RANGES[at.range] ?? RANGES['48h'];
    const span = at.from ? { from: at.from, to: at.to, resolution: 'interval' } : { from: at.begin(days, resolution), resolution };
    try {
      const detail = await ask(nodePath(at.node, '', { day: at.day }));
      const [balance, below] = await Promise.all([
        ask(nodePath(at.node, '/balance', span)),
        detail.children ? ask(nodePath(at.node, '/children', { day: at.day })) : { nodes: [] },
      ]);
      if (mine !== asked) return detail;
      if (shown !== at.node || !parts) build(detail);
      fillHead(detail);
      fillRanges();
      parts.drawing.show(balance);
      parts.total.textContent = balance.rows.length ? `over the span: loss ${lossText(balance.total)}, input ${energyText(balance.total.input_wh)}` : 'no balance in this span yet';
      fillBelow(detail, below.nodes);
      return detail;
    } catch (problem) {
      if (mine === asked) {
        shown = null;
        root.replaceChildren(failed(problem, load));
      }
      return null;
    }
  }

  return { load, forget: () => { shown = null; asked += 1; } };
}

function flowGhost() {
  const ghost = el('div');
  ghost.style.height = '420px';
  return ghost;
}
