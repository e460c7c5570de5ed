/** Pieces of the Markdown reports. */

const listed = 200;

/** A table with a head; cut where nobody reads on. */
export function table(head: readonly string[], rows: readonly string[]): readonly string[] {
  if (rows.length === 0) return [];
  const more = rows.length > listed ? [`| … and ${String(rows.length - listed)} more |`] : [];
  return [
    `| ${head.join(' | ')} |`,
    `|${head.map(() => '---').join('|')}|`,
    ...rows.slice(0, listed).map(unbroken),
    ...more,
    '',
  ];
}

/** A number stays with its unit in a narrow column. */
function unbroken(row: string): string {
  return row.replaceAll(/(?<=\d) (?=(?:[kMGT]?B|dB|[µm]?s|%)(?= |$|,|\)))/g, '\u{a0}');
}

/** A heading with a list; nothing for no items. */
export function bullets(title: string, items: readonly string[]): readonly string[] {
  if (items.length === 0) return [];
  const more = items.length > listed ? [`- … and ${String(items.length - listed)} more`] : [];
  return [`## ${title}`, '', ...items.slice(0, listed).map((item) => `- ${cell(item)}`), ...more, ''];
}

/** Text that cannot break a table. */
export function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`).replaceAll('\n', ' ');
}
