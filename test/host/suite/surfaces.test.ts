import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { commandIds } from '../../../src/editor/contributions.ts';
import { exportRecipe } from '../../../src/editor/document/recipeFile.ts';
import type { EvalReport } from '../../../src/engine/protocol.ts';
import { layersOfOutline, outline } from '../support/features.ts';
import {
  apply,
  closeEverything,
  eventually,
  freshModel,
  isDirty,
  openModel,
  textForm,
  textFormUri,
  workspaceFolder,
} from '../support/models.ts';
import { documentOf, services } from './support.ts';

const rows = (uri: vscode.Uri): readonly vscode.Diagnostic[] => vscode.languages.getDiagnostics(uri);
const rule = ({ code }: vscode.Diagnostic): unknown => (typeof code === 'object' ? code.value : code);

describe('surfaces', () => {
  afterEach(closeEverything);

  it('every command of the code is registered, and no other', async () => {
    const registered = (await vscode.commands.getCommands(true)).filter(
      (id) =>
        id.startsWith('kerf.') && !/\.(focus|open|resetViewLocation|removeView|toggleVisibility)$/.test(id),
    );
    assert.deepEqual(registered.sort(), [...commandIds].sort());
  });

  it('rows of Problems link to the fix, and to the lines of the text form', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const row = await eventually('the row', () =>
      rows(uri).find((each) => rule(each) === 'batch-norm-not-folded'),
    );
    assert.ok(typeof row.code === 'object');
    assert.equal(row.code.target.scheme, 'command');
    const places = row.relatedInformation ?? [];
    assert.equal(places.length, 3);
    const lines = (await textForm(uri)).split('\n');
    for (const { location, message } of places) {
      assert.equal(location.uri.toString(), textFormUri(uri).toString());
      assert.match(lines[location.range.start.line] ?? '', /BatchNormalization/);
      assert.ok(lines[location.range.start.line]?.includes(message));
    }
    const args: unknown = JSON.parse(decodeURIComponent(row.code.target.query));
    assert.ok(Array.isArray(args));
    await vscode.commands.executeCommand(row.code.target.path, ...args);
    await eventually('the fix is an edit', () => isDirty(uri));
    await eventually('the row went', () => !rows(uri).some((each) => rule(each) === 'batch-norm-not-folded'));
  });

  it('a text form in a tab takes the rows of its layers, and gives them back', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const isFold = (each: vscode.Diagnostic) => rule(each) === 'batch-norm-not-folded';
    await eventually('rows on the file', () => rows(uri).some(isFold));
    await vscode.commands.executeCommand('kerf.openText', uri);
    await eventually('rows on the text', () => rows(textFormUri(uri)).filter(isFold).length === 3);
    await eventually('none on the file', () => !rows(uri).some(isFold));
    await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
    await eventually('rows on the file again', () => rows(uri).some(isFold));
    assert.deepEqual(rows(textFormUri(uri)), []);
  });

  it('the light bulb of a layer applies its fix', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await vscode.commands.executeCommand('kerf.openText', uri);
    const before = await textForm(uri);
    const line = before.split('\n').findIndex((text) => text.includes('BatchNormalization'));
    const range = new vscode.Range(line, 4, line, 4);
    const action = await eventually('the quick fix', async () => {
      const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
        'vscode.executeCodeActionProvider',
        textFormUri(uri),
        range,
        vscode.CodeActionKind.QuickFix.value,
      );
      return actions.find(({ title }) => /Fold/.test(title));
    });
    const { command } = action;
    assert.ok(command);
    await vscode.commands.executeCommand(command.command, ...(command.arguments ?? []));
    await eventually('dirty', () => isDirty(uri));
    await eventually('the text follows', async () => !(await textForm(uri)).includes('= BatchNormalization'));
  });

  it('undo from the text form undoes the pass and stays in the text', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await vscode.commands.executeCommand('kerf.openText', uri);
    const before = await textForm(uri);
    await apply(uri, 'fuse');
    await eventually('the text follows', async () => (await textForm(uri)) !== before);
    const line = (await textForm(uri)).split('\n').findIndex((text) => text.includes('"/7/Conv"'));
    await eventually('the row stands on its layer', () =>
      rows(textFormUri(uri)).some(
        (each) => rule(each) === 'layer-too-large' && each.range.start.line === line,
      ),
    );
    await vscode.commands.executeCommand('kerf.undo');
    await eventually('the text goes back', async () => (await textForm(uri)) === before);
    await eventually(
      'the text has the focus',
      () => vscode.window.activeTextEditor?.document.uri.toString() === textFormUri(uri).toString(),
    );
    await eventually('clean', () => !isDirty(uri));
    await vscode.commands.executeCommand('kerf.redo');
    await eventually('the text follows again', async () => (await textForm(uri)) !== before);
  });

  it('what is typed into the text form goes away again', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await vscode.commands.executeCommand('kerf.openText', uri);
    const before = await textForm(uri);
    const text = await vscode.workspace.openTextDocument(textFormUri(uri));
    const edit = new vscode.WorkspaceEdit();
    edit.insert(text.uri, new vscode.Position(9, 2), 'junk');
    assert.ok(await vscode.workspace.applyEdit(edit));
    await eventually('the model text is back', () => text.getText() === before && !text.isDirty);
    assert.ok(!isDirty(uri));
  });

  it('the selection moves from the text to the document, and from elsewhere to the text', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await vscode.commands.executeCommand('kerf.openText', uri);
    const editor = await eventually('the text editor', () =>
      vscode.window.visibleTextEditors.find(
        (each) => each.document.uri.toString() === textFormUri(uri).toString(),
      ),
    );
    const [first, , third] = layersOfOutline(await outline(uri));
    assert.ok(first && third);
    const { selection } = services();
    selection.select({ document: documentOf(uri), layer: third.name, from: undefined });
    await eventually('the text moved', () => editor.selection.active.line === third.range.start.line);
    await vscode.window.showTextDocument(editor.document, editor.viewColumn);
    await vscode.commands.executeCommand('cursorTop');
    await vscode.commands.executeCommand('cursorMove', { to: 'down', value: first.range.start.line });
    await eventually('the document moved', () => selection.of(documentOf(uri)) === first.name);
  });

  it('the work of a layer stands before its line', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await vscode.commands.executeCommand('kerf.openText', uri);
    const lines = (await textForm(uri)).split('\n');
    const hints = await vscode.commands.executeCommand<vscode.InlayHint[]>(
      'vscode.executeInlayHintProvider',
      textFormUri(uri),
      new vscode.Range(0, 0, lines.length - 1, 0),
    );
    const expected = lines.flatMap((text, line) => (/= (Conv|Gemm) /.test(text) ? [line] : []));
    // Other layers have hints of their time when a device is chosen.
    const work = hints.filter(({ label }) => /MACs/.test(String(label)));
    assert.deepEqual(
      work.map(({ position }) => position.line),
      expected,
    );
  });

  it('references of a value are its definition and every use', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await vscode.commands.executeCommand('kerf.openText', uri);
    const lines = (await textForm(uri)).split('\n');
    const name = '"/2/Relu_output_0"';
    const expected = lines.flatMap((text, line) => (text.includes(name) ? [line] : []));
    const at = new vscode.Position(expected[0] ?? 0, (lines[expected[0] ?? 0] ?? '').indexOf(name) + 3);
    const found = await vscode.commands.executeCommand<vscode.Location[]>(
      'vscode.executeReferenceProvider',
      textFormUri(uri),
      at,
    );
    assert.deepEqual(found.map(({ range }) => range.start.line).sort(), expected.sort());
  });

  it('a severity setting silences a rule, and a budget file breaks one', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await eventually('the row', () => rows(uri).some((each) => rule(each) === 'batch-norm-not-folded'));
    const budget = vscode.Uri.file(path.join(workspaceFolder(), 'kerf.json'));
    const config = vscode.workspace.getConfiguration('kerf');
    try {
      const off = { 'batch-norm-not-folded': 'off' };
      await config.update('rules.severity', off, vscode.ConfigurationTarget.Workspace);
      await eventually('silence', () => !rows(uri).some((each) => rule(each) === 'batch-norm-not-folded'));
      await writeFile(budget.fsPath, '{"budget": {"fileBytes": "10 kB"}}');
      const row = await eventually('over budget', () =>
        rows(uri).find((each) => rule(each) === 'over-file-budget'),
      );
      assert.equal(row.severity, vscode.DiagnosticSeverity.Error);
    } finally {
      await config.update('rules.severity', undefined, vscode.ConfigurationTarget.Workspace);
      await vscode.workspace.fs.delete(budget);
    }
    await eventually('within no budget', () => !rows(uri).some((each) => rule(each) === 'over-file-budget'));
  });

  it('tools answer in JSON, and edits by a tool are edits like any other', async () => {
    const uri = await freshModel();
    const invoke = async (name: string, input: object): Promise<Record<string, unknown>> => {
      const { content } = await vscode.lm.invokeTool(name, { input, toolInvocationToken: undefined });
      const [part] = content;
      assert.ok(part instanceof vscode.LanguageModelTextPart);
      return JSON.parse(part.value);
    };
    const names = vscode.lm.tools.map(({ name }) => name).filter((name) => name.startsWith('kerf_'));
    assert.equal(names.length, 6);
    const inspected = await invoke('kerf_inspect_model', { path: uri.fsPath, layers: 2 });
    assert.equal(inspected['format'], 'onnx');
    assert.ok(Array.isArray(inspected['heaviestLayers']) && inspected['heaviestLayers'].length === 2);
    const checked = await invoke('kerf_check_model', {
      path: path.basename(uri.fsPath),
      device: 'stm32h743',
    });
    assert.ok(Array.isArray(checked['findings']));
    const missing = await invoke('kerf_inspect_model', { path: 'no-such.onnx' });
    assert.match(String(missing['error']), /no such file/);
  });

  it('evaluation tells accuracy, and agreement with the original', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await apply(uri, 'fp16');
    await eventually('dirty', () => isDirty(uri));
    const data = path.join(workspaceFolder(), 'digits-test.npz');
    const report = await vscode.commands.executeCommand<EvalReport>('kerf.evaluate', uri, data);
    assert.ok(report.samples > 100);
    assert.ok((report.top1 ?? 0) > 0.9, JSON.stringify(report));
    assert.ok((report.reference?.agreement ?? 0) > 0.99, JSON.stringify(report));
    await vscode.commands.executeCommand('kerf.undo', uri);
  });

  it('a TFLite model is converted and opened', async () => {
    const uri = await freshModel('digits.tflite');
    const to = vscode.Uri.file(path.join(workspaceFolder(), 'converted.onnx'));
    await vscode.commands.executeCommand('kerf.convert', uri, to);
    assert.equal(documentOf(to).format, 'onnx');
  });

  it('a recipe is exported as JSON that the recipe command reads', async () => {
    const uri = await freshModel();
    await openModel(uri);
    await apply(uri, 'fuse');
    const to = path.join(workspaceFolder(), 'exported.kerf.json');
    await exportRecipe(services().engine, documentOf(uri), [], to);
    const again = await freshModel();
    await openModel(again);
    await vscode.commands.executeCommand('kerf.applyRecipe', again, vscode.Uri.file(to));
    assert.deepEqual(
      documentOf(again).steps.map(({ pass }) => pass),
      ['fuse'],
    );
  });

  it('two models are compared as texts and in numbers', async () => {
    const [a, b] = [await freshModel(), await freshModel()];
    await vscode.commands.executeCommand('kerf.compareWith', a, b, 'texts');
    await eventually('the diff', () =>
      vscode.window.tabGroups.all
        .flatMap((group) => group.tabs)
        .some(
          ({ input }) => input instanceof vscode.TabInputTextDiff && input.original.path.startsWith(a.path),
        ),
    );
  });

  it('the workspace check names models that cannot be read', async () => {
    const broken = vscode.Uri.file(path.join(workspaceFolder(), 'broken.tflite'));
    await writeFile(broken.fsPath, 'not a model');
    await vscode.commands.executeCommand('kerf.checkWorkspace');
    await eventually('the row', () => rows(broken).some((each) => rule(each) === 'unreadable'));
    await vscode.workspace.fs.delete(broken);
  });
});
