import type { LayerWork } from '../../../src/devices/work.ts';
import type { OpClass } from '../../../src/devices/workReader.ts';

/**
 * Published architectures as lists of layers, at batch 1 in float32. They stand for models whose files nobody has at
 * hand but whose latency somebody measured. The device tests hold their MACs against the published counts.
 */
export type Net = readonly LayerWork[];

export class Builder {
  readonly works: LayerWork[] = [];
  c: number;
  h: number;
  w: number;

  constructor(h: number, w: number, c: number) {
    this.h = h;
    this.w = w;
    this.c = c;
  }

  size(): number {
    return this.c * this.h * this.w;
  }

  push(kind: OpClass, macs: number, moved: number, weights: number): void {
    this.works.push({
      id: `${this.works.length}`,
      op: kind,
      class: kind,
      precision: 'float32',
      macs,
      activationBytes: moved * 4,
      weightBytes: weights * 4,
    });
  }

  conv(out: number, kernel: number | [number, number], stride = 1, groups = 1, valid = false): this {
    const [kh, kw] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
    const before = this.size();
    const inputs = this.c;
    this.h = valid ? Math.floor((this.h - kh) / stride) + 1 : Math.ceil(this.h / stride);
    this.w = valid ? Math.floor((this.w - kw) / stride) + 1 : Math.ceil(this.w / stride);
    this.c = out;
    const weights = (out * inputs * kh * kw) / groups;
    // With so few input channels nothing can be vectorised along them, as in a depthwise convolution.
    const depthwise = inputs / groups <= 3;
    const dense = kh === 3 && kw === 3 && stride === 1 && groups === 1 && inputs >= 16;
    const kind = depthwise ? 'depthwise' : dense ? 'dense3x3' : 'generic';
    this.push(kind, weights * this.h * this.w, before + this.size(), weights + out);
    return this;
  }

  depthwise(kernel: number, stride = 1): this {
    return this.conv(this.c, kernel, stride, this.c);
  }

  fc(out: number): this {
    const inputs = this.size();
    this.push('fullyConnected', inputs * out, inputs + out, inputs * out + out);
    this.h = 1;
    this.w = 1;
    this.c = out;
    return this;
  }

  pool(stride: number): this {
    const before = this.size();
    this.h = Math.ceil(this.h / stride);
    this.w = Math.ceil(this.w / stride);
    this.push('other', 0, before + this.size(), 0);
    return this;
  }

  globalPool(): this {
    const before = this.size();
    this.h = 1;
    this.w = 1;
    this.push('other', 0, before + this.size(), 0);
    return this;
  }

  /** Elementwise work over `operands` tensors of the current size. */
  elementwise(operands: number): this {
    this.push('other', 0, this.size() * (operands + 1), 0);
    return this;
  }

  squeezeExcite(hidden: number): this {
    const { h, w, c } = this;
    this.globalPool().conv(hidden, 1).conv(c, 1);
    this.h = h;
    this.w = w;
    return this.elementwise(1);
  }

  /** Restores an earlier place, for branches. */
  at(place: { c: number; h: number; w: number }): this {
    this.c = place.c;
    this.h = place.h;
    this.w = place.w;
    return this;
  }

  place(): { c: number; h: number; w: number } {
    return { c: this.c, h: this.h, w: this.w };
  }
}

/** A network of which only the totals are known. */
export function bulk(macs: number, params: number, depthwiseShare = 0): Net {
  const net = new Builder(1, 1, 1);
  if (depthwiseShare > 0) net.push('depthwise', macs * depthwiseShare, 0, 0);
  net.push('generic', macs * (1 - depthwiseShare), 0, params);
  return net.works;
}

/** The same network in another precision: bytes shrink, counts stay. */
export function inPrecision(net: Net, precision: LayerWork['precision']): Net {
  const scale = precision === 'int8' ? 1 / 4 : precision === 'float16' ? 1 / 2 : 1;
  return net.map((work) => ({
    ...work,
    precision,
    activationBytes: (work.activationBytes ?? 0) * scale,
    weightBytes: work.weightBytes * scale,
  }));
}

export function macsOf(net: Net): number {
  return net.reduce((sum, work) => sum + (work.macs ?? 0), 0);
}
