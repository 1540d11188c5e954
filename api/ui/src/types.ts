// What the API answers, as far as the page uses it (openapi.json has all of it).

export type Attention = 'normal' | 'watch' | 'investigate' | 'negative' | 'unknown';

export interface Figures {
  input_wh: number | null;
  injected_wh: number | null;
  delivered_wh: number | null;
  loss_wh: number | null;
  loss_pct: number | null;
  loss_low_pct: number | null;
  loss_high_pct: number | null;
  meters_expected: number;
  meters_reported: number;
  meters_estimated: number;
  coverage_pct: number | null;
  loss_shown: boolean;
  not_shown_because: string | null;
  attention: Attention;
}

export interface NodeName {
  node_id: string;
  kind: string | null;
  name: string;
}

export interface NodeRow extends NodeName, Figures {
  parent_id: string | null;
  area_class: string | null;
  capacity_kva: number | null;
  allowable_loss_pct: number | null;
  children: number;
  day: string;
}

export interface NodeDetail extends NodeRow {
  ancestors: NodeName[];
}

export interface BalanceRow extends Figures {
  interval_end?: string;
  interval_minutes?: number;
  day?: string;
  month?: string;
  ht_loss_wh: number | null;
  lt_loss_wh: number | null;
  status: string;
  version: number;
  dt_metered?: number;
  dt_total?: number;
}

export type Resolution = 'interval' | 'day' | 'month';

export interface Balance {
  node: NodeName;
  resolution: Resolution;
  from: string;
  to: string;
  zone: string;
  coverage_threshold_pct: number;
  total: Figures;
  rows: BalanceRow[];
}

export interface Summary {
  now: string;
  zone: string;
  day: string;
  coverage_threshold_pct: number;
  roots: NodeName[];
  network: { feeders: number; dts: number; nodes: number; meters: number; connections: number };
  reads_per_second: number;
  reads_applied: number;
  completeness_today: { expected: number; reported: number; estimated: number; pct: number | null };
  loss_today: Figures;
  open_outages: number;
  consumers_without_supply: number;
  saidi_month_minutes: number | null;
  saifi_month: number | null;
  compensation_accrued_inr: string | null;
  newest_interval_end: string | null;
  quarantined: number;
  log_position: number;
  applied_position: number;
  published_position: number;
  feeder_days_owed: number;
  published_at: string | null;
  lag: { records: number; records_unpublished: number; published_seconds: number | null; tick_ms: number };
}

export interface FeederEvent extends NodeName {
  interval_end: string;
  loss_pct: number | null;
  loss_low_pct: number | null;
  loss_high_pct: number | null;
  coverage_pct: number | null;
  attention: Attention;
  dts_to_investigate: number;
  worst_dt: (NodeName & { loss_pct: number }) | null;
}

export interface Outage {
  outage_id: string;
  node_id: string;
  node_name: string;
  scope: string;
  class: string;
  status: string;
  cause: string | null;
  fault_type: string | null;
  force_majeure: boolean;
  started_at: string;
  ended_at: string | null;
  etr: string | null;
  etr_basis: string | null;
  etr_outages: number | null;
  consumers_affected: number;
  consumers_restored: number;
  version: number;
}

export interface Edge {
  at: string;
  earliest: string;
  latest: string;
  from: string;
}

export interface Signal {
  meter_id: string;
  at: string;
  says: string;
}

export interface Interruption {
  consumer_id: string;
  started_at: string;
  outage_id: string;
  ended_at: string | null;
  minutes: number | null;
  sustained: boolean | null;
  class: string;
  excluded_because: string | null;
  evidence: { failed: Edge; restored: Edge | null };
  events: Signal[];
}

export interface OutageVersion {
  version: number;
  published_at: string;
  reason: string | null;
  status: string;
  scope: string;
  node_id: string;
  consumers_affected: number;
  started_at: string;
  ended_at: string | null;
  etr: string | null;
}

export interface OutageDetail extends Outage {
  evidence: {
    failed?: Edge | null;
    restored?: Edge | null;
    is_node_dead?: boolean;
    known_from?: Record<string, number>;
    steps?: { at: string; consumers: number }[];
  };
  announced: { start: string; end: string; reason: string | null; notice_at: string | null } | null;
  causes: {
    recorded_at: string;
    person: string;
    cause: string | null;
    fault_type: string | null;
    force_majeure: boolean | null;
    etr: string | null;
  }[];
  compensation?: { consumers: number; total_inr: string; accruing_inr: string; largest_entry_id: string | null } | null;
  interruptions_total: number;
  interruptions: Interruption[];
  history: OutageVersion[];
  continued_as: string | null;
}

export interface Place {
  node_id: string;
  kind: string | null;
  name: string;
  parent_id: string | null;
  lat: number;
  lon: number;
  loss_pct: number | null;
  attention: Attention;
}

export interface Places {
  day: string;
  places: Place[];
  dts_not_placed: number;
  left_out: number;
}

export interface Quality {
  day: string;
  expected: number;
  reported: number;
  estimated: number;
  missing: number;
  completeness_pct: number | null;
  arrival: { expected: number; by_8h_pct: number; by_12h_pct: number; later: number; missing: number; estimated: number } | null;
  exceptions_open: number;
  quarantined: Record<string, number>;
  reads: Record<string, number>;
}

export interface ConsumerRow {
  consumer_id: string;
  meter_id: string | null;
  node_id: string;
  node_name: string;
  category: string;
  supply: string;
  phases: number;
  sanctioned_load_kw: number | null;
  metering: string;
  prosumer: string;
}

// What a consumer used in an interval, day, month or span.
export interface UsageRow {
  interval_end?: string;
  interval_minutes?: number;
  day?: string;
  month?: string;
  import_wh: number | null;
  export_wh: number | null;
  intervals_expected: number;
  intervals_reported: number;
  intervals_estimated: number;
  intervals_missing: number;
  coverage_pct: number | null;
  estimated_pct: number | null;
  quality: string | null;
  voltage_v: number | null;
  billed_kwh?: number;
  billed_inr?: string;
}

export interface Usage {
  consumer_id: string;
  meters: string[];
  resolution: Resolution;
  from: string;
  to: string;
  total: UsageRow;
  rows: UsageRow[];
  bills: { month: string; billed_kwh: number; billed_inr: string; collected_inr: string | null }[];
}

export interface Entry {
  entry_id: string;
  consumer_id: string;
  outage_id: string | null;
  kind: string;
  regulation: string;
  standard: string;
  clause: string;
  limit_minutes: number | null;
  default_minutes: number | null;
  amount_inr: string;
  due_by: string | null;
  status: string;
  created_at: string;
  explains: string | null;
}

export interface Held {
  exception_id: string;
  received_at: string;
  source: string;
  topic: string | null;
  meter_id: string | null;
  interval_end: string | null;
  reason: string;
  payload_bytes: number;
  payload: string | null;
}

export type Cell = string | number | boolean | null | object;

export interface SqlResult {
  columns: { name: string; type: string }[];
  rows: Cell[][];
  published_at: string | null;
  truncated: boolean;
  rows_max: number;
  deadline_seconds: number;
}
