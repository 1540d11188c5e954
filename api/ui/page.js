// The page: what is where, what is selected (in the address), what is live.

import { ask, failed, listen } from '/ui/api.js';
import { age, band, change, clockText, count, dayBefore, dayOf, dayText, el, glyph, lossText, mark, minuteText, percent, plural, trust, uncertain, WORDS } from '/ui/format.js';
import { nodeView, RANGES } from '/ui/node.js';
import { sqlBox } from '/ui/sql.js';
import { tree } from '/ui/tree.js';

const $ = (id) => document.getElementById(id);
const REFRESH_MS = 5000;
const STALE_SECONDS = 6;

let summary = null;
let detail = null;
let dirty = false;
let busy = false;

// --- The address: #node=F1&range=48h&day=yesterday&from=…&to=… ---
const hash = () => new URLSearchParams(location.hash.slice(1));
function go(changes) {
  const next = hash();
  for (const [key, value] of Object.entries(changes)) value == null ? next.delete(key) : next.set(key, value);
  location.hash = next.toString();
}
const dayAsked = () => {
  const day = hash().get('day');
  if (!day || day === 'today' || !summary) return null;
  return day === 'yesterday' ? dayBefore(summary.day) : day;
};
function place() {
  const at = hash();
  return {
    node: at.get('node') ?? summary?.roots[0]?.node_id ?? null,
    range: RANGES[at.get('range')] ? at.get('range') : '48h',
    day: dayAsked(),
    from: at.get('from'),
    to: at.get('to'),
    threshold: summary?.coverage_threshold_pct ?? 95,
    // Days are asked for from a civil day on, intervals from an instant on, both by the configured clock.
    begin: (days, resolution) => {
      if (!summary) return null;
      if (resolution === 'day') { let day = summary.day; for (let back = 1; back < days; back += 1) day = dayBefore(day); return day; }
      return new Date(Date.parse(summary.now) - days * 864e5).toISOString().slice(0, 19) + 'Z';
    },
  };
}

// On a narrow screen the node stands below the tree: go there.
function choose(node) {
  go({ node, from: null, to: null });
  if (matchMedia('(max-width: 900px)').matches) $('subject').scrollIntoView({ block: 'start' });
}
const view = nodeView({ root: $('subject'), place, go });
const network = tree({ root: $('tree'), onSelect: choose, day: dayAsked });
sqlBox($('sql'));

// --- Tiles ---
const tiles = {};
function buildTiles() {
  const names = { supply: 'Without supply', reads: 'Reads', loss: 'Loss today', complete: 'Completeness today', log: 'Durable log', tables: 'In the tables', size: 'Network', owed: 'Compensation owed' };
  for (const [key, name] of Object.entries(names)) {
    const tile = { value: el('span', { class: 'skeleton' }, '0000'), unit: el('small'), note: el('p', {}, '\u00a0') };
    tiles[key] = tile;
    $('tiles').append(el('div', { class: 'tile' }, el('h2', {}, name), el('strong', {}, tile.value, tile.unit), tile.note));
  }
}
function setTile(key, value, unit, ...note) {
  const tile = tiles[key];
  tile.value.classList.remove('skeleton');
  change(tile.value, value);
  tile.unit.textContent = unit ? '\u00a0' + unit : '';
  tile.note.replaceChildren(...note);
  tile.note.title = tile.note.textContent;
}
function fillTiles() {
  const { loss_today: loss, completeness_today: complete, lag, network: size } = summary;
  const { open_outages: open, consumers_without_supply: out } = summary;
  setTile('supply', count(out), out === 1 ? 'consumer' : 'consumers', open ? `${count(open)} ${open === 1 ? 'outage' : 'outages'} on` : 'no outage is on');
  setTile('reads', count(Math.round(summary.reads_per_second)), 'a second', `${count(summary.reads_applied)} applied`);
  const unit = loss.loss_shown ? '%' : loss.loss_high_pct == null ? '' : '%';
  const value = loss.loss_shown ? percent(loss.loss_pct).replace(' %', '') : band(loss.loss_low_pct, loss.loss_high_pct).replace(' %', '');
  const trusted = loss.coverage_pct == null ? [loss.not_shown_because ?? ''] : [trust(loss.coverage_pct, summary.coverage_threshold_pct), ` ${percent(loss.coverage_pct)} of reads · `];
  const about = loss.coverage_pct == null ? [] : [loss.loss_shown ? (uncertain(loss) ? band(loss.loss_low_pct, loss.loss_high_pct) : 'nothing missing') : loss.not_shown_because];
  setTile('loss', value, unit, ...trusted, ...about);
  setTile('complete', percent(complete.pct).replace(' %', ''), complete.pct == null ? '' : '%', `${count(complete.reported)} of ${count(complete.expected)}`, complete.estimated ? `, ${count(complete.estimated)} estimated` : '');
  setTile('log', count(summary.log_position), 'records', lag.records ? `${count(lag.records)} not applied yet` : 'all applied', ` · tick ${Math.round(lag.tick_ms)} ms`);
  setTile('tables', summary.published_at ? age(lag.published_seconds) : 'not yet', summary.published_at ? 'ago' : '', lag.records_unpublished ? `${count(lag.records_unpublished)} records newer than SQL shows` : 'SQL shows everything');
  const owed = summary.compensation_accrued_inr;
  setTile('owed', owed == null ? '–' : count(Math.round(Number(owed))), owed == null ? '' : 'Rs', owed == null ? 'no regulation is configured' : 'not credited yet');
  setTile('size', count(size.dts), plural('dt', size.dts), `${count(size.feeders)} ${plural('feeder', size.feeders)} · ${count(size.meters)} meters`, summary.quarantined ? ` · ${count(summary.quarantined)} in quarantine` : '');
}

