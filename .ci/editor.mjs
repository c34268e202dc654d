// What an editor with yaml-language-server says of YAML files: opens each as an editor does, and waits for what the
// server publishes. The server finds the schema by the modeline alone.
//
//   node .ci/editor.mjs SERVER good FILE…        no finding in any of them
//   node .ci/editor.mjs SERVER bad FILE=TEXT…    a finding that holds TEXT, in each
//
// SERVER is yaml-language-server's start script. Ends with 1 where it is otherwise.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [server, mode, ...given] = process.argv.slice(2);
const files = given.map((argument) => {
  const at = mode === 'bad' ? argument.lastIndexOf('=') : -1;
  return at < 0
    ? { path: resolve(argument) }
    : { path: resolve(argument.slice(0, at)), expected: argument.slice(at + 1) };
});
if (!server || !['good', 'bad'].includes(mode) || files.length === 0) {
  console.error('usage: node .ci/editor.mjs SERVER good|bad FILE…');
  process.exit(64);
}
/** The server validates 200 ms after the last change; loading it takes a second or two. */
const PATIENCE = 60_000;

const child = spawn(process.execPath, [server, '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] });
let next = 1;
const waiting = new Map();
const findings = new Map();

function write(message) {
  const body = JSON.stringify({ jsonrpc: '2.0', ...message });
  child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}
function request(method, params) {
  const id = next++;
  write({ id, method, params });
  return new Promise((done) => waiting.set(id, done));
}
function notify(method, params) {
  write({ method, params });
}

let buffer = Buffer.alloc(0);
child.stdout.on('data', (chunk) => {
  buffer = Buffer.concat([buffer, chunk]);
  for (;;) {
    const head = buffer.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = Number(/Content-Length: (\d+)/i.exec(buffer.subarray(0, head).toString())[1]);
    if (buffer.length < head + 4 + length) return;
    const message = JSON.parse(buffer.subarray(head + 4, head + 4 + length).toString());
    buffer = buffer.subarray(head + 4 + length);
    take(message);
  }
});

const settings = {
  yaml: { validate: true, completion: true, hover: true, schemaStore: { enable: false }, schemas: {} },
};
function take(message) {
  if (message.method && message.id !== undefined) {
    // The server asks for its settings, and to be told of changes.
    const wanted = { yaml: settings.yaml, '[yaml]': {}, http: {}, editor: {}, files: {} };
    const result =
      message.method === 'workspace/configuration'
        ? message.params.items.map((item) => wanted[item.section] ?? {})
        : null;
    write({ id: message.id, result });
  } else if (message.method === 'textDocument/publishDiagnostics') {
    findings.get(message.params.uri)?.(message.params.diagnostics);
  } else if (message.id !== undefined) {
    waiting.get(message.id)?.(message.result);
    waiting.delete(message.id);
  }
}

function published(uri) {
  return new Promise((done, failed) => {
    const late = setTimeout(() => failed(new Error(`nothing was said of ${uri}`)), PATIENCE);
    findings.set(uri, (diagnostics) => {
      clearTimeout(late);
      done(diagnostics);
    });
  });
}

let wrong = 0;
try {
  await request('initialize', {
    processId: process.pid,
    rootUri: pathToFileURL(process.cwd()).href,
    capabilities: {
      textDocument: { publishDiagnostics: {}, completion: {} },
      workspace: { configuration: true, didChangeConfiguration: {} },
    },
  });
  notify('initialized', {});
  notify('workspace/didChangeConfiguration', { settings });
  for (const { path, expected } of files) {
    const uri = pathToFileURL(path).href;
    const said = published(uri);
    notify('textDocument/didOpen', {
      textDocument: { uri, languageId: 'yaml', version: 1, text: readFileSync(path, 'utf8') },
    });
    const diagnostics = await said;
    const lines = diagnostics.map((d) => `${path}:${d.range.start.line + 1}: ${d.message}`);
    const fine = expected === undefined ? lines.length === 0 : lines.some((line) => line.includes(expected));
    if (!fine) {
      wrong += 1;
      const what = expected === undefined ? 'no finding was expected' : `a finding with ${JSON.stringify(expected)} was expected`;
      console.log(`${path}: ${what}; the editor says:\n  ${lines.join('\n  ') || '(nothing)'}`);
    } else {
      console.log(`ok ${path}${expected === undefined ? '' : `: ${lines.find((line) => line.includes(expected))}`}`);
    }
  }
  if (mode === 'good') {
    // Completion: at an empty line at the top of a campaign the keys of the schema are offered.
    const { path } = files[0];
    const text = `${readFileSync(path, 'utf8').split('\n', 1)[0]}\n\n`;
    const uri = pathToFileURL(`${path}.completion.yaml`).href;
    notify('textDocument/didOpen', { textDocument: { uri, languageId: 'yaml', version: 1, text } });
    const answer = await request('textDocument/completion', {
      textDocument: { uri },
      position: { line: 1, character: 0 },
    });
    const labels = (answer?.items ?? answer ?? []).map((item) => item.label);
    if (labels.includes('sources') && labels.includes('kind')) {
      console.log(`ok completion offers ${labels.length} keys`);
    } else {
      wrong += 1;
      console.log(`completion offers ${JSON.stringify(labels)}`);
    }
  }
} catch (error) {
  console.error(error.message);
  wrong += 1;
} finally {
  child.kill();
}
process.exit(wrong === 0 ? 0 : 1);
