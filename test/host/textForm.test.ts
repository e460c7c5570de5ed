import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { layersOfOutline, outline } from './support/features.ts';
import { freshModel, openModel, textForm, textFormUri } from './support/models.ts';

/** The first line that is a layer. */
async function firstLayer(uri: vscode.Uri): Promise<vscode.DocumentSymbol> {
  const [symbol] = layersOfOutline(await outline(uri));
  assert.ok(symbol);
  return symbol;
}

describe('the text form', () => {
  it('has an outline, lenses, hovers and code actions', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const text = await textForm(uri);
    assert.match(text, /Conv/);
    const { range } = await firstLayer(uri);
    const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
      'vscode.executeCodeLensProvider',
      textFormUri(uri),
      100,
    );
    assert.ok(
      lenses.some((lens) => /MACs/.test(lens.command?.title ?? '')),
      'a lens tells the cost',
    );
    const hovers = await vscode.commands.executeCommand<vscode.Hover[]>(
      'vscode.executeHoverProvider',
      textFormUri(uri),
      range.start,
    );
    assert.ok(hovers.length > 0, 'a layer has a hover');
    const actions = await vscode.commands.executeCommand<vscode.CodeAction[]>(
      'vscode.executeCodeActionProvider',
      textFormUri(uri),
      range,
    );
    assert.ok(actions.length > 0, 'a layer has code actions');
  });

  it('leads from every use of a value to its definition', async () => {
    const uri = await freshModel();
    await openModel(uri);
    const document = await vscode.workspace.openTextDocument(textFormUri(uri));
    const [first, second] = layersOfOutline(await outline(uri));
    assert.ok(first && second);
    const line = document.lineAt(second.range.start.line).text;
    // `["layer"] type "value" = Operator …`: the name before the equals sign is what the line defines.
    const [, defined] = /("[^"]+") = /.exec(document.lineAt(first.range.start.line).text) ?? [];
    assert.ok(defined, `a value is defined in ${first.name}`);
    const at = new vscode.Position(second.range.start.line, line.indexOf(defined) + 1);
    const found = await vscode.commands.executeCommand<(vscode.Location | vscode.LocationLink)[]>(
      'vscode.executeDefinitionProvider',
      textFormUri(uri),
      at,
    );
    const [place] = found;
    assert.ok(place);
    const range = 'range' in place ? place.range : place.targetRange;
    assert.equal(range.start.line, first.range.start.line);
  });
});