// --- Header ---
function fillHeader() {
  $('clock').replaceChildren(clockText(summary.now), ' ', el('small', {}, dayText(dayOf(summary.now)), ' · ', summary.zone));
  $('clock').dateTime = summary.now;
  document.title = `${summary.roots[0]?.name ?? 'gridtally'} · loss ${lossText(summary.loss_today)}`;
  const day = hash().get('day') ?? 'today';
  document.querySelectorAll('[data-day]').forEach((button) => button.setAttribute('aria-pressed', String(button.dataset.day === day)));
}
function fillBreadcrumb() {
  const steps = [...(detail?.ancestors ?? []), ...(detail ? [detail] : [])];
  const parts = steps.flatMap((step, at) => {
    const last = at === steps.length - 1;
    const link = el('a', { href: address({ node: step.node_id }), title: step.name, 'aria-current': last ? 'page' : null }, step.name);
    return at ? [el('i', { 'aria-hidden': 'true' }, '▸'), link] : [link];
  });
  $('breadcrumb').replaceChildren(...parts);
}
const address = (changes) => {
  const next = hash();
  next.delete('from');
  next.delete('to');
  for (const [key, value] of Object.entries(changes)) next.set(key, value);
  return '#' + next.toString();
};
document.querySelectorAll('[data-day]').forEach((button) => button.addEventListener('click', () => go({ day: button.dataset.day === 'today' ? null : button.dataset.day })));

// --- Happening now: first the outages that are on ---
let outages = [];
let outagesAsked = false;
const SCOPES = { service_line: 'service line', dt: 'DT', feeder: 'feeder', substation: 'several feeders' };
// Asked for anew rather than patched: the list is short, and a page that was away has missed some.
async function loadOutages() {
  if (outagesAsked) return;
  outagesAsked = true;
  try { outages = (await ask('/api/v1/outages?status=open&limit=12')).outages; fillHappening(); }
  catch { /* The tile says how many there are; the next change asks again. */ }
  finally { outagesAsked = false; }
}
function onOutages(event) {
  dirty = true;
  $('pulse').textContent = `${count(event.changed)} ${event.changed === 1 ? 'outage' : 'outages'} · ${clockText(event.at)}`;
  loadOutages();
}
const estimated = (outages) => outages ? ` (estimate from ${count(outages)} past outages)` : '';
const outageCard = (outage) => el('li', { 'data-attention': 'investigate', 'data-outage': outage.outage_id },
  mark('investigate'),
  el('a', { href: address({ node: outage.node_id }) }, outage.node_name),
  el('time', {}, minuteText(outage.started_at)),
  el('p', {}, `${count(outage.consumers_affected - outage.consumers_restored)} without supply, ${SCOPES[outage.scope]}`,
    outage.class === 'BREAKDOWN' ? '' : `, ${outage.class.toLowerCase().replaceAll('_', ' ')}`,
    outage.consumers_restored ? `, ${count(outage.consumers_restored)} back` : '',
    outage.cause ? ` · ${outage.cause}` : '',
    outage.etr ? ` · back about ${minuteText(outage.etr)}${estimated(outage.etr_outages)}` : ''));

