// Looking closer without dragging (WCAG 2.2: 2.1.1 and 2.5.7): the same steps by keys and by buttons, for every chart and the map.

export type Step = 'closer' | 'wider' | 'whole' | 'earlier' | 'later' | 'up' | 'down';
// What each step does now; one that is left out cannot be taken.
export type Steps = Partial<Record<Step, () => void>>;

const KEYS: Record<string, Step> = { '+': 'closer', '=': 'closer', '-': 'wider', 0: 'whole' };
const SHIFTED: Record<string, Step> = { ArrowLeft: 'earlier', ArrowRight: 'later', ArrowUp: 'up', ArrowDown: 'down' };
const BUTTONS: [Step, string, string][] = [
  ['earlier', '‹', 'Earlier'], ['later', '›', 'Later'], ['wider', '−', 'Wider'], ['closer', '+', 'Closer'], ['whole', '↔', 'The whole'],
];

// Takes the step of a key, and says whether it is one. `pan`: plain arrows move, where nothing else is stepped through.
export function zoomKey(event: KeyboardEvent, steps: Steps, pan = false): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const step = KEYS[event.key] ?? (event.shiftKey || pan ? SHIFTED[event.key] : undefined);
  if (!step) return false;
  event.preventDefault();
  steps[step]?.();
  return true;
}

// A button whose step cannot be taken stays where the focus is.
export const StepButton = ({ steps, of, sign, name }: { steps: Steps; of: Step; sign: string; name: string }) => (
  <button type="button" data-step={of} aria-label={name} title={name} aria-disabled={steps[of] ? undefined : true} onClick={() => steps[of]?.()}>{sign}</button>
);

// The buttons of a chart.
export const ZoomButtons = ({ steps, label }: { steps: Steps; label: string }) => (
  <div class="zoom" role="group" aria-label={label}>{BUTTONS.map(([of, sign, name]) => <StepButton key={of} steps={steps} of={of} sign={sign} name={name} />)}</div>
);

// The span of half, or twice, the length around `middle`, within `least` and `most`; seconds.
export function scaled([from, to]: [number, number], factor: number, middle: number | null, [least, most]: [number, number]): [number, number] {
  const length = Math.min(most - least, (to - from) * factor);
  const start = Math.max(least, Math.min(most - length, (middle ?? (from + to) / 2) - length / 2));
  return [start, start + length];
}
// The span moved by half its length, within `least` and `most`.
export function moved([from, to]: [number, number], way: number, [least, most]: [number, number]): [number, number] {
  const by = Math.max(least - from, Math.min(most - to, (way * (to - from)) / 2));
  return [from + by, to + by];
}
