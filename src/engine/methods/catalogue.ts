import { passes } from '../../passes/registry.ts';
import { rules } from '../../rules/registry.ts';
import { allDevices } from '../deviceFiles.ts';
import type { EngineMethods } from './method.ts';

export function catalogueMethods(): Pick<EngineMethods, 'passes' | 'rules' | 'devices'> {
  return {
    passes: () => ({ passes: passes.map(({ run: _run, appliesTo: _appliesTo, ...declared }) => declared) }),
    rules: () => ({ rules: rules.map(({ check: _check, ...declared }) => declared) }),
    devices: ({ folders }) => ({ devices: allDevices(folders ?? []) }),
  };
}
