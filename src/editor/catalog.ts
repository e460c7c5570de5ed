import { dirname } from 'node:path';
import * as vscode from 'vscode';
import type { DeviceProfile } from '../devices/profile.ts';
import type { PassInfo, RuleInfo } from '../engine/protocol.ts';
import type { EngineService } from './engineService.ts';

/** What the engine declares: passes, rules and devices. Menus, forms and tools are made from these lists. */
export interface Catalog extends vscode.Disposable {
  /** A device file of the workspace appeared, changed or went. */
  readonly onDidChangeDevices: vscode.Event<void>;
  passes(): Promise<readonly PassInfo[]>;
  rules(): Promise<readonly RuleInfo[]>;
  devices(): Promise<readonly DeviceProfile[]>;
}

export function createCatalog(engine: EngineService): Catalog {
  let passes: Promise<readonly PassInfo[]> | undefined;
  let rules: Promise<readonly RuleInfo[]> | undefined;
  let devices: Promise<readonly DeviceProfile[]> | undefined;
  const changed = new vscode.EventEmitter<void>();
  const watcher = vscode.workspace.createFileSystemWatcher('**/*.device.json');
  const forget = (): void => {
    devices = undefined;
    changed.fire();
  };
  // A restarted engine has to be told about the workspace's devices again.
  const subscriptions = [
    watcher,
    changed,
    engine.onCrash(forget),
    watcher.onDidChange(forget),
    watcher.onDidCreate(forget),
    watcher.onDidDelete(forget),
  ];
  return {
    onDidChangeDevices: changed.event,
    passes() {
      passes ??= engine.call('passes', {}).then((answer) => answer.passes);
      passes.catch(() => {
        passes = undefined;
      });
      return passes;
    },
    rules() {
      rules ??= engine.call('rules', {}).then((answer) => answer.rules);
      rules.catch(() => {
        rules = undefined;
      });
      return rules;
    },
    devices() {
      devices ??= listDevices(engine);
      devices.catch(() => {
        devices = undefined;
      });
      return devices;
    },
    dispose: () => vscode.Disposable.from(...subscriptions).dispose(),
  };
}

async function listDevices(engine: EngineService): Promise<readonly DeviceProfile[]> {
  const files = await vscode.workspace.findFiles('**/*.device.json', '**/node_modules/**', 200);
  const folders = [...new Set(files.map((file) => dirname(file.fsPath)))];
  return (await engine.call('devices', { folders })).devices;
}
