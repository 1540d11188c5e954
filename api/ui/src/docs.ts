// Renders the OpenAPI document with a form to try each route. Text of the document is set as text, never as markup.

import './base.css';
import './layout.css';
import './docs.css';

// The document is read as it is: its shape is that of OpenAPI 3.1.
type Json = any;
type Child = string | Node | null | undefined;

function el<K extends keyof HTMLElementTagNameMap>(name: K, properties: Record<string, unknown> = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (key === 'onsubmit') node.addEventListener('submit', value as EventListener);
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  node.append(...children.filter((child): child is string | Node => child != null));
  return node;
}

const root = document.getElementById('docs') ?? document.body;

// `code` and paragraphs of a description.
function prose(text = ''): HTMLParagraphElement[] {
  return text.split('\n\n').map((paragraph) => el('p', {}, ...paragraph.split('`').map((part, at) => (at % 2 ? el('code', {}, part) : part))));
}

const resolve = (api: Json, schema: Json): Json => (schema?.$ref ? api.components.schemas[schema.$ref.split('/').pop()] : schema);
const nameOf = (schema: Json): string => schema?.$ref?.split('/').pop();

function typeOf(api: Json, schema: Json): string {
  if (!schema) return '';
  if (schema.$ref) return nameOf(schema);
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return options.map((option: Json) => typeOf(api, option)).join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(api, schema.items)}`;
  const type = [schema.type].flat().filter(Boolean).join(' or ');
  return type || (schema.allOf ? 'object' : 'any');
}

// The fields of a schema, those of its parts among them.
function fields(api: Json, schema: Json, depth = 0): [string, Json][] {
  const known = resolve(api, schema) ?? {};
  if (depth > 6) return [];
  const own = Object.entries(known.properties ?? {}).map(([name, field]): [string, Json] => [name, field]);
  const parts = [...(known.allOf ?? []), ...(known.oneOf ?? []).filter((option: Json) => option.type !== 'null')];
  return [...own, ...parts.flatMap((part) => fields(api, part, depth + 1))];
}

function fieldTable(api: Json, schema: Json): Child {
  const rows = fields(api, schema);
  if (!rows.length) return '';
  return el('div', { class: 'scroll' }, el('table', {}, el('tbody', {}, ...rows.map(([name, field]) =>
    el('tr', {}, el('td', {}, el('code', {}, name)), el('td', {}, link(api, field)), el('td', {}, ...prose(field.description).flatMap((p) => [...p.childNodes])))))));
}

function link(api: Json, schema: Json): Child {
  const inner = schema.type === 'array' ? schema.items : (schema.oneOf ?? []).find((option: Json) => option.$ref) ?? schema;
  return inner?.$ref ? el('a', { href: `#schema-${nameOf(inner)}` }, typeOf(api, schema)) : typeOf(api, schema);
}

function operation(api: Json, path: string, method: string, operation: Json): HTMLElement {
  const parameters = operation.parameters ?? [];
  const [first, ...rest] = (operation.description ?? operation.summary ?? '').split('\n\n');
  const summary = operation.summary ?? first;
  const body = el('div', {}, ...prose([first, ...rest].join('\n\n')), form(path, method, operation, parameters), el('h3', {}, 'Answers'));
  for (const [status, response] of Object.entries<Json>(operation.responses ?? {})) {
    const content = Object.entries<Json>(response.content ?? {});
    body.append(el('p', {}, el('b', {}, status), ' ', response.description, content.length ? ' ' : '', el('code', {}, content.map(([type]) => type).join(', '))));
    const json = content.find(([type]) => type === 'application/json');
    if (json && status.startsWith('2')) body.append(fieldTable(api, json[1].schema) ?? '');
  }
  return el('details', { id: operation.operationId }, el('summary', {}, el('span', { class: 'method' }, method.toUpperCase()), el('code', {}, path), el('span', {}, summary)), body);
}

const EXAMPLES: Record<string, string> = { '/api/v1/sql': '{"query":"SELECT * FROM feeder_balance ORDER BY interval_end DESC LIMIT 10","format":"json"}' };

