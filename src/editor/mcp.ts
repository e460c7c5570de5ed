import { join } from 'node:path';
import * as vscode from 'vscode';

/** What editors from 1.101 on have; the oldest supported one does not, so its types do not say. */
interface McpEditor {
  registerMcpServerDefinitionProvider?(id: string, provider: object): vscode.Disposable;
}
interface McpWindow {
  readonly McpStdioServerDefinition?: new (
    label: string,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
    version: string,
  ) => object;
}

/** VS Code 1.100 has the function already, as a proposal with another manifest entry: it throws there. */
function isFinal(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 1 || minor >= 101;
}

/** Offers `kerf mcp` to the editor's agents, where the editor knows of MCP servers. */
export function registerMcp(context: vscode.ExtensionContext): vscode.Disposable {
  const lm: McpEditor = vscode.lm as McpEditor;
  const { McpStdioServerDefinition: Definition } = vscode as McpWindow;
  if (
    !isFinal(vscode.version) ||
    lm.registerMcpServerDefinitionProvider === undefined ||
    Definition === undefined
  )
    return new vscode.Disposable(() => undefined);
  const script = context.asAbsolutePath(join('dist', 'cli.cjs'));
  const version = String((context.extension.packageJSON as { version?: unknown }).version ?? '');
  // The editor's own executable runs scripts as Node does when it is told so.
  const definition = new Definition(
    'Kerf',
    process.execPath,
    [script, 'mcp'],
    { ELECTRON_RUN_AS_NODE: '1' },
    version,
  );
  return lm.registerMcpServerDefinitionProvider('kerf', {
    provideMcpServerDefinitions: () => (vscode.workspace.isTrusted ? [definition] : []),
  });
}
