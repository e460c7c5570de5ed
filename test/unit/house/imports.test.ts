import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const source = path.join(root, 'src');
const page = path.join(root, 'webview-ui');

/** What each room may import besides itself (docs/architecture.md). */
const allowed: Record<string, readonly string[]> = {
  ir: [],
  formats: ['ir'],
  ops: ['ir'],
  analysis: ['ir', 'ops'],
  devices: ['ir', 'ops', 'analysis'],
  passes: ['ir', 'formats', 'ops', 'analysis', 'devices'],
  rules: ['ir', 'formats', 'ops', 'analysis', 'devices', 'passes'],
  runtime: ['ir', 'formats'],
  optimize: ['ir', 'formats', 'ops', 'analysis', 'devices', 'passes', 'rules'],
  engine: ['ir', 'formats', 'ops', 'analysis', 'devices', 'passes', 'rules', 'runtime', 'optimize'],
  cli: ['ir', 'engine', 'passes', 'rules'],
  editor: ['ir', 'engine', 'passes', 'rules', 'devices', 'optimize'],
};

/** The page sees protocol types and the view model only. */
const pageMayImport = [
  'src/engine/protocol.ts',
  'src/engine/answers.ts',
  'src/engine/view.ts',
  'src/editor/page/protocol.ts',
];

const runtimes = ['onnxruntime-node', 'onnxruntime-common', '@litertjs/core', '@tensorflow/tfjs-tflite'];

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function importsBelow(folder: string): Import[] {
  return fs
    .readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const file = path.join(folder, name);
      const statements = fs
        .readFileSync(file, 'utf8')
        .matchAll(
          /^\s*(?:import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)'|import\('([^']+)'\)|^import\s+'([^']+)'/gm,
        );
      return [...statements].map((match) => ({
        file,
        typeOnly: match[1] !== undefined,
        target: (match[2] ?? match[3] ?? match[4]) as string,
      }));
    });
}

const relative = (file: string) => path.relative(root, file);
const roomOf = (file: string) => path.relative(source, file).split(path.sep)[0] ?? '';
const resolved = (each: Import) => path.resolve(path.dirname(each.file), each.target);

/** The files of one circle, when there is any: found by going as deep as imports lead. */
function circleIn(imports: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): readonly string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const target of imports.get(file) ?? []) {
      const circle = visit(target);
      if (circle !== undefined) return circle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const circle = visit(file);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

describe('imports run one way', () => {
  const all = importsBelow(source);

  it('between the rooms', () => {
    const wrong = all
      .filter((each) => each.target.startsWith('.') && roomOf(each.file) !== 'extension.ts')
      .filter((each) => {
        const from = roomOf(each.file);
        const to = roomOf(resolved(each));
        return from !== to && !(allowed[from] ?? []).includes(to);
      });
    expect(wrong.map((each) => `${relative(each.file)} -> ${each.target}`)).toEqual([]);
  });

  it('never in a circle between files', () => {
    const imports = new Map<string, string[]>();
    for (const each of [...all, ...importsBelow(page)].filter(({ target }) => target.startsWith('.'))) {
      const targets = imports.get(each.file) ?? [];
      imports.set(each.file, targets);
      targets.push(resolved(each));
    }
    expect(circleIn(imports)?.map(relative)).toBeUndefined();
  });

  it('only editor/ and extension.ts import vscode', () => {
    const wrong = all.filter(
      (each) => each.target === 'vscode' && !['editor', 'extension.ts'].includes(roomOf(each.file)),
    );
    expect(wrong.map((each) => relative(each.file))).toEqual([]);
  });

  it('only runtime/ imports an inference runtime', () => {
    const wrong = all.filter(
      (each) => runtimes.some((name) => each.target.startsWith(name)) && roomOf(each.file) !== 'runtime',
    );
    expect(wrong.map((each) => relative(each.file))).toEqual([]);
  });

  it('the core reads formats but opens no files', () => {
    const core = ['ir', 'ops', 'analysis', 'devices', 'passes', 'rules', 'optimize'];
    const wrong = all.filter(
      (each) => core.includes(roomOf(each.file)) && each.target.includes('formats/io/'),
    );
    expect(wrong.map((each) => relative(each.file))).toEqual([]);
  });

  it('only formats/io, runtime/, engine/ and the faces use the file system', () => {
    const mayOpen = (file: string) =>
      /^src[/\\](formats[/\\]io|runtime|engine|cli|editor)[/\\]|^src[/\\]extension\.ts$/.test(relative(file));
    const wrong = all.filter((each) => /^(node:)?fs(\/promises)?$/.test(each.target) && !mayOpen(each.file));
    expect(wrong.map((each) => relative(each.file))).toEqual([]);
  });

  it('the page imports protocol types only', () => {
    const wrong = importsBelow(page)
      .filter((each) => each.target.startsWith('.') && !resolved(each).startsWith(page + path.sep))
      .filter(
        (each) =>
          !each.typeOnly || !pageMayImport.includes(relative(resolved(each)).replaceAll(path.sep, '/')),
      );
    expect(wrong.map((each) => `${relative(each.file)} -> ${each.target}`)).toEqual([]);
  });

  it('the toolkit is imported in its wrapper only', () => {
    const wrong = importsBelow(page).filter(
      (each) =>
        each.target.includes('webview-ui-toolkit') &&
        !relative(each.file).startsWith(path.join('webview-ui', 'ui')),
    );
    expect(wrong.map((each) => relative(each.file))).toEqual([]);
  });
});
