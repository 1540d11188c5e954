// The network as a tree with loss bars. Siblings keep their order until asked; values change in place.

import { ask, failed, node as nodePath } from '/ui/api.js';
import { el, glyph, lossBar, lossText, mark } from '/ui/format.js';

// `onSelect(id)`; `day()` gives the day of the figures.
export function tree({ root, onSelect, day }) {
  const items = new Map();
  let selected = null;

  const fetchChildren = async (id) => (await ask(nodePath(id ?? '-', '/children', { day: day() }))).nodes;

  function item(row, level) {
    const element = el('li', { role: 'treeitem', 'aria-level': level, tabindex: '-1', 'aria-expanded': row.children ? 'false' : null, 'aria-selected': 'false', 'data-id': row.node_id });
    const line = el('div', { class: 'row' });
    element.append(line);
    const entry = { element, line, row, level, group: null };
    items.set(row.node_id, entry);
    line.addEventListener('click', (event) => {
      if (event.target.closest('.caret')) toggle(entry);
      else { onSelect(row.node_id); if (row.children) expand(entry); }
    });
    fill(entry, row);
    return element;
  }

  function fill(entry, row) {
    entry.row = row;
    entry.line.dataset.attention = row.attention;
    entry.line.title = `${row.name} (${row.node_id}): loss ${lossText(row)}${row.not_shown_because ? ', ' + row.not_shown_because : ''}`;
    const value = row.loss_shown ? lossText(row) : row.loss_high_pct == null ? '–' : `≤ ${Math.round(row.loss_high_pct)} %`;
    entry.line.replaceChildren(
      el('span', { class: 'caret', 'aria-hidden': 'true' }, row.children ? '▸' : ''),
      glyph(row.kind),
      el('span', { class: 'name' }, row.name),
      lossBar(row),
      el('span', { class: row.loss_shown ? 'value' : 'value band' }, value),
      mark(row.attention),
    );
  }

  async function expand(entry) {
    if (!entry.row.children) return;
    entry.element.setAttribute('aria-expanded', 'true');
    if (entry.group) { entry.group.hidden = false; return; }
    entry.group = el('ul', { role: 'group' }, el('li', { class: 'more' }, '…'));
    entry.element.append(entry.group);
    try {
      const rows = await fetchChildren(entry.row.node_id);
      entry.group.replaceChildren(...rows.map((row) => item(row, entry.level + 1)));
      mark_selected();
    } catch (problem) {
      entry.group.replaceChildren(el('li', { class: 'more' }, failed(problem, () => { entry.group.remove(); entry.group = null; expand(entry); })));
    }
  }

  function collapse(entry) {
    entry.element.setAttribute('aria-expanded', 'false');
    if (entry.group) entry.group.hidden = true;
  }
  const toggle = (entry) => (entry.element.getAttribute('aria-expanded') === 'true' ? collapse(entry) : expand(entry));

  function mark_selected() {
    for (const [id, entry] of items) {
      entry.element.setAttribute('aria-selected', String(id === selected));
      entry.element.tabIndex = -1;
    }
    const stop = items.get(selected) ?? items.values().next().value;
    if (stop) stop.element.tabIndex = 0;
  }

  const visible = () => [...root.querySelectorAll('[role="treeitem"]')].filter((element) => element.offsetParent !== null);
  root.addEventListener('keydown', (event) => {
    const element = event.target.closest('[role="treeitem"]');
    if (!element) return;
    const entry = items.get(element.dataset.id);
    const all = visible();
    const at = all.indexOf(element);
    const focus = (target) => target && (element.tabIndex = -1, target.tabIndex = 0, target.focus());
    const open = element.getAttribute('aria-expanded') === 'true';
    const keys = {
      ArrowDown: () => focus(all[at + 1]),
      ArrowUp: () => focus(all[at - 1]),
      Home: () => focus(all[0]),
      End: () => focus(all[all.length - 1]),
      ArrowRight: () => (open ? focus(all[at + 1]) : expand(entry)),
      ArrowLeft: () => (open ? collapse(entry) : focus(element.parentElement.closest('[role="treeitem"]'))),
      Enter: () => onSelect(entry.row.node_id),
      ' ': () => onSelect(entry.row.node_id),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  // New values into the rows that are open; at most `limit` requests, so that a wide-open tree does not flood the server.
  async function refresh(limit = 8) {
    const open = [...items.values()].filter((entry) => entry.group && !entry.group.hidden && entry.element.offsetParent !== null);
    const asked = [null, ...open.slice(0, limit).map((entry) => entry.row.node_id)];
    for (const id of asked) {
      const rows = await fetchChildren(id).catch(() => []);
      for (const row of rows) { const entry = items.get(row.node_id); if (entry) fill(entry, row); }
    }
  }

  // Builds the tree anew, opened as it was, siblings worst first.
  async function load() {
    const open = new Set([...items].filter(([, entry]) => entry.element.getAttribute('aria-expanded') === 'true').map(([id]) => id));
    const rows = await fetchChildren(null);
    items.clear();
    root.replaceChildren(...rows.map((row) => item(row, 1)));
    const reopen = async (rows) => {
      for (const row of rows) {
        if (!open.has(row.node_id) && !(rows.length === 1 && row.children)) continue;
        const entry = items.get(row.node_id);
        await expand(entry);
        await reopen([...(entry.group?.children ?? [])].map((child) => items.get(child.dataset.id)?.row).filter(Boolean));
      }
    };
    await reopen(rows);
    mark_selected();
    return rows;
  }

  // Opens the way to a node and marks it.
  async function select(id, ancestors = []) {
    selected = id;
    for (const above of ancestors) { const entry = items.get(above.node_id); if (entry) await expand(entry); }
    mark_selected();
    reveal(items.get(id)?.line);
  }

  // Within the tree only: the page itself stays where it is.
  function reveal(line) {
    if (!line || root.scrollHeight <= root.clientHeight) return;
    const [box, own] = [root.getBoundingClientRect(), line.getBoundingClientRect()];
    if (own.top < box.top) root.scrollTop -= box.top - own.top;
    if (own.bottom > box.bottom) root.scrollTop += own.bottom - box.bottom;
  }

  return { load, refresh, select };
}
