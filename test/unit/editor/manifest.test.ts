import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as names from '../../../src/editor/contributions.ts';

interface Manifest {
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly title: string }[];
    readonly menus: Readonly<Record<string, readonly { readonly command: string; readonly when?: string }[]>>;
    readonly views: Readonly<Record<string, readonly { readonly id: string }[]>>;
    readonly customEditors: readonly { readonly viewType: string }[];
    readonly configuration: { readonly properties: Readonly<Record<string, unknown>> };
    readonly languages: readonly { readonly id: string; readonly extensions: readonly string[] }[];
    readonly languageModelTools: readonly { readonly name: string }[];
    readonly jsonValidation: readonly { readonly url: string }[];
    readonly walkthroughs: readonly {
      readonly steps: readonly {
        readonly description: string;
        readonly media: { readonly markdown: string };
      }[];
    }[];
  };
}

const root = new URL('../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const text = read('package.json');
const { contributes }: Manifest = JSON.parse(text);
const strings: Record<string, string> = JSON.parse(read('package.nls.json'));

describe('the manifest and the code', () => {
  it('name the same commands', () => {
    expect(contributes.commands.map(({ command }) => command)).toEqual([...names.commandIds]);
  });

  it('keep commands that need arguments out of the palette', () => {
    const hidden = (contributes.menus['commandPalette'] ?? []).filter(({ when }) => when === 'false');
    expect(hidden.map(({ command }) => command).sort()).toEqual([...names.internalCommands].sort());
  });

  it('put only known commands in menus, and link only to known ones', () => {
    const known = new Set<string>(names.commandIds);
    const inMenus = Object.values(contributes.menus).flatMap((menu) => menu.map(({ command }) => command));
    const linked = [
      ...Object.values(strings)
        .join('\n')
        .matchAll(/command:(kerf\.\w+)/g),
    ].map(([, id]) => id);
    expect([...inMenus, ...linked].filter((id) => id === undefined || !known.has(id))).toEqual([]);
  });

  it('name the same views, settings, editor, language and tools', () => {
    expect((contributes.views['kerf'] ?? []).map(({ id }) => id)).toEqual(Object.values(names.viewIds));
    expect(Object.keys(contributes.configuration.properties)).toEqual([...names.settingKeys]);
    expect(contributes.customEditors.map(({ viewType }) => viewType)).toEqual([names.viewType]);
    expect(contributes.languages[0]).toMatchObject({
      id: names.textLanguage,
      extensions: [names.textExtension],
    });
    expect(contributes.languageModelTools.map(({ name }) => name)).toEqual(Object.values(names.toolNames));
  });

  it('has a text for every placeholder, and no text without one', () => {
    const used = new Set([...text.matchAll(/"%([\w.]+)%"/g)].map(([, key]) => key ?? ''));
    expect([...used].sort()).toEqual(Object.keys(strings).sort());
  });

  it('points at files that exist', () => {
    // The build copies the schemas that the code checks with.
    const sources: Record<string, string> = {
      './dist/schemas/device.schema.json': 'src/devices/schemas/device.schema.json',
      './dist/schemas/dataset.schema.json': 'src/runtime/schemas/dataset.schema.json',
    };
    const schemas = contributes.jsonValidation.map(({ url }) => sources[url] ?? url);
    const pages = contributes.walkthroughs.flatMap(({ steps }) => steps.map(({ media }) => media.markdown));
    for (const path of [...schemas, ...pages]) expect(read(path).length).toBeGreaterThan(0);
  });
});
