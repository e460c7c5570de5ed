export declare function ensureChromium(): Promise<string>;
export declare const chromiumArguments: readonly string[];