function form(path: string, method: string, operation: Json, parameters: Json[]): HTMLElement {
  const inputs = new Map<Json, HTMLInputElement>();
  const output = el('pre', { hidden: true, tabindex: '0', 'aria-live': 'polite' });
  const rows = parameters.flatMap((parameter: Json): HTMLElement[] => {
    const input = el('input', { name: parameter.name, autocomplete: 'off', required: parameter.in === 'path', placeholder: parameter.in });
    inputs.set(parameter, input);
    return [el('label', {}, parameter.name), el('span', {}, input, el('small', {}, parameter.description ?? ''))];
  });
  const types = Object.keys(operation.requestBody?.content ?? {});
  let body: HTMLTextAreaElement | null = null;
  let bodyType: HTMLSelectElement | null = null;
  if (types.length) {
    body = el('textarea', { rows: '4', spellcheck: 'false', 'aria-label': 'Body' });
    body.value = EXAMPLES[path] ?? '';
    bodyType = el('select', { 'aria-label': 'Content-Type' }, ...types.map((type) => el('option', {}, type)));
    rows.push(el('label', {}, 'body'), el('span', {}, bodyType, body));
  }
  const answers = Object.keys(operation.responses?.['200']?.content ?? {});
  const accept = answers.length > 1 ? el('select', { 'aria-label': 'Accept' }, ...answers.map((type) => el('option', {}, type))) : null;
  if (accept) rows.push(el('label', {}, 'accept'), accept);

  const send = async (event: Event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    const headers: Record<string, string> = {};
    for (const [parameter, input] of inputs) {
      if (parameter.in === 'path') url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (!input.value) continue;
      else if (parameter.in === 'query') query.set(parameter.name, input.value);
      else headers[parameter.name] = input.value;
    }
    if (query.size) url += '?' + query;
    if (accept) headers['accept'] = accept.value;
    if (bodyType) headers['content-type'] = bodyType.value;
    output.hidden = false;
    output.textContent = `${method.toUpperCase()} ${url}\n…`;
    await answer(url, { method: method.toUpperCase(), headers, ...(body ? { body: body.value } : {}) }, output);
  };
  return el('div', {}, el('form', { onsubmit: send }, ...rows, el('span', { class: 'send' }, el('button', { type: 'submit' }, 'Send'))), output);
}

// The first 20 kB of the answer; a stream without end is cut after 5 s.
async function answer(url: string, options: RequestInit, output: HTMLElement): Promise<void> {
  const stop = new AbortController();
  const head = `${options.method} ${url}\n`;
  let text = '';
  const show = (status: string) => {
    let shown = text.length > 20000 ? text.slice(0, 20000) + '\n… (cut)' : text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2).slice(0, 20000); } catch { /* not JSON */ }
    output.textContent = `${head}${status}\n\n${shown}`;
  };
  try {
    const response = await fetch(url, { ...options, signal: stop.signal });
    const type = response.headers.get('content-type') ?? '';
    const status = `${response.status} ${type}${response.headers.get('etag') ? ' · ' + response.headers.get('etag') : ''}`;
    if (type.includes('arrow')) { text = `${(await response.arrayBuffer()).byteLength} bytes of Arrow IPC`; show(status); return; }
    if (type.includes('event-stream')) setTimeout(() => stop.abort(), 5000);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = (await reader?.read().catch(() => null)) ?? { done: true, value: '' };
      if (done) break;
      text += value;
      show(status);
      if (text.length > 400000) { stop.abort(); break; }
    }
    show(status);
  } catch (error) {
    output.textContent = `${head}${error instanceof Error ? error.message : error}`;
  }
}

async function begin() {
  const api = await (await fetch('/openapi.json')).json();
  root.replaceChildren(el('h1', {}, `${api.info.title} ${api.info.version}`), ...prose(api.info.description));
  for (const tag of api.tags) {
    root.append(el('h2', {}, tag.name), ...prose(tag.description));
    for (const [path, methods] of Object.entries<Json>(api.paths)) {
      for (const [method, one] of Object.entries<Json>(methods)) if (one.tags?.includes(tag.name)) root.append(operation(api, path, method, one));
    }
  }
  root.append(el('h2', {}, 'Problems'), el('p', {}, 'Errors are problem documents (RFC 9457, application/problem+json): type, title, status, detail.'));
  root.append(el('div', { class: 'scroll' }, el('table', {}, el('tbody', {}, ...(api['x-problems'] ?? []).map((problem: Json) =>
    el('tr', { id: problem.slug }, el('td', {}, String(problem.status)), el('td', {}, el('code', {}, problem.slug)), el('td', {}, el('b', {}, problem.title), '. ', problem.advice)))))));
  root.append(el('h2', {}, 'Schemas'));
  for (const [name, schema] of Object.entries<Json>(api.components.schemas)) {
    root.append(el('details', { id: `schema-${name}` }, el('summary', {}, el('code', {}, name), el('span', {}, schema.description ?? '')),
      el('div', {}, schema.enum ? el('p', {}, schema.enum.join(', ')) : '', fieldTable(api, schema))));
  }
  open();
}

// The address may name a route, a problem or a schema.
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target instanceof HTMLDetailsElement) target.open = true;
  target.scrollIntoView();
}
addEventListener('hashchange', open);
begin().catch((error: Error) => root.replaceChildren(el('p', { class: 'notice failed' }, `The description cannot be loaded: ${error.message}`)));
