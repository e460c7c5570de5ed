/** Copies every runtime for a target (`<platform>-<arch>`, default: this machine) into `dist`. */
export function copyRuntimes(dist: string, target?: string): Promise<void>;

/** Copies the TFLite runtimes, which are the same on every platform. */
export function copyWasm(dist: string): Promise<void>;
