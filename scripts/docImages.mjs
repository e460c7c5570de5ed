// Copies pictures that the workbench flows took into docs/images: `npm run test:workbench`, then `node scripts/docImages.mjs`.
import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { root } from './vscodeServer.mjs';

const images = {
  'editor.png': 'open-an-onnx-model/2-layer-selected.png',
  'text-form.png': 'apply-a-fix-from-the-light-bulb-of-the-text-form/3-its-menu.png',
  'optimize.png': 'optimize-for-a-device-from-the-explorer/3-candidates.png',
  'benchmark.png': 'benchmark-an-edited-model-against-its-original/1-against-the-original.png',
};

await mkdir(path.join(root, 'docs/images'), { recursive: true });
for (const [name, from] of Object.entries(images)) {
  await cp(path.join(root, 'test-artifacts', from), path.join(root, 'docs/images', name));
}
