// The page: the bar on top, the scope at the left, the subject in the middle, the evidence at the right.

import { useEffect, useRef } from 'preact/hooks';

import { href, to, useAddress, VIEWS, type View } from './address';
import { useRefused } from './access';
import { nodePath, useAsk } from './api';
import { Audit } from './audit';
import { Breadcrumb, Clock, Live, Search, Views, When } from './bar';
import { Compensation } from './compensation';
import { Consumer } from './consumer';
import { dayOf, dayPlus, isDay, lossText, when } from './format';
import { Happening, useOpenOutages } from './happening';
import { useFacts } from './live';
import { NetworkMap } from './map';
import { NodeView } from './node';
import { Evidence, Outages, OutageView, useOutage } from './outages';
import { Overview } from './overview';
import { Failed, Ghost, Guard, Notice, Since } from './parts';
import { DataQuality, QualityCard } from './quality';
import { Reports } from './reports';
import { Revenue } from './revenue';
import { SignIn } from './signin';
import { SqlConsole } from './sql';
import { Tiles } from './tiles';
import { Tree } from './tree';
import type { NodeDetail, Summary } from './types';

// The civil day asked for; null: today.
function dayAsked(at: URLSearchParams, facts: Summary | null): string | null {
  const [day, asOf] = [at.get('day'), at.get('as_of')];
  if (!facts) return null;
  // As it stood then: of that day.
  if (!day && asOf) return dayOf(asOf);
  if (!day || day === 'today') return null;
  return day === 'yesterday' ? dayPlus(facts.day, -1) : isDay(day) ? day : null;
}
const viewOf = (at: URLSearchParams): View => VIEWS.find(([view]) => view === at.get('view'))?.[0] ?? 'network';

export function App() {
  const because = useRefused();
  const at = useAddress();
  return <Guard place={at.toString()}>{because == null ? <Page /> : <SignIn because={because} />}</Guard>;
}

