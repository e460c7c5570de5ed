import { execFileSync } from 'node:child_process';

interface Row {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
  readonly command: string;
}

function processes(): readonly Row[] {
  const list = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' });
  return list.split('\n').map((line) => {
    const [pid, parent, state = '', ...command] = line.trim().split(/\s+/);
    return { pid: Number(pid), parent: Number(parent), state, command: command.join(' ') };
  });
}

/** Runner processes that a process has started and that still run. */
export function runnersOf(parent: number): readonly number[] {
  return processes()
    .filter(
      (row) => row.parent === parent && row.command.includes('runner.cjs') && !row.state.startsWith('Z'),
    )
    .map((row) => row.pid);
}

/** Whether a process runs; one that ended but was not collected yet does not. */
export function isAlive(pid: number): boolean {
  return processes().some((row) => row.pid === pid && !row.state.startsWith('Z'));
}