// --- Then feeders whose loss came to ask for something else than before ---
const seen = new Map();
let cards = [];
function onBalances(event) {
  dirty = true;
  $('pulse').textContent = `${count(event.changed)} balances · ${clockText(event.at)}`;
  for (const feeder of event.feeders) {
    const key = feeder.dts_to_investigate ? 'dts' : feeder.attention;
    const before = seen.get(feeder.node_id);
    seen.set(feeder.node_id, key);
    const asks = key === 'dts' || ['watch', 'investigate', 'negative'].includes(feeder.attention);
    const card = cards.find((card) => card.id === feeder.node_id);
    if (card) Object.assign(card, { feeder, at: event.at, over: !asks });
    else if (asks && before !== key) cards.unshift({ id: feeder.node_id, feeder, at: event.at, over: false });
  }
  // What asks for more stands first; among equals the order stays.
  const weight = { investigate: 0, negative: 1, watch: 2, unknown: 3, normal: 4 };
  cards.sort((a, b) => a.over - b.over || weight[a.feeder.attention] - weight[b.feeder.attention]);
  cards = cards.slice(0, 24);
  fillHappening();
}
function fillHappening() {
  if (!cards.length && !outages.length) {
    const text = summary && !summary.roots.length ? 'Events appear here once meters publish.' : 'No feeder has come to ask for attention since this page was opened.';
    $('happening').replaceChildren(el('li', { class: 'calm' }, el('span'), el('span', {}, text)));
    return;
  }
  $('happening').replaceChildren(...outages.map(outageCard), ...cards.map(({ feeder, over }) => el('li', { 'data-attention': feeder.attention },
    mark(feeder.attention),
    el('a', { href: address({ node: feeder.node_id }) }, feeder.name),
    el('time', {}, minuteText(feeder.interval_end)),
    el('p', {}, over ? 'calm again: ' : '', `loss ${feeder.loss_pct == null ? band(feeder.loss_low_pct, feeder.loss_high_pct) : percent(feeder.loss_pct)}, ${WORDS[feeder.attention]}`,
      feeder.dts_to_investigate ? ` · ${feeder.dts_to_investigate} DT${feeder.dts_to_investigate > 1 ? 's' : ''} to investigate` : '',
      feeder.worst_dt && feeder.dts_to_investigate ? el('span', {}, ', worst ', el('a', { href: address({ node: feeder.worst_dt.node_id }) }, feeder.worst_dt.name), ` ${percent(feeder.worst_dt.loss_pct)}`) : ''),
  )));
}

// --- Data quality of the node ---
async function fillQuality() {
  const { node, day } = place();
  if (!node) return;
  try {
    const query = new URLSearchParams({ node, ...(day ? { day } : {}) });
    const quality = await ask('/api/v1/data-quality?' + query);
    $('quality-day').textContent = dayText(quality.day);
    const rows = [['Expected so far', quality.expected], ['Reported', quality.reported], ['Estimated', quality.estimated], ['Missing', quality.missing], ['Reported missing by their source', quality.exceptions_open]];
    const waiting = Object.entries(quality.quarantined).map(([reason, number]) => [`In quarantine: ${reason.replaceAll('_', ' ')}`, number]);
    $('quality').replaceChildren(el('dl', {}, trust(quality.completeness_pct, summary.coverage_threshold_pct),
      el('dt', {}, 'Complete'), el('dd', {}, percent(quality.completeness_pct)),
      ...[...rows, ...waiting].flatMap(([name, number]) => [el('dt', {}, name), el('dd', {}, count(number))])));
  } catch (problem) { $('quality').replaceChildren(failed(problem, fillQuality)); }
}

