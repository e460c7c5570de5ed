/** A typed array sends the whole buffer it looks into; those that see a part of one are copied first. */
export function sliced<T>(value: T): T {
  if (ArrayBuffer.isView(value)) {
    const whole = value.byteLength === value.buffer.byteLength;
    return whole || value instanceof DataView ? value : ((value as Uint8Array & T).slice() as Uint8Array & T);
  }
  if (Array.isArray(value) || typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, sliced(part)])) as T;
}
