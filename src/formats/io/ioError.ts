import { KerfError } from '../../ir/errors.ts';

/** What the system refuses becomes a `KerfError('io')` that names the file. */
export function attempt<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw ioError(file, error);
  }
}

/** The system's refusal in words. */
export function ioError(file: string, error: unknown): KerfError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reason: Record<string, string> = {
    ENOENT: 'no such file',
    EACCES: 'permission denied',
    EPERM: 'the system does not permit it: the file or its folder may be protected',
    EISDIR: 'is a folder',
    ENAMETOOLONG: 'the name is too long',
    ENOTDIR: 'part of its path is not a folder',
    ENOSPC: 'no space left on the device',
    EROFS: 'the file system is read-only',
  };
  return new KerfError('io', reason[code] ?? (error instanceof Error ? error.message : String(error)), {
    file,
  });
}