// --- Search ---
function buildSearch() {
  const [input, list] = [$('search'), $('found')];
  let found = [];
  let at = -1;
  let timer = 0;
  const close = () => { list.hidden = true; input.setAttribute('aria-expanded', 'false'); input.removeAttribute('aria-activedescendant'); at = -1; };
  const pick = (node) => { if (node) { close(); input.value = ''; input.blur(); go({ node: node.node_id, from: null, to: null }); } };
  const point = (next) => {
    at = next;
    [...list.children].forEach((item, index) => item.setAttribute('aria-selected', String(index === at)));
    if (at >= 0) input.setAttribute('aria-activedescendant', `found-${at}`);
  };
  input.addEventListener('input', () => {
    clearTimeout(timer);
    const text = input.value.trim();
    if (!text) { close(); return; }
    timer = setTimeout(async () => {
      try {
        found = (await ask(`/api/v1/nodes?${new URLSearchParams({ q: text, limit: 12 })}`)).nodes;
        if (input.value.trim() !== text) return;
        const items = found.map((node, index) => el('li', { role: 'option', id: `found-${index}`, 'aria-selected': 'false', onpointerdown: (event) => { event.preventDefault(); pick(node); } }, glyph(node.kind), node.name, el('span', { class: 'id' }, node.node_id)));
        list.replaceChildren(...(items.length ? items : [el('li', {}, 'No node has this in its id or name.')]));
      } catch (problem) { list.replaceChildren(el('li', {}, failed(problem))); }
      list.hidden = false;
      input.setAttribute('aria-expanded', 'true');
      point(found.length ? 0 : -1);
    }, 120);
  });
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') { event.preventDefault(); point(Math.min(found.length - 1, at + 1)); }
    else if (event.key === 'ArrowUp') { event.preventDefault(); point(Math.max(0, at - 1)); }
    else if (event.key === 'Enter') pick(found[at]);
    else if (event.key === 'Escape') { close(); input.blur(); }
  });
  input.addEventListener('blur', close);
  document.addEventListener('keydown', (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? '');
    if ((event.key === '/' && !typing) || (event.key === 'k' && (event.ctrlKey || event.metaKey))) { event.preventDefault(); input.focus(); input.select(); }
  });
}

// --- Empty network ---
function empty() {
  $('tree').replaceChildren(el('li', { class: 'more' }, 'No nodes yet.'));
  $('subject').replaceChildren(el('div', { class: 'notice' }, el('b', {}, 'No network yet'),
    'Balances need to know which consumer hangs on which DT and feeder. Import nodes, meters and connections; what unknown meters have sent so far waits in quarantine and counts at once.',
    el('code', {}, 'gridtally import ./master-data        # nodes.csv, meters.csv, connections.csv\ngridtally demo                        # or: a synthetic discom to look at')));
  $('quality').replaceChildren(el('p', { class: 'notice' }, 'Completeness appears with the network.'));
}

// --- What is selected ---
async function show() {
  if (!summary) return;
  fillHeader();
  if (!summary.roots.length && !hash().get('node')) { empty(); return; }
  detail = await view.load();
  fillBreadcrumb();
  fillQuality();
  if (detail) network.select(detail.node_id, detail.ancestors);
}

async function refresh() {
  if (!dirty || busy || document.hidden || !summary) return;
  dirty = false;
  busy = true;
  try {
    if (!summary.roots.length) return;
    // Nothing is there yet when the page opened before the network, or before the server answered.
    if ($('tree').querySelector('[role="treeitem"]')) await network.refresh();
    else await network.load();
    if (!hash().get('from')) { detail = await view.load(); fillBreadcrumb(); fillQuality(); }
  } catch { dirty = true; } finally { busy = false; }
}

async function begin() {
  try {
    summary = await ask('/api/v1/summary');
    fillTiles();
    fillHappening();
    loadOutages();
    if (summary.roots.length) await network.load(); else empty();
    await show();
  } catch (problem) {
    $('subject').replaceChildren(failed(problem, begin));
  }
}

buildTiles();
buildSearch();
addEventListener('hashchange', show);
addEventListener('hashchange', (() => { let day = hash().get('day'); return () => { if (hash().get('day') !== day) { day = hash().get('day'); network.refresh(); } }; })());
$('resort').addEventListener('click', () => network.load().then(() => detail && network.select(detail.node_id, detail.ancestors)));
setInterval(refresh, REFRESH_MS);

const silence = listen({
  onSummary: (next) => {
    const first = !summary || (!summary.roots.length && next.roots.length) || next.day !== summary.day;
    summary = next;
    fillTiles();
    fillHeader();
    if (first) { dirty = true; refresh(); }
  },
  onBalances,
  onOutages,
  onReset: () => { dirty = true; seen.clear(); loadOutages(); },
  onOpen: () => { dirty = true; },
});
setInterval(() => {
  const seconds = silence();
  const [name, text] = seconds == null ? ['connecting', 'connecting'] : seconds > STALE_SECONDS ? ['stale', `stale ${age(seconds)}`] : ['live', `live ${age(seconds)}`];
  $('live').dataset.state = name;
  $('live').lastElementChild.textContent = text;
  document.body.classList.toggle('stale', name === 'stale');
}, 500);
begin();
