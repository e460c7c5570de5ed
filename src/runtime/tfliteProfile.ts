import type { LayerTime } from './runner.ts';

/** `[node type] [first] [avg ms] [%] [cdf%] [mem KB] [times called] [Name]`, tab-separated. */
const row = /^\t\s*(\S.*?)\t\s*[\d.]+\t\s*([\d.]+)\t.*\t\s*(\d+)\t(.*)$/;

/**
 * Reads the interpreter's profiling summary: the operators it ran itself, by output tensor, and the kernels inside the
 * XNNPACK delegate, which carry no tensor names. A delegate's own row is left out, its kernels stand for it.
 */
export function parseSummary(summary: string): readonly LayerTime[] {
  const [outer = '', inner = ''] = summary.split('Delegate internal:');
  const own = runOrder(outer).filter(({ op }) => inner === '' || op !== 'TfLiteXNNPackDelegate');
  const kernels = runOrder(inner).map(({ name, ms }) => ({
    name: '',
    op: name.replace(/^Delegate\//, '').replace(/:\d+$/, ''),
    ms,
    provider: 'xnnpack',
  }));
  return [...own, ...kernels];
}

function runOrder(text: string): LayerTime[] {
  const section = text.split('Run Order')[1]?.split('Top by Computation Time')[0] ?? '';
  return section.split('\n').flatMap((line) => {
    const found = row.exec(line);
    if (found === null) return [];
    const [, op = '', ms = '', , name = ''] = found;
    return [{ name: name.replace(/^\[(.*)\]:\d+$/, '$1'), op, ms: Number(ms), provider: 'cpu' }];
  });
}
