export function copyWritable(from: string, to: string): Promise<void>;
