import { randomBytes } from 'node:crypto';

/** What the editor shows of a file that is no model: what is wrong, and two things to do. No `vscode` import. */
export function unreadableHtml(shown: {
  readonly file: string;
  readonly problem: string;
  readonly language: string;
}): string {
  const nonce = randomBytes(16).toString('base64');
  return `<!DOCTYPE html>
<html lang="${escaped(shown.language)}">
<head>
<meta charset="utf-8">
<title>Kerf</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'">
<style nonce="${nonce}">
body { display: grid; min-height: 100vh; margin: 0; place-items: center; color: var(--vscode-foreground); font: var(--vscode-font-size) var(--vscode-font-family); }
main { max-width: 56ch; padding: 24px; line-height: 1.5; overflow-wrap: anywhere; }
h1 { margin: 0 0 8px; font-size: 1.3em; font-weight: 600; }
p { margin: 0 0 12px; }
.quiet { color: var(--vscode-descriptionForeground); }
button { margin: 4px 8px 0 0; padding: 5px 12px; border: 1px solid var(--vscode-button-border, transparent); border-radius: 2px; background: var(--vscode-button-secondaryBackground); color: var(--vscode-button-secondaryForeground); font: inherit; cursor: pointer; }
button:hover { background: var(--vscode-button-secondaryHoverBackground); }
button.first { background: var(--vscode-button-background); color: var(--vscode-button-foreground); }
button.first:hover { background: var(--vscode-button-hoverBackground); }
button:focus-visible { outline: 1px solid var(--vscode-focusBorder); outline-offset: 2px; }
</style>
</head>
<body>
<main>
<h1>${escaped(shown.file)} cannot be opened as a model</h1>
<p role="status">${escaped(sentence(shown.problem))}</p>
<p class="quiet">The graph appears here as soon as the file holds a model.</p>
<button class="first" data-ask="again" type="button">Try Again</button><button data-ask="other" type="button">Open With…</button>
</main>
<script nonce="${nonce}">
const host = acquireVsCodeApi();
for (const button of document.querySelectorAll('button'))
  button.addEventListener('click', () => host.postMessage(button.dataset.ask));
</script>
</body>
</html>`;
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? '' : '.'}`;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
