// The network as a tree with loss bars: the scope of every view. Siblings keep their order until asked; values change in place.

import { useEffect, useRef, useState } from 'preact/hooks';

import { ask, nodePath, nowText, Problem } from './api';
import { atNode, open } from './address';
import { count, lossText, percent } from './format';
import { on } from './live';
import { Failed, Glyph, LossBar, Mark, Since } from './parts';
import type { NodeRow } from './types';

const TOP = '-';
// Open groups asked for anew at a time, so that a wide-open tree does not flood the server.
const GROUPS_MAX = 8;

// In few letters: −106 % of what came in and more is as good as said without the rest.
const shortLoss = (pct: number) => (Math.abs(pct) < 99.95 ? percent(pct) : pct < -999 ? '<\u00a0−999\u00a0%' : `${count(Math.round(pct))}\u00a0%`);

interface Held {
  rows: Map<string, NodeRow[]>;
  problems: Map<string, Problem>;
  // When rows were last answered, and why not since.
  since: string | null;
  late: Problem | null;
}

// `selected`: a node, with the nodes above it; `out`: nodes of outages that are on.
export function Tree({ selected, above, day, out }: { selected: string | null; above: string[]; day: string | null; out: Set<string> }) {
  const held = useRef<Held>({ rows: new Map(), problems: new Map(), since: null, late: null });
  const [expanded, setExpanded] = useState<Set<string>>(new Set());
  const [focused, setFocused] = useState<string | null>(null);
  const [, redraw] = useState(0);
  const root = useRef<HTMLUListElement>(null);
  const seen = useRef(expanded);
  seen.current = expanded;
  const asking = useRef(new Set<string>());

  // New values into rows that stand; new rows come last, those that are gone go. `sort`: worst first, as they come.
  const load = async (id: string, sort = false) => {
    if (asking.current.has(id)) return;
    asking.current.add(id);
    try {
      const { nodes } = await ask<{ nodes: NodeRow[] }>(nodePath(id, '/children', { day }));
      const before = held.current.rows.get(id);
      const order = new Map((sort ? [] : before ?? []).map((row, at) => [row.node_id, at]));
      const rows = order.size ? [...nodes].sort((a, b) => (order.get(a.node_id) ?? 1e9) - (order.get(b.node_id) ?? 1e9)) : nodes;
      held.current.rows.set(id, rows);
      held.current.problems.delete(id);
      held.current.since = nowText();
      held.current.late = null;
      const only = rows.length === 1 ? rows[0] : undefined;
      if (!before && only?.children) expand(only.node_id);
    } catch (error) {
      if (error instanceof Problem) { if (held.current.rows.has(id)) held.current.late = error; else held.current.problems.set(id, error); }
    }
    asking.current.delete(id);
    redraw((now) => now + 1);
  };
  const expand = (id: string) => {
    setExpanded((now) => (now.has(id) ? now : new Set([...now, id])));
    if (!held.current.rows.has(id)) void load(id);
  };
  const collapse = (id: string) => setExpanded((now) => new Set([...now].filter((other) => other !== id)));
  const refresh = async (sort: boolean) => {
    const groups = [TOP, ...[...seen.current].filter((id) => held.current.rows.has(id) || held.current.problems.has(id))].slice(0, sort ? undefined : GROUPS_MAX);
    for (const id of groups) await load(id, sort);
  };

  useEffect(() => { void refresh(false); return on('tick', () => void refresh(false)); }, [day]);
  useEffect(() => { for (const id of above) expand(id); }, [above.join()]);
  // Within the tree only: the page itself stays where it is.
  useEffect(() => {
    const [box, line] = [root.current, root.current?.querySelector('[aria-selected="true"] > .row')];
    if (!box || !line || box.scrollHeight <= box.clientHeight) return;
    const [around, own] = [box.getBoundingClientRect(), line.getBoundingClientRect()];
    if (own.top < around.top) box.scrollTop -= around.top - own.top;
    if (own.bottom > around.bottom) box.scrollTop += own.bottom - around.bottom;
  }, [selected]);

  const choose = (id: string) => {
    open(atNode(id));
    if (matchMedia('(max-width: 900px)').matches) document.getElementById('subject')?.scrollIntoView({ block: 'start' });
  };
  const visible: { row: NodeRow; level: number; parent: string }[] = [];
  const walk = (id: string, level: number) => {
    for (const row of held.current.rows.get(id) ?? []) {
      visible.push({ row, level, parent: id });
      if (expanded.has(row.node_id)) walk(row.node_id, level + 1);
    }
  };
  walk(TOP, 1);
  const stop = visible.some(({ row }) => row.node_id === (focused ?? selected)) ? focused ?? selected : visible[0]?.row.node_id;

  const keys = (event: KeyboardEvent) => {
    const at = visible.findIndex(({ row }) => row.node_id === (event.target as HTMLElement).dataset['id']);
    const here = visible[at];
    if (!here) return;
    const focus = (id: string | undefined) => {
      if (!id) return;
      setFocused(id);
      requestAnimationFrame(() => root.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"]`)?.focus());
    };
    const isOpen = expanded.has(here.row.node_id);
    const moves: Record<string, () => void> = {
      ArrowDown: () => focus(visible[at + 1]?.row.node_id),
      ArrowUp: () => focus(visible[at - 1]?.row.node_id),
      Home: () => focus(visible[0]?.row.node_id),
      End: () => focus(visible.at(-1)?.row.node_id),
      ArrowRight: () => (isOpen ? focus(visible[at + 1]?.row.node_id) : here.row.children ? expand(here.row.node_id) : undefined),
      ArrowLeft: () => (isOpen ? collapse(here.row.node_id) : focus(here.parent)),
      Enter: () => choose(here.row.node_id),
      ' ': () => choose(here.row.node_id),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  };

  const line = ({ row, level }: { row: NodeRow; level: number }) => {
    const isOpen = expanded.has(row.node_id);
    const value = row.loss_shown ? shortLoss(row.loss_pct ?? 0) : row.loss_high_pct == null || row.loss_high_pct > 100 ? '–' : `≤ ${count(Math.round(row.loss_high_pct))} %`;
    return (
      <li key={row.node_id} role="treeitem" aria-level={level} aria-expanded={row.children ? isOpen : undefined} aria-selected={row.node_id === selected}
        tabIndex={row.node_id === stop ? 0 : -1} data-id={row.node_id}>
        <div class="row" data-attention={row.attention} style={{ paddingLeft: `${4 + 6 * (level - 1)}px` }} title={`${row.name} (${row.node_id}): loss ${lossText(row)}${row.not_shown_because ? ', ' + row.not_shown_because : ''}`}
          onClick={(event) => {
            if ((event.target as Element).closest('.caret')) { if (isOpen) collapse(row.node_id); else expand(row.node_id); return; }
            choose(row.node_id);
            if (row.children) expand(row.node_id);
          }}>
          <span class="caret" aria-hidden="true">{row.children ? '▸' : ''}</span>
          <Glyph kind={row.kind} />
          <span class="name">{out.has(row.node_id) && <i class="out" role="img" aria-label="an outage is on" title="an outage is on" />}{row.name}</span>
          <LossBar of={row} />
          <span class={row.loss_shown ? 'value' : 'value band'}>{value}</span>
          <Mark of={row.attention} />
        </div>
      </li>
    );
  };

  // Groups that are open and could not be had; within a tree only its nodes may stand.
  const problems = [...held.current.problems].filter(([id]) => id === TOP || expanded.has(id));
  return (
    <>
      <header><h2 id="network-title">Network</h2><button id="resort" type="button" title="Order siblings by their loss as it is now" onClick={() => void refresh(true)}>Worst first</button></header>
      {problems.map(([id, problem]) => <Failed key={id} problem={problem} again={() => void load(id)} />)}
      <Since of={{ data: held.current, problem: held.current.late, since: held.current.since, again: () => void refresh(false) }} />
      <ul id="tree" ref={root} role="tree" aria-labelledby="network-title" onKeyDown={keys}>
        {visible.flatMap((item) => {
          const below = expanded.has(item.row.node_id) && item.row.children > 0;
          const waits = below && !held.current.problems.has(item.row.node_id) && !held.current.rows.has(item.row.node_id);
          return [line(item), waits && <li key={`wait ${item.row.node_id}`} class="more" role="none">…</li>];
        })}
      </ul>
    </>
  );
}
