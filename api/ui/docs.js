// Renders the OpenAPI document with a form to try each route. Text of the document is set as text, never as markup.

import { el } from '/ui/format.js';

const root = document.getElementById('docs');

// `code` and paragraphs of a description.
function prose(text = '') {
  return text.split('\n\n').map((paragraph) => el('p', {}, ...paragraph.split('`').map((part, at) => (at % 2 ? el('code', {}, part) : part))));
}

const resolve = (api, schema) => (schema?.$ref ? api.components.schemas[schema.$ref.split('/').pop()] : schema);
const nameOf = (schema) => schema?.$ref?.split('/').pop();

function typeOf(api, schema) {
  if (!schema) return '';
  if (schema.$ref) return nameOf(schema);
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return options.map((option) => typeOf(api, option)).join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(api, schema.items)}`;
  const type = [schema.type].flat().filter(Boolean).join(' or ');
  return type || (schema.allOf ? 'object' : 'any');
}

// The fields of a schema, those of its parts among them.
function fields(api, schema, depth = 0) {
  const known = resolve(api, schema) ?? {};
  if (depth > 6) return [];
  const own = Object.entries(known.properties ?? {}).map(([name, field]) => [name, field]);
  const parts = [...(known.allOf ?? []), ...(known.oneOf ?? []).filter((option) => option.type !== 'null')];
  return [...own, ...parts.flatMap((part) => fields(api, part, depth + 1))];
}

function fieldTable(api, schema) {
  const rows = fields(api, schema);
  if (!rows.length) return '';
  return el('div', { class: 'scroll' }, el('table', {}, el('tbody', {}, ...rows.map(([name, field]) =>
    el('tr', {}, el('td', {}, el('code', {}, name)), el('td', {}, link(api, field)), el('td', {}, ...prose(field.description).flatMap((p) => [...p.childNodes])))))));
}

function link(api, schema) {
  const inner = schema.type === 'array' ? schema.items : (schema.oneOf ?? []).find((option) => option.$ref) ?? schema;
  return inner?.$ref ? el('a', { href: `#schema-${nameOf(inner)}` }, typeOf(api, schema)) : typeOf(api, schema);
}

function operation(api, path, method, operation) {
  const parameters = operation.parameters ?? [];
  const [first, ...rest] = (operation.description ?? operation.summary ?? '').split('\n\n');
  const summary = operation.summary ?? first;
  const body = el('div', {}, ...prose([first, ...rest].join('\n\n')), form(path, method, operation, parameters), el('h3', {}, 'Answers'));
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    const content = Object.entries(response.content ?? {});
    body.append(el('p', {}, el('b', {}, status), ' ', response.description, content.length ? ' ' : '', el('code', {}, content.map(([type]) => type).join(', '))));
    const json = content.find(([type]) => type === 'application/json');
    if (json && status.startsWith('2')) body.append(fieldTable(api, json[1].schema));
  }
  return el('details', { id: operation.operationId }, el('summary', {}, el('span', { class: 'method' }, method.toUpperCase()), el('code', {}, path), el('span', {}, summary)), body);
}

const EXAMPLES = { '/api/v1/sql': '{"query":"SELECT * FROM feeder_balance ORDER BY interval_end DESC LIMIT 10","format":"json"}' };

function form(path, method, operation, parameters) {
  const inputs = new Map();
  const output = el('pre', { hidden: true, tabindex: '0', 'aria-live': 'polite' });
  const rows = parameters.flatMap((parameter) => {
    const input = el('input', { name: parameter.name, autocomplete: 'off', required: parameter.in === 'path', placeholder: parameter.in });
    inputs.set(parameter, input);
    return [el('label', {}, parameter.name), el('span', {}, input, el('small', {}, parameter.description ?? ''))];
  });
  const types = Object.keys(operation.requestBody?.content ?? {});
  let body = null;
  let bodyType = null;
  if (types.length) {
    body = el('textarea', { rows: '4', spellcheck: 'false', 'aria-label': 'Body' });
    body.value = EXAMPLES[path] ?? '';
    bodyType = el('select', { 'aria-label': 'Content-Type' }, ...types.map((type) => el('option', {}, type)));
    rows.push(el('label', {}, 'body'), el('span', {}, bodyType, body));
  }
  const answers = Object.keys(operation.responses?.['200']?.content ?? {});
  const accept = answers.length > 1 ? el('select', { 'aria-label': 'Accept' }, ...answers.map((type) => el('option', {}, type))) : null;
  if (accept) rows.push(el('label', {}, 'accept'), accept);

  const send = async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [parameter, input] of inputs) {
      if (parameter.in === 'path') url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (!input.value) continue;
      else if (parameter.in === 'query') query.set(parameter.name, input.value);
      else headers[parameter.name] = input.value;
    }
    if (query.size) url += '?' + query;
    if (accept) headers.accept = accept.value;
    if (body) headers['content-type'] = bodyType.value;
    output.hidden = false;
    output.textContent = `${method.toUpperCase()} ${url}\n…`;
    await answer(url, { method: method.toUpperCase(), headers, body: body ? body.value : undefined }, output);
  };
  return el('div', {}, el('form', { onsubmit: send }, ...rows, el('span', { class: 'send' }, el('button', { type: 'submit' }, 'Send'))), output);
}

// The first 20 kB of the answer; a stream without end is cut after 5 s.
async function answer(url, options, output) {
  const stop = new AbortController();
  const head = `${options.method} ${url}\n`;
  let text = '';
  const show = (status) => {
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
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true }));
      if (done) break;
      text += value;
      show(status);
      if (text.length > 400000) { stop.abort(); break; }
    }
    show(status);
  } catch (error) {
    output.textContent = `${head}${error.message}`;
  }
}

async function begin() {
  const api = await (await fetch('/openapi.json')).json();
  root.replaceChildren(el('h1', {}, `${api.info.title} ${api.info.version}`), ...prose(api.info.description));
  for (const tag of api.tags) {
    root.append(el('h2', {}, tag.name), ...prose(tag.description));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, one] of Object.entries(methods)) if (one.tags?.includes(tag.name)) root.append(operation(api, path, method, one));
    }
  }
  root.append(el('h2', {}, 'Problems'), el('p', {}, 'Errors are problem documents (RFC 9457, application/problem+json): type, title, status, detail.'));
  root.append(el('div', { class: 'scroll' }, el('table', {}, el('tbody', {}, ...(api['x-problems'] ?? []).map((problem) =>
    el('tr', { id: problem.slug }, el('td', {}, String(problem.status)), el('td', {}, el('code', {}, problem.slug)), el('td', {}, el('b', {}, problem.title), '. ', problem.advice)))))));
  root.append(el('h2', {}, 'Schemas'));
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    root.append(el('details', { id: `schema-${name}` }, el('summary', {}, el('code', {}, name), el('span', {}, schema.description ?? '')),
      el('div', {}, schema.enum ? el('p', {}, schema.enum.join(', ')) : '', fieldTable(api, schema))));
  }
  open();
}

// The address may name a route, a problem or a schema.
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.tagName === 'DETAILS') target.open = true;
  target.scrollIntoView();
}
addEventListener('hashchange', open);
begin().catch((error) => root.replaceChildren(el('p', { class: 'notice failed' }, `The description cannot be loaded: ${error.message}`)));
