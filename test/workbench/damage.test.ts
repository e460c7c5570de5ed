import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { flow, useBrowser } from './support/flow.ts';

useBrowser();

flow(
  'a file that is no model is refused in words',
  { files: { 'samples/digits.onnx': 'digits.onnx' } },
  async (bench) => {
    await writeFile(
      path.join(bench.folder, 'noise.onnx'),
      Buffer.from('this is not a model at all\n'.repeat(50)),
    );
    await bench.file('noise.onnx').waitFor();
    // A second click would open it a second time, and ask a second time.
    await bench.file('noise.onnx').click();
    await bench.tab('noise.onnx').waitFor();
    const refusal = bench.page.locator('.monaco-dialog-box').filter({ hasText: 'noise.onnx' });
    await refusal.getByText('neither an ONNX model nor a TFLite').waitFor();
    await bench.picture('refused');
    await bench.answer('OK');
    await bench.openModel('digits.onnx');
    await bench.picture('the next one opens');
  },
);
