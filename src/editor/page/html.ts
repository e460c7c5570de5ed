import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** Folders the page may load from. */
export function pageRoots(extensionUri: vscode.Uri): readonly vscode.Uri[] {
  return [vscode.Uri.joinPath(extensionUri, 'dist', 'webview')];
}

/**
 * The page's document. Scripts run by nonce only; the layout worker starts from a blob, because a worker of another
 * origin is refused. Typed arrays arrive by message, nothing is fetched but the page's own files.
 */
export function pageHtml(webview: vscode.Webview, extensionUri: vscode.Uri): string {
  const nonce = randomBytes(16).toString('base64');
  const at = (...path: readonly string[]): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'dist', 'webview', ...path)).toString();
  const source = webview.cspSource;
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    // The toolkit asks the browser about `:focus-visible` with a style element of its own.
    `style-src ${source} 'nonce-${nonce}'`,
    `font-src ${source}`,
    `img-src ${source} blob: data:`,
    'worker-src blob:',
    `connect-src ${source}`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="${vscode.env.language}">
<head>
<meta charset="utf-8">
<title>Kerf</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta property="csp-nonce" content="${nonce}">
<link rel="stylesheet" href="${at('codicons', 'codicon.css')}">
<link rel="stylesheet" href="${at('main.css')}">
</head>
<body data-layout-worker="${at('layoutWorker.js')}">
<script nonce="${nonce}" src="${at('main.js')}"></script>
</body>
</html>`;
}
