import * as vscode from 'vscode';
import type { DeviceProfile } from '../../devices/profile.ts';
import type { PassInfo } from '../../engine/protocol.ts';
import { KerfError } from '../../ir/errors.ts';
import type { Dialect } from '../../ir/model.ts';
import type { OptionValue, OptionValues, PassOption } from '../../passes/pass.ts';
import type { Fix } from '../../rules/rule.ts';
import { passesFor } from '../support/passes.ts';
import { formatCapacity } from '../support/format.ts';
import { checkOption, optionPrompt } from './passOptions.ts';

/** Quick inputs made from the engine's declarations. A dismissed input is the error `cancelled`. */

export async function pick<T extends vscode.QuickPickItem>(
  items: readonly T[],
  options: vscode.QuickPickOptions,
): Promise<T> {
  const picked = await vscode.window.showQuickPick(items, {
    matchOnDescription: true,
    matchOnDetail: true,
    ...options,
  });
  if (picked === undefined) throw new KerfError('cancelled', 'dismissed');
  return picked;
}

export async function pickPass(
  passes: readonly PassInfo[],
  format: Dialect,
  only?: readonly string[],
): Promise<PassInfo> {
  const items = passesFor(passes, format)
    .filter((pass) => only === undefined || only.includes(pass.id))
    .map((pass) => ({
      label: pass.title,
      description: [
        pass.id,
        pass.exact ? vscode.l10n.t('exact') : vscode.l10n.t('lossy'),
        ...(pass.calibration === 'required' ? [vscode.l10n.t('needs samples')] : []),
      ].join(' · '),
      detail: pass.summary,
      pass,
    }));
  if (items.length === 0) throw new KerfError('unsupported', 'no pass works on this layer alone');
  return (await pick(items, { title: vscode.l10n.t('Apply Pass') })).pass;
}

/**
 * Asks for the options of a pass. Defaults are the best known choice, so the first question is whether to take them.
 */
export async function askOptions(pass: PassInfo): Promise<OptionValues> {
  const defaults = Object.fromEntries(pass.options.map((option) => [option.name, option.default]));
  if (pass.options.length === 0) return defaults;
  const summary = pass.options.map((option) => `${option.title}: ${String(option.default)}`).join(', ');
  const items = [
    { label: vscode.l10n.t('Apply with defaults'), detail: summary, change: false },
    { label: vscode.l10n.t('Change options…'), detail: pass.summary, change: true },
  ];
  const { change } = await pick(items, { title: pass.title });
  if (!change) return defaults;
  const values: Record<string, OptionValue> = {};
  for (const [index, option] of pass.options.entries()) {
    const title = `${pass.title} (${String(index + 1)}/${String(pass.options.length)})`;
    values[option.name] = await askOption(title, option);
  }
  return values;
}

async function askOption(title: string, option: PassOption): Promise<OptionValue> {
  if (option.type === 'boolean' || option.type === 'choice') {
    const choices = option.type === 'boolean' ? [true, false] : option.choices;
    const items = choices.map((value) => ({
      label: typeof value === 'boolean' ? (value ? vscode.l10n.t('Yes') : vscode.l10n.t('No')) : value,
      description: value === option.default ? vscode.l10n.t('default') : '',
      value,
    }));
    items.sort((a, b) => Number(b.value === option.default) - Number(a.value === option.default));
    return (await pick<(typeof items)[number]>(items, { title, placeHolder: option.title })).value;
  }
  if (option.type === 'text') return askText(title, option);
  const text = await vscode.window.showInputBox({
    title,
    prompt: optionPrompt(option),
    value: String(option.default),
    validateInput: (input) => checkOption(option, input).problem,
  });
  if (text === undefined) throw new KerfError('cancelled', 'dismissed');
  return checkOption(option, text).value ?? option.default;
}

async function askText(title: string, option: Extract<PassOption, { type: 'text' }>): Promise<string> {
  const text = await vscode.window.showInputBox({
    title,
    prompt: option.title,
    value: option.default,
    placeHolder: option.example,
  });
  if (text === undefined) throw new KerfError('cancelled', 'dismissed');
  return text.trim();
}

export async function pickDevice(
  devices: readonly DeviceProfile[],
  { format, current, title }: { format?: Dialect; current: string | null; title: string },
): Promise<DeviceProfile> {
  const usable = devices.filter((device) => format === undefined || device.formats.includes(format));
  const items = (usable.length === 0 ? devices : usable).map((device) => ({
    label: `${device.id === current ? '$(check) ' : ''}${device.name}`,
    description: device.id,
    detail: [
      device.cpu,
      device.runtime,
      ...(device.flashBytes === undefined
        ? []
        : [vscode.l10n.t('flash {0}', formatCapacity(device.flashBytes))]),
      ...(device.ramBytes === undefined ? [] : [vscode.l10n.t('RAM {0}', formatCapacity(device.ramBytes))]),
    ].join(' · '),
    device,
  }));
  return (await pick(items, { title })).device;
}

export async function pickFix(fixes: readonly Fix[], message: string): Promise<Fix> {
  const [first, ...others] = fixes;
  if (first === undefined) throw new KerfError('not-found', 'nothing to fix here any more');
  if (others.length === 0) return first;
  const items = fixes.map((fix) => ({ label: fix.title, description: fix.pass, fix }));
  return (await pick(items, { title: vscode.l10n.t('Fix'), placeHolder: message })).fix;
}
