/** The version of package.json, put in by the build. */
declare const KERF_VERSION: string;