function Page() {
  const at = useAddress();
  const facts = useFacts();
  const view = viewOf(at);
  const root = facts?.roots[0] ?? null;
  const node = at.get('node');
  const day = dayAsked(at, facts);
  const asOf = at.get('as_of');
  const outage = useOutage(view === 'outages' ? at.get('outage') : null);
  // An outage looked at closely is at its node.
  const struck = view === 'outages' && at.get('outage') && outage.data?.outage_id === at.get('outage') ? outage.data.node_id : null;
  const shown = struck ?? node ?? root?.node_id ?? null;
  const asked = useAsk<NodeDetail>(shown && facts ? nodePath(shown, '', { day }) : null, 'tick');
  const detail = asked.data?.node_id === shown ? asked.data : null;
  const rootAsked = useAsk<NodeDetail>(root ? nodePath(root.node_id) : null, 'slow');
  const open = useOpenOutages();
  const outages = open.data?.outages ?? [];
  const out = new Map<string, number>();
  for (const outage of outages) out.set(outage.node_id, (out.get(outage.node_id) ?? 0) + outage.consumers_affected - outage.consumers_restored);
  const isEmpty = facts != null && !facts.roots.length && !node;
  const titles: Partial<Record<View, string>> = Object.fromEntries(VIEWS.filter(([name]) => name !== 'network'));
  const subject = titles[view] ?? (detail && node ? `${detail.name} · loss ${lossText(detail)}` : detail ? `${detail.name} · loss ${lossText(detail)}` : 'gridtally');
  useEffect(() => { document.title = titles[view] ? `${subject} · gridtally` : subject; }, [subject]);
  const moved = useRef(false);
  useEffect(() => {
    // On a phone what was chosen stands below tiles and tree.
    const subject = document.getElementById('subject');
    if (moved.current && matchMedia('(max-width: 900px)').matches && (node || view !== 'network')) subject?.scrollIntoView({ block: 'start' });
    else scrollTo(0, 0);
    moved.current = true;
  }, [view, node, at.get('outage'), at.get('consumer')]);

  const hasFigures = view === 'network' || view === 'revenue' || view === 'audit' || view === 'reports';
  const hasScope = view !== 'sql' && view !== 'consumer';
  return (
    <>
      <a class="skip" href="#subject" onClick={(event) => { event.preventDefault(); document.getElementById('subject')?.focus(); }}>To the content</a>
      <header class="bar">
        <a class="brand" href="#" aria-label="gridtally: overview"><img src="/ui/icon.svg" alt="" width="20" height="20" /><b>gridtally</b></a>
        <Search /><When at={at} /><Clock /><Live />
      </header>
      <Views now={view} />
      <Breadcrumb detail={node || struck ? detail : null} all={root} />
      {asOf && (view === 'network' || view === 'reports' ? (
        <p class="then" role="status">As it stood published on <b>{when(asOf)}</b>. {view === 'network' ? 'Outages, tree, map and data quality stay live.' : 'The tree stays live.'} <a href={href({ as_of: null })}>Back to now</a></p>
      ) : (
        <p class="then" role="status">This view shows now: as of {when(asOf)} holds for Energy and Reports. <a href={to('network')}>Energy as it stood</a> · <a href={href({ as_of: null })}>Back to now</a></p>
      ))}
      {(view === 'network' || view === 'outages') && !asOf && <Tiles target={rootAsked.data?.allowable_loss_pct ?? null} root={root?.node_id ?? null} />}
      <main class={hasScope ? view === 'network' || view === 'outages' ? 'three' : 'two' : 'one'} data-view={view}>
        {hasScope && <aside class="network" aria-labelledby="network-title"><Tree selected={shown} above={detail?.ancestors.map((one) => one.node_id) ?? []} day={day} out={new Set(out.keys())} /></aside>}
        <article id="subject" tabIndex={-1}><Guard place={at.toString()}>
          {hasFigures && <Since of={{ ...asked, data: detail }} />}
          {isEmpty && hasScope ? <Empty /> : view === 'sql' ? <SqlConsole at={at} /> : view === 'consumer' ? <Consumer at={at} />
            : !facts ? <Ghost high={640} />
              : view === 'outages' ? at.get('outage') ? <OutageView asked={outage} /> : <Outages at={at} node={node} />
                : view === 'revenue' || view === 'audit' || view === 'reports' ? asked.problem && !detail ? <Failed problem={asked.problem} again={asked.again} />
                  : view === 'revenue' ? <Revenue key={shown ?? ''} at={at} detail={detail} /> : view === 'audit' ? <Audit at={at} detail={detail} /> : <Reports at={at} detail={detail} />
                : view === 'compensation' ? <Compensation at={at} node={node} />
                  : view === 'quality' ? <DataQuality at={at} node={node} day={day} />
                    : asked.problem && !detail ? <Failed problem={asked.problem} again={asked.again} />
                      : !node && !asOf ? detail ? <Overview at={at} facts={facts} root={detail} day={day} out={out} /> : <Ghost high={640} />
                        : <NodeView key={shown ?? ''} at={at} place={{ node: shown ?? '', day, asOf, facts }} detail={detail} ask={asked} />}
        </Guard></article>
        {(view === 'network' || view === 'outages') && (
          <aside class="evidence">
            {view !== 'outages' ? <Happening asked={open} /> : at.get('outage') ? outage.data && <><Evidence outage={outage.data} />{detail && struck && <WhereOut node={detail.kind === 'dt' ? detail.parent_id : struck} out={out} selected={struck} />}</> : <WhereOut node={node} out={out} />}
            {view === 'network' && !isEmpty && <QualityCard node={shown} day={day} threshold={facts?.coverage_threshold_pct ?? 95} isThen={asOf != null} />}
          </aside>
        )}
      </main>
      <Footer />
    </>
  );
}

// Where consumers are without supply.
const WhereOut = ({ node, out, selected = null }: { node: string | null; out: Map<string, number>; selected?: string | null }) => (
  <section aria-labelledby="where-title">
    <header><h2 id="where-title">Where</h2><span>a ring: without supply</span></header>
    <NetworkMap under={node} day={null} high={280} out={out} selected={selected} />
  </section>
);

function Empty() {
  return (
    <Notice title="No network yet">
      Balances need to know which consumer hangs on which DT and feeder. Import nodes, meters and connections; what unknown meters have sent so far waits in quarantine and counts at once.
      <code>{'gridtally import ./master-data        # nodes.csv, meters.csv, connections.csv\ngridtally demo                        # or: a synthetic discom to look at'}</code>
    </Notice>
  );
}

const LEGEND: [string, string][] = [['normal', 'normal, below 6 %'], ['watch', 'watch, 6 to 15 %'], ['investigate', 'investigate, above 15 %'], ['negative', 'negative, below −3 %: mapping or multiplier'], ['unknown', 'not shown: too few reads']];
const Footer = () => (
  <footer>
    <span class="legend">{LEGEND.map(([state, words]) => <span key={state} class="state" data-attention={state}><svg class="mark" data-attention={state} aria-hidden="true"><use href={`#mark-${state}`} /></svg>{words}</span>)}</span>
  </footer>
);
