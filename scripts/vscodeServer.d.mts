export declare const root: string;

export interface RunningServer {
  readonly port: number;
  /** This checkout, as the workbench should load it. */
  readonly extension: string;
  readonly logFile: string;
  url(what: WorkbenchAddress): string;
  stop(): Promise<void>;
}

export interface WorkbenchAddress {
  readonly folder: string;
  readonly extension?: string;
  readonly tests?: string;
}

export declare function startServer(options: {
  dataDir: string;
  settings?: Readonly<Record<string, unknown>>;
  version?: string;
  node?: string;
  env?: Readonly<Record<string, string>>;
}): Promise<RunningServer>;

export declare function workbenchUrl(port: number, what: WorkbenchAddress): string;
