const scales: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** "500k", "1.5 MB", "2 ki" … as a number; undefined when it is none. `ki`, `Mi` are powers of 1024. */
export function parseQuantity(text: string): number | undefined {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*([kmgt]?)(i?)(b|macs|ms)?\s*$/i.exec(text);
  if (match === null) return undefined;
  const [, number = '', prefix = '', binary = ''] = match;
  const power = ['', 'k', 'm', 'g', 't'].indexOf(prefix.toLowerCase());
  const scale = binary === '' ? (scales[prefix.toLowerCase()] ?? 1) : 1024 ** power;
  return Number(number.replace(',', '.')) * scale;
}
