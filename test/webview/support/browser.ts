import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mkdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import esbuild from 'esbuild';
import { type Browser, type Page, chromium } from 'playwright-core';
import { chromiumArguments, ensureChromium } from '../../../scripts/chromium.mjs';
import type { PageInspect } from '../../../src/editor/page/protocol.ts';
import type { InspectReport } from '../../../src/engine/answers.ts';
import type { Engine, Handle, Method, Result } from '../../../src/engine/protocol.ts';
import type { GraphView } from '../../../src/engine/view.ts';

/** Tests and benchmarks run in the project's folder; a bundled benchmark lies elsewhere. */
const root = process.cwd();
const built = join(root, '.cache/webview-test');
export const artefacts = join(root, 'test-artifacts/webview');

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.ttf': 'font/ttf',
  '.html': 'text/html',
};

/** The page as the extension's host serves it, with the same content security policy. */
function html(): string {
  const policy = [
    "default-src 'none'",
    "script-src 'nonce-test'",
    "style-src 'self' 'nonce-test'",
    "font-src 'self'",
    "img-src 'self' blob: data:",
    'worker-src blob:',
    "connect-src 'self'",
  ].join('; ');
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Kerf</title>
<meta property="csp-nonce" content="test">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/codicons/codicon.css"><link rel="stylesheet" href="/main.css"></head>
<body data-layout-worker="/layoutWorker.js">
<script nonce="test" src="/fakeHost.js"></script><script nonce="test" src="/main.js"></script></body></html>`;
}

async function build(): Promise<void> {
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: {
      main: 'webview-ui/main.ts',
      layoutWorker: 'webview-ui/graph/layoutWorker.ts',
      fakeHost: 'test/webview/support/fakeHost.ts',
    },
    bundle: true,
    format: 'iife',
    target: 'es2022',
    outdir: built,
    sourcemap: 'inline',
    logLevel: 'warning',
  });
}

let started: Promise<Engine> | undefined;

/** Most pages show a made-up model and need no engine. */
function runningEngine(): Promise<Engine> {
  started ??= import('../../../src/engine/local.ts').then(({ localEngine }) => localEngine());
  return started;
}

/** The graph that a page is about to ask for, as the extension's host asks for it before the page does. */
let ahead: { readonly key: string; readonly view: Promise<GraphView> } | undefined;

async function askAhead(handle: Handle): Promise<void> {
  const params = { handle, marks: false };
  ahead = { key: JSON.stringify(params), view: (await runningEngine()).call('graph', params) };
  // Whoever takes it sees what went wrong.
  ahead.view.catch(() => undefined);
}

async function call(method: Method, params: never): Promise<unknown> {
  if (method === 'graph' && ahead?.key === JSON.stringify(params)) return ahead.view;
  const result = await (await runningEngine()).call(method, params);
  if (method === 'apply') await askAhead((result as Result<'apply'>).handle);
  return result;
}

/** Calls of pages that show a real file. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { method, params } = JSON.parse(Buffer.concat(chunks).toString()) as {
      method: Method;
      params: never;
    };
    call(method, params).then(
      (result) => response.writeHead(200).end(packed(method, result)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
}

/**
 * As VS Code sends a message to a page: JSON, and behind it the bytes of typed arrays, which the JSON refers to by offset.
 * The rows of an inspection stay behind, as the extension's host keeps them.
 */
function packed(method: Method, result: unknown): Buffer {
  const arrays: Buffer[] = [];
  let offset = 0;
  const shown = method === 'inspect' ? withoutRows(result as InspectReport) : result;
  const json = JSON.stringify(shown, (_, value: unknown) => {
    if (!ArrayBuffer.isView(value)) return value;
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const padding = (8 - (bytes.length % 8)) % 8;
    const entry = { typed: value.constructor.name, offset, bytes: bytes.length };
    arrays.push(bytes, Buffer.alloc(padding));
    offset += bytes.length + padding;
    return entry;
  });
  const text = Buffer.from(json);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(text.length);
  return Buffer.concat([head, ...arrays, text]);
}

function withoutRows({ layers, ...report }: InspectReport): PageInspect {
  return { ...report, layerCount: layers.length };
}

async function serve(): Promise<{ server: Server; origin: string }> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/engine') {
      answer(request, response);
      return;
    }
    if (pathname === '/') {
      response.writeHead(200, { 'content-type': 'text/html' }).end(html());
      return;
    }
    const file = pathname.startsWith('/codicons/')
      ? join(root, 'node_modules/@vscode/codicons/dist', pathname.slice('/codicons/'.length))
      : join(built, pathname);
    readFile(file).then(
      (content) =>
        response
          .writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' })
          .end(content),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, origin: `http://127.0.0.1:${address.port}` };
}

export interface Stage {
  /** Opens the page with a made-up model; waits until the graph is drawn. Errors on the page fail the test. */
  open(
    options?: Readonly<Record<string, string>>,
    size?: { width: number; height: number },
    drawn?: boolean,
  ): Promise<Page>;
  readonly errors: string[];
  /** Opens a file and begins its graph before there is a page, as the extension's host does. */
  begin(file: string): Promise<void>;
  close(): Promise<void>;
}

/** Builds the page, serves it and starts Chromium. Pages that show a real file ask `engine`, or one in this process. */
export async function openStage(engine?: Engine): Promise<Stage> {
  if (engine !== undefined) started = Promise.resolve(engine);
  await build();
  await mkdir(artefacts, { recursive: true });
  const { server, origin } = await serve();
  const browser: Browser = await chromium.launch({
    executablePath: await ensureChromium(),
    args: [...chromiumArguments, '--disable-gpu'],
  });
  const errors: string[] = [];
  return {
    errors,
    async begin(file) {
      const { handle } = await (await runningEngine()).call('open', { path: file });
      await askAhead(handle);
    },
    async open(options = {}, size = { width: 1440, height: 900 }, drawn = true) {
      const page = await browser.newPage({ viewport: size });
      page.setDefaultTimeout(30_000);
      page.on('pageerror', (error) => errors.push(`${error.message}\n${error.stack ?? ''}`));
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(message.text());
      });
      await page.goto(`${origin}/?${new URLSearchParams(options).toString()}`);
      await page.waitForSelector('.graph-canvas');
      if (drawn)
        await page.waitForFunction(
          () => document.querySelector('.graph-pane')?.getAttribute('data-boxes') !== null,
        );
      return page;
    },
    async close() {
      await browser.close();
      (await started)?.dispose();
      await new Promise((done) => server.close(done));
    },
  };
}
