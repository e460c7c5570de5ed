import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { layersOfOutline, outline } from './support/features.ts';
import {
  closeEverything,
  eventually,
  freshModel,
  openModel,
  textForm,
  textFormUri,
} from './support/models.ts';

const run = <T>(command: string, ...args: readonly unknown[]): Thenable<T> =>
  vscode.commands.executeCommand<T>(command, ...args);

/** An open text form with its lines. */
async function shownText(
  sample = 'digits.onnx',
): Promise<{ model: vscode.Uri; text: vscode.Uri; lines: readonly string[] }> {
  const model = await freshModel(sample);
  await openModel(model);
  await vscode.commands.executeCommand('kerf.openText', model);
  return { model, text: textFormUri(model), lines: (await textForm(model)).split('\n') };
}

const lineOf = (lines: readonly string[], part: string): number =>
  lines.findIndex((line) => line.includes(part));

describe('language features of the text form', () => {
  afterEach(closeEverything);

  it('colours operators, types, names and numbers', async () => {
    const { text, lines } = await shownText();
    const line = lineOf(lines, '= Conv ');
    const range = new vscode.Range(line, 0, line, lines[line]?.length ?? 0);
    const legend = await run<vscode.SemanticTokensLegend>(
      'vscode.provideDocumentRangeSemanticTokensLegend',
      text,
      range,
    );
    const tokens = await run<vscode.SemanticTokens>('vscode.provideDocumentRangeSemanticTokens', text, range);
    const found = new Map<string, string[]>();
    let column = 0;
    for (let at = 0; at < tokens.data.length; at += 5) {
      const [down = 0, over = 0, length = 0, type = 0] = tokens.data.subarray(at, at + 5);
      column = down === 0 ? column + over : over;
      const word = lines[line]?.slice(column, column + length) ?? '';
      const name = legend.tokenTypes[type] ?? '';
      found.set(name, [...(found.get(name) ?? []), word]);
    }
    assert.deepEqual(found.get('function'), ['Conv']);
    assert.ok(found.get('type')?.includes('float32'));
    assert.ok(found.get('property')?.includes('kernel_shape'));
    assert.ok(found.get('variable')?.some((word) => word.includes('Conv_output_0')));
    assert.ok(found.get('number')?.includes('3'));
    assert.ok(found.get('label')?.some((word) => word.includes('/0/Conv')));
  });

  it('folds the header and the graph', async () => {
    const { text, lines } = await shownText();
    const ranges = await run<vscode.FoldingRange[]>('vscode.executeFoldingRangeProvider', text);
    assert.ok(ranges.some(({ start, end }) => start === 0 && end === lines.indexOf('>')));
    const head = lines.findIndex((line) => line.endsWith(') {'));
    assert.ok(ranges.some(({ start, end }) => start === head && end === lines.lastIndexOf('}') - 1));
  });

  it('nests the outline: graph, scopes, layers; every layer once', async () => {
    const { model, lines } = await shownText();
    const [graph] = await outline(model);
    assert.equal(graph?.kind, vscode.SymbolKind.Module);
    const layers = layersOfOutline(graph === undefined ? [] : [graph]);
    assert.equal(layers.length, lines.filter((line) => / = [A-Z]\w+ /.test(line)).length);
    for (const { name, range } of layers) assert.ok(lines[range.start.line]?.includes(name));
  });

  it('finds layers of open models from anywhere', async () => {
    const { text } = await shownText();
    const found = await eventually('symbols', async () => {
      const symbols = await run<vscode.SymbolInformation[]>('vscode.executeWorkspaceSymbolProvider', 'gemm');
      const here = symbols.filter(({ location }) => location.uri.toString() === text.toString());
      return here.length > 0 ? here : undefined;
    });
    assert.equal(found.length, 2);
  });

  it('shows who feeds a layer and who reads it', async () => {
    const { text, lines } = await shownText();
    const at = new vscode.Position(lineOf(lines, '= Relu '), 4);
    const [item] = await run<vscode.CallHierarchyItem[]>('vscode.prepareCallHierarchy', text, at);
    assert.ok(item);
    const incoming = await run<vscode.CallHierarchyIncomingCall[]>('vscode.provideIncomingCalls', item);
    const outgoing = await run<vscode.CallHierarchyOutgoingCall[]>('vscode.provideOutgoingCalls', item);
    assert.match(incoming.map(({ from }) => from.detail).join(), /BatchNormalization/);
    assert.match(outgoing.map(({ to }) => to.detail).join(), /Conv/);
  });

  it('marks a value where it is made and where it is read', async () => {
    const { text, lines } = await shownText();
    const name = '"/2/Relu_output_0"';
    const line = lineOf(lines, name);
    const at = new vscode.Position(line, (lines[line] ?? '').indexOf(name) + 2);
    const marks = await run<vscode.DocumentHighlight[]>('vscode.executeDocumentHighlights', text, at);
    const kinds = marks.map(({ kind }) => kind);
    assert.equal(kinds.filter((kind) => kind === vscode.DocumentHighlightKind.Write).length, 1);
    assert.equal(kinds.filter((kind) => kind === vscode.DocumentHighlightKind.Read).length, 1);
  });

  it('has hints that can be switched on and off one by one', async () => {
    const { text, lines } = await shownText();
    const all = new vscode.Range(0, 0, lines.length - 1, 0);
    const labels = async (): Promise<string> => {
      const hints = await run<vscode.InlayHint[]>('vscode.executeInlayHintProvider', text, all);
      return hints.map(({ label }) => String(label)).join('\n');
    };
    const config = vscode.workspace.getConfiguration('kerf');
    const set = (key: string, value: unknown): Thenable<void> =>
      config.update(key, value, vscode.ConfigurationTarget.Workspace);
    assert.match(await labels(), /MACs/);
    assert.doesNotMatch(await labels(), /float32/);
    try {
      await set('text.hints.macs', false);
      await set('text.hints.bytes', true);
      await set('text.hints.shapes', true);
      await set('device', 'pi4');
      await eventually('bytes', async () => /kB/.test(await labels()));
      const now = await labels();
      assert.doesNotMatch(now, /MACs/);
      assert.match(now, /: float32\[/);
      await eventually('estimated times', async () => /≈ [\d.]+ (µs|ms)/.test(await labels()));
    } finally {
      for (const key of ['text.hints.macs', 'text.hints.bytes', 'text.hints.shapes', 'device'])
        await set(key, undefined);
    }
  });

  it('has lenses with cost and actions above hot layers', async () => {
    const { text } = await shownText();
    const titles = await eventually('the lenses', async () => {
      const lenses = await run<vscode.CodeLens[]>('vscode.executeCodeLensProvider', text, 100);
      const found = lenses.map(({ command }) => command?.title ?? '');
      return found.length > 0 ? found : undefined;
    });
    for (const wanted of ['Quantize', 'Exclude', 'Benchmark']) assert.ok(titles.includes(wanted), wanted);
    assert.ok(titles.some((title) => /MACs/.test(title)));
  });

  it('tells in a hover what the operator does, what it costs, and its neighbours', async () => {
    const { text, lines } = await shownText();
    const hovers = await run<vscode.Hover[]>(
      'vscode.executeHoverProvider',
      text,
      new vscode.Position(lineOf(lines, '= Conv '), 4),
    );
    const [content] = hovers.flatMap(({ contents }) => contents);
    const words = content instanceof vscode.MarkdownString ? content.value : '';
    assert.match(words, /Slides a window/);
    assert.match(words, /onnx__Conv/);
    assert.match(words, /Consumers/);
    assert.match(words, /MACs/);
  });

  it('copies layers as ONNX text', async () => {
    const { model, lines } = await shownText();
    const name = /\["([^"]+)"\]/.exec(lines[lineOf(lines, '= Conv ')] ?? '')?.[1];
    const copied = await run<string>('kerf.copyOnnxText', model, [name]);
    assert.match(copied, /^<ir_version: \d+, opset_import: \["" : \d+\]>/);
    assert.match(copied, /= Conv <.*kernel_shape: ints = \[3, 3\].*> \(/);
    assert.match(copied, /float\[/);
    assert.equal(await vscode.env.clipboard.readText(), copied);
  });
});
